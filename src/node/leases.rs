//! How long each lease has to live, by this member's monotonic clock: a table that is told the time.
//!
//! Invariants: a lease is in `deadlines` if and only if its clock runs, which is while this member leads and no revocation is under
//! way; clocks only ever run too long, never too short. What a leader renewed is in no log, so the next one begins every lease anew,
//! with a grace on top. Lest that make a lease immortal that nobody renews, the leader has noted in the log what such a lease has left
//! (a *checkpoint*): from when a member applied that, the lease ends by that member's clock too, whoever leads, until a renewal
//! has voided it in the log. When a lease is due for one is `checkpoint_pace`'s to say.
//!
//! That a lease exists is a replicated fact and decided elsewhere: `state` holds it, this table follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use consensus::LeaseLife;
use model::LeaseId;
use tokio::time::Instant;

use crate::checkpoint_pace::{CheckpointPace, again_after};

/// Leases above this many are spread out when a leader starts their clocks, so that they do not all end at once.
const SPREAD_ABOVE: usize = 1000;

/// How many leases a second may end after such a start (etcd's figure).
const SPREAD_PER_SECOND: usize = 750;

/// Answer to a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease lives for this many seconds from now.
    Renewed { ttl: i64 },
    /// It does here; but the log says, or may say, that it has less. To be promised when the log says so no more.
    Checkpointed { ttl: i64 },
    /// Its time is up, its revocation is under way: the answer is known when that is applied.
    Ending,
    /// There is no such lease.
    Unknown,
}

#[derive(Debug)]
struct Lease {
    ttl: i64,
    /// When it ends as the last checkpoint has it; none if it has its full TTL for all that the log says.
    checkpoint: Option<Instant>,
    /// Whether a checkpoint of it was handed to the log and is not known to have been applied or refused.
    in_flight: bool,
    deadline: Option<Instant>,
    /// When it is due for a checkpoint.
    checkpoint_at: Option<Instant>,
    /// Its time was up, and a revocation may be in the log: this leader renews it no more.
    ending: bool,
}

/// All leases, with their clocks while this member leads.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    leases: BTreeMap<LeaseId, Lease>,
    deadlines: BTreeSet<(Instant, LeaseId)>,
    checkpoint_times: BTreeSet<(Instant, LeaseId)>,
    pace: CheckpointPace,
    leading: bool,
}

impl LeaseTable {
    /// A lease was granted at about `now`.
    pub(crate) fn grant(&mut self, id: LeaseId, ttl: i64, now: Instant) {
        self.remove(id);
        let lease =
            Lease { ttl, checkpoint: None, in_flight: false, deadline: None, checkpoint_at: None, ending: false };
        self.leases.insert(id, lease);
        if self.leading {
            self.start_full_life(id, now);
        }
    }

    pub(crate) fn contains(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// A lease is gone. Returns whether it was known.
    pub(crate) fn remove(&mut self, id: LeaseId) -> bool {
        self.set_deadline(id, None);
        self.set_checkpoint_at(id, None);
        self.leases.remove(&id).is_some()
    }

    /// A checkpoint was applied at about `now`: seconds left when it was proposed; zero voids the one before.
    pub(crate) fn checkpoint(&mut self, id: LeaseId, remaining: i64, now: Instant) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.checkpoint = (remaining > 0).then(|| now + seconds(remaining));
        }
    }

    /// A checkpoint was applied that is not one of this leader's own: somebody wants the lease to end that soon, unless it is renewed.
    /// Clocks are shortened by nothing else.
    pub(crate) fn shorten(&mut self, id: LeaseId, remaining: i64, now: Instant) {
        let Some(lease) = self.leases.get(&id).filter(|lease| !lease.in_flight && !lease.ending) else { return };
        let end = now + seconds(remaining);
        if remaining > 0 && lease.deadline.is_some_and(|deadline| deadline > end) {
            self.set_deadline(id, Some(end));
        }
    }

    /// Another leader is known from `now` on, perhaps this member.
    pub(crate) fn leader_changed(&mut self, now: Instant) {
        self.pace.leader_changed(now);
    }

    /// This member leads from `now` on: every clock starts anew, with `grace` on top, but where a checkpoint counts.
    pub(crate) fn promote(&mut self, now: Instant, grace: Duration) {
        self.demote();
        self.leading = true;
        let spread = self.leases.len() >= SPREAD_ABOVE;
        let mut ends: Vec<(Instant, LeaseId)> =
            self.leases.iter().map(|(id, lease)| (lease.end(now, grace), *id)).collect();
        #[cfg(seeded_bugs)]
        if model::seeded_bug("leases that end with their leader") {
            ends.iter_mut().for_each(|(deadline, _)| *deadline = now);
        }
        ends.sort_unstable();
        for (rank, (deadline, id)) in ends.into_iter().enumerate() {
            let earliest = if spread { now + seconds_of_rank(rank) } else { now };
            let deadline = deadline.max(earliest);
            let left = deadline - now;
            self.set_deadline(id, Some(deadline));
            let is_checkpointed = self.leases[&id].checkpoint.is_some();
            let after = if is_checkpointed { again_after(left) } else { Some(self.pace.first_after(left, grace)) };
            self.set_checkpoint_at(id, after.map(|after| now + after));
        }
    }

    /// This member leads no more: no clock runs.
    pub(crate) fn demote(&mut self) {
        self.leading = false;
        self.deadlines.clear();
        self.checkpoint_times.clear();
        for lease in self.leases.values_mut() {
            (lease.deadline, lease.checkpoint_at) = (None, None);
            (lease.in_flight, lease.ending) = (false, false);
        }
    }

    /// Gives a lease its full life back.
    pub(crate) fn renew(&mut self, id: LeaseId, now: Instant) -> Renewal {
        let Some(lease) = self.leases.get(&id) else { return Renewal::Unknown };
        if lease.ending || lease.deadline.is_none_or(|deadline| deadline <= now) {
            return Renewal::Ending;
        }
        let (ttl, is_checkpointed) = (lease.ttl, lease.checkpoint.is_some() || lease.in_flight);
        self.start_full_life(id, now);
        if is_checkpointed { Renewal::Checkpointed { ttl } } else { Renewal::Renewed { ttl } }
    }

    /// What a lease has left; zero when its time is up.
    pub(crate) fn life(&self, id: LeaseId, now: Instant) -> Option<LeaseLife> {
        let lease = self.leases.get(&id)?;
        let running = lease.deadline.filter(|_| !lease.ending);
        let left = running.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(now));
        Some(LeaseLife { remaining: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), granted_ttl: lease.ttl })
    }

    /// When the next lease ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes a lease whose time is up: its clock stops, so that it is taken once.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<LeaseId> {
        let (_, id) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.set_deadline(id, None);
        self.set_checkpoint_at(id, None);
        self.leases.get_mut(&id).expect("a running clock belongs to a lease").ending = true;
        Some(id)
    }

    /// A revocation failed: the lease, if it is still there, is due again at `at`.
    pub(crate) fn retry_at(&mut self, id: LeaseId, at: Instant) {
        if self.leading {
            self.set_deadline(id, Some(at));
        }
    }

    /// When the next lease is due for a checkpoint.
    pub(crate) fn next_checkpoint(&self) -> Option<Instant> {
        self.checkpoint_times.first().map(|(at, _)| *at)
    }

    /// Takes at most `count` leases that are due for a checkpoint, with the seconds that they have left, rounded up. They count as
    /// in flight until [`Self::checkpoint_settled`].
    pub(crate) fn take_checkpoints(&mut self, now: Instant, count: usize) -> Vec<(LeaseId, i64)> {
        let due = self.checkpoint_times.iter().take_while(|(at, _)| *at <= now).take(count);
        let due: Vec<LeaseId> = due.map(|(_, id)| *id).collect();
        let mut taken = Vec::with_capacity(due.len());
        for id in due {
            let lease = self.leases.get_mut(&id).expect("a time belongs to a lease");
            let deadline = lease.deadline.expect("a lease is due for a checkpoint while its clock runs");
            let left = deadline.saturating_duration_since(now);
            lease.in_flight = true;
            self.set_checkpoint_at(id, again_after(left).map(|after| now + after));
            taken.push((id, i64::try_from(left.as_secs() + 1).unwrap_or(i64::MAX)));
        }
        taken
    }

    /// The entry with these checkpoints, or one after it that voids them, was applied and told: the log holds what was told.
    pub(crate) fn checkpoint_settled(&mut self, ids: impl Iterator<Item = LeaseId>) {
        for id in ids {
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.in_flight = false;
            }
        }
    }

    /// The entry with these checkpoints may not have come into the log: they are due again at `at`.
    pub(crate) fn checkpoint_again_at(&mut self, ids: impl Iterator<Item = LeaseId>, at: Instant) {
        for id in ids {
            if self.leases.get(&id).is_some_and(|lease| lease.deadline.is_some() && !lease.ending) {
                self.set_checkpoint_at(id, Some(at));
            }
        }
    }

    /// Makes the table hold exactly `facts` (id, TTL, checkpoint): after changes were missed. When a checkpoint was proposed is not
    /// known then; it counts from now.
    pub(crate) fn reconcile(&mut self, facts: &[(LeaseId, i64, i64)], now: Instant) -> Vec<LeaseId> {
        let alive: BTreeSet<LeaseId> = facts.iter().map(|(id, ..)| *id).collect();
        let gone: Vec<LeaseId> = self.leases.keys().filter(|id| !alive.contains(id)).copied().collect();
        for id in &gone {
            self.remove(*id);
        }
        for (id, ttl, remaining) in facts {
            if !self.contains(*id) {
                self.grant(*id, *ttl, now);
            }
            self.checkpoint(*id, *remaining, now);
        }
        gone
    }

    fn start_full_life(&mut self, id: LeaseId, now: Instant) {
        let life = seconds(self.leases.get(&id).expect("only clocks of known leases are started").ttl);
        self.set_deadline(id, Some(now + life));
        self.set_checkpoint_at(id, Some(now + CheckpointPace::healthy_after(life)));
    }

    fn set_deadline(&mut self, id: LeaseId, deadline: Option<Instant>) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        replace(&mut self.deadlines, id, &mut lease.deadline, deadline);
    }

    fn set_checkpoint_at(&mut self, id: LeaseId, at: Option<Instant>) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        replace(&mut self.checkpoint_times, id, &mut lease.checkpoint_at, at);
    }
}

impl Lease {
    /// When it ends for all that the log says. Without a checkpoint the last leader may have renewed it until `now`. One with a
    /// checkpoint was renewed by nobody, and has its grace once, not anew from each leader.
    fn end(&self, now: Instant, grace: Duration) -> Instant {
        match self.checkpoint {
            Some(end) => (end + grace).max(now),
            None => now + seconds(self.ttl) + grace,
        }
    }
}

/// Keeps a lease's time and the order of all times the same.
fn replace(order: &mut BTreeSet<(Instant, LeaseId)>, id: LeaseId, own: &mut Option<Instant>, new: Option<Instant>) {
    if let Some(old) = std::mem::replace(own, new) {
        order.remove(&(old, id));
    }
    order.extend(new.map(|new| (new, id)));
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

#[cfg(test)]
#[path = "elections_tests.rs"]
mod elections;
