//! What the floors above hold: proposals, linearizable reads, and who leads.

use std::sync::Arc;

use model::{LogIndex, MemberId, Term};
use openraft::ServerState;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftDataMetrics;
use tokio::sync::{mpsc, watch};

use crate::Leadership;
use crate::admission::Admission;
use crate::leadership::ServerMetrics;
use crate::read_index::Reader;
use crate::types::{Raft, TypeConfig};
use crate::watermark::Watermark;

pub(crate) type DataMetrics = WatchReceiverOf<TypeConfig, RaftDataMetrics<TypeConfig>>;

/// Access to the consensus of this member. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) raft: Raft,
    pub(crate) admission: Arc<Admission>,
    pub(crate) reads: mpsc::Sender<Reader>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) server: ServerMetrics,
    pub(crate) data: DataMetrics,
}

/// Where this member stands. The numbers are read one after the other while the consensus runs: a moment's picture, in which
/// applied ≤ committed ≤ last holds all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftStatus {
    /// Its term.
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<MemberId>,
    /// Whether it is the leader.
    pub is_leader: bool,
    /// Last entry that it knows to be committed.
    pub committed: LogIndex,
    /// Last entry applied here.
    pub applied: LogIndex,
    /// Last entry of its log.
    pub last: LogIndex,
}

impl Handle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Follows who leads. The value is a level: look at it first, then wait for changes.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.clone()
    }

    /// This member's term: part of every answer, so cheaper than the whole [`Handle::status`].
    #[must_use]
    pub fn term(&self) -> Term {
        Term::new(self.shared.server.borrow_watched().vote.leader_id().term)
    }

    /// Where this member stands now.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        // Applied first and last at the end: each is at least what was read before it. A metrics reference blocks openraft, so that
        // each is dropped with its statement.
        let applied = self.shared.watermark.next().saturating_sub(1);
        let (term, leader, state) = {
            let server = self.shared.server.borrow_watched();
            (server.vote.leader_id().term, server.current_leader, server.state)
        };
        let (committed, last) = {
            let data = self.shared.data.borrow_watched();
            (data.local_committed.map_or(0, |id| id.index), data.last_log.map_or(0, |id| id.index))
        };
        let committed = committed.max(applied);
        RaftStatus {
            term: Term::new(term),
            leader: leader.map(MemberId::new),
            is_leader: state == ServerState::Leader,
            committed: LogIndex::new(committed),
            applied: LogIndex::new(applied),
            last: LogIndex::new(last.max(committed)),
        }
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.shared.raft
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.shared.admission
    }

    pub(crate) fn reads(&self) -> &mpsc::Sender<Reader> {
        &self.shared.reads
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        &self.shared.watermark
    }
}
