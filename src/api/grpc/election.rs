//! v3election: etcd's election as a service, on the same candidacies as the REST API.
//!
//! - A candidate is told that it leads only while its own key is there.
//! - A call that is given up while it waits withdraws.
//! - Refusals have etcd's texts under the code Unknown, as its service sends them.

use model::{
    Compare, CompareResult, KeyRange, KeyValue, LeaseId, Op, Operand, PutRequest, RangeRequest, Rejection, Revision,
    SortOrder, SortTarget, TxnRequest,
};
use node::{CampaignRequest, ClaimOutcome, KeyFollower, OnTimeout, Requeue, SessionRequest, Unavailable};
use proto::v3electionpb as pb;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::convert;
use crate::draining::Draining;
use crate::grpc::conversation::{Conversation, StreamCall, answers};
use crate::grpc::edge::Edge;
use crate::grpc::leader::RequiredLeader;
use crate::grpc::recipe::{AS_LONG_AS_IT_TAKES, claimant, prefix_of, status};

/// What etcd says to who does not lead.
const NOT_LEADER: &str = "election: not leader";

/// What etcd says when nobody leads.
const NO_LEADER: &str = "election: no leader";

/// What etcd says to who does not say whose leadership is meant.
const LEADER_MISSING: &str = "\"leader\" field must be provided";

/// What is said when the candidacy is gone after waiting; etcd does not look.
const SESSION_EXPIRED: &str = "election: session is expired";

/// The service.
#[derive(Debug)]
pub(crate) struct Election {
    edge: Edge,
}

impl Election {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    async fn answer_campaign(&self, request: Request<pb::CampaignRequest>) -> Result<pb::CampaignResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let pb::CampaignRequest { name, lease, value } = request.into_inner();
        let session = claimant(&self.edge, caller.clone(), lease).await?;
        let request = CampaignRequest {
            prefix: prefix_of(&name),
            session: SessionRequest::Existing(session),
            value,
            about: None,
            wait: AS_LONG_AS_IT_TAKES,
            on_timeout: OnTimeout::Leave,
            requeue: Requeue::Never,
        };
        match self.edge.handle().campaign(caller, request).await.map_err(status)? {
            ClaimOutcome::Held { claim, .. } => {
                let leader = pb::LeaderKey { name, key: claim.key, rev: claim.token.get(), lease: claim.lease.get() };
                Ok(pb::CampaignResponse { header: Some(self.edge.header(claim.revision)), leader: Some(leader) })
            }
            ClaimOutcome::SessionNotFound => Err(status(Rejection::LeaseNotFound)),
            ClaimOutcome::Lost => Err(Status::unknown(SESSION_EXPIRED)),
            ClaimOutcome::WaitTimeout { .. } | ClaimOutcome::Queued { .. } => {
                Err(Status::deadline_exceeded("context deadline exceeded"))
            }
            ClaimOutcome::OtherClaim
            | ClaimOutcome::Broken
            | ClaimOutcome::LimitExceeded { .. }
            | ClaimOutcome::NoSemaphore
            | ClaimOutcome::TooManyHolds
            | ClaimOutcome::Busy { .. }
            | ClaimOutcome::QueueFull { .. } => {
                unreachable!("a candidate stands in line, whoever leads")
            }
        }
    }

    async fn answer_proclaim(&self, request: Request<pb::ProclaimRequest>) -> Result<pb::ProclaimResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let pb::ProclaimRequest { leader, value } = request.into_inner();
        let leader = leader.ok_or_else(|| Status::unknown(LEADER_MISSING))?;
        let done = self.edge.handle().txn(caller, put_of(leader, value)).await.map_err(status)?;
        if !done.succeeded {
            return Err(Status::unknown(NOT_LEADER));
        }
        Ok(pb::ProclaimResponse { header: Some(self.edge.header(done.revision)) })
    }

    async fn answer_leader(&self, request: Request<pb::LeaderRequest>) -> Result<pb::LeaderResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let range = RangeRequest {
            order: SortOrder::Ascend,
            target: SortTarget::Create,
            ..RangeRequest::new(KeyRange::prefix(prefix_of(&request.get_ref().name))).with_limit(1)
        };
        let read = self.edge.handle().range(&caller, range).await.map_err(status)?;
        let leader = read.kvs.into_iter().next().ok_or_else(|| Status::unknown(NO_LEADER))?;
        let kv = Some(convert::key_value(leader));
        Ok(pb::LeaderResponse { header: Some(self.edge.header(read.revision)), kv })
    }

    /// As with etcd, to resign from what is over succeeds.
    async fn answer_resign(&self, request: Request<pb::ResignRequest>) -> Result<pb::ResignResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let leader = request.into_inner().leader.ok_or_else(|| Status::unknown(LEADER_MISSING))?;
        let term = Revision::new(leader.rev);
        self.edge.handle().release(caller, leader.key, Some(term)).await.map_err(status)?;
        Ok(pb::ResignResponse { header: Some(self.edge.header_now()) })
    }

    async fn begin_observing(&self, request: &Request<pb::LeaderRequest>) -> Result<KeyFollower, Status> {
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let range = KeyRange::prefix(prefix_of(&request.get_ref().name));
        self.edge.handle().follow_keys(&caller, range).await.map_err(status)
    }
}

/// Puts the leader's value if the candidacy is still that of the term.
fn put_of(leader: pb::LeaderKey, value: bytes::Bytes) -> TxnRequest {
    let pb::LeaderKey { key, rev, lease, .. } = leader;
    let range = KeyRange::Single(key.clone());
    let leads = Compare { range, result: CompareResult::Equal, operand: Operand::Create(rev) };
    let put = PutRequest { key, value, lease: LeaseId::new(lease), ..PutRequest::default() };
    TxnRequest { compares: vec![leads], success: vec![Op::Put(put)], failure: vec![] }
}

/// One stream of leaders.
struct Observation {
    edge: Edge,
    follower: KeyFollower,
    leader: RequiredLeader,
    draining: Draining,
    /// Key and last write of the leader that was told last.
    told: Option<(bytes::Bytes, Revision)>,
}

impl Observation {
    /// The leader, if it was not told yet.
    fn untold(&mut self) -> Option<KeyValue> {
        let head = self.follower.keys().first_created()?;
        let now = Some((head.key.clone(), head.mod_revision));
        if now == self.told {
            return None;
        }
        self.told = now;
        Some(head.clone())
    }
}

impl Conversation for Observation {
    type Answer = pb::LeaderResponse;

    async fn next(&mut self, _: &StreamCall) -> Result<Option<pb::LeaderResponse>, Status> {
        loop {
            if let Some(head) = self.untold() {
                let header = Some(self.edge.header(self.follower.keys().revision()));
                return Ok(Some(pb::LeaderResponse { header, kv: Some(convert::key_value(head)) }));
            }
            tokio::select! {
                biased;
                () = self.draining.begun() => return Err(status(Unavailable::Stopped)),
                () = self.leader.lost() => return Err(status(Unavailable::NoLeader)),
                moved = self.follower.moved() => moved.map_err(status)?,
            };
        }
    }
}

#[tonic::async_trait]
impl pb::election_server::Election for Election {
    async fn campaign(&self, request: Request<pb::CampaignRequest>) -> Result<Response<pb::CampaignResponse>, Status> {
        let call = self.edge.calls().unary(Method::Campaign);
        call.answer(self.edge.unless_stopping(self.answer_campaign(request)).await)
    }

    async fn proclaim(&self, request: Request<pb::ProclaimRequest>) -> Result<Response<pb::ProclaimResponse>, Status> {
        let call = self.edge.calls().unary(Method::Proclaim);
        call.answer(self.answer_proclaim(request).await)
    }

    async fn leader(&self, request: Request<pb::LeaderRequest>) -> Result<Response<pb::LeaderResponse>, Status> {
        let call = self.edge.calls().unary(Method::Leader);
        call.answer(self.answer_leader(request).await)
    }

    type ObserveStream = BoxStream<pb::LeaderResponse>;

    async fn observe(&self, request: Request<pb::LeaderRequest>) -> Result<Response<Self::ObserveStream>, Status> {
        let (call, leader) = self.edge.begin_stream(Method::Observe, request.metadata())?;
        call.received();
        match self.begin_observing(&request).await {
            Ok(follower) => {
                let (edge, draining) = (self.edge.clone(), self.edge.draining());
                Ok(Response::new(answers(Observation { edge, follower, leader, draining, told: None }, call)))
            }
            Err(status) => {
                call.end(status.code());
                Err(status)
            }
        }
    }

    async fn resign(&self, request: Request<pb::ResignRequest>) -> Result<Response<pb::ResignResponse>, Status> {
        let call = self.edge.calls().unary(Method::Resign);
        call.answer(self.answer_resign(request).await)
    }
}
