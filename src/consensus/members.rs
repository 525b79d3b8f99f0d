//! Changes of the membership: what may be asked, what is refused, and the one log entry that each change is.
//!
//! A change starts from the newest membership and carries its log id along, so that one that was overtaken by another is refused and
//! starts anew. Voters change by one at a time, which needs no joint phase that a crash could leave behind (Raft thesis 4.1). Names
//! and addresses are part of the membership, so that they change with the log as well.

use std::time::Duration;

use model::MemberId;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::entry::RaftPayload;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use proto::quoratepb as pb;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::Leadership;
use crate::ask_leader::until;
use crate::frames;
use crate::handle::Handle;
use crate::reconfiguration::{Health, Step, plan};
use crate::roster::{Member, members_of};
use crate::types::{MemberInfo, Payload, StoredMembership, TypeConfig};

/// Time after which a change that met another one is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Adds a member, as voter or learner.
    Add(Member),
    /// Removes a member, for good.
    Remove(MemberId),
    /// Replaces the peer URLs of a member.
    Update {
        /// Which.
        id: MemberId,
        /// Where its peers reach it from now on.
        peer_urls: Vec<String>,
    },
    /// Makes a learner a voter.
    Promote(MemberId),
    /// Replaces name and client URLs: what a member says of itself when it starts.
    Describe {
        /// Which.
        id: MemberId,
        /// Its name.
        name: String,
        /// Where clients reach it.
        client_urls: Vec<String>,
    },
}

/// Why the membership was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MembersError {
    /// No member has this id.
    #[error("member not found")]
    NotFound,
    /// The id is a member's already.
    #[error("member ID already exist")]
    IdExists,
    /// A peer URL is another member's.
    #[error("Peer URLs already exists")]
    PeerUrlExists,
    /// There are as many learners as may be.
    #[error("too many learner members in cluster")]
    TooManyLearners,
    /// Only learners can be promoted.
    #[error("can only promote a learner member")]
    NotLearner,
    /// The learner is too far behind to vote: try again later.
    #[error("can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    /// Too few started voters would be left: start the members that were added first.
    #[error("re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// Too few voters are in touch with the leader: mend the cluster first.
    #[error("unhealthy cluster")]
    Unhealthy,
    /// Until the deadline, or until this member stopped, there was no leader or another change was under way. Nothing changed.
    #[error("no leader")]
    NoLeader,
    /// The outcome is unknown: look at the members before trying again.
    #[error("request timed out")]
    Unknown,
}

impl Handle {
    /// All members, as of the newest membership that this member knows to be committed.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.roster().members()
    }

    /// Whether this member follows without a vote.
    #[must_use]
    pub fn is_learner(&self) -> bool {
        self.roster().is_learner(self.member().get())
    }

    /// Changes the membership, through the leader, and returns the members after it.
    ///
    /// # Errors
    ///
    /// [`MembersError`]; only [`MembersError::Unknown`] may have changed something.
    pub async fn change_members(&self, change: MemberChange, deadline: Instant) -> Result<Vec<Member>, MembersError> {
        let mut leadership = self.leadership();
        loop {
            let known = *leadership.borrow_and_update();
            let changed = match known {
                Leadership::Follower { leader } => self.change_members_there(leader, &change, deadline).await,
                Leadership::Leader { .. } => self.change_members_here(&change, deadline).await,
                Leadership::None => Err(MembersError::NoLeader),
            };
            if changed != Err(MembersError::NoLeader) || Instant::now() >= deadline {
                return changed;
            }
            if let Ok(Err(_stopped)) =
                timeout_at(deadline.min(Instant::now() + RETRY_INTERVAL), leadership.changed()).await
            {
                return changed;
            }
        }
    }

    /// Changes the membership in this member's own log, if it leads.
    pub(crate) async fn change_members_here(
        &self,
        change: &MemberChange,
        deadline: Instant,
    ) -> Result<Vec<Member>, MembersError> {
        let mut metrics = self.raft().server_metrics();
        loop {
            let observed = metrics.borrow_and_update().membership_config.clone();
            let step = plan(&observed, change, &self.health())?;
            match self.append_step(&observed, step).await {
                Ok(()) => return Ok(members_of(&self.raft().server_metrics().borrow_watched().membership_config)),
                Err(Overtaken::Retry) if Instant::now() < deadline => {}
                Err(Overtaken::Retry | Overtaken::NotLeader) => return Err(MembersError::NoLeader),
                Err(Overtaken::Unknown) => return Err(MembersError::Unknown),
            }
            if let Ok(Err(_stopped)) = timeout_at(Instant::now() + RETRY_INTERVAL, metrics.changed()).await {
                return Err(MembersError::NoLeader);
            }
        }
    }

    async fn append_step(&self, observed: &StoredMembership, step: Step) -> Result<(), Overtaken> {
        let precondition = [Precondition::LastMembershipLogId { last_membership_log_id: *observed.log_id() }];
        let written = match step {
            Step::Nothing => return Ok(()),
            Step::Members(membership) => {
                self.raft().append_membership(membership, Payload::blank(), precondition).await
            }
            Step::Infos(infos) => {
                self.raft().change_membership_if(ChangeMembers::SetNodes(infos), true, precondition).await
            }
        };
        match written {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(error)) => Err(overtaken(&error)),
            Err(RaftError::Fatal(_)) => Err(Overtaken::Unknown),
        }
    }

    async fn change_members_there(
        &self,
        leader: MemberId,
        change: &MemberChange,
        deadline: Instant,
    ) -> Result<Vec<Member>, MembersError> {
        use pb::change_members_response::Outcome;
        let peer = self.peers().to(leader.get()).ok_or(MembersError::NoLeader)?;
        let request =
            pb::ChangeMembersRequest { header: Some(self.peers().header(leader.get())), change: Some(encode(change)) };
        let answer = self.peers().heed(peer.change_members(request, until(deadline)).await);
        match answer {
            Ok(response) => match response.outcome {
                Some(Outcome::Members(members)) => Ok(members.members.into_iter().map(frames::read_member).collect()),
                Some(Outcome::Refused(refusal)) => Err(read_refusal(refusal.reason())),
                Some(Outcome::NotLeader(_)) => Err(MembersError::NoLeader),
                None => Err(MembersError::Unknown),
            },
            Err(error) if error.may_have_happened() => Err(MembersError::Unknown),
            Err(_) => Err(MembersError::NoLeader),
        }
    }

    fn health(&self) -> Health {
        let data = self.raft().data_metrics();
        let data = data.borrow_watched();
        Health::now(self.member().get(), &data, self.heartbeat(), self.reconfiguration())
    }
}

/// Why a step was not written, or may not have been.
enum Overtaken {
    Retry,
    NotLeader,
    Unknown,
}

fn overtaken(error: &ClientWriteError<TypeConfig>) -> Overtaken {
    match error {
        ClientWriteError::ForwardToLeader(_) => Overtaken::NotLeader,
        ClientWriteError::LogEntryDiscarded(_) => Overtaken::Unknown,
        ClientWriteError::PreconditionFailed(_) => Overtaken::Retry,
        ClientWriteError::ChangeMembershipError(error) => match error {
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_) => Overtaken::Retry,
            ChangeMembershipError::EmptyMembership(_)
            | ChangeMembershipError::LearnerNotFound(_)
            | ChangeMembershipError::UnsupportedMembershipTransition(_)
            | ChangeMembershipError::NodeMetadataChanged(_) => {
                tracing::error!(%error, "a planned change of the membership was refused");
                Overtaken::Retry
            }
        },
    }
}

fn encode(change: &MemberChange) -> pb::change_members_request::Change {
    use pb::change_members_request::Change;
    let with = |id: &MemberId, info| frames::member(&Member { id: *id, info, is_learner: false });
    match change {
        MemberChange::Add(member) => Change::Add(frames::member(member)),
        MemberChange::Remove(id) => Change::Remove(id.get()),
        MemberChange::Promote(id) => Change::Promote(id.get()),
        MemberChange::Update { id, peer_urls } => {
            Change::Update(with(id, MemberInfo { peer_urls: peer_urls.clone(), ..MemberInfo::default() }))
        }
        MemberChange::Describe { id, name, client_urls } => Change::Describe(with(
            id,
            MemberInfo { name: name.clone(), client_urls: client_urls.clone(), ..MemberInfo::default() },
        )),
    }
}

/// The change that another member asks for.
pub(crate) fn decode(change: pb::change_members_request::Change) -> MemberChange {
    use pb::change_members_request::Change;
    match change {
        Change::Add(member) => MemberChange::Add(frames::read_member(member)),
        Change::Remove(id) => MemberChange::Remove(MemberId::new(id)),
        Change::Promote(id) => MemberChange::Promote(MemberId::new(id)),
        Change::Update(member) => MemberChange::Update { id: MemberId::new(member.id), peer_urls: member.peer_urls },
        Change::Describe(member) => {
            MemberChange::Describe { id: MemberId::new(member.id), name: member.name, client_urls: member.client_urls }
        }
    }
}

/// What another member is told; none when this one does not lead.
pub(crate) fn refusal(error: MembersError) -> Option<pb::MembersRefusal> {
    use pb::members_refusal::Reason;
    let reason = match error {
        MembersError::NotFound => Reason::NotFound,
        MembersError::IdExists => Reason::IdExists,
        MembersError::PeerUrlExists => Reason::PeerUrlExists,
        MembersError::TooManyLearners => Reason::TooManyLearners,
        MembersError::NotLearner => Reason::NotLearner,
        MembersError::LearnerNotReady => Reason::LearnerNotReady,
        MembersError::NotEnoughStarted => Reason::NotEnoughStarted,
        MembersError::Unhealthy => Reason::Unhealthy,
        MembersError::NoLeader => return None,
        MembersError::Unknown => Reason::Unknown,
    };
    Some(pb::MembersRefusal { reason: reason.into() })
}

fn read_refusal(reason: pb::members_refusal::Reason) -> MembersError {
    use pb::members_refusal::Reason;
    match reason {
        Reason::NotFound => MembersError::NotFound,
        Reason::IdExists => MembersError::IdExists,
        Reason::PeerUrlExists => MembersError::PeerUrlExists,
        Reason::TooManyLearners => MembersError::TooManyLearners,
        Reason::NotLearner => MembersError::NotLearner,
        Reason::LearnerNotReady => MembersError::LearnerNotReady,
        Reason::NotEnoughStarted => MembersError::NotEnoughStarted,
        Reason::Unhealthy => MembersError::Unhealthy,
        Reason::Unspecified | Reason::Unknown => MembersError::Unknown,
    }
}
