//! What can go wrong, in the three kinds that are never mixed. Rejections are the machine's and travel inside a reply; here are
//! faults, which end the process ([`Error`]), and unavailability ([`ProposeError`], [`ReadIndexError`]), which says whether a write may
//! have happened.

use std::io;
use std::sync::Arc;

use model::{ClusterId, LogId, LogIndex, MemberId};
use thiserror::Error;

/// The consensus cannot start or cannot go on. The owner ends the process: nothing after a failed write can be trusted.
#[derive(Debug, Error)]
pub enum Error {
    /// The settings contradict each other.
    #[error("consensus settings: {0}")]
    Config(String),
    /// The data directory belongs to another member or cluster.
    #[error("data directory of member {found_member:x} of cluster {found_cluster:x}, started as member {member:x} of cluster {cluster:x}",
        found_member = found_member.get(), found_cluster = found_cluster.get(), member = member.get(), cluster = cluster.get())]
    ForeignData {
        /// Cluster that wrote the WAL.
        found_cluster: ClusterId,
        /// Member that wrote the WAL.
        found_member: MemberId,
        /// Cluster configured.
        cluster: ClusterId,
        /// Member configured.
        member: MemberId,
    },
    /// The state holds entries that the log does not: one of the two directories was exchanged, restored alone or lost.
    #[error("the state has applied entry {applied}, but the log ends at {}", last.map_or("nothing".to_owned(), |id| id.to_string()))]
    StateAheadOfLog {
        /// Last entry in the state.
        applied: LogId,
        /// Last entry in the log.
        last: Option<LogId>,
    },
    /// The log begins behind the end of the state: the entries between are gone.
    #[error("the state has applied {}, but the log begins at entry {first}", applied.map_or("nothing".to_owned(), |id| id.to_string()))]
    LogBehindState {
        /// Last entry in the state.
        applied: Option<LogId>,
        /// First entry in the log.
        first: LogIndex,
    },
    /// The state of this member is lost, and no other member could give it theirs.
    #[error("{lost}; no other member gave its state: {tried}")]
    StateNotFetched {
        /// How it was found.
        lost: Box<Error>,
        /// Who was asked, and what became of it.
        tried: String,
    },
    /// State and log hold different entries at one index.
    #[error("the state has applied entry {applied}, but the log has {found} there")]
    StateConflictsWithLog {
        /// Last entry in the state.
        applied: LogId,
        /// The entry of the log at that index.
        found: LogId,
    },
    /// Bytes that passed their checksum and are still not ours.
    #[error("corrupt data: {0}")]
    Corrupt(&'static str),
    /// The log could not be read or written. Never retried: after a failed fsync the kernel may have dropped the data.
    #[error("write-ahead log: {0}")]
    Log(#[source] Arc<wal::Error>),
    /// The system gave no thread for the log's writer.
    #[error("starting the log's writer: {0}")]
    Thread(#[source] io::Error),
    /// The state machine failed.
    #[error("state machine: {0}")]
    State(#[from] state::Fault),
    /// This member was removed from the cluster. It must stop for good: its id never returns. To join again, delete its data
    /// directory and add it as a new member.
    #[error("this member was removed from the cluster")]
    Removed,
    /// openraft stopped by itself.
    #[error("consensus stopped: {0}")]
    Stopped(String),
}

/// Why a proposal was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// Too many proposals are under way, or too many bytes of them: this one alone if it exceeds [`PROPOSAL_BYTES_MAX`]. Not applied:
    /// try again later.
    ///
    /// [`PROPOSAL_BYTES_MAX`]: crate::PROPOSAL_BYTES_MAX
    #[error("too many requests")]
    TooManyRequests,
    /// Until the deadline there was no leader. Not applied.
    #[error("no leader")]
    NoLeader,
    /// Another member leads. Not applied: ask it.
    #[error("member {0} leads")]
    NotLeader(MemberId),
    /// The deadline passed before the proposal reached the log. Not applied.
    #[error("timed out before it was proposed")]
    NotProposed,
    /// This member is shutting down. Not applied.
    #[error("stopped")]
    Stopped,
    /// The deadline passed while the entry was on its way. It may be applied.
    #[error("timed out; the outcome is unknown")]
    Timeout,
    /// The leader changed and the entry was discarded here. Another leader may still commit it.
    #[error("the leader changed; the outcome is unknown")]
    LeaderChanged,
    /// This member stopped while the entry was on its way. It may be applied.
    #[error("stopped; the outcome is unknown")]
    Interrupted,
}

impl ProposeError {
    /// Whether the proposal may have been applied, or may yet be. If not, proposing it again is safe.
    #[must_use]
    pub fn may_be_applied(&self) -> bool {
        match self {
            Self::TooManyRequests | Self::NoLeader | Self::NotLeader(_) | Self::NotProposed | Self::Stopped => false,
            Self::Timeout | Self::LeaderChanged | Self::Interrupted => true,
        }
    }
}

/// Why no read index was confirmed. A read changes nothing: asking again is always safe.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadIndexError {
    /// Until the deadline there was no leader.
    #[error("no leader")]
    NoLeader,
    /// The leader changed while it was asked.
    #[error("leader changed")]
    LeaderChanged,
    /// The deadline passed: too few members answered, or this one is behind.
    #[error("timed out")]
    Timeout,
    /// Too many reads wait already.
    #[error("too many requests")]
    TooManyRequests,
    /// This member is shutting down.
    #[error("stopped")]
    Stopped,
}
