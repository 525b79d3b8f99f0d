//! Who leads, as a level and not as an event: whoever looks late sees the present, not a history with gaps.
//!
//! Leadership counts as gained when the blank entry of the term has been *applied* here: only then does this member's state hold
//! all that earlier leaders committed, which is what a lease keeper or a compactor needs to know before it acts. It counts as lost as
//! soon as no quorum has confirmed it for a while, although openraft's own view changes only when somebody else is heard of; and a
//! follower that hears nothing does not go on naming a leader.

use std::time::Duration;

use model::{MemberId, Term};
use openraft::Instant;
use openraft::ServerState;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use tokio::sync::watch;

use crate::contact::Contact;
use crate::handle::DataMetrics;
use crate::roster::Roster;
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

/// How fresh the support of a leader is, and the word of one.
#[derive(Clone)]
pub(crate) struct Freshness {
    pub(crate) member: MemberId,
    pub(crate) roster: Roster,
    /// openraft's view of when a quorum last answered this member as leader.
    pub(crate) data: DataMetrics,
    pub(crate) contact: Contact,
    /// Time after which another leader may have been elected, were this one cut off: openraft's lease.
    pub(crate) lease: Duration,
    /// Time after which a follower that heard nothing stops naming a leader.
    pub(crate) silence: Duration,
}

impl Freshness {
    /// Whether a quorum has confirmed this member as leader within the lease: nobody else can have been elected since.
    pub(crate) fn has_quorum(&self) -> bool {
        #[cfg(seeded_bugs)]
        if model::seeded_bug("renewal on a stale leader") {
            return true;
        }
        let acked = self.data.borrow_watched().last_quorum_acked.map(|acked| *acked);
        acked.is_some_and(|acked| acked.elapsed() < self.lease) || self.roster.is_sole_voter(self.member.get())
    }
}

/// Keeps [`Leadership`] up to date.
pub(crate) struct LeadershipTask {
    /// openraft's view; changes when vote, state or membership change.
    pub(crate) metrics: ServerMetrics,
    /// Greatest term whose blank entry was applied.
    pub(crate) blank_term: watch::Receiver<u64>,
    pub(crate) freshness: Freshness,
    pub(crate) leadership: watch::Sender<Leadership>,
    /// How often the freshness is looked at.
    pub(crate) tick: Duration,
}

impl LeadershipTask {
    /// Runs until openraft stops.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = self.now();
            self.leadership.send_if_modified(|published| {
                let changed = *published != now;
                *published = now;
                changed
            });
            tokio::select! {
                biased;
                changed = self.metrics.changed() => if changed.is_err() { break },
                changed = self.blank_term.changed() => if changed.is_err() { break },
                _ = ticks.tick() => {}
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
            Some(leader) if leader != self.freshness.member => {
                let is_heard = self.freshness.contact.is_within(self.freshness.silence);
                if is_heard { Leadership::Follower { leader } } else { Leadership::None }
            }
            Some(_) if state == ServerState::Leader && blank_term >= term && self.freshness.has_quorum() => {
                Leadership::Leader { term: Term::new(term) }
            }
            Some(_) | None => Leadership::None,
        }
    }
}
