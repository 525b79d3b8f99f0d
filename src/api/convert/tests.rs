//! Every field of the wire becomes the right one of the model and back, odd numbers included.

use bytes::Bytes;
use model::{
    Compare, CompareResult, DeleteResponse, Event, EventKind, KeyRange, KeyValue, LeaseId, Limits, Op, OpResponse,
    Operand, PutRequest, PutResponse, RangeResponse, Rejection, Revision, SortOrder, SortTarget, TxnRequest,
    TxnResponse,
};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::TargetUnion;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;

const LIMITS: Limits = Limits { txn_ops_max: 3 };

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn op(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn put_op(key: &'static str) -> pb::RequestOp {
    op(Request::RequestPut(pb::PutRequest { key: text(key), ..Default::default() }))
}

fn branch(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { success, ..Default::default() }
}

const NO_OP: pb::RequestOp = pb::RequestOp { request: None };

#[test]
fn every_field_of_a_range_arrives() {
    let wire = pb::RangeRequest {
        key: text("a"),
        range_end: text("b"),
        limit: 1,
        revision: 2,
        sort_order: 2,
        sort_target: 3,
        serializable: true,
        keys_only: true,
        count_only: true,
        min_mod_revision: 4,
        max_mod_revision: 5,
        min_create_revision: 6,
        max_create_revision: 7,
    };
    let range = super::range(wire).expect("a range");
    assert_eq!(range.range, KeyRange::Span { start: text("a"), end: text("b") });
    assert_eq!((range.limit, range.revision), (1, Revision::new(2)));
    assert_eq!((range.order, range.target), (SortOrder::Descend, SortTarget::Mod));
    assert!(range.serializable && range.keys_only && range.count_only);
    let bounds = [range.min_mod_revision, range.max_mod_revision, range.min_create_revision, range.max_create_revision];
    assert_eq!(bounds, [4, 5, 6, 7].map(Revision::new));
}

#[test]
fn sort_orders_and_targets() {
    let sorted = |sort_order, sort_target| {
        super::range(pb::RangeRequest { key: text("a"), sort_order, sort_target, ..Default::default() })
    };
    for (number, order) in [(0, SortOrder::None), (1, SortOrder::Ascend), (2, SortOrder::Descend)] {
        assert_eq!(sorted(number, 0).map(|range| range.order), Ok(order));
    }
    let targets = [SortTarget::Key, SortTarget::Version, SortTarget::Create, SortTarget::Mod, SortTarget::Value];
    for (number, target) in (0..).zip(targets) {
        assert_eq!(sorted(0, number).map(|range| range.target), Ok(target));
    }
    for odd in [-1, 3, i32::MAX] {
        assert_eq!(sorted(odd, 0), Err(Rejection::InvalidSortOption));
        assert_eq!(sorted(0, odd.max(5)), Err(Rejection::InvalidSortOption));
    }
}

#[test]
fn an_empty_key_is_named_before_an_odd_sort() {
    let wire = pb::RangeRequest { sort_order: 9, ..Default::default() };
    assert_eq!(super::range(wire), Err(Rejection::EmptyKey));
}

#[test]
fn every_field_of_a_put_and_a_delete_arrives() {
    let wire = pb::PutRequest {
        key: text("k"),
        value: text("v"),
        lease: 7,
        prev_kv: true,
        ignore_value: true,
        ignore_lease: true,
    };
    let lease = LeaseId::new(7);
    let put =
        PutRequest { key: text("k"), value: text("v"), lease, prev_kv: true, ignore_value: true, ignore_lease: true };
    assert_eq!(super::put(wire), put);

    let wire = pb::DeleteRangeRequest { key: text("k"), range_end: text("\0"), prev_kv: true };
    let delete = super::delete(wire);
    assert_eq!((delete.range, delete.prev_kv), (KeyRange::From(text("k")), true));
}

#[test]
fn compare_results() {
    let known = [CompareResult::Equal, CompareResult::Greater, CompareResult::Less, CompareResult::NotEqual];
    let numbered = (0..).zip(known).chain([(-1, CompareResult::Unknown), (4, CompareResult::Unknown)]);
    for (number, result) in numbered {
        let wire = pb::Compare { key: text("k"), result: number, ..Default::default() };
        assert_eq!(
            compared(wire),
            Compare { range: KeyRange::Single(text("k")), result, operand: Operand::Version(0) }
        );
    }
}

#[test]
fn operands_follow_the_target_and_default_to_zero() {
    let given = [
        TargetUnion::Version(1),
        TargetUnion::CreateRevision(2),
        TargetUnion::ModRevision(3),
        TargetUnion::Value(text("v")),
        TargetUnion::Lease(4),
    ];
    let taken =
        [Operand::Version(1), Operand::Create(2), Operand::Mod(3), Operand::Value(text("v")), Operand::Lease(4)];
    let zero = [Operand::Version(0), Operand::Create(0), Operand::Mod(0), Operand::Value(text("")), Operand::Lease(0)];
    let operand = |target, target_union| {
        compared(pb::Compare { key: text("k"), target, target_union, ..Default::default() }).operand
    };
    for (target, (taken, zero)) in (0..).zip(taken.iter().zip(&zero)) {
        assert_eq!(operand(target, None), *zero);
        for (other, union) in (0..).zip(&given) {
            let expected = if other == target { taken } else { zero };
            assert_eq!(operand(target, Some(union.clone())), *expected, "target {target}, given {union:?}");
        }
    }
    for odd in [-1, 5] {
        assert_eq!(operand(odd, Some(TargetUnion::Version(1))), Operand::Unknown);
    }
}

fn compared(wire: pb::Compare) -> Compare {
    let wire = pb::TxnRequest { compare: vec![wire], ..Default::default() };
    super::txn(wire, LIMITS).expect("a transaction").compares.remove(0)
}

#[test]
fn a_compare_of_a_range_keeps_it() {
    let wire = pb::Compare { key: text("a"), range_end: text("c"), ..Default::default() };
    assert_eq!(compared(wire).range, KeyRange::Span { start: text("a"), end: text("c") });
}

#[test]
fn operations_keep_kind_branch_and_order() {
    let wire = pb::TxnRequest {
        compare: vec![],
        success: vec![
            put_op("a"),
            op(Request::RequestDeleteRange(pb::DeleteRangeRequest { key: text("b"), ..Default::default() })),
        ],
        failure: vec![
            op(Request::RequestRange(pb::RangeRequest { key: text("c"), ..Default::default() })),
            op(Request::RequestTxn(branch(vec![put_op("d")]))),
        ],
    };
    let TxnRequest { success, failure, .. } = super::txn(wire, LIMITS).expect("a transaction");
    assert!(matches!(&success[..], [Op::Put(put), Op::Delete(_)] if put.key == "a"));
    let [Op::Range(range), Op::Txn(inner)] = &failure[..] else { panic!("{failure:?}") };
    assert_eq!(range.range, KeyRange::Single(text("c")));
    assert!(matches!(&inner.success[..], [Op::Put(put)] if put.key == "d"));
}

#[test]
fn what_etcd_names_first_is_named() {
    let nothing = || vec![NO_OP];
    let no_key = pb::Compare::default();
    let table = [
        (branch(nothing()), Rejection::KeyNotFound),
        (pb::TxnRequest { failure: nothing(), ..Default::default() }, Rejection::KeyNotFound),
        (branch(vec![put_op(""), NO_OP]), Rejection::EmptyKey),
        (branch(vec![NO_OP, put_op("")]), Rejection::KeyNotFound),
        (branch(vec![NO_OP; 4]), Rejection::TooManyOps),
        (pb::TxnRequest { compare: vec![no_key], success: nothing(), ..Default::default() }, Rejection::EmptyKey),
        (branch(vec![op(Request::RequestTxn(branch(nothing())))]), Rejection::KeyNotFound),
        (branch(vec![op(Request::RequestTxn(branch(vec![NO_OP; 3])))]), Rejection::TooManyOps),
        (branch(vec![op(Request::RequestTxn(branch(vec![NO_OP; 2])))]), Rejection::KeyNotFound),
    ];
    for (wire, rejection) in table {
        assert_eq!(super::txn(wire.clone(), LIMITS), Err(rejection), "{wire:?}");
    }
}

#[test]
fn a_watcher_has_keys_of_its_own() {
    let frame = Bytes::from(b"key and end and a whole frame".to_vec());
    let wire = pb::WatchCreateRequest {
        key: frame.slice(0..3),
        range_end: frame.slice(8..11),
        start_revision: -5,
        progress_notify: true,
        filters: vec![0, 1, 7],
        prev_kv: true,
        watch_id: -1,
        fragment: true,
    };
    let watch = super::watch(&wire);
    assert_eq!(watch.range, KeyRange::Span { start: text("key"), end: text("end") });
    assert_ne!(watch.range.start().as_ptr(), frame.as_ptr());
    assert_eq!((watch.start_revision, watch.id), (Revision::new(-5), Some(-1)));
    assert!(watch.filters.no_put && watch.filters.no_delete && watch.prev_kv && watch.progress_notify);

    let plain = super::watch(&pb::WatchCreateRequest::default());
    assert_eq!(plain.id, None, "zero lets the server choose");
    assert!(!plain.filters.no_put && !plain.filters.no_delete);
}

fn pair(value: &'static str) -> KeyValue {
    KeyValue {
        key: text("k"),
        value: text(value),
        create_revision: Revision::new(2),
        mod_revision: Revision::new(3),
        version: 4,
        lease: LeaseId::new(5),
    }
}

#[test]
fn headers_inside_a_transaction_hold_only_the_revision() {
    let revision = Revision::new(9);
    let inner = TxnResponse { revision, succeeded: true, responses: vec![] };
    let response = TxnResponse {
        revision,
        succeeded: true,
        responses: vec![
            OpResponse::Range(RangeResponse { revision, kvs: vec![pair("v")], more: true, count: 2 }),
            OpResponse::Put(PutResponse { revision, previous: Some(pair("v")) }),
            OpResponse::Delete(DeleteResponse { revision, deleted: 1, previous: vec![pair("v")] }),
            OpResponse::Txn(inner),
        ],
    };
    let header = pb::ResponseHeader { cluster_id: 1, member_id: 2, revision: 9, raft_term: 3 };
    let wire = super::txn_response(header, response);
    assert_eq!((wire.header, wire.succeeded), (Some(header), true));
    let kinds: Vec<_> = wire.responses.into_iter().map(|op| op.response.expect("a kind")).collect();
    let [
        Response::ResponseRange(range),
        Response::ResponsePut(put),
        Response::ResponseDeleteRange(delete),
        Response::ResponseTxn(txn),
    ] = &kinds[..]
    else {
        panic!("{kinds:?}")
    };
    let only_revision = Some(pb::ResponseHeader { revision: 9, ..Default::default() });
    assert_eq!([range.header, put.header, delete.header, txn.header], [only_revision; 4]);
    assert_eq!((range.more, range.count, delete.deleted, txn.succeeded), (true, 2, 1, true));
    for kv in range.kvs.iter().chain(&put.prev_kv).chain(&delete.prev_kvs) {
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (2, 3, 4, 5));
        assert_eq!((&kv.key[..], &kv.value[..]), (&b"k"[..], &b"v"[..]));
    }
}

#[test]
fn events_hold_what_the_watcher_wants() {
    let put = Event { kind: EventKind::Put, kv: pair("new"), previous: Some(pair("old")) };
    let wire = super::event(&put, None);
    assert_eq!((wire.r#type, wire.prev_kv), (0, None));
    assert_eq!(wire.kv.expect("a pair").value, "new");
    let wire = super::event(&put, put.previous.as_ref());
    assert_eq!(wire.prev_kv.expect("a pair").value, "old");

    let deleted = KeyValue { key: text("k"), mod_revision: Revision::new(8), ..KeyValue::default() };
    let delete = Event { kind: EventKind::Delete, kv: deleted, previous: None };
    let wire = super::event(&delete, None);
    assert_eq!((wire.r#type, wire.kv.expect("a pair").mod_revision), (1, 8));
}
