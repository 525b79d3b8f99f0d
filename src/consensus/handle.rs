//! What the floors above hold: proposals, linearizable reads, who leads, and who belongs to the cluster. What each call does stands
//! in a file of its own (`propose`, `read_index`, `members`, `transfer`, `ask_leader`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::{LogIndex, MemberId, Term};
use openraft::ServerState;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftDataMetrics;
use tokio::sync::{mpsc, watch};

use crate::admission::Admission;
use crate::forward::Forward;
use crate::key_hashes::HashSource;
use crate::leadership::{Freshness, ServerMetrics};
use crate::lease_authority::LeaseAuthority;
use crate::meters::{Meters, RaftMeasured};
use crate::peers::Peers;
use crate::pending::Pending;
use crate::read_index::Reader;
use crate::reconfiguration::Reconfiguration;
use crate::renewals::Renewal;
use crate::roster::Roster;
use crate::snapshot;
use crate::types::{Raft, TypeConfig};
use crate::watermark::Watermark;
use crate::{Error, Leadership};

pub(crate) type DataMetrics = WatchReceiverOf<TypeConfig, RaftDataMetrics<TypeConfig>>;

/// Access to the consensus of this member. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) member: MemberId,
    pub(crate) raft: Raft,
    pub(crate) roster: Roster,
    pub(crate) peers: Peers,
    pub(crate) heartbeat: Duration,
    pub(crate) reconfiguration: Reconfiguration,
    pub(crate) admission: Arc<Admission>,
    pub(crate) pending: Pending,
    pub(crate) forwards: mpsc::Sender<Forward>,
    pub(crate) renewals: mpsc::Sender<Renewal>,
    pub(crate) reads: mpsc::Sender<Reader>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) freshness: Freshness,
    pub(crate) blank_term: watch::Receiver<u64>,
    pub(crate) maintained: watch::Receiver<u64>,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) lease_authority: OnceLock<Arc<dyn LeaseAuthority>>,
    pub(crate) hash_source: OnceLock<Arc<dyn HashSource>>,
    pub(crate) meters: Meters,
    pub(crate) server: ServerMetrics,
    pub(crate) data: DataMetrics,
}

/// Where this member stands. The numbers are read one after the other while the consensus runs: a moment's picture, in which
/// applied ≤ committed ≤ last holds all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftStatus {
    /// Its term.
    pub term: Term,
    /// Who leads, as far as it knows; none when it has heard of no leader, or of no quorum as the leader, for a while.
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

    /// Changes whenever a flush or a cleanup of the state has ended.
    #[must_use]
    pub fn maintained(&self) -> watch::Receiver<u64> {
        self.shared.maintained.clone()
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
        let (term, state) = {
            let server = self.shared.server.borrow_watched();
            (server.vote.leader_id().term, server.state)
        };
        let leader = match *self.shared.leadership.borrow() {
            Leadership::Leader { .. } => Some(self.shared.member),
            Leadership::Follower { leader } => Some(leader),
            Leadership::None => None,
        };
        let (committed, last) = {
            let data = self.shared.data.borrow_watched();
            (data.local_committed.map_or(0, |id| id.index), data.last_log.map_or(0, |id| id.index))
        };
        let committed = committed.max(applied);
        RaftStatus {
            term: Term::new(term),
            leader,
            is_leader: state == ServerState::Leader,
            committed: LogIndex::new(committed),
            applied: LogIndex::new(applied),
            last: LogIndex::new(last.max(committed)),
        }
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn measured(&self) -> RaftMeasured {
        self.shared.meters.picture()
    }

    /// Writes out all that is applied here; returns when it is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] when the member ends first.
    pub async fn flush(&self) -> Result<(), Error> {
        snapshot::flush(&self.shared.raft).await
    }

    /// Whether this member leads in `term` and a quorum has confirmed it so recently that nobody else can have been elected: what it
    /// says now on its own authority, as about the life of leases, holds. What it knew in another term does not count.
    #[must_use]
    pub fn is_confirmed_leader_in(&self, term: Term) -> bool {
        *self.shared.leadership.borrow() == Leadership::Leader { term } && self.shared.freshness.has_quorum()
    }

    pub(crate) fn member(&self) -> MemberId {
        self.shared.member
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.shared.raft
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.shared.roster
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.shared.peers
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.shared.heartbeat
    }

    pub(crate) fn reconfiguration(&self) -> Reconfiguration {
        self.shared.reconfiguration
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.shared.admission
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.shared.pending
    }

    pub(crate) fn forwards(&self) -> &mpsc::Sender<Forward> {
        &self.shared.forwards
    }

    pub(crate) fn renewals(&self) -> &mpsc::Sender<Renewal> {
        &self.shared.renewals
    }

    pub(crate) fn reads(&self) -> &mpsc::Sender<Reader> {
        &self.shared.reads
    }

    /// Follows the greatest term whose blank entry was applied here.
    pub(crate) fn blank_term(&self) -> watch::Receiver<u64> {
        self.shared.blank_term.clone()
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        &self.shared.watermark
    }

    pub(crate) fn hash_source(&self) -> &OnceLock<Arc<dyn HashSource>> {
        &self.shared.hash_source
    }

    pub(crate) fn lease_authority(&self) -> &OnceLock<Arc<dyn LeaseAuthority>> {
        &self.shared.lease_authority
    }
}
