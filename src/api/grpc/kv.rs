//! KV: get, in one answer or as a stream, put, delete, transact, compact.

use model::Revision;
use node::RangeStream;
use proto::etcdserverpb as pb;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::convert;
use crate::error::status;
use crate::grpc::conversation::answers;
use crate::grpc::edge::Edge;
use crate::grpc::range_stream::{Parts, streamable};

/// The service.
#[derive(Debug)]
pub(crate) struct Kv {
    edge: Edge,
}

impl Kv {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    async fn answer_range(&self, request: Request<pb::RangeRequest>) -> Result<pb::RangeResponse, Status> {
        if request.get_ref().serializable {
            self.edge.admit_also_learner(request.metadata())?;
        } else {
            self.edge.admit(request.metadata())?;
        }
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let range = convert::range(request.into_inner()).map_err(status)?;
        let response = self.edge.handle().range(&caller, range).await.map_err(status)?;
        Ok(convert::range_response(self.edge.header(response.revision), response))
    }

    async fn begin_range_stream(&self, request: Request<pb::RangeRequest>) -> Result<RangeStream, Status> {
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let range = streamable(request.into_inner())?;
        let part_bytes = self.edge.handle().config().request_bytes_max;
        self.edge.handle().range_stream(caller, range, part_bytes).await.map_err(status)
    }

    async fn answer_put(&self, request: Request<pb::PutRequest>) -> Result<pb::PutResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let put = convert::put(request.into_inner());
        let response = self.edge.handle().put(caller, put).await.map_err(status)?;
        Ok(convert::put_response(self.edge.header(response.revision), response))
    }

    async fn answer_delete(&self, request: Request<pb::DeleteRangeRequest>) -> Result<pb::DeleteRangeResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let delete = convert::delete(request.into_inner());
        let response = self.edge.handle().delete(caller, delete).await.map_err(status)?;
        Ok(convert::delete_response(self.edge.header(response.revision), response))
    }

    async fn answer_txn(&self, request: Request<pb::TxnRequest>) -> Result<pb::TxnResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let txn = convert::txn(request.into_inner(), self.edge.handle().limits()).map_err(status)?;
        let response = self.edge.handle().txn(caller, txn).await.map_err(status)?;
        Ok(convert::txn_response(self.edge.header(response.revision), response))
    }

    async fn answer_compact(&self, request: Request<pb::CompactionRequest>) -> Result<pb::CompactionResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let pb::CompactionRequest { revision, physical } = request.into_inner();
        let compacted = self.edge.handle().compact(caller, Revision::new(revision), physical).await;
        Ok(pb::CompactionResponse { header: Some(self.edge.header(compacted.map_err(status)?)) })
    }
}

#[tonic::async_trait]
impl pb::kv_server::Kv for Kv {
    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        let call = self.edge.calls().unary(Method::Range);
        call.answer(self.answer_range(request).await)
    }

    type RangeStreamStream = BoxStream<pb::RangeStreamResponse>;

    async fn range_stream(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let (call, leader) = self.edge.begin_stream(Method::RangeStream, request.metadata())?;
        call.received();
        match self.begin_range_stream(request).await {
            Ok(stream) => {
                let parts = Parts { edge: self.edge.clone(), stream, leader, draining: self.edge.draining() };
                Ok(Response::new(answers(parts, call)))
            }
            Err(status) => {
                call.end(status.code());
                Err(status)
            }
        }
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        let call = self.edge.calls().unary(Method::Put);
        call.answer(self.answer_put(request).await)
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let call = self.edge.calls().unary(Method::DeleteRange);
        call.answer(self.answer_delete(request).await)
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        let call = self.edge.calls().unary(Method::Txn);
        call.answer(self.answer_txn(request).await)
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let call = self.edge.calls().unary(Method::Compact);
        call.answer(self.answer_compact(request).await)
    }
}
