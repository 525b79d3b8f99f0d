//! Lease: grant, revoke, keep alive, look at.

use futures::stream::BoxStream;
use model::LeaseId;
use node::Unavailable;
use proto::etcdserverpb as pb;
use tonic::{Request, Response, Status, Streaming};

use crate::calls::Method;
use crate::draining::Draining;
use crate::error::status;
use crate::grpc::conversation::{Conversation, StreamCall, answers};
use crate::grpc::edge::Edge;
use crate::grpc::leader::RequiredLeader;

/// What stands for "there is no such lease" in the answer to `LeaseTimeToLive`.
const TTL_OF_NO_LEASE: i64 = -1;

/// The service.
#[derive(Debug)]
pub(crate) struct Lease {
    edge: Edge,
}

impl Lease {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    async fn answer_grant(&self, request: Request<pb::LeaseGrantRequest>) -> Result<pb::LeaseGrantResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let pb::LeaseGrantRequest { id, ttl } = *request.get_ref();
        let granted = self.edge.handle().lease_grant(caller, LeaseId::new(id), ttl).await;
        let (revision, id, ttl) = granted.map_err(status)?;
        Ok(pb::LeaseGrantResponse { header: Some(self.edge.header(revision)), id: id.get(), ttl, error: String::new() })
    }

    async fn answer_revoke(&self, request: Request<pb::LeaseRevokeRequest>) -> Result<pb::LeaseRevokeResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let id = LeaseId::new(request.get_ref().id);
        let revision = self.edge.handle().lease_revoke(caller, id).await.map_err(status)?;
        Ok(pb::LeaseRevokeResponse { header: Some(self.edge.header(revision)) })
    }

    async fn answer_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<pb::LeaseTimeToLiveResponse, Status> {
        self.edge.admit(request.metadata())?;
        let pb::LeaseTimeToLiveRequest { id, keys } = *request.get_ref();
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let lease = self.edge.handle().lease_time_to_live(LeaseId::new(id)).await.map_err(status)?;
        if keys && let Some((_, info)) = &lease {
            self.edge.handle().permit_keys_of(&caller, info).map_err(status)?;
        }
        let header = Some(self.edge.header_now());
        Ok(match lease {
            Some((life, info)) => pb::LeaseTimeToLiveResponse {
                header,
                id,
                ttl: life.remaining,
                granted_ttl: life.granted_ttl,
                keys: if keys { info.keys } else { Vec::new() },
            },
            None => pb::LeaseTimeToLiveResponse { header, id, ttl: TTL_OF_NO_LEASE, ..Default::default() },
        })
    }

    async fn answer_leases(&self, request: Request<pb::LeaseLeasesRequest>) -> Result<pb::LeaseLeasesResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_user(request.metadata(), request.extensions()).await?;
        let leases = self.edge.handle().leases().into_iter().map(|id| pb::LeaseStatus { id: id.get() }).collect();
        Ok(pb::LeaseLeasesResponse { header: Some(self.edge.header_now()), leases })
    }
}

/// One stream of keepalives: each request is answered before the next is taken.
struct KeepAlives {
    edge: Edge,
    requests: Streaming<pb::LeaseKeepAliveRequest>,
    leader: RequiredLeader,
    draining: Draining,
}

impl Conversation for KeepAlives {
    type Answer = pb::LeaseKeepAliveResponse;

    async fn next(&mut self, call: &StreamCall) -> Result<Option<pb::LeaseKeepAliveResponse>, Status> {
        let request = tokio::select! {
            biased;
            () = self.draining.begun() => return Err(status(Unavailable::Stopped)),
            () = self.leader.lost() => return Err(status(Unavailable::NoLeader)),
            request = self.requests.message() => request?,
        };
        let Some(pb::LeaseKeepAliveRequest { id }) = request else { return Ok(None) };
        call.received();
        // etcd notes the revision before it renews; the lease is good for at least as long as the answer says.
        let header = Some(self.edge.header_now());
        let ttl = self.edge.handle().lease_keep_alive(LeaseId::new(id)).await.map_err(status)?;
        Ok(Some(pb::LeaseKeepAliveResponse { header, id, ttl: ttl.unwrap_or(0) }))
    }
}

#[tonic::async_trait]
impl pb::lease_server::Lease for Lease {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let call = self.edge.calls().unary(Method::LeaseGrant);
        call.answer(self.answer_grant(request).await)
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let call = self.edge.calls().unary(Method::LeaseRevoke);
        call.answer(self.answer_revoke(request).await)
    }

    type LeaseKeepAliveStream = BoxStream<'static, Result<pb::LeaseKeepAliveResponse, Status>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let (call, leader) = self.edge.begin_stream(Method::LeaseKeepAlive, request.metadata())?;
        let keep_alives = KeepAlives {
            edge: self.edge.clone(),
            requests: request.into_inner(),
            leader,
            draining: self.edge.draining(),
        };
        Ok(Response::new(answers(keep_alives, call)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let call = self.edge.calls().unary(Method::LeaseTimeToLive);
        call.answer(self.answer_time_to_live(request).await)
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let call = self.edge.calls().unary(Method::LeaseLeases);
        call.answer(self.answer_leases(request).await)
    }
}
