//! Mistakes that etcd has made and mended, each by the number of its issue: none of them is to be made here. Those that need several
//! members, a crash or a paused process are in `tests/it` and `tests/sim`.

use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, RangeRequest,
    RequestOp, SnapshotRequest, TxnRequest, WatchCreateRequest, WatchProgressRequest,
};
use proto::mvccpb::event::EventType;
use tonic::Code;

use crate::support::{Member, assert_refused, put};
use crate::watch::Stream;

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

fn watch(key: &'static str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest { key: key.into(), start_revision, ..Default::default() }
}

fn delete(key: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), ..Default::default() }
}

/// 18089, 19179: a watcher that starts at the revision of a delete missed it when history was compacted to exactly that revision.
#[tokio::test]
async fn a_delete_at_the_compact_revision_is_still_told() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    kv.put(put("k", "v")).await.expect("a put");
    kv.delete_range(delete("k")).await.expect("a delete");
    kv.put(put("other", "v")).await.expect("a put");
    for physical in [false, true] {
        let compact = CompactionRequest { revision: 3, physical };
        let compacted = kv.compact(compact).await;
        if physical {
            assert_refused(compacted, Code::OutOfRange, COMPACTED);
        }
        let mut stream = Stream::open(&member).await;
        stream.create(watch("k", 3)).await;
        let response = stream.next().await;
        let [event] = &response.events[..] else { panic!("{response:?}") };
        assert_eq!(event.r#type, i32::from(EventType::Delete));
        assert_eq!(event.kv.as_ref().expect("a key").mod_revision, 3);
    }
    member.stop().await;
}

/// 20221: a watcher of a revision to come was told events and progress of earlier ones.
#[tokio::test]
async fn a_watcher_of_the_future_hears_nothing_of_the_past() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let mut stream = Stream::open(&member).await;
    stream.create(watch("k", 6)).await;
    for value in ["2", "3", "4", "5"] {
        kv.put(put("k", value)).await.expect("a put");
        stream.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
    }
    kv.put(put("k", "6")).await.expect("a put");
    let response = stream.next().await;
    let [event] = &response.events[..] else { panic!("the first answer is the event: {response:?}") };
    assert_eq!(event.kv.as_ref().expect("a pair").value, "6");
    member.stop().await;
}

/// 15220, 17507: progress was told before the events that it covers.
#[tokio::test]
async fn progress_never_overtakes_events() {
    let member = Member::start().await;
    let mut stream = Stream::open(&member).await;
    stream.create(watch("k", 0)).await;
    let writer = member.kv().await;
    let writes = tokio::spawn(async move {
        let mut writer = writer;
        for _ in 0..200 {
            writer.put(put("k", "v")).await.expect("a put");
        }
    });
    let mut seen = 1;
    while seen < 201 {
        stream.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
        let response = stream.next().await;
        let revision = response.header.expect("a header").revision;
        match response.events.last() {
            Some(last) => seen = last.kv.as_ref().expect("a pair").mod_revision,
            None => assert!(revision <= seen, "told of {revision}, but the last event was of {seen}"),
        }
    }
    writes.await.expect("no panic");
    member.stop().await;
}

/// 20615: a keepalive of a lease that was revoked was answered as if it lived.
#[tokio::test]
async fn a_revoked_lease_is_not_kept_alive() {
    let member = Member::start().await;
    let mut lease = member.lease().await;
    for id in 1..=20 {
        lease.lease_grant(LeaseGrantRequest { id, ttl: 60 }).await.expect("a lease");
        lease.lease_revoke(LeaseRevokeRequest { id }).await.expect("a revocation");
        let kept = lease.lease_keep_alive(tokio_stream::iter([LeaseKeepAliveRequest { id }])).await.expect("a stream");
        let answer = kept.into_inner().message().await.expect("an answer").expect("one");
        assert_eq!((answer.id, answer.ttl), (id, 0));
    }
    member.stop().await;
}

/// 18667, 21432: what a transaction read at an explicit revision depended on how far a member's compaction had come.
#[tokio::test]
async fn a_transaction_that_reads_what_was_compacted_is_refused_as_a_whole() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    for value in ["2", "3", "4"] {
        kv.put(put("k", value)).await.expect("a put");
    }
    kv.compact(CompactionRequest { revision: 3, physical: false }).await.expect("a compaction");
    let read = |revision| {
        let range = RangeRequest { key: "k".into(), revision, ..Default::default() };
        RequestOp { request: Some(Op::RequestRange(range)) }
    };
    let write = || RequestOp { request: Some(Op::RequestPut(put("w", ""))) };
    for ops in [vec![read(2)], vec![write(), read(2)]] {
        let txn = TxnRequest { success: ops, ..Default::default() };
        assert_refused(kv.txn(txn).await, Code::OutOfRange, COMPACTED);
    }
    let written = kv.range(RangeRequest { key: "w".into(), ..Default::default() }).await.expect("a range");
    assert_eq!(written.into_inner().count, 0, "nothing of it happened");
    let txn = TxnRequest { success: vec![write(), read(3)], ..Default::default() };
    kv.txn(txn).await.expect("the compact revision itself can be read");
    member.stop().await;
}

/// 18055: two snapshots in a short time ended the process.
#[tokio::test]
async fn snapshots_may_follow_each_other_closely() {
    let member = Member::start().await;
    member.kv().await.put(put("k", "v")).await.expect("a put");
    let backup = || async {
        let mut parts = member.maintenance().await.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
        let mut bytes = 0;
        while let Some(part) = parts.message().await.expect("a part") {
            bytes += part.blob.len();
        }
        bytes
    };
    let (one, two, three) = tokio::join!(backup(), backup(), backup());
    assert!(one > 512 && two > 512 && three > 512, "{one} {two} {three}");
    member.kv().await.put(put("k", "w")).await.expect("a put");
    member.stop().await;
}
