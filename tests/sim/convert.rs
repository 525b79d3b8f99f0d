//! Between the vocabulary of the checks and that of the member.

use bytes::Bytes;
use model::{
    Compare, CompareResult, DeleteRequest, KeyRange, LeaseId, OpResponse, Operand, PutRequest, RangeRequest,
    TxnRequest, TxnResponse,
};

use crate::checker::history::{Answer, Consistency, Done, Event, KeyValue, Op, Request, Test};

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All keys that begin with `prefix`; an empty one is the whole store.
pub(crate) fn prefixed(prefix: &str) -> KeyRange {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => {
            *last += 1;
            KeyRange::Span { start: bytes(prefix), end: end.into() }
        }
        None => KeyRange::From(Bytes::from_static(&[0])),
    }
}

fn single(key: &str) -> KeyRange {
    KeyRange::Single(bytes(key))
}

fn compare(test: &Test) -> Compare {
    let (key, operand) = match test {
        Test::Value(key, value) => (key, Operand::Value(bytes(value))),
        Test::Created(key, revision) => (key, Operand::Create(*revision)),
    };
    Compare { range: single(key), result: CompareResult::Equal, operand }
}

fn operation(op: &Op, consistency: Consistency) -> model::Op {
    let range = |range| {
        let serializable = consistency == Consistency::Serializable;
        model::Op::Range(RangeRequest { serializable, ..RangeRequest::new(range) })
    };
    match op {
        Op::Put { key, value, lease } => model::Op::Put(PutRequest {
            key: bytes(key),
            value: bytes(value),
            lease: LeaseId::new(*lease),
            prev_kv: true,
            ..PutRequest::default()
        }),
        Op::Delete(key) => model::Op::Delete(DeleteRequest { range: single(key), prev_kv: true }),
        Op::Get(key) => range(single(key)),
        Op::List(prefix) => range(prefixed(prefix)),
    }
}

pub(crate) fn transaction(request: &Request) -> TxnRequest {
    let all = |ops: &[Op]| ops.iter().map(|op| operation(op, request.consistency)).collect();
    TxnRequest {
        compares: request.tests.iter().map(compare).collect(),
        success: all(&request.then),
        failure: all(&request.otherwise),
    }
}

pub(crate) fn key_value(kv: &model::KeyValue) -> KeyValue {
    KeyValue {
        key: text(&kv.key),
        value: text(&kv.value),
        create_revision: kv.create_revision.get(),
        mod_revision: kv.mod_revision.get(),
        version: kv.version,
        lease: kv.lease.get(),
    }
}

pub(crate) fn answer(request: &Request, response: &TxnResponse) -> Answer {
    let branch = if response.succeeded { &request.then } else { &request.otherwise };
    let done = |(op, response): (&Op, &OpResponse)| match (op, response) {
        (_, OpResponse::Put(put)) => Done::Put(put.previous.as_ref().map(key_value)),
        (_, OpResponse::Delete(delete)) => Done::Deleted(delete.previous.first().map(key_value)),
        (Op::Get(_), OpResponse::Range(range)) => Done::Got(range.kvs.first().map(key_value)),
        (_, OpResponse::Range(range)) => Done::Listed(range.kvs.iter().map(key_value).collect()),
        (_, OpResponse::Txn(_)) => unreachable!("no transaction inside was asked for"),
    };
    let results = branch.iter().zip(&response.responses).map(done).collect();
    Answer { revision: response.revision.get(), passed: response.succeeded, results }
}

pub(crate) fn event(event: &model::Event) -> Event {
    let kv = key_value(&event.kv);
    let is_put = matches!(event.kind, model::EventKind::Put);
    Event {
        key: kv.key.clone(),
        revision: kv.mod_revision,
        put: is_put.then_some(kv),
        before: event.previous.as_ref().map(key_value),
    }
}
