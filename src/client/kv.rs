//! Keys: reading, writing, deleting, transactions, compaction.

use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse,
};
use tonic::transport::Channel;

use crate::{Client, Error};

impl Client {
    fn kv(&self) -> impl Fn(Channel) -> KvClient<Channel> + use<> {
        let (request_max, response_max) = (self.caller.config.request_bytes_max, self.caller.config.response_bytes_max);
        move |channel| {
            KvClient::new(channel).max_encoding_message_size(request_max).max_decoding_message_size(response_max)
        }
    }

    /// Reads keys: linearizable unless the request says `serializable`. Sent again when a member is unavailable.
    ///
    /// # Errors
    ///
    /// [`Error::Answer`], [`Error::TimedOut`].
    pub async fn range(&self, mut request: RangeRequest) -> Result<RangeResponse, Error> {
        self.namespace.range(&mut request.key, &mut request.range_end);
        let kv = self.kv();
        let send = |channel, request| {
            let mut kv = kv(channel);
            async move { kv.range(request).await }
        };
        let mut response = self.read(request, send).await?;
        self.namespace.strip_all(&mut response.kvs);
        Ok(response)
    }

    /// Writes a key.
    ///
    /// # Errors
    ///
    /// [`Error::Answer`], [`Error::TimedOut`], [`Error::Interrupted`]: see [`Error::may_have_happened`].
    pub async fn put(&self, mut request: PutRequest) -> Result<PutResponse, Error> {
        self.namespace.key(&mut request.key);
        let kv = self.kv();
        let send = |channel, request| {
            let mut kv = kv(channel);
            async move { kv.put(request).await }
        };
        let mut response = self.write(request, send).await?;
        self.namespace.strip_all(&mut response.prev_kv);
        Ok(response)
    }

    /// Deletes keys.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn delete(&self, mut request: DeleteRangeRequest) -> Result<DeleteRangeResponse, Error> {
        self.namespace.range(&mut request.key, &mut request.range_end);
        let kv = self.kv();
        let send = |channel, request| {
            let mut kv = kv(channel);
            async move { kv.delete_range(request).await }
        };
        let mut response = self.write(request, send).await?;
        self.namespace.strip_all(&mut response.prev_kvs);
        Ok(response)
    }

    /// Compares and then reads and writes, all at one revision. One that only reads is sent again like a read.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn txn(&self, mut request: TxnRequest) -> Result<TxnResponse, Error> {
        let is_read = request.success.iter().chain(&request.failure).all(is_read);
        self.namespace.txn(&mut request);
        let kv = self.kv();
        let send = |channel, request| {
            let mut kv = kv(channel);
            async move { kv.txn(request).await }
        };
        let mut response = if is_read { self.read(request, send).await? } else { self.write(request, send).await? };
        self.namespace.strip_txn(&mut response);
        Ok(response)
    }

    /// Forgets history before a revision.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse, Error> {
        let kv = self.kv();
        let send = |channel, request| {
            let mut kv = kv(channel);
            async move { kv.compact(request).await }
        };
        self.write(request, send).await
    }
}

const fn is_read(op: &RequestOp) -> bool {
    matches!(op.request, Some(Request::RequestRange(_)))
}
