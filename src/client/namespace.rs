//! A namespace: a prefix that the caller never sees, put before every key on the way out and taken off on the way back.

use bytes::{BufMut, Bytes, BytesMut};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{Compare, RequestOp, ResponseOp, TxnRequest, TxnResponse};
use proto::mvccpb::KeyValue;

use crate::request::prefix_end;

/// What stands for the end of all keys.
const OPEN_END: &[u8] = b"\0";

/// A prefix; empty, it does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Namespace(Bytes);

impl Namespace {
    pub(crate) const fn new(prefix: Bytes) -> Self {
        Self(prefix)
    }

    /// The key as the server knows it. An empty key stays empty: the server refuses it, or gives it a meaning.
    pub(crate) fn key(&self, key: &mut Bytes) {
        if !self.0.is_empty() && !key.is_empty() {
            *key = self.joined(key);
        }
    }

    /// A key and the end of its range as the server knows them.
    pub(crate) fn range(&self, key: &mut Bytes, end: &mut Bytes) {
        if self.0.is_empty() {
            return;
        }
        if *end == OPEN_END {
            *end = prefix_end(&self.0);
        } else if !end.is_empty() {
            *end = self.joined(end);
        }
        self.key(key);
    }

    pub(crate) fn txn(&self, txn: &mut TxnRequest) {
        if self.0.is_empty() {
            return;
        }
        txn.compare.iter_mut().for_each(|compare: &mut Compare| self.range(&mut compare.key, &mut compare.range_end));
        txn.success.iter_mut().chain(&mut txn.failure).for_each(|op| self.op(op));
    }

    fn op(&self, op: &mut RequestOp) {
        match &mut op.request {
            Some(Request::RequestRange(range)) => self.range(&mut range.key, &mut range.range_end),
            Some(Request::RequestPut(put)) => self.key(&mut put.key),
            Some(Request::RequestDeleteRange(delete)) => self.range(&mut delete.key, &mut delete.range_end),
            Some(Request::RequestTxn(txn)) => self.txn(txn),
            None => {}
        }
    }

    /// The key as the caller knows it.
    pub(crate) fn strip(&self, key: &mut Bytes) {
        if !self.0.is_empty() && key.starts_with(&self.0) {
            *key = key.slice(self.0.len()..);
        }
    }

    pub(crate) fn strip_all<'a>(&self, kvs: impl IntoIterator<Item = &'a mut KeyValue>) {
        kvs.into_iter().for_each(|kv| self.strip(&mut kv.key));
    }

    pub(crate) fn strip_txn(&self, response: &mut TxnResponse) {
        response.responses.iter_mut().for_each(|one| self.strip_op(one));
    }

    fn strip_op(&self, op: &mut ResponseOp) {
        match &mut op.response {
            Some(Response::ResponseRange(range)) => self.strip_all(&mut range.kvs),
            Some(Response::ResponsePut(put)) => self.strip_all(&mut put.prev_kv),
            Some(Response::ResponseDeleteRange(delete)) => self.strip_all(&mut delete.prev_kvs),
            Some(Response::ResponseTxn(txn)) => self.strip_txn(txn),
            None => {}
        }
    }

    fn joined(&self, key: &[u8]) -> Bytes {
        let mut joined = BytesMut::with_capacity(self.0.len() + key.len());
        joined.put_slice(&self.0);
        joined.put_slice(key);
        joined.freeze()
    }
}
