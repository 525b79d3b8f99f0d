//! Watch: the order of responses, ids, refusals, progress, compaction, fragments, and the end of a stream.

use api::Options;
use prost::Message;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RequestOp, TxnRequest, WatchCancelRequest, WatchCreateRequest,
    WatchProgressRequest, WatchRequest, WatchResponse, request_op,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::support::{Member, PATIENCE, put};

/// A stream under a test's hand.
pub(crate) struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

impl Stream {
    pub(crate) async fn open(member: &Member) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let responses = member.watch().await.watch(ReceiverStream::new(receiver)).await.expect("a stream");
        Self { requests, responses: responses.into_inner() }
    }

    pub(crate) async fn ask(&self, union: RequestUnion) {
        self.requests.send(WatchRequest { request_union: Some(union) }).await.expect("an open stream");
    }

    /// Creates a watcher and returns what it is answered.
    pub(crate) async fn create(&mut self, create: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(create)).await;
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> WatchResponse {
        let message = timeout(PATIENCE, self.responses.message()).await.expect("a response in time");
        message.expect("no error").expect("not the end")
    }
}

fn watch(key: &'static str) -> WatchCreateRequest {
    WatchCreateRequest { key: key.into(), ..Default::default() }
}

fn everything() -> WatchCreateRequest {
    WatchCreateRequest { range_end: "\0".into(), ..watch("\0") }
}

fn revision(response: &WatchResponse) -> i64 {
    response.header.expect("a header").revision
}

#[tokio::test]
async fn creation_comes_first_then_history_then_the_present() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    kv.put(put("k", "1")).await.expect("a put");
    kv.put(put("k", "2")).await.expect("a put");
    let mut stream = Stream::open(&member).await;
    let created = stream.create(WatchCreateRequest { start_revision: 2, ..watch("k") }).await;
    assert!(created.created && !created.canceled && created.events.is_empty());
    assert_eq!((created.watch_id, revision(&created)), (0, 3));

    let mut values = Vec::new();
    while values.len() < 2 {
        let response = stream.next().await;
        values.extend(response.events.into_iter().map(|event| event.kv.expect("a pair").value));
    }
    assert_eq!(values, ["1", "2"]);
    kv.put(put("k", "3")).await.expect("a put");
    let response = stream.next().await;
    assert_eq!((response.watch_id, revision(&response), response.events.len()), (0, 4, 1));
    member.stop().await;
}

#[tokio::test]
async fn one_revision_is_one_response_in_the_order_of_operations() {
    let member = Member::start().await;
    let mut stream = Stream::open(&member).await;
    stream.create(everything()).await;
    let op = |key, value| RequestOp { request: Some(request_op::Request::RequestPut(put(key, value))) };
    let success = vec![op("b", "1"), op("a", "2"), op("c", "3")];
    member.kv().await.txn(TxnRequest { success, ..Default::default() }).await.expect("a transaction");
    let response = stream.next().await;
    let keys: Vec<_> = response.events.iter().map(|event| &event.kv.as_ref().expect("a pair").key[..]).collect();
    assert_eq!(keys, [b"b", b"a", b"c"]);
    member.stop().await;
}

#[tokio::test]
async fn the_version_before_is_sent_to_who_asked() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let mut stream = Stream::open(&member).await;
    let with = stream.create(WatchCreateRequest { prev_kv: true, ..watch("k") }).await.watch_id;
    let without = stream.create(watch("k")).await.watch_id;
    assert_eq!((with, without), (0, 1));
    kv.put(put("k", "1")).await.expect("a put");
    kv.delete_range(DeleteRangeRequest { key: "k".into(), ..Default::default() }).await.expect("a delete");
    let (mut before, mut deletions) = (Vec::new(), 0);
    for _ in 0..4 {
        let response = stream.next().await;
        let event = &response.events[0];
        if event.r#type == 1 {
            let kv = event.kv.as_ref().expect("a pair");
            assert_eq!((&kv.key[..], kv.mod_revision, kv.create_revision), (&b"k"[..], 3, 0));
            deletions += 1;
        }
        before.extend(event.prev_kv.clone().map(|kv| (response.watch_id, kv.value)));
    }
    assert_eq!((before, deletions), (vec![(with, "1".into())], 2));
    member.stop().await;
}

#[tokio::test]
async fn filters_leave_out_kinds_of_events() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let mut stream = Stream::open(&member).await;
    stream.create(WatchCreateRequest { filters: vec![0], ..watch("k") }).await;
    kv.put(put("k", "1")).await.expect("a put");
    kv.delete_range(DeleteRangeRequest { key: "k".into(), ..Default::default() }).await.expect("a delete");
    let response = stream.next().await;
    assert_eq!((response.events.len(), response.events[0].r#type), (1, 1));
    member.stop().await;
}

#[tokio::test]
async fn refused_watchers_have_no_id_and_a_reason() {
    let member = Member::start().await;
    let mut stream = Stream::open(&member).await;
    stream.create(WatchCreateRequest { watch_id: 5, ..watch("k") }).await;
    let refused = [
        (WatchCreateRequest { watch_id: 5, ..watch("other") }, "mvcc: duplicate watch ID provided on the WatchStream"),
        (WatchCreateRequest { range_end: "a".into(), ..watch("b") }, "mvcc: watcher range is empty"),
        (
            WatchCreateRequest { start_revision: -1, ..watch("k") },
            "etcdserver: mvcc: required revision has been compacted",
        ),
    ];
    for (create, reason) in refused {
        let response = stream.create(create).await;
        assert!(response.created && response.canceled, "{reason}");
        assert_eq!((response.watch_id, response.cancel_reason.as_str()), (-1, reason));
    }
    member.stop().await;
}

#[tokio::test]
async fn a_cancelled_watcher_is_silent_and_an_unknown_one_is_passed_over() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let mut stream = Stream::open(&member).await;
    stream.create(watch("k")).await;
    stream.create(watch("k")).await;
    stream.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 77 })).await;
    stream.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 0 })).await;
    let response = stream.next().await;
    assert!(response.canceled && !response.created);
    assert_eq!((response.watch_id, response.cancel_reason.as_str(), revision(&response)), (0, "", 1));
    kv.put(put("k", "1")).await.expect("a put");
    assert_eq!(stream.next().await.watch_id, 1);
    member.stop().await;
}

#[tokio::test]
async fn progress_is_told_under_no_watchers_id() {
    let member = Member::start().await;
    let mut stream = Stream::open(&member).await;
    stream.create(watch("k")).await;
    member.kv().await.put(put("other", "1")).await.expect("a put");
    // Nothing is answered while a watcher is behind: ask until it is.
    let progress = loop {
        stream.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
        let response = stream.next().await;
        if revision(&response) == 2 {
            break response;
        }
    };
    assert_eq!((progress.watch_id, progress.events.len(), progress.created), (-1, 0, false));
    member.stop().await;
}

#[tokio::test]
async fn compacted_history_ends_a_watcher_without_a_revision_in_the_header() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    for value in ["1", "2", "3"] {
        kv.put(put("k", value)).await.expect("a put");
    }
    kv.compact(CompactionRequest { revision: 3, physical: false }).await.expect("a compaction");
    let mut stream = Stream::open(&member).await;
    let created = stream.create(WatchCreateRequest { start_revision: 2, ..watch("k") }).await;
    assert!(created.created && !created.canceled);
    let ended = stream.next().await;
    assert!(ended.canceled && ended.events.is_empty());
    assert_eq!((ended.compact_revision, revision(&ended), ended.cancel_reason.as_str()), (3, 0, ""));
    member.stop().await;
}

#[tokio::test]
async fn large_responses_are_cut_for_who_asked() {
    let bytes_max = 4096;
    let member = Member::start_with(Options { message_bytes_max: bytes_max, ..Options::default() }).await;
    let mut kv = member.kv().await;
    let mut stream = Stream::open(&member).await;
    let op = |number: u32| {
        let key = format!("{number:03}").into();
        let put = PutRequest { key, value: vec![b'v'; 30].into(), ..Default::default() };
        RequestOp { request: Some(request_op::Request::RequestPut(put)) }
    };
    let txn = TxnRequest { success: (0..80).map(op).collect(), ..Default::default() };
    kv.txn(txn.clone()).await.expect("a transaction");
    // With the versions before them the events are larger than the request may be.
    let with_previous = || WatchCreateRequest { prev_kv: true, ..everything() };
    stream.create(WatchCreateRequest { fragment: true, ..with_previous() }).await;
    stream.create(with_previous()).await;
    kv.txn(txn).await.expect("a transaction");
    let (mut pieces, mut fragmented, mut whole) = (0, 0, 0);
    while fragmented < 80 || whole < 80 {
        let response = stream.next().await;
        if response.watch_id == 0 {
            pieces += 1;
            fragmented += response.events.len();
            assert!(response.encoded_len() < bytes_max);
            assert_eq!(response.fragment, fragmented < 80);
        } else {
            assert!(!response.fragment && response.encoded_len() > bytes_max);
            whole += response.events.len();
        }
    }
    assert_eq!((fragmented, whole), (80, 80));
    assert!(pieces > 1);
    member.stop().await;
}

#[tokio::test]
async fn the_stream_ends_when_the_client_has_said_all() {
    let member = Member::start().await;
    let Stream { requests, mut responses } = Stream::open(&member).await;
    drop(requests);
    assert_eq!(timeout(PATIENCE, responses.message()).await.expect("in time").expect("no error"), None);
    member.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_without_reading_stops_only_itself() {
    let member = Member::start().await;
    let flood = (0..20_000).map(|_| WatchRequest { request_union: Some(RequestUnion::CreateRequest(everything())) });
    let mut idle = member.watch().await;
    let unread = idle.watch(tokio_stream::iter(flood)).await.expect("a stream").into_inner();
    let mut stream = Stream::open(&member).await;
    stream.create(watch("k")).await;
    member.kv().await.put(put("k", "v")).await.expect("a put");
    assert_eq!(stream.next().await.events.len(), 1);
    drop(unread);
    member.stop().await;
}
