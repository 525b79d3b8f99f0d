//! Every type that openraft is configured with, in one place, and the way between its log ids and the model's.
//!
//! `LeaderId` is the standard one: one leader per term, so that term and index name an entry, as in the Raft paper and in
//! etcd. openraft's own default allows several leaders in one term.

use std::fmt;

use bytes::Bytes;
use model::{LogIndex, Term};
use openraft::alias::{CommittedLeaderIdOf, EntryOf, LogIdOf, StoredMembershipOf, VoteOf};

use crate::propose::Answer;
use crate::runtime::Runtime;

pub(crate) type Raft = openraft::Raft<TypeConfig, crate::machine::StateMachine>;
pub(crate) type Payload = openraft::EntryPayload<Command, u64, MemberInfo>;
pub(crate) type Membership = openraft::Membership<u64, MemberInfo>;
pub(crate) type Entry = EntryOf<TypeConfig>;
pub(crate) type RaftLogId = LogIdOf<TypeConfig>;
pub(crate) type StoredMembership = StoredMembershipOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;

/// The set of types that the consensus runs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl openraft::RaftTypeConfig for TypeConfig {
    type D = Command;
    type R = state::Reply;
    type NodeId = u64;
    type Node = MemberInfo;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = Payload;
    type Entry = openraft::Entry<<Self::LeaderId as openraft::vote::RaftLeaderId>::Committed, Payload>;
    type Responder<T>
        = Answer<T>
    where
        T: Send + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: Send + 'static;
    type AsyncRuntime = Runtime;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// A command as the state machine reads it. Consensus carries the bytes and never looks into them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.len())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the replicated membership knows of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its name; empty until it has started.
    pub name: String,
    /// URLs that its peers connect to.
    pub peer_urls: Vec<String>,
    /// URLs that clients connect to; none until it has started.
    pub client_urls: Vec<String>,
}

/// The model's name of an entry.
pub(crate) fn model_log_id(id: RaftLogId) -> model::LogId {
    model::LogId { term: Term::new(id.leader_id.term), index: LogIndex::new(id.index) }
}

/// openraft's name of an entry.
pub(crate) fn raft_log_id(id: model::LogId) -> RaftLogId {
    log_id(id.term.get(), id.index.get())
}

/// The entry at `index`, appended in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> RaftLogId {
    RaftLogId::new(CommittedLeaderIdOf::<TypeConfig>::new(term), index)
}
