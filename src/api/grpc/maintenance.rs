//! Maintenance: how the member is doing, alarms, checksums, and backups. A defragmentation is begun and not waited for.

use model::{Alarm, AlarmCause, AlarmChange, AlarmKind, Identity, MemberId, Revision};
use node::{Backup, Unavailable};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::alarm_request::AlarmAction;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::error::{status, transfer_status};
use crate::grpc::conversation::answers;
use crate::grpc::downgrade;
use crate::grpc::edge::Edge;
use crate::grpc::snapshot::Parts;
use crate::version;

/// What etcd says of a store without a quota.
const NO_QUOTA: i64 = -1;

/// What etcd says of a history that was never compacted.
const NEVER_COMPACTED: i64 = -1;

/// The service.
#[derive(Debug)]
pub(crate) struct Maintenance {
    edge: Edge,
}

impl Maintenance {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    async fn answer_status(&self, request: Request<pb::StatusRequest>) -> Result<pb::StatusResponse, Status> {
        self.edge.admit_also_learner(request.metadata())?;
        self.edge.admit_user(request.metadata(), request.extensions()).await?;
        let member = self.edge.handle().status();
        let no_leader = member.leader.is_none().then(|| Unavailable::NoLeader.to_string());
        let alarms = self.edge.handle().alarms().map_err(status)?;
        let errors = no_leader.into_iter().chain(alarms.iter().map(Alarm::to_string)).collect();
        let quota = self.edge.handle().config().upkeep.quota_bytes;
        Ok(pb::StatusResponse {
            header: Some(self.edge.header_now()),
            version: version::SERVER.to_owned(),
            db_size: signed(member.size),
            leader: member.leader.map_or(0, model::MemberId::get),
            raft_index: member.committed.get(),
            raft_term: member.term.get(),
            raft_applied_index: member.applied.get(),
            errors,
            db_size_in_use: signed(member.size_in_use),
            is_learner: self.edge.handle().is_learner(),
            storage_version: version::STORAGE.to_owned(),
            db_size_quota: quota.map_or(NO_QUOTA, signed),
            downgrade_info: Some(downgrade::info(&self.edge)),
        })
    }

    async fn answer_alarm(&self, request: Request<pb::AlarmRequest>) -> Result<pb::AlarmResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.admit_user(request.metadata(), request.extensions()).await?;
        let pb::AlarmRequest { action, member_id, alarm } = request.into_inner();
        let kind = kind_of_alarm(alarm)?;
        let action = AlarmAction::try_from(action).map_err(|_| Status::invalid_argument("unknown action"))?;
        let (revision, alarms) = match (action, kind) {
            (AlarmAction::Get, kind) => {
                self.edge.handle().confirm_reads().await.map_err(status)?;
                let mut alarms = self.edge.handle().alarms().map_err(status)?;
                alarms.retain(|alarm| kind.is_none_or(|kind| kind == alarm.kind));
                (self.edge.handle().revision(), alarms)
            }
            // There is no alarm of no kind to raise or to end.
            (AlarmAction::Activate | AlarmAction::Deactivate, None) => (self.edge.handle().revision(), Vec::new()),
            (AlarmAction::Activate, Some(kind)) => {
                let alarm = Alarm { kind, member: MemberId::new(member_id), cause: AlarmCause::Request };
                self.change_alarm(caller, AlarmChange::Raise(alarm)).await?
            }
            (AlarmAction::Deactivate, Some(kind)) => {
                self.change_alarm(caller, AlarmChange::End { kind, member: MemberId::new(member_id) }).await?
            }
        };
        let alarms = alarms
            .into_iter()
            .map(|alarm| pb::AlarmMember { member_id: alarm.member.get(), alarm: i32::from(alarm.kind.number()) });
        Ok(pb::AlarmResponse { header: Some(self.edge.header(revision)), alarms: alarms.collect() })
    }

    async fn change_alarm(&self, caller: Identity, change: AlarmChange) -> Result<(Revision, Vec<Alarm>), Status> {
        let changed = self.edge.handle().change_alarm(caller, change).await;
        let (revision, alarm) = changed.map_err(status)?;
        Ok((revision, alarm.into_iter().collect()))
    }

    async fn answer_hash_kv(&self, request: Request<pb::HashKvRequest>) -> Result<pb::HashKvResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let revision = Revision::new(request.get_ref().revision);
        let hashed = self.edge.handle().hash_kv(revision).await.map_err(status)?;
        let compacted = Some(hashed.compact_revision.get()).filter(|revision| *revision > 0);
        Ok(pb::HashKvResponse {
            header: Some(self.edge.header_now()),
            hash: hashed.hash,
            compact_revision: compacted.unwrap_or(NEVER_COMPACTED),
            hash_revision: hashed.hash_revision.get(),
        })
    }

    async fn answer_hash(&self, request: Request<pb::HashRequest>) -> Result<pb::HashResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let hash = self.edge.handle().hash().await.map_err(status)?;
        Ok(pb::HashResponse { header: Some(self.edge.header_now()), hash })
    }

    async fn answer_move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<pb::MoveLeaderResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        let target = MemberId::new(request.into_inner().target_id);
        self.edge.handle().move_leader(target).await.map_err(transfer_status)?;
        Ok(pb::MoveLeaderResponse { header: None })
    }

    async fn begin_backup(&self, request: Request<pb::SnapshotRequest>) -> Result<Backup, Status> {
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        self.edge.handle().backup().await.map_err(status)
    }

    async fn answer_defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<pb::DefragmentResponse, Status> {
        self.edge.admit(request.metadata())?;
        self.edge.admit_root(request.metadata(), request.extensions()).await?;
        self.edge.handle().defragment();
        Ok(pb::DefragmentResponse { header: None })
    }
}

/// What is wrong, by its number; none for etcd's NONE.
fn kind_of_alarm(number: i32) -> Result<Option<AlarmKind>, Status> {
    if number == pb::AlarmType::None as i32 {
        return Ok(None);
    }
    let kind = u8::try_from(number).ok().and_then(AlarmKind::of_number);
    kind.map(Some).ok_or_else(|| Status::invalid_argument("unknown type of alarm"))
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Maintenance {
    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        let call = self.edge.calls().unary(Method::Alarm);
        call.answer(self.answer_alarm(request).await)
    }

    async fn status(&self, request: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        let call = self.edge.calls().unary(Method::Status);
        call.answer(self.answer_status(request).await)
    }

    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        let call = self.edge.calls().unary(Method::Defragment);
        call.answer(self.answer_defragment(request).await)
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let call = self.edge.calls().unary(Method::Hash);
        call.answer(self.answer_hash(request).await)
    }

    async fn hash_kv(&self, request: Request<pb::HashKvRequest>) -> Result<Response<pb::HashKvResponse>, Status> {
        let call = self.edge.calls().unary(Method::HashKv);
        call.answer(self.answer_hash_kv(request).await)
    }

    type SnapshotStream = BoxStream<pb::SnapshotResponse>;

    async fn snapshot(&self, request: Request<pb::SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        let (call, leader) = self.edge.begin_stream(Method::Snapshot, request.metadata())?;
        call.received();
        match self.begin_backup(request).await {
            Ok(backup) => {
                let parts = Parts { backup, leader, draining: self.edge.draining() };
                Ok(Response::new(answers(parts, call)))
            }
            Err(status) => {
                call.end(status.code());
                Err(status)
            }
        }
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let call = self.edge.calls().unary(Method::MoveLeader);
        call.answer(self.answer_move_leader(request).await)
    }

    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        let call = self.edge.calls().unary(Method::Downgrade);
        call.answer(downgrade::answer(&self.edge, request).await)
    }
}
