//! KV: basics, headers, and the refusals that clients match on.

use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::response_op::Response as OpAnswer;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
};
use tonic::{Code, Request};

use crate::support::{CLUSTER_ID, MEMBER_ID, Member, assert_refused, put};

fn get(key: &'static str) -> RangeRequest {
    RangeRequest { key: key.into(), ..Default::default() }
}

fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

#[tokio::test]
async fn a_key_is_put_read_and_deleted() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let answer = kv.put(put("k", "1")).await.expect("a put").into_inner();
    let header = answer.header.expect("a header");
    assert_eq!((header.cluster_id, header.member_id, header.revision), (CLUSTER_ID, MEMBER_ID, 2));
    assert!(header.raft_term > 0 && answer.prev_kv.is_none());

    let again = PutRequest { prev_kv: true, ..put("k", "2") };
    let answer = kv.put(again).await.expect("a put").into_inner();
    assert_eq!(answer.prev_kv.expect("the version before").value, "1");

    let answer = kv.range(get("k")).await.expect("a range").into_inner();
    let [pair] = &answer.kvs[..] else { panic!("{answer:?}") };
    assert_eq!((pair.create_revision, pair.mod_revision, pair.version, &pair.value[..]), (2, 3, 2, &b"2"[..]));
    assert_eq!((answer.count, answer.more), (1, false));

    let delete = DeleteRangeRequest { key: "k".into(), prev_kv: true, ..Default::default() };
    let answer = kv.delete_range(delete.clone()).await.expect("a delete").into_inner();
    assert_eq!((answer.deleted, answer.prev_kvs.len(), answer.header.expect("a header").revision), (1, 1, 4));
    let answer = kv.delete_range(delete).await.expect("a delete").into_inner();
    assert_eq!((answer.deleted, answer.header.expect("a header").revision), (0, 4));
    member.stop().await;
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let member = Member::start().await;
    let kv = member.kv().await;
    let puts = (0..200).map(|_| {
        let mut kv = kv.clone();
        tokio::spawn(async move { kv.put(put("k", "v")).await.expect("a put").into_inner().header })
    });
    let mut revisions = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        revisions.push(put.await.expect("no panic").expect("a header").revision);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..202).collect::<Vec<_>>());
    member.stop().await;
}

#[tokio::test]
async fn a_transaction_takes_its_branch_and_nests_bare_headers() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let absent = Compare {
        key: "k".into(),
        target: CompareTarget::Create.into(),
        result: CompareResult::Equal.into(),
        target_union: Some(TargetUnion::CreateRevision(0)),
        ..Default::default()
    };
    let txn = TxnRequest {
        compare: vec![absent],
        success: vec![op(Op::RequestPut(put("k", "v")))],
        failure: vec![op(Op::RequestRange(get("k")))],
    };
    for (succeeded, revision) in [(true, 2), (false, 2)] {
        let answer = kv.txn(txn.clone()).await.expect("a transaction").into_inner();
        let header = answer.header.expect("a header");
        assert_eq!((answer.succeeded, header.revision, header.member_id), (succeeded, revision, MEMBER_ID));
        let inner = match answer.responses[0].response.as_ref().expect("an answer") {
            OpAnswer::ResponsePut(put) => put.header,
            OpAnswer::ResponseRange(range) => {
                assert_eq!(range.kvs[0].value, "v");
                range.header
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(inner, Some(ResponseHeader { revision, ..Default::default() }));
    }
    member.stop().await;
}

#[tokio::test]
async fn refusals_have_etcds_codes_and_texts() {
    use Code::{InvalidArgument, NotFound, OutOfRange};
    let member = Member::start().await;
    let mut kv = member.kv().await;
    kv.put(put("k", "v")).await.expect("a put");

    let ranges = [
        (get(""), InvalidArgument, "etcdserver: key is not provided"),
        (RangeRequest { sort_order: 3, ..get("k") }, InvalidArgument, "etcdserver: invalid sort option"),
        (
            RangeRequest { revision: 9, ..get("k") },
            OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
        ),
    ];
    for (range, code, text) in ranges {
        assert_refused(kv.range(range).await, code, text);
    }
    let puts = [
        (put("", ""), InvalidArgument, "etcdserver: key is not provided"),
        (PutRequest { ignore_value: true, ..put("k", "v") }, InvalidArgument, "etcdserver: value is provided"),
        (
            PutRequest { ignore_lease: true, lease: 1, ..put("k", "v") },
            InvalidArgument,
            "etcdserver: lease is provided",
        ),
        (PutRequest { ignore_value: true, ..put("absent", "") }, InvalidArgument, "etcdserver: key not found"),
        (PutRequest { lease: 5, ..put("k", "v") }, NotFound, "etcdserver: requested lease not found"),
    ];
    for (put, code, text) in puts {
        assert_refused(kv.put(put).await, code, text);
    }
    let twice = vec![op(Op::RequestPut(put("k", "1"))), op(Op::RequestPut(put("k", "2")))];
    let txns = [
        (twice, "etcdserver: duplicate key given in txn request"),
        (vec![RequestOp { request: None }], "etcdserver: key not found"),
        (vec![op(Op::RequestRange(get("k"))); 129], "etcdserver: too many operations in txn request"),
    ];
    for (success, text) in txns {
        let txn = TxnRequest { success, ..Default::default() };
        assert_refused(kv.txn(txn).await, InvalidArgument, text);
    }
    member.stop().await;
}

#[tokio::test]
async fn compacted_history_is_refused() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    for value in ["1", "2", "3"] {
        kv.put(put("k", value)).await.expect("a put");
    }
    let compact = |revision| CompactionRequest { revision, physical: true };
    let answer = kv.compact(compact(3)).await.expect("a compaction").into_inner();
    assert_eq!(answer.header.expect("a header").revision, 4);
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    assert_refused(kv.range(RangeRequest { revision: 2, ..get("k") }).await, Code::OutOfRange, compacted);
    assert_refused(kv.compact(compact(3)).await, Code::OutOfRange, compacted);
    let future = "etcdserver: mvcc: required revision is a future revision";
    assert_refused(kv.compact(compact(9)).await, Code::OutOfRange, future);
    let answer = kv.range(RangeRequest { revision: 3, ..get("k") }).await.expect("a range").into_inner();
    assert_eq!(answer.kvs[0].value, "2");
    member.stop().await;
}

#[tokio::test]
async fn metadata_are_obeyed() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let mut request = Request::new(get("k"));
    request.metadata_mut().insert("hasleader", "true".parse().expect("a value"));
    request.metadata_mut().insert("client-api-version", "3.6".parse().expect("a value"));
    kv.range(request).await.expect("a range: there is a leader");
    member.stop().await;
}
