//! Cluster: who the members are. Changing them comes with clusters of more than one.

use model::Revision;
use proto::etcdserverpb as pb;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::error::status;
use crate::grpc::edge::Edge;

/// The service.
#[derive(Debug)]
pub(crate) struct Cluster {
    edge: Edge,
}

impl Cluster {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    async fn answer_list(&self, request: Request<pb::MemberListRequest>) -> Result<pb::MemberListResponse, Status> {
        self.edge.admit(request.metadata())?;
        if request.get_ref().linearizable {
            self.edge.handle().confirm_reads().await.map_err(status)?;
        }
        let config = self.edge.handle().config();
        let member = pb::Member {
            id: config.member_id.get(),
            name: config.name.clone(),
            peer_ur_ls: config.peer_urls.clone(),
            client_ur_ls: config.client_urls.clone(),
            is_learner: false,
        };
        // Answers of this service name no revision: they are not about the store.
        Ok(pb::MemberListResponse { header: Some(self.edge.header(Revision::ZERO)), members: vec![member] })
    }
}

/// A method of this service that is not served.
fn unserved<T>(method: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!("unknown method {method} for service etcdserverpb.Cluster")))
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let call = self.edge.calls().unary(Method::MemberList);
        call.answer(self.answer_list(request).await)
    }

    async fn member_add(&self, _: Request<pb::MemberAddRequest>) -> Result<Response<pb::MemberAddResponse>, Status> {
        unserved("MemberAdd")
    }

    async fn member_remove(
        &self,
        _: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        unserved("MemberRemove")
    }

    async fn member_update(
        &self,
        _: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        unserved("MemberUpdate")
    }

    async fn member_promote(
        &self,
        _: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        unserved("MemberPromote")
    }
}
