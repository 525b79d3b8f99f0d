//! From the model to the wire. Headers are the caller's; those inside a transaction's answer hold the revision and nothing
//! else, as etcd's do.

use model::{
    DeleteResponse, Event, EventKind, KeyValue, OpResponse, PutResponse, RangeResponse, Revision, TxnResponse,
};
use proto::mvccpb::event::EventType;
use proto::{etcdserverpb as pb, mvccpb};

/// A key with its value.
pub(crate) fn key_value(kv: KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key,
        create_revision: kv.create_revision.get(),
        mod_revision: kv.mod_revision.get(),
        version: kv.version,
        value: kv.value,
        lease: kv.lease.get(),
    }
}

/// Answer to a read.
pub(crate) fn range_response(header: pb::ResponseHeader, response: RangeResponse) -> pb::RangeResponse {
    range_part(Some(header), response.kvs, response.more, response.count)
}

/// A part of an answer to a read.
pub(crate) fn range_part(
    header: Option<pb::ResponseHeader>,
    kvs: Vec<KeyValue>,
    more: bool,
    count: i64,
) -> pb::RangeResponse {
    pb::RangeResponse { header, kvs: kvs.into_iter().map(key_value).collect(), more, count }
}

/// Answer to a write.
pub(crate) fn put_response(header: pb::ResponseHeader, response: PutResponse) -> pb::PutResponse {
    pb::PutResponse { header: Some(header), prev_kv: response.previous.map(key_value) }
}

/// Answer to a deletion.
pub(crate) fn delete_response(header: pb::ResponseHeader, response: DeleteResponse) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header: Some(header),
        deleted: response.deleted,
        prev_kvs: response.previous.into_iter().map(key_value).collect(),
    }
}

/// Answer to a transaction.
pub(crate) fn txn_response(header: pb::ResponseHeader, response: TxnResponse) -> pb::TxnResponse {
    pb::TxnResponse {
        header: Some(header),
        succeeded: response.succeeded,
        responses: response.responses.into_iter().map(op_response).collect(),
    }
}

fn op_response(response: OpResponse) -> pb::ResponseOp {
    use pb::response_op::Response;
    let response = match response {
        OpResponse::Range(range) => Response::ResponseRange(range_response(inner_header(range.revision), range)),
        OpResponse::Put(put) => Response::ResponsePut(put_response(inner_header(put.revision), put)),
        OpResponse::Delete(delete) => {
            Response::ResponseDeleteRange(delete_response(inner_header(delete.revision), delete))
        }
        OpResponse::Txn(txn) => Response::ResponseTxn(txn_response(inner_header(txn.revision), txn)),
    };
    pb::ResponseOp { response: Some(response) }
}

fn inner_header(revision: Revision) -> pb::ResponseHeader {
    pb::ResponseHeader { revision: revision.get(), ..Default::default() }
}

/// An event, which other watchers share, with the version before it as the watcher wants it.
pub(crate) fn event(event: &Event, previous: Option<&KeyValue>) -> mvccpb::Event {
    let kind = match event.kind {
        EventKind::Put => EventType::Put,
        EventKind::Delete => EventType::Delete,
    };
    mvccpb::Event {
        r#type: kind.into(),
        kv: Some(key_value(event.kv.clone())),
        prev_kv: previous.cloned().map(key_value),
    }
}
