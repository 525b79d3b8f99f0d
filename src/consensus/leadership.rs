//! Who leads, as a level and not as an event: whoever looks late sees the present, not a history with gaps.
//!
//! Leadership counts as gained when the blank entry of the term has been *applied* here: only then does this member's state hold
//! all that earlier leaders committed, which is what a lease keeper or a compactor needs to know before it acts.

use model::{MemberId, Term};
use openraft::ServerState;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use tokio::sync::watch;

use crate::types::TypeConfig;

/// This member's part in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// It leads, and its state holds everything committed in earlier terms.
    Leader {
        /// The term.
        term: Term,
    },
    /// Another member leads.
    Follower {
        /// Which.
        leader: MemberId,
    },
    /// Nobody leads that this member knows of: an election is under way, or it has not caught up with its own.
    None,
}

pub(crate) type ServerMetrics = WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>;

/// Keeps [`Leadership`] up to date.
pub(crate) struct LeadershipTask {
    pub(crate) member: MemberId,
    /// openraft's view; changes when vote, state or membership change.
    pub(crate) metrics: ServerMetrics,
    /// Greatest term whose blank entry was applied.
    pub(crate) blank_term: watch::Receiver<u64>,
    pub(crate) leadership: watch::Sender<Leadership>,
}

impl LeadershipTask {
    /// Runs until openraft stops.
    pub(crate) async fn run(mut self) {
        loop {
            let now = self.now();
            self.leadership.send_if_modified(|published| {
                let changed = *published != now;
                *published = now;
                changed
            });
            tokio::select! {
                changed = self.metrics.changed() => if changed.is_err() { break },
                changed = self.blank_term.changed() => if changed.is_err() { break },
            }
        }
        self.leadership.send_replace(Leadership::None);
    }

    fn now(&mut self) -> Leadership {
        let blank_term = *self.blank_term.borrow_and_update();
        let (state, term, leader) = {
            let metrics = self.metrics.borrow_and_update();
            (metrics.state, metrics.vote.leader_id().term, metrics.current_leader)
        };
        match leader.map(MemberId::new) {
            Some(leader) if leader != self.member => Leadership::Follower { leader },
            Some(_) if state == ServerState::Leader && blank_term >= term => {
                Leadership::Leader { term: Term::new(term) }
            }
            Some(_) | None => Leadership::None,
        }
    }
}
