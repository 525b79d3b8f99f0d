//! Each rule of the static checks, as a table.

use bytes::Bytes;

use super::*;
use crate::{CompareResult, LeaseId, Operand};

fn put(key: &'static str) -> Op {
    Op::Put(PutRequest { key: key.into(), ..PutRequest::default() })
}

fn delete(key: &'static str, end: &'static str) -> Op {
    Op::Delete(DeleteRequest { range: KeyRange::from_wire(key.into(), end.into()), prev_kv: false })
}

fn txn(success: Vec<Op>, failure: Vec<Op>) -> TxnRequest {
    TxnRequest { compares: Vec::new(), success, failure }
}

fn check(success: Vec<Op>) -> Result<(), Rejection> {
    txn(success, Vec::new()).check(Limits::default())
}

#[test]
fn a_put_needs_a_key_that_fits() {
    let put = |key: Vec<u8>| PutRequest { key: key.into(), ..PutRequest::default() }.check();
    assert_eq!(put(vec![]), Err(Rejection::EmptyKey));
    assert_eq!(put(vec![b'k'; KEY_BYTES_MAX]), Ok(()));
    assert_eq!(put(vec![b'k'; KEY_BYTES_MAX + 1]), Err(Rejection::RequestTooLarge));
    assert_eq!(put(vec![0; KEY_BYTES_MAX / 2 + 1]), Err(Rejection::RequestTooLarge));
}

#[test]
fn ignored_parts_must_not_be_given() {
    let base = PutRequest { key: "k".into(), ..PutRequest::default() };
    let value = PutRequest { value: "v".into(), ignore_value: true, ..base.clone() };
    assert_eq!(value.check(), Err(Rejection::ValueProvided));
    let lease = PutRequest { lease: LeaseId::new(7), ignore_lease: true, ..base };
    assert_eq!(lease.check(), Err(Rejection::LeaseProvided));
}

#[test]
fn one_branch_writes_a_key_once() {
    assert_eq!(check(vec![put("a"), put("b")]), Ok(()));
    assert_eq!(check(vec![put("a"), put("a")]), Err(Rejection::DuplicateKey));
    assert_eq!(check(vec![put("b"), delete("a", "c")]), Err(Rejection::DuplicateKey));
    assert_eq!(check(vec![delete("a", "c"), put("b")]), Err(Rejection::DuplicateKey));
    assert_eq!(check(vec![delete("a", "c"), delete("b", "")]), Ok(()));
    assert_eq!(txn(vec![put("a")], vec![put("a")]).check(Limits::default()), Ok(()));
}

#[test]
fn inner_transactions_count_too() {
    let inner = |key| Op::Txn(txn(vec![put(key)], vec![put(key)]));
    assert_eq!(check(vec![inner("a")]), Ok(()), "branches of one inner transaction exclude each other");
    assert_eq!(check(vec![inner("a"), inner("a")]), Err(Rejection::DuplicateKey));
    assert_eq!(check(vec![inner("a"), put("a")]), Err(Rejection::DuplicateKey));
    assert_eq!(check(vec![inner("b"), delete("a", "c")]), Err(Rejection::DuplicateKey));
    let deleting = Op::Txn(txn(vec![delete("a", "c")], vec![]));
    assert_eq!(check(vec![deleting.clone(), put("b")]), Err(Rejection::DuplicateKey));
    assert_eq!(check(vec![inner("b"), deleting]), Err(Rejection::DuplicateKey));
}

#[test]
fn the_budget_of_operations_shrinks_inwards() {
    let keys: Vec<Op> =
        (0..128).map(|n| Op::Put(PutRequest { key: Bytes::from(format!("k{n}")), ..Default::default() })).collect();
    assert_eq!(check(keys.clone()), Ok(()));
    let mut more = keys.clone();
    more.push(put("one too many"));
    assert_eq!(check(more), Err(Rejection::TooManyOps));
    assert_eq!(check(vec![Op::Txn(txn(keys[..127].to_vec(), vec![]))]), Ok(()));
    assert_eq!(check(vec![Op::Txn(txn(keys, vec![]))]), Err(Rejection::TooManyOps));
}

#[test]
fn conditions_need_a_key() {
    let compare = Compare {
        range: KeyRange::from_wire(Bytes::new(), Bytes::new()),
        result: CompareResult::Equal,
        operand: Operand::Version(0),
    };
    let request = TxnRequest { compares: vec![compare], ..TxnRequest::default() };
    assert_eq!(request.check(Limits::default()), Err(Rejection::EmptyKey));
}
