//! Edge cases by name, in order: each builds on the state that those before it left.

use bytes::Bytes;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};

use super::target::Step;

/// A step, and what is tried with it.
pub(crate) type Case = (&'static str, Step);

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(key: &'static str, value: &'static str) -> PutRequest {
    PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() }
}

fn range(key: &'static str, end: &'static str) -> RangeRequest {
    RangeRequest { key: bytes(key), range_end: bytes(end), ..RangeRequest::default() }
}

fn delete(key: &'static str, end: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: bytes(key), range_end: bytes(end), ..DeleteRangeRequest::default() }
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn compare(key: &'static str, result: CompareResult, target: CompareTarget, operand: Option<TargetUnion>) -> Compare {
    Compare {
        result: result.into(),
        target: target.into(),
        key: bytes(key),
        range_end: Bytes::new(),
        target_union: operand,
    }
}

fn txn(compares: Vec<Compare>, success: Vec<RequestOp>, failure: Vec<RequestOp>) -> Step {
    Step::Txn(TxnRequest { compare: compares, success, failure })
}

fn grant(id: i64, ttl: i64) -> Step {
    Step::Grant(LeaseGrantRequest { id, ttl })
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    [puts(), ranges(), sorts(), deletes(), transactions(), comparisons(), nested(), leases(), compactions(), alarms()]
        .concat()
}

fn puts() -> Vec<Case> {
    vec![
        ("put: empty key", Step::Put(put("", "v"))),
        ("put: first", Step::Put(put("a", "1"))),
        ("put: again with previous", Step::Put(PutRequest { prev_kv: true, ..put("a", "2") })),
        ("put: previous of nothing", Step::Put(PutRequest { prev_kv: true, ..put("b", "1") })),
        ("put: ignore value with value", Step::Put(PutRequest { ignore_value: true, ..put("a", "x") })),
        ("put: ignore value", Step::Put(PutRequest { ignore_value: true, prev_kv: true, ..put("a", "") })),
        ("put: ignore value of nothing", Step::Put(PutRequest { ignore_value: true, ..put("none", "") })),
        ("put: ignore lease of nothing", Step::Put(PutRequest { ignore_lease: true, ..put("none", "v") })),
        ("put: ignore lease with lease", Step::Put(PutRequest { ignore_lease: true, lease: 7, ..put("a", "v") })),
        ("put: unknown lease", Step::Put(PutRequest { lease: 12345, ..put("a", "v") })),
        ("put: empty value", Step::Put(put("empty", ""))),
        ("put: same value", Step::Put(put("empty", ""))),
        ("put: c", Step::Put(put("c", "3"))),
        ("put: d", Step::Put(put("d", "0"))),
        ("put: long value", Step::Put(PutRequest { value: vec![b'x'; 1_600_000].into(), ..put("long", "") })),
    ]
}

fn ranges() -> Vec<Case> {
    let all = || range("\0", "\0");
    vec![
        ("range: empty key", Step::Range(range("", ""))),
        ("range: one", Step::Range(range("a", ""))),
        ("range: none", Step::Range(range("zzz", ""))),
        ("range: all", Step::Range(all())),
        ("range: from", Step::Range(range("b", "\0"))),
        ("range: span", Step::Range(range("a", "c"))),
        ("range: backwards", Step::Range(range("c", "a"))),
        ("range: same ends", Step::Range(range("c", "c"))),
        ("range: limit", Step::Range(RangeRequest { limit: 2, ..all() })),
        ("range: limit is the count", Step::Range(RangeRequest { limit: 5, ..all() })),
        ("range: negative limit", Step::Range(RangeRequest { limit: -1, ..all() })),
        ("range: count", Step::Range(RangeRequest { count_only: true, ..all() })),
        ("range: count with limit", Step::Range(RangeRequest { count_only: true, limit: 1, ..all() })),
        ("range: keys", Step::Range(RangeRequest { keys_only: true, ..all() })),
        ("range: serializable", Step::Range(RangeRequest { serializable: true, ..all() })),
        ("range: at 2", Step::Range(RangeRequest { revision: 2, ..all() })),
        ("range: at 1", Step::Range(RangeRequest { revision: 1, ..all() })),
        ("range: negative revision", Step::Range(RangeRequest { revision: -5, ..range("a", "") })),
        ("range: future", Step::Range(RangeRequest { revision: 1000, ..range("a", "") })),
        ("range: far future", Step::Range(RangeRequest { revision: i64::MAX, ..range("a", "") })),
        ("range: min mod", Step::Range(RangeRequest { min_mod_revision: 4, ..all() })),
        ("range: max mod", Step::Range(RangeRequest { max_mod_revision: 4, ..all() })),
        ("range: min create", Step::Range(RangeRequest { min_create_revision: 3, ..all() })),
        ("range: max create", Step::Range(RangeRequest { max_create_revision: 3, ..all() })),
        ("range: filter and limit", Step::Range(RangeRequest { min_mod_revision: 4, limit: 1, ..all() })),
        ("range: filter and count", Step::Range(RangeRequest { min_mod_revision: 4, count_only: true, ..all() })),
    ]
}

fn sorts() -> Vec<Case> {
    let all = || range("\0", "\0");
    // An unknown order or target is not asked for: etcd 3.4.23 ends with a panic then.
    let by_value = RangeRequest {
        keys_only: true,
        sort_order: SortOrder::Descend.into(),
        sort_target: SortTarget::Value.into(),
        ..range("a", "c")
    };
    let mut cases = vec![("range: keys by value", Step::Range(by_value))];
    // Only targets without ties: how those come is open.
    for target in [SortTarget::Key, SortTarget::Create, SortTarget::Mod] {
        for order in [SortOrder::None, SortOrder::Ascend, SortOrder::Descend] {
            for limit in [0, 1, 2] {
                let sorted = RangeRequest { sort_order: order.into(), sort_target: target.into(), limit, ..all() };
                cases.push(("range: sorted", Step::Range(sorted)));
            }
        }
    }
    cases
}

fn deletes() -> Vec<Case> {
    vec![
        ("delete: empty key", Step::Delete(delete("", ""))),
        ("delete: nothing", Step::Delete(delete("zzz", ""))),
        ("delete: one with previous", Step::Delete(DeleteRangeRequest { prev_kv: true, ..delete("d", "") })),
        ("delete: again", Step::Delete(delete("d", ""))),
        ("delete: span", Step::Delete(DeleteRangeRequest { prev_kv: true, ..delete("b", "d") })),
        ("delete: backwards", Step::Delete(delete("z", "a"))),
        ("put: new generation", Step::Put(put("d", "new"))),
        ("range: new generation", Step::Range(range("d", ""))),
        ("range: what was deleted", Step::Range(RangeRequest { revision: 7, ..range("\0", "\0") })),
    ]
}

fn transactions() -> Vec<Case> {
    use CompareResult::Equal;
    use CompareTarget::Version;
    let get = || vec![op(Request::RequestRange(range("a", "")))];
    let set = |key, value| op(Request::RequestPut(put(key, value)));
    let one = |compare| txn(vec![compare], get(), vec![]);
    vec![
        ("txn: empty", txn(vec![], vec![], vec![])),
        ("txn: read only", txn(vec![], get(), vec![])),
        ("txn: put", txn(vec![], vec![set("t", "1"), op(Request::RequestRange(range("t", "")))], vec![])),
        ("txn: op without request", txn(vec![], vec![RequestOp { request: None }], vec![])),
        ("txn: empty compare key", one(compare("", Equal, Version, None))),
        ("txn: duplicate", txn(vec![], vec![set("t", "1"), set("t", "2")], vec![])),
        (
            "txn: put in deleted range",
            txn(vec![], vec![set("t", "1"), op(Request::RequestDeleteRange(delete("a", "z")))], vec![]),
        ),
        (
            "txn: delete before put",
            txn(vec![], vec![op(Request::RequestDeleteRange(delete("t", ""))), set("t", "1")], vec![]),
        ),
        (
            "txn: deletes overlap",
            txn(
                vec![],
                vec![
                    op(Request::RequestDeleteRange(delete("t", ""))),
                    op(Request::RequestDeleteRange(delete("s", "u"))),
                ],
                vec![],
            ),
        ),
        ("txn: delete of nothing", txn(vec![], vec![op(Request::RequestDeleteRange(delete("t", "")))], vec![])),
        ("txn: bad put", txn(vec![], vec![set("", "v")], vec![])),
        ("txn: bad put in the other branch", txn(vec![], vec![], vec![set("", "v")])),
        (
            "txn: future read",
            txn(
                vec![],
                vec![set("f", "1"), op(Request::RequestRange(RangeRequest { revision: 9999, ..range("a", "") }))],
                vec![],
            ),
        ),
        ("range: nothing was written", Step::Range(range("f", ""))),
        (
            "txn: unknown lease",
            txn(
                vec![],
                vec![set("g", "1"), op(Request::RequestPut(PutRequest { lease: 99, ..put("h", "1") }))],
                vec![],
            ),
        ),
        ("range: nothing was written either", Step::Range(range("g", "i"))),
        (
            "txn: ignore value of a key of the same txn",
            txn(
                vec![],
                vec![set("g", "1"), op(Request::RequestPut(PutRequest { ignore_value: true, ..put("h", "") }))],
                vec![],
            ),
        ),
        ("txn: 129 ops", txn(vec![], vec![op(Request::RequestRange(range("a", ""))); 129], vec![])),
        ("txn: 128 ops", txn(vec![], vec![op(Request::RequestRange(range("none", ""))); 128], vec![])),
        ("txn: 129 compares", txn(vec![compare("a", Equal, Version, None); 129], vec![], vec![])),
    ]
}

fn comparisons() -> Vec<Case> {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    let get = || vec![op(Request::RequestRange(range("a", "")))];
    let set = |key, value| op(Request::RequestPut(put(key, value)));
    let one = |compare| txn(vec![compare], get(), vec![]);
    let mut cases = Vec::new();
    for result in [Equal, Greater, Less, NotEqual] {
        for key in ["a", "absent"] {
            for (target, operands) in [
                (Version, [TargetUnion::Version(0), TargetUnion::Version(3)]),
                (Create, [TargetUnion::CreateRevision(0), TargetUnion::CreateRevision(2)]),
                (Mod, [TargetUnion::ModRevision(0), TargetUnion::ModRevision(5)]),
                (Value, [TargetUnion::Value(bytes("")), TargetUnion::Value(bytes("2"))]),
                (Lease, [TargetUnion::Lease(0), TargetUnion::Lease(1)]),
            ] {
                cases.push(("txn: compare without operand", one(compare(key, result, target, None))));
                for operand in operands {
                    cases.push(("txn: compare", one(compare(key, result, target, Some(operand)))));
                }
            }
        }
    }
    for (name, key, end) in [("hit", "a", "f"), ("empty", "x", "y"), ("from", "a", "\0")] {
        for target in [TargetUnion::Version(0), TargetUnion::Version(1)] {
            let ranged = Compare { range_end: bytes(end), ..compare(key, Greater, Version, Some(target)) };
            cases.push(("txn: compare of a range", txn(vec![ranged], vec![set("r", name)], vec![set("s", name)])));
        }
    }
    cases
}

fn nested() -> Vec<Case> {
    use CompareResult::Equal;
    use CompareTarget::Version;
    let set = |key, value| op(Request::RequestPut(put(key, value)));
    let get = |key| op(Request::RequestRange(range(key, "")));
    let inner = |compares: Vec<Compare>, success: Vec<RequestOp>, failure: Vec<RequestOp>| {
        op(Request::RequestTxn(TxnRequest { compare: compares, success, failure }))
    };
    let absent = |key| compare(key, Equal, Version, Some(TargetUnion::Version(0)));
    vec![
        (
            "nested: both write",
            txn(vec![], vec![set("n1", "1"), inner(vec![], vec![set("n2", "2"), get("n1")], vec![])], vec![]),
        ),
        // The inner condition is evaluated before anything is written.
        (
            "nested: condition on what the outer writes",
            txn(
                vec![],
                vec![set("n3", "1"), inner(vec![absent("n3")], vec![set("n4", "yes")], vec![set("n4", "no")])],
                vec![],
            ),
        ),
        ("nested: result", Step::Range(range("n", "o"))),
        (
            "nested: duplicate of outer",
            txn(vec![], vec![set("n1", "1"), inner(vec![], vec![set("n1", "2")], vec![])], vec![]),
        ),
        (
            "nested: branches may repeat",
            txn(vec![], vec![inner(vec![], vec![set("n5", "1")], vec![set("n5", "2")])], vec![]),
        ),
        (
            "nested: siblings may not",
            txn(
                vec![],
                vec![inner(vec![], vec![set("n5", "1")], vec![]), inner(vec![], vec![set("n5", "2")], vec![])],
                vec![],
            ),
        ),
        (
            "nested: delete inside",
            txn(
                vec![],
                vec![set("n6", "1"), inner(vec![], vec![op(Request::RequestDeleteRange(delete("n", "o")))], vec![])],
                vec![],
            ),
        ),
        ("nested: only reads", txn(vec![], vec![inner(vec![], vec![get("n1")], vec![])], vec![])),
        (
            "nested: three deep",
            txn(
                vec![],
                vec![inner(vec![], vec![inner(vec![], vec![set("n7", "1")], vec![])], vec![]), get("n7")],
                vec![],
            ),
        ),
        (
            "nested: reads before and after",
            txn(vec![], vec![get("n8"), set("n8", "1"), get("n8"), inner(vec![], vec![get("n8")], vec![])], vec![]),
        ),
        ("nested: 127 inside", txn(vec![], vec![inner(vec![], vec![get("none"); 127], vec![])], vec![])),
        ("nested: 128 inside", txn(vec![], vec![inner(vec![], vec![get("none"); 128], vec![])], vec![])),
    ]
}

fn leases() -> Vec<Case> {
    let attach = |key, lease| Step::Put(PutRequest { lease, ..put(key, "leased") });
    let life = |id| Step::TimeToLive(LeaseTimeToLiveRequest { id, keys: true });
    let keep = |id| Step::KeepAlive(LeaseKeepAliveRequest { id });
    vec![
        ("lease: grant", grant(101, 600)),
        ("lease: grant again", grant(101, 600)),
        ("lease: short", grant(102, 1)),
        ("lease: end the short one", Step::Revoke(LeaseRevokeRequest { id: 102 })),
        ("lease: zero TTL", grant(103, 0)),
        ("lease: end it", Step::Revoke(LeaseRevokeRequest { id: 103 })),
        ("lease: negative TTL", grant(104, -3)),
        ("lease: end that too", Step::Revoke(LeaseRevokeRequest { id: 104 })),
        ("lease: too long", grant(105, 9_000_000_001)),
        ("lease: longest", grant(106, 9_000_000_000)),
        ("lease: negative id", grant(-5, 600)),
        ("lease: life without keys", life(101)),
        ("lease: attach", attach("la", 101)),
        ("lease: attach another", attach("lb", 101)),
        ("lease: life with keys", life(101)),
        ("lease: keep alive", keep(101)),
        ("lease: keep nothing alive", keep(999)),
        ("lease: life of nothing", life(999)),
        ("lease: move a key", attach("lb", 106)),
        ("lease: life after the move", life(101)),
        ("lease: detach", Step::Put(put("lb", "free"))),
        ("lease: life after detaching", life(106)),
        ("lease: keep it", Step::Put(PutRequest { ignore_lease: true, prev_kv: true, ..put("la", "kept") })),
        ("lease: compare", Step::Range(range("la", "lc"))),
        ("range: keys only keeps the lease", Step::Range(RangeRequest { keys_only: true, ..range("la", "") })),
        ("lease: all", Step::Leases),
        ("lease: revoke", Step::Revoke(LeaseRevokeRequest { id: 101 })),
        ("lease: its keys are gone", Step::Range(range("la", "lc"))),
        ("lease: revoke again", Step::Revoke(LeaseRevokeRequest { id: 101 })),
        ("lease: revoke without keys", Step::Revoke(LeaseRevokeRequest { id: 106 })),
        ("lease: revoke nothing", Step::Revoke(LeaseRevokeRequest { id: 0 })),
        ("lease: put on what is gone", attach("la", 101)),
        ("lease: revoke a negative id", Step::Revoke(LeaseRevokeRequest { id: -5 })),
        ("lease: what is left", Step::Leases),
        ("lease: revision", Step::Range(range("la", ""))),
    ]
}

fn compactions() -> Vec<Case> {
    let compact = |revision| Step::Compact(CompactionRequest { revision, physical: false });
    let at = |revision| Step::Range(RangeRequest { revision, ..range("\0", "\0") });
    vec![
        ("compact: zero", compact(0)),
        ("compact: future", compact(100_000)),
        ("compact: 10", compact(10)),
        ("compact: 10 again", compact(10)),
        ("compact: back", compact(5)),
        ("compact: negative", compact(-1)),
        ("compact: read below", at(9)),
        ("compact: read at", at(10)),
        ("compact: read above", at(11)),
        ("compact: read now", at(0)),
        (
            "compact: txn below",
            txn(
                vec![],
                vec![
                    op(Request::RequestPut(put("x", "1"))),
                    op(Request::RequestRange(RangeRequest { revision: 5, ..range("a", "") })),
                ],
                vec![],
            ),
        ),
        ("compact: physical", Step::Compact(CompactionRequest { revision: 14, physical: true })),
        ("compact: read at the new edge", at(14)),
    ]
}

/// Alarms of a member that is not there, so that no server raises or ends one by itself.
fn alarms() -> Vec<Case> {
    let alarm = |action: AlarmAction, kind: AlarmType| {
        Step::Alarm(AlarmRequest { action: action.into(), member_id: 7, alarm: kind.into() })
    };
    let (full, corrupt, any) = (AlarmType::Nospace, AlarmType::Corrupt, AlarmType::None);
    let write = || op(Request::RequestPut(put("al", "1")));
    let remove = || op(Request::RequestDeleteRange(delete("al", "")));
    vec![
        ("alarm: list of none", alarm(AlarmAction::Get, any)),
        ("alarm: raise nothing", alarm(AlarmAction::Activate, any)),
        ("alarm: end nothing", alarm(AlarmAction::Deactivate, any)),
        ("alarm: a key", Step::Put(put("al", "0"))),
        ("alarm: a lease", grant(201, 600)),
        ("alarm: raise no space", alarm(AlarmAction::Activate, full)),
        ("alarm: raise it again", alarm(AlarmAction::Activate, full)),
        ("alarm: list", alarm(AlarmAction::Get, any)),
        ("alarm: list of a kind", alarm(AlarmAction::Get, full)),
        ("alarm: list of another kind", alarm(AlarmAction::Get, corrupt)),
        ("no space: put", Step::Put(put("al", "1"))),
        ("no space: put without a key", Step::Put(put("", "1"))),
        ("no space: put on an unknown lease", Step::Put(PutRequest { lease: 12345, ..put("al", "1") })),
        ("no space: grant", grant(202, 600)),
        ("no space: grant what exists", grant(201, 600)),
        ("no space: txn that puts", txn(vec![], vec![write()], vec![])),
        ("no space: txn that would put otherwise", txn(vec![], vec![remove()], vec![write()])),
        ("no space: txn that deletes", txn(vec![], vec![remove()], vec![])),
        ("no space: empty txn", txn(vec![], vec![], vec![])),
        ("no space: range", Step::Range(range("al", ""))),
        ("no space: delete", Step::Delete(delete("al", ""))),
        ("no space: keep alive", Step::KeepAlive(LeaseKeepAliveRequest { id: 201 })),
        ("no space: revoke", Step::Revoke(LeaseRevokeRequest { id: 201 })),
        ("no space: compact", Step::Compact(CompactionRequest { revision: 15, physical: false })),
        ("no space: defragment", Step::Defragment),
        ("alarm: end no space", alarm(AlarmAction::Deactivate, full)),
        ("alarm: end it again", alarm(AlarmAction::Deactivate, full)),
        ("alarm: space again", Step::Put(put("al", "2"))),
        ("alarm: raise corrupt", alarm(AlarmAction::Activate, corrupt)),
        ("corrupt: put", Step::Put(put("al", "3"))),
        ("corrupt: delete", Step::Delete(delete("al", ""))),
        ("corrupt: txn", txn(vec![], vec![write()], vec![])),
        ("corrupt: range", Step::Range(range("al", ""))),
        ("corrupt: compact", Step::Compact(CompactionRequest { revision: 16, physical: false })),
        ("corrupt: grant", grant(203, 600)),
        ("corrupt: revoke", Step::Revoke(LeaseRevokeRequest { id: 203 })),
        ("alarm: end corrupt", alarm(AlarmAction::Deactivate, corrupt)),
        ("alarm: list at the end", alarm(AlarmAction::Get, any)),
    ]
}
