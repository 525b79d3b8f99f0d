//! The rules of etcd for transactions, one by one.

use bytes::Bytes;
use model::{
    Command, Compare, CompareResult, Op, OpResponse, Operand, PutRequest, RangeRequest, Rejection, Revision,
    TxnRequest, TxnResponse,
};

use super::rig::{Rig, bytes, compact, delete_request, put_leased, put_request, read, span, txn};
use crate::{Outcome, ReadError};

fn run(rig: &mut Rig, txn: TxnRequest) -> TxnResponse {
    match rig.ok(Command::Txn(txn)) {
        Outcome::Txn(response) => response,
        other => panic!("{other:?}"),
    }
}

fn compare(start: &str, end: &str, result: CompareResult, operand: Operand) -> Compare {
    Compare { range: span(start, end), result, operand }
}

/// Revisions in the headers of the answers.
fn headers(response: &TxnResponse) -> Vec<i64> {
    let header = |answer: &OpResponse| match answer {
        OpResponse::Range(answer) => answer.revision.get(),
        OpResponse::Put(answer) => answer.revision.get(),
        OpResponse::Delete(answer) => answer.revision.get(),
        OpResponse::Txn(answer) => answer.revision.get(),
    };
    response.responses.iter().map(header).collect()
}

fn put(key: &str) -> Op {
    Op::Put(put_request(key, "new"))
}

fn get(key: &str) -> Op {
    Op::Range(read(key, ""))
}

#[test]
fn conditions_on_present_absent_and_many_keys() {
    use CompareResult::{Equal, Greater, Less, NotEqual, Unknown};
    let mut rig = Rig::in_memory();
    rig.ok(super::rig::grant(5));
    rig.put("a", "m"); // 2
    rig.ok(put_leased("b", 5)); // 3
    rig.put("a", "m"); // 4
    let value = |text: &str| Operand::Value(bytes(text));
    let cases = [
        (compare("a", "", Equal, Operand::Version(2)), true),
        (compare("a", "", Greater, Operand::Version(2)), false),
        (compare("a", "", Less, Operand::Create(3)), true),
        (compare("a", "", Equal, Operand::Mod(4)), true),
        (compare("b", "", Equal, Operand::Lease(5)), true),
        (compare("b", "", NotEqual, Operand::Lease(5)), false),
        (compare("a", "", Equal, value("m")), true),
        (compare("a", "", Less, value("n")), true),
        (compare("a", "", Unknown, value("other")), true),
        (compare("a", "", Equal, Operand::Unknown), true),
        (compare("a", "", NotEqual, Operand::Unknown), false),
        // Absent keys have zeros, but no value.
        (compare("x", "", Equal, Operand::Version(0)), true),
        (compare("x", "", Equal, Operand::Create(0)), true),
        (compare("x", "", Equal, value("")), false),
        (compare("x", "", NotEqual, value("m")), false),
        (compare("x", "", Unknown, value("m")), false),
        // Every key of a range must satisfy it, an empty one is like an absent key.
        (compare("a", "c", Greater, Operand::Version(0)), true),
        (compare("a", "c", Greater, Operand::Version(1)), false),
        (compare("x", "\0", Equal, Operand::Version(0)), true),
        (compare("x", "\0", NotEqual, value("m")), false),
        (compare("c", "a", Equal, Operand::Version(0)), true),
    ];
    for (compare, expected) in cases {
        let txn = TxnRequest { compares: vec![compare.clone()], ..TxnRequest::default() };
        assert_eq!(run(&mut rig, txn.clone()).succeeded, expected, "{compare:?}");
        assert_eq!(rig.reader().read_txn(&txn).unwrap().succeeded, expected, "{compare:?}");
    }
    assert!(run(&mut rig, TxnRequest::default()).succeeded, "no condition is true");
    assert_eq!(rig.reader().revision(), Revision::new(4));
}

#[test]
fn headers_carry_the_new_revision_once_something_is_written() {
    for mut rig in Rig::both() {
        rig.put("k", ""); // 2
        let ops = vec![
            get("k"),
            Op::Delete(delete_request("none", "")),
            put("a"),
            get("k"),
            Op::Delete(delete_request("none", "")),
        ];
        let response = run(&mut rig, txn(ops));
        assert_eq!((headers(&response), response.revision.get()), (vec![2, 2, 3, 3, 3], 3));
        let response = run(&mut rig, txn(vec![Op::Delete(delete_request("none", ""))]));
        assert_eq!((headers(&response), response.revision.get()), (vec![3], 3), "nothing written");
        let inner = Op::Txn(txn(vec![put("b"), get("b")]));
        let response = run(&mut rig, txn(vec![inner, get("b")]));
        assert_eq!((headers(&response), response.revision.get()), (vec![0, 4], 4), "inner headers are empty");
        let OpResponse::Txn(inner) = &response.responses[0] else { panic!() };
        assert_eq!((headers(inner), inner.succeeded), (vec![4, 4], true));
    }
}

#[test]
fn one_revision_with_its_events_in_the_order_of_the_operations() {
    let mut rig = Rig::in_memory();
    rig.put("x", "");
    let applied = rig.apply([Command::Txn(txn(vec![put("c"), Op::Delete(delete_request("x", "")), put("a")]))]);
    assert_eq!(applied.batch.changes.len(), 1);
    let keys: Vec<_> = applied.batch.changes[0].events.iter().map(|event| event.kv.key.clone()).collect();
    assert_eq!(keys, [bytes("c"), bytes("x"), bytes("a")]);
    rig.flush();
    assert_eq!(super::rig::without_previous(applied.batch.changes), rig.reader().changes(Revision::new(3), 9).unwrap());
}

#[test]
fn reads_see_earlier_writes_of_the_same_transaction() {
    for mut rig in Rig::both() {
        for key in ["a", "b", "c"] {
            rig.put(key, "old");
            rig.flush();
        }
        let old = RangeRequest { revision: Revision::new(4), ..read("a", "\0") };
        let ops = vec![
            put("b"),
            Op::Delete(delete_request("c", "")),
            put("d"),
            Op::Range(read("a", "\0")),
            Op::Range(old),
            get("c"),
        ];
        let response = run(&mut rig, txn(ops));
        let values = |at: usize| -> Vec<(Bytes, Bytes)> {
            let OpResponse::Range(answer) = &response.responses[at] else { panic!() };
            answer.kvs.iter().map(|kv| (kv.key.clone(), kv.value.clone())).collect()
        };
        let pair = |key, value| (bytes(key), bytes(value));
        assert_eq!(values(3), [pair("a", "old"), pair("b", "new"), pair("d", "new")]);
        assert_eq!(values(4), [pair("a", "old"), pair("b", "old"), pair("c", "old")], "an old revision is what it was");
        assert_eq!(values(5), []);
    }
}

#[test]
fn conditions_of_inner_transactions_see_the_state_before_the_outermost() {
    let mut rig = Rig::in_memory();
    let inner = TxnRequest {
        compares: vec![compare("k", "", CompareResult::Equal, Operand::Version(0))],
        success: vec![put("was-absent")],
        failure: vec![put("was-present")],
    };
    let response = run(&mut rig, txn(vec![put("k"), Op::Txn(inner)]));
    let OpResponse::Txn(inner) = &response.responses[1] else { panic!() };
    assert!(inner.succeeded);
    assert!(rig.reader().get_at(b"was-absent", Revision::ZERO).unwrap().is_some());
}

#[test]
fn a_refused_transaction_has_no_effect() {
    let mut rig = Rig::in_memory();
    rig.put("k", "");
    rig.put("k", "");
    rig.ok(compact(3));
    let at = |revision| Op::Range(RangeRequest { revision: Revision::new(revision), ..read("k", "") });
    let ignoring = |key| Op::Put(PutRequest { ignore_value: true, ..put_request(key, "") });
    let leased = Op::Put(PutRequest { lease: model::LeaseId::new(4), ..put_request("z", "") });
    let cases = [
        (vec![put("a"), at(4)], Rejection::FutureRevision),
        (vec![put("a"), at(2)], Rejection::Compacted),
        (vec![put("a"), leased.clone()], Rejection::LeaseNotFound),
        (vec![at(2), leased], Rejection::LeaseNotFound),
        (vec![put("a"), ignoring("absent")], Rejection::KeyNotFound),
        (vec![put("b"), Op::Txn(txn(vec![put("a"), at(2)]))], Rejection::Compacted),
        (vec![put("a"), Op::Put(put_request("", ""))], Rejection::EmptyKey),
        // What the edge checks is refused here as well, before anything is written.
        (vec![put("a"), put("a")], Rejection::DuplicateKey),
        (vec![put("a"), Op::Txn(txn(vec![put("a")]))], Rejection::DuplicateKey),
        (vec![put("a"), Op::Delete(delete_request("a", "b"))], Rejection::DuplicateKey),
        (vec![Op::Delete(delete_request("k", "")), put("k")], Rejection::DuplicateKey),
    ];
    let before = rig.everything();
    for (ops, expected) in cases {
        let reply = rig.reply(Command::Txn(txn(ops.clone())));
        assert_eq!((reply.result, reply.revision), (Err(expected), Revision::new(3)), "{ops:?}");
    }
    assert_eq!(rig.everything(), before);
    // Only the branch that runs is checked, and a key must exist before the transaction, not because of it.
    let failing = TxnRequest { success: vec![put("a")], failure: vec![ignoring("absent")], ..TxnRequest::default() };
    run(&mut rig, failing);
    assert_eq!(rig.refused(Command::Txn(txn(vec![put("q"), ignoring("q")]))), Rejection::KeyNotFound);
}

#[test]
fn overlapping_deletes_delete_once() {
    let mut rig = Rig::in_memory();
    rig.put("k", "");
    let response = run(&mut rig, txn(vec![Op::Delete(delete_request("k", "")), Op::Delete(delete_request("a", "z"))]));
    let deleted: Vec<i64> = response
        .responses
        .iter()
        .map(|answer| if let OpResponse::Delete(answer) = answer { answer.deleted } else { -1 })
        .collect();
    assert_eq!(deleted, [1, 0]);
}

#[test]
fn many_writes_are_found_again_within_the_transaction() {
    let mut rig = Rig::in_memory();
    let mut ops: Vec<Op> = (0..60).rev().map(|key| put(&format!("k{key:02}"))).collect();
    ops.extend([get("k07"), Op::Range(read("k", "l")), get("k60")]);
    let response = run(&mut rig, txn(ops));
    let counts: Vec<i64> = response.responses[60..]
        .iter()
        .map(|answer| if let OpResponse::Range(answer) = answer { answer.count } else { -1 })
        .collect();
    assert_eq!(counts, [1, 60, 0]);
    let gone = || Op::Delete(delete_request("k07", ""));
    let mut ops: Vec<Op> = (0..30).map(|key| put(&format!("j{key:02}"))).collect();
    ops.extend([gone(), gone()]);
    let response = run(&mut rig, txn(ops));
    let deleted =
        |at: usize| if let OpResponse::Delete(answer) = &response.responses[at] { answer.deleted } else { -1 };
    assert_eq!((deleted(30), deleted(31)), (1, 0), "the second finds the first");
    let twice: Vec<Op> = (0..40).chain([5]).map(|key| put(&format!("k{key:02}"))).collect();
    assert_eq!(rig.refused(Command::Txn(txn(twice))), Rejection::DuplicateKey);
}

#[test]
fn read_only_transactions_are_of_one_revision_and_refused_like_ranges() {
    let mut rig = Rig::in_memory();
    rig.put("k", "");
    let response = rig.reader().read_txn(&txn(vec![get("k"), get("x")])).unwrap();
    assert_eq!((headers(&response), response.revision.get()), (vec![2, 2], 2));
    let future = txn(vec![Op::Range(read("k", "").at(Revision::new(3)))]);
    assert!(matches!(rig.reader().read_txn(&future), Err(ReadError::Rejected(Rejection::FutureRevision))));
}
