//! kill -9 in a loop under load: no acknowledged write is lost, and what survives is one history that explains everything.
//!
//! Writers put, delete and transact on their own keys and note what was acknowledged at which revision, and what was only
//! attempted. After each kill the member starts again on the same data. In the end the whole history is read back through a
//! watch from the beginning: revisions without a gap, every acknowledged write at its revision, nothing that was never
//! attempted, and a fold of it that equals what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchRequest, request_op,
    watch_request,
};
use proto::mvccpb::{Event, KeyValue, event::EventType};
use tokio::sync::watch as latest;
use tonic::Code;

use crate::dice::Dice;
use crate::server::{Server, fresh};

const WRITERS: usize = 8;
const KEYS_PER_WRITER: usize = 4;

/// Cycles of the test; more with `QUORATE_KILL_CYCLES` for a longer campaign.
fn cycles() -> usize {
    std::env::var("QUORATE_KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// What one write does to one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    Put(Bytes, Bytes),
    Delete(Bytes),
}

/// What a writer knows: by revision what was acknowledged, and everything that was attempted.
#[derive(Default)]
struct Notes {
    acknowledged: BTreeMap<i64, Vec<Write>>,
    attempted: BTreeSet<Write>,
}

impl Notes {
    fn join(&mut self, other: Self) {
        for (revision, writes) in other.acknowledged {
            let before = self.acknowledged.insert(revision, writes);
            assert!(before.is_none(), "two writes were acknowledged at revision {revision}");
        }
        self.attempted.extend(other.attempted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn kill_loses_no_acknowledged_write() {
    let (_folder, data) = fresh();
    let mut dice = Dice(20_261_124);
    let mut notes = Notes::default();
    let mut serial = 0;
    for cycle in 0..cycles() {
        let server = Server::start(&data, &["--snapshot-count", "500"]);
        let done = Arc::new(latest::Sender::new(0_usize));
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let kv = server.kv().await;
            let seed = dice.roll(u64::MAX >> 33);
            serial += 1;
            writers.push(tokio::spawn(write_until_killed(kv, writer, serial, Dice(seed), done.clone())));
        }
        let enough = 20 + usize::try_from(dice.roll(200)).expect("a small number");
        let mut progress = done.subscribe();
        let reached = progress.wait_for(|written| *written >= enough);
        tokio::time::timeout(Duration::from_secs(30), reached)
            .await
            .unwrap_or_else(|_| panic!("cycle {cycle}: no {enough} writes in 30 s; the member said: {}", server.said()))
            .expect("writers run");
        server.kill();
        for writer in writers {
            notes.join(writer.await.expect("a writer does not panic"));
        }
    }
    assert!(notes.acknowledged.len() > 20 * cycles());
    let server = Server::start(&data, &[]);
    let events = history(&server).await;
    explain(&events, &notes);
    assert_eq!(fold(&events), stored(&server).await, "the store is not what its history says");
}

async fn write_until_killed(
    mut kv: proto::etcdserverpb::kv_client::KvClient<tonic::transport::Channel>,
    writer: usize,
    serial: usize,
    mut dice: Dice,
    done: Arc<latest::Sender<usize>>,
) -> Notes {
    let mut notes = Notes::default();
    for count in 0.. {
        let key = |n: u64| Bytes::from(format!("w{writer}/k{n}"));
        let put = |n: u64| Write::Put(key(n), format!("{serial}.{count}.{n}").into());
        let n = dice.roll(KEYS_PER_WRITER as u64);
        let writes = match dice.roll(10) {
            0 => vec![Write::Delete(key(n))],
            1 => vec![put(0), put(1), Write::Delete(key(2))],
            _ => vec![put(n)],
        };
        notes.attempted.extend(writes.iter().cloned());
        let request = TxnRequest { success: writes.iter().map(operation).collect(), ..TxnRequest::default() };
        match kv.txn(request).await {
            Ok(response) => {
                let response = response.into_inner();
                let revision = response.header.expect("a header").revision;
                let effective = effective(&writes, &response.responses);
                if !effective.is_empty() {
                    notes.acknowledged.insert(revision, effective);
                }
                done.send_modify(|written| *written += 1);
            }
            Err(status) => {
                let expected = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                assert!(expected.contains(&status.code()), "{status}");
                break;
            }
        }
    }
    notes
}

fn operation(write: &Write) -> RequestOp {
    let request = match write {
        Write::Put(key, value) => request_op::Request::RequestPut(PutRequest {
            key: key.clone(),
            value: value.clone(),
            ..PutRequest::default()
        }),
        Write::Delete(key) => request_op::Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.clone(),
            ..DeleteRangeRequest::default()
        }),
    };
    RequestOp { request: Some(request) }
}

/// The writes without deletions that found nothing: those make no event, and alone no revision.
fn effective(writes: &[Write], responses: &[proto::etcdserverpb::ResponseOp]) -> Vec<Write> {
    use proto::etcdserverpb::response_op::Response;
    let did = |response: &&proto::etcdserverpb::ResponseOp| !matches!(&response.response, Some(Response::ResponseDeleteRange(deleted)) if deleted.deleted == 0);
    writes.iter().zip(responses).filter(|(_, response)| did(response)).map(|(write, _)| write.clone()).collect()
}

/// Everything that ever happened, through a watch from the first revision to the current one.
async fn history(server: &Server) -> Vec<Event> {
    let current = server.kv().await.range(RangeRequest { key: "x".into(), ..RangeRequest::default() }).await;
    let current = current.expect("a read").into_inner().header.expect("a header").revision;
    let create = WatchCreateRequest {
        key: Bytes::from_static(b"\0"),
        range_end: Bytes::from_static(b"\0"),
        start_revision: 1,
        ..WatchCreateRequest::default()
    };
    let request = WatchRequest { request_union: Some(watch_request::RequestUnion::CreateRequest(create)) };
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut stream = server.watch().await.watch(requests).await.expect("a watch").into_inner();
    let mut events: Vec<Event> = Vec::new();
    while events.last().is_none_or(|event| revision_of(event) < current) {
        let response = stream.message().await.expect("a watch that goes on").expect("a watch that goes on");
        assert!(!response.canceled, "{response:?}");
        events.extend(response.events);
    }
    events
}

fn revision_of(event: &Event) -> i64 {
    event.kv.as_ref().expect("an event has a key").mod_revision
}

/// Holds the history against what the writers know.
fn explain(events: &[Event], notes: &Notes) {
    let mut by_revision: BTreeMap<i64, Vec<Write>> = BTreeMap::new();
    for event in events {
        let kv = event.kv.clone().expect("an event has a key");
        let write = match event.r#type() {
            EventType::Put => Write::Put(kv.key, kv.value),
            EventType::Delete => Write::Delete(kv.key),
        };
        assert!(notes.attempted.contains(&write), "{write:?} was never attempted");
        by_revision.entry(kv.mod_revision).or_default().push(write);
    }
    let revisions: Vec<i64> = by_revision.keys().copied().collect();
    let expected: Vec<i64> = (2..).take(revisions.len()).collect();
    assert_eq!(revisions, expected, "revisions have a gap");
    for (revision, writes) in &notes.acknowledged {
        assert_eq!(by_revision.get(revision), Some(writes), "acknowledged at revision {revision}");
    }
}

/// What a history leaves behind: the model.
fn fold(events: &[Event]) -> BTreeMap<Bytes, KeyValue> {
    let mut keys: BTreeMap<Bytes, KeyValue> = BTreeMap::new();
    for event in events {
        let kv = event.kv.clone().expect("an event has a key");
        match event.r#type() {
            EventType::Delete => drop(keys.remove(&kv.key)),
            EventType::Put => {
                let (create_revision, version) = match keys.get(&kv.key) {
                    Some(before) => (before.create_revision, before.version + 1),
                    None => (kv.mod_revision, 1),
                };
                keys.insert(kv.key.clone(), KeyValue { create_revision, version, ..kv });
            }
        }
    }
    keys
}

async fn stored(server: &Server) -> BTreeMap<Bytes, KeyValue> {
    let all = RangeRequest {
        key: Bytes::from_static(b"\0"),
        range_end: Bytes::from_static(b"\0"),
        ..RangeRequest::default()
    };
    let read = server.kv().await.range(all).await.expect("a read").into_inner();
    read.kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect()
}
