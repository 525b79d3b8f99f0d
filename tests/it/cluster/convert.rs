//! Between the vocabulary of the checks and the messages of the wire.

use bytes::Bytes;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, TxnRequest, compare, request_op, response_op,
};
use proto::mvccpb;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::checker::history::{Answer, Consistency, Done, Event, KeyValue, Op, Outcome, Request, Revision, Test};

/// Does a request: a single operation by its own call, everything else as a transaction.
pub(crate) async fn send(kv: &mut KvClient<Channel>, request: &Request) -> Result<Answer, Status> {
    let single = if request.tests.is_empty() && request.then.len() == 1 { request.then.first() } else { None };
    let (header, done) = match single {
        Some(Op::Put { key, value, lease }) => {
            let put = kv.put(put(key, value, *lease)).await?.into_inner();
            (put.header, put_done(put))
        }
        Some(Op::Delete(key)) => {
            let deleted = kv.delete_range(delete(key)).await?.into_inner();
            (deleted.header, deleted_done(deleted))
        }
        Some(op @ (Op::Get(_) | Op::List(_))) => {
            let read = kv.range(range(op, request.consistency)).await?.into_inner();
            (read.header, read_done(op, read))
        }
        None => return send_transaction(kv, request).await,
    };
    Ok(Answer { revision: revision(header), passed: true, results: vec![done] })
}

async fn send_transaction(kv: &mut KvClient<Channel>, request: &Request) -> Result<Answer, Status> {
    let operation = |op: &Op| RequestOp {
        request: Some(match op {
            Op::Put { key, value, lease } => request_op::Request::RequestPut(put(key, value, *lease)),
            Op::Delete(key) => request_op::Request::RequestDeleteRange(delete(key)),
            Op::Get(_) | Op::List(_) => request_op::Request::RequestRange(range(op, request.consistency)),
        }),
    };
    let message = TxnRequest {
        compare: request.tests.iter().map(compare).collect(),
        success: request.then.iter().map(operation).collect(),
        failure: request.otherwise.iter().map(operation).collect(),
    };
    let response = kv.txn(message).await?.into_inner();
    let branch = if response.succeeded { &request.then } else { &request.otherwise };
    let done = |(op, response): (&Op, proto::etcdserverpb::ResponseOp)| match response.response {
        Some(response_op::Response::ResponsePut(put)) => put_done(put),
        Some(response_op::Response::ResponseDeleteRange(deleted)) => deleted_done(deleted),
        Some(response_op::Response::ResponseRange(read)) => read_done(op, read),
        other => panic!("{op:?} was answered {other:?}"),
    };
    let results = branch.iter().zip(response.responses).map(done).collect();
    Ok(Answer { revision: revision(response.header), passed: response.succeeded, results })
}

/// What an error says about whether the request was done.
pub(crate) fn outcome(answered: Result<Answer, Status>) -> Outcome {
    match answered {
        Ok(answer) => Outcome::Answered(answer),
        Err(status) if is_refusal(&status) => Outcome::Refused,
        Err(_) => Outcome::Unknown,
    }
}

/// Answers that say that the request was not done and will not be.
fn is_refusal(status: &Status) -> bool {
    let refusals =
        [Code::InvalidArgument, Code::OutOfRange, Code::NotFound, Code::FailedPrecondition, Code::ResourceExhausted];
    // Without a connection, nothing was sent.
    let unsent = status.code() == Code::Unavailable && status.message() == "tcp connect error";
    refusals.contains(&status.code()) || status.message().ends_with("too many requests") || unsent
}

/// The end of the range of a prefix.
pub(crate) fn prefix_end(prefix: &str) -> Bytes {
    let Some((last, rest)) = prefix.as_bytes().split_last() else { return Bytes::from_static(b"\0") };
    [rest, &[last + 1]].concat().into()
}

/// The first key of a prefix; the empty prefix is everything.
pub(crate) fn prefix_start(prefix: &str) -> Bytes {
    if prefix.is_empty() { Bytes::from_static(b"\0") } else { Bytes::copy_from_slice(prefix.as_bytes()) }
}

pub(crate) fn event(event: mvccpb::Event) -> Event {
    let is_put = event.r#type() == mvccpb::event::EventType::Put;
    let kv = key_value(event.kv.expect("an event has a key"));
    let (key, revision) = (kv.key.clone(), kv.mod_revision);
    Event { key, revision, put: is_put.then_some(kv), before: event.prev_kv.map(key_value) }
}

fn put(key: &str, value: &str, lease: i64) -> PutRequest {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    PutRequest { key, value, lease, prev_kv: true, ..PutRequest::default() }
}

fn delete(key: &str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.to_owned().into(), prev_kv: true, ..DeleteRangeRequest::default() }
}

fn range(op: &Op, consistency: Consistency) -> RangeRequest {
    let serializable = consistency == Consistency::Serializable;
    let (key, range_end) = match op {
        Op::List(prefix) => (prefix_start(prefix), prefix_end(prefix)),
        Op::Get(key) | Op::Delete(key) | Op::Put { key, .. } => (key.to_owned().into(), Bytes::new()),
    };
    RangeRequest { key, range_end, serializable, ..RangeRequest::default() }
}

fn compare(test: &Test) -> Compare {
    let (key, target, operand) = match test {
        Test::Value(key, value) => {
            (key, compare::CompareTarget::Value, compare::TargetUnion::Value(value.to_owned().into()))
        }
        Test::Created(key, revision) => {
            (key, compare::CompareTarget::Create, compare::TargetUnion::CreateRevision(*revision))
        }
    };
    Compare {
        result: compare::CompareResult::Equal.into(),
        target: target.into(),
        key: key.to_owned().into(),
        target_union: Some(operand),
        ..Compare::default()
    }
}

fn put_done(put: PutResponse) -> Done {
    Done::Put(put.prev_kv.map(key_value))
}

fn deleted_done(deleted: DeleteRangeResponse) -> Done {
    Done::Deleted(deleted.prev_kvs.into_iter().next().map(key_value))
}

fn read_done(op: &Op, read: RangeResponse) -> Done {
    let mut kvs = read.kvs.into_iter().map(key_value);
    if matches!(op, Op::List(_)) { Done::Listed(kvs.collect()) } else { Done::Got(kvs.next()) }
}

fn key_value(kv: mvccpb::KeyValue) -> KeyValue {
    let text = |bytes: Bytes| String::from_utf8(bytes.into()).expect("tests write text");
    KeyValue {
        key: text(kv.key),
        value: text(kv.value),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}

fn revision(header: Option<ResponseHeader>) -> Revision {
    header.expect("an answer has a header").revision
}
