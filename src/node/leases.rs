//! How long each lease has to live, by this member's monotonic clock: a table that is told the time.
//!
//! Invariants: a lease is in `deadlines` if and only if its clock runs, which is while this member leads and no revocation
//! is under way; clocks only ever run too long, never too short (a new leader starts every lease anew, with a grace on
//! top, since the old one may have renewed it until the end). That a lease exists is a replicated fact and decided
//! elsewhere: `state` holds it, this table follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use consensus::LeaseLife;
use model::LeaseId;
use tokio::time::Instant;

/// Leases above this many are spread out when a leader starts their clocks, so that they do not all end at once.
const SPREAD_ABOVE: usize = 1000;

/// How many leases a second may end after such a start (etcd's figure).
const SPREAD_PER_SECOND: usize = 750;

/// Leases that live longer than this have their remaining life noted in the log, so that elections do not make them
/// immortal (etcd's figure).
const CHECKPOINT_TTL_MIN: i64 = 300;

/// Answer to a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease lives for this many seconds from now; if `clear_checkpoint`, an older note of its remaining life is void.
    Renewed { ttl: i64, clear_checkpoint: bool },
    /// Its time is up, its revocation is under way: the answer is known when that is applied.
    Ending,
    /// There is no such lease.
    Unknown,
}

#[derive(Debug)]
struct Lease {
    ttl: i64,
    /// Noted remaining life; zero if none.
    checkpoint: i64,
    deadline: Option<Instant>,
}

/// All leases, with their clocks while this member leads.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    leases: BTreeMap<LeaseId, Lease>,
    deadlines: BTreeSet<(Instant, LeaseId)>,
    /// When clocks run, and what a fresh clock is given on top of the TTL.
    leading: bool,
}

impl LeaseTable {
    /// A lease was granted at about `now`.
    pub(crate) fn grant(&mut self, id: LeaseId, ttl: i64, now: Instant) {
        self.leases.insert(id, Lease { ttl, checkpoint: 0, deadline: None });
        if self.leading {
            self.start_clock(id, now + seconds(ttl));
        }
    }

    /// A lease is gone. Returns whether it was known.
    pub(crate) fn remove(&mut self, id: LeaseId) -> bool {
        let Some(lease) = self.leases.remove(&id) else { return false };
        if let Some(deadline) = lease.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        true
    }

    /// The remaining life of a lease was noted; zero voids the note.
    pub(crate) fn checkpoint(&mut self, id: LeaseId, remaining: i64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.checkpoint = remaining;
        }
    }

    /// This member leads from `now` on: every clock starts anew, with `grace` on top.
    pub(crate) fn promote(&mut self, now: Instant, grace: Duration) {
        self.leading = true;
        self.deadlines.clear();
        let spread = self.leases.len() >= SPREAD_ABOVE;
        let mut ends: Vec<(Instant, LeaseId)> =
            self.leases.iter().map(|(id, lease)| (now + seconds(lease.life()) + grace, *id)).collect();
        ends.sort_unstable();
        for (rank, (deadline, id)) in ends.into_iter().enumerate() {
            let earliest = if spread { now + seconds_of_rank(rank) } else { now };
            self.start_clock(id, deadline.max(earliest));
        }
    }

    /// This member leads no more: no clock runs.
    pub(crate) fn demote(&mut self) {
        self.leading = false;
        self.deadlines.clear();
        for lease in self.leases.values_mut() {
            lease.deadline = None;
        }
    }

    /// Gives a lease its full life back.
    pub(crate) fn renew(&mut self, id: LeaseId, now: Instant) -> Renewal {
        let Some(lease) = self.leases.get_mut(&id) else { return Renewal::Unknown };
        let Some(deadline) = lease.deadline else { return Renewal::Ending };
        if deadline <= now {
            return Renewal::Ending;
        }
        let clear_checkpoint = std::mem::take(&mut lease.checkpoint) != 0;
        let ttl = lease.ttl;
        self.start_clock(id, now + seconds(ttl));
        Renewal::Renewed { ttl, clear_checkpoint }
    }

    /// What a lease has left; zero when its time is up.
    pub(crate) fn life(&self, id: LeaseId, now: Instant) -> Option<LeaseLife> {
        let lease = self.leases.get(&id)?;
        let left = lease.deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(now));
        Some(LeaseLife { remaining: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), granted_ttl: lease.ttl })
    }

    /// When the next lease ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes a lease whose time is up: its clock stops, so that it is taken once.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<LeaseId> {
        let (deadline, id) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.pop_first();
        self.leases.get_mut(&id).expect("a running clock belongs to a lease").deadline = None;
        Some(id)
    }

    /// A revocation failed: the lease, if it is still there, is due again at `at`.
    pub(crate) fn retry_at(&mut self, id: LeaseId, at: Instant) {
        if self.leading && self.leases.contains_key(&id) {
            self.start_clock(id, at);
        }
    }

    /// Long leases with what they have left, for the log.
    pub(crate) fn checkpoints(&self, now: Instant) -> Vec<(LeaseId, i64)> {
        self.leases
            .iter()
            .filter(|(_, lease)| lease.ttl > CHECKPOINT_TTL_MIN)
            .filter_map(|(id, lease)| {
                let left = lease.deadline?.saturating_duration_since(now).as_secs();
                Some((*id, i64::try_from(left).unwrap_or(i64::MAX).clamp(1, lease.ttl)))
            })
            .filter(|(id, left)| *left < self.leases[id].life())
            .collect()
    }

    /// Makes the table hold exactly `facts` (id, TTL, noted remaining life): after changes were missed.
    pub(crate) fn reconcile(&mut self, facts: &[(LeaseId, i64, i64)], now: Instant) -> Vec<LeaseId> {
        let alive: BTreeSet<LeaseId> = facts.iter().map(|(id, ..)| *id).collect();
        let gone: Vec<LeaseId> = self.leases.keys().filter(|id| !alive.contains(id)).copied().collect();
        for id in &gone {
            self.remove(*id);
        }
        for (id, ttl, remaining) in facts {
            if !self.leases.contains_key(id) {
                self.grant(*id, *ttl, now);
            }
            self.checkpoint(*id, *remaining);
        }
        gone
    }

    fn start_clock(&mut self, id: LeaseId, deadline: Instant) {
        let lease = self.leases.get_mut(&id).expect("only clocks of known leases are started");
        if let Some(old) = lease.deadline.replace(deadline) {
            self.deadlines.remove(&(old, id));
        }
        self.deadlines.insert((deadline, id));
    }
}

impl Lease {
    fn life(&self) -> i64 {
        if self.checkpoint > 0 { self.checkpoint } else { self.ttl }
    }
}

/// A TTL is bounded by 9,000,000,000 s at the edge; what a clock cannot hold lives for a century.
fn seconds(ttl: i64) -> Duration {
    const CENTURY: u64 = 100 * 365 * 24 * 3600;
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0).min(CENTURY))
}

fn seconds_of_rank(rank: usize) -> Duration {
    Duration::from_millis(u64::try_from(rank * 1000 / SPREAD_PER_SECOND).unwrap_or(0))
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
