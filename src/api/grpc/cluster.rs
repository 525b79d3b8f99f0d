//! Cluster: who the members are, and changing it.

use model::{MemberId, Revision};
use node::{Member, MemberChange};
use proto::etcdserverpb as pb;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::error::{members_status, status};
use crate::grpc::edge::Edge;
use crate::grpc::peer_urls::check_peer_urls;

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
        self.edge.admit_user(request.metadata(), request.extensions()).await?;
        if request.get_ref().linearizable {
            self.edge.handle().confirm_reads().await.map_err(status)?;
        }
        Ok(pb::MemberListResponse { header: self.header(), members: members(self.edge.handle().members()) })
    }

    async fn answer_add(&self, request: Request<pb::MemberAddRequest>) -> Result<pb::MemberAddResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let pb::MemberAddRequest { peer_ur_ls, is_learner } = request.into_inner();
        check_peer_urls(&peer_ur_ls)?;
        let added = self.edge.handle().add_member(peer_ur_ls, is_learner).await;
        let (id, all) = added.map_err(members_status)?;
        let all = members(all);
        let member = all.iter().find(|member| member.id == id.get()).cloned();
        Ok(pb::MemberAddResponse { header: self.header(), member, members: all })
    }

    async fn change(&self, change: MemberChange) -> Result<Vec<pb::Member>, Status> {
        let changed = self.edge.handle().change_members(change).await;
        changed.map(members).map_err(members_status)
    }

    async fn answer_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<pb::MemberRemoveResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let members = self.change(MemberChange::Remove(MemberId::new(request.into_inner().id))).await?;
        Ok(pb::MemberRemoveResponse { header: self.header(), members })
    }

    async fn answer_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<pb::MemberUpdateResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let pb::MemberUpdateRequest { id, peer_ur_ls } = request.into_inner();
        check_peer_urls(&peer_ur_ls)?;
        let change = MemberChange::Update { id: MemberId::new(id), peer_urls: peer_ur_ls };
        Ok(pb::MemberUpdateResponse { header: self.header(), members: self.change(change).await? })
    }

    async fn answer_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<pb::MemberPromoteResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let members = self.change(MemberChange::Promote(MemberId::new(request.into_inner().id))).await?;
        Ok(pb::MemberPromoteResponse { header: self.header(), members })
    }

    /// Answers of this service name no revision: they are not about the store.
    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(self.edge.header(Revision::ZERO))
    }
}

fn members(members: Vec<Member>) -> Vec<pb::Member> {
    let member = |Member { id, info, is_learner }| pb::Member {
        id: MemberId::get(id),
        name: info.name,
        peer_ur_ls: info.peer_urls,
        client_ur_ls: info.client_urls,
        is_learner,
    };
    members.into_iter().map(member).collect()
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

    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        let call = self.edge.calls().unary(Method::MemberAdd);
        call.answer(self.answer_add(request).await)
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        let call = self.edge.calls().unary(Method::MemberRemove);
        call.answer(self.answer_remove(request).await)
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        let call = self.edge.calls().unary(Method::MemberUpdate);
        call.answer(self.answer_update(request).await)
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        let call = self.edge.calls().unary(Method::MemberPromote);
        call.answer(self.answer_promote(request).await)
    }
}
