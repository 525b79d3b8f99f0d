//! Checkpoints of leases on their way into the log: at most one entry at a time, for as many leases as are due.
//!
//! One at a time keeps them in the order in which they were decided, so that the last word about a lease is the last in the log. A
//! renewal that has to void a checkpoint is answered when that is applied *and told*: until then the next leader could give the lease
//! less than was promised. The keeper says what is applied; this file keeps who waits for what.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use model::{LeaseCheckpoint, LeaseId, LogIndex};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{Error, Unavailable};
use crate::leases::LeaseTable;

/// Leases in one entry: 64 KiB.
pub(crate) const CHECKPOINTS_PER_ENTRY: usize = 4096;

/// Time between two entries that nobody waits for, so that leases gather.
const PAUSE: Duration = Duration::from_secs(1);

/// The same while there are more than an entry holds.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(100);

/// How long until checkpoints that failed are tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a keepalive is told: the TTL in seconds, or none when there is no such lease.
pub(crate) type KeepAliveAnswer = Result<Option<i64>, Unavailable>;

/// Where an entry was applied, or why it was not.
pub(crate) type Proposed = Result<LogIndex, Error>;

/// Keepalives, and what they are told when the lease's checkpoint is void.
#[derive(Default)]
struct Waiting {
    ttl: i64,
    answers: Vec<oneshot::Sender<KeepAliveAnswer>>,
}

impl Waiting {
    fn tell(self, answer: KeepAliveAnswer) {
        for waiting in self.answers {
            // The client may have gone; then nobody needs the answer.
            let _ = waiting.send(answer);
        }
    }
}

/// The entry under way.
struct Entry {
    lives: Vec<LeaseId>,
    voided: BTreeMap<LeaseId, Waiting>,
    stage: Stage,
}

enum Stage {
    Proposed(BoxFuture<'static, Proposed>),
    /// Applied at this place, which has not been told yet.
    Applied(LogIndex),
}

/// What is under way, and what waits for the next entry.
#[derive(Default)]
pub(crate) struct Checkpoints {
    entry: Option<Entry>,
    to_void: BTreeMap<LeaseId, Waiting>,
    not_before: Option<Instant>,
}

impl Checkpoints {
    /// A keepalive that is answered with `ttl` when no checkpoint of the lease counts any more.
    pub(crate) fn void(&mut self, id: LeaseId, ttl: i64, answer: oneshot::Sender<KeepAliveAnswer>) {
        let under_way = self.entry.as_mut().and_then(|entry| entry.voided.get_mut(&id));
        let waiting = match under_way {
            Some(waiting) => waiting,
            None => self.to_void.entry(id).or_default(),
        };
        waiting.ttl = ttl;
        waiting.answers.push(answer);
    }

    /// When there will be something to propose; none while an entry is under way.
    pub(crate) fn next(&self, table: &LeaseTable) -> Option<Instant> {
        if self.entry.is_some() {
            return None;
        }
        table.next_checkpoint().map(|at| self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// Proposes what is due, unless an entry is under way.
    pub(crate) fn propose_due(
        &mut self,
        table: &mut LeaseTable,
        now: Instant,
        propose: impl FnOnce(Vec<LeaseCheckpoint>) -> BoxFuture<'static, Proposed>,
    ) {
        let is_due = self.next(table).is_some_and(|at| at <= now);
        if self.entry.is_some() || (self.to_void.is_empty() && !is_due) {
            return;
        }
        let mut voided = std::mem::take(&mut self.to_void);
        if voided.len() > CHECKPOINTS_PER_ENTRY {
            let last = voided.keys().nth(CHECKPOINTS_PER_ENTRY).copied().expect("there are more");
            self.to_void = voided.split_off(&last);
        }
        let room = CHECKPOINTS_PER_ENTRY - voided.len();
        let mut lives = if is_due { table.take_checkpoints(now, room) } else { Vec::new() };
        let pause = if lives.len() < room { PAUSE } else { PAUSE_WHEN_FULL };
        if is_due {
            self.not_before = Some(now + pause);
        }
        lives.retain(|(id, _)| !voided.contains_key(id));
        let checkpoint = |(id, remaining)| LeaseCheckpoint { id, remaining };
        let entry = lives.iter().copied().chain(voided.keys().map(|id| (*id, 0))).map(checkpoint).collect();
        let lives = lives.into_iter().map(|(id, _)| id).collect();
        self.entry = Some(Entry { lives, voided, stage: Stage::Proposed(propose(entry)) });
    }

    /// What became of the entry under way; for ever pending without one.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn proposed(&mut self) -> Proposed {
        match &mut self.entry {
            Some(Entry { stage: Stage::Proposed(proposed), .. }) => proposed.await,
            Some(Entry { stage: Stage::Applied(_), .. }) | None => std::future::pending().await,
        }
    }

    /// Takes in what [`Self::proposed`] said; `told` is how far the facts have come.
    pub(crate) fn answered(&mut self, table: &mut LeaseTable, proposed: Proposed, told: LogIndex, now: Instant) {
        match proposed {
            Ok(index) => {
                if let Some(entry) = &mut self.entry {
                    entry.stage = Stage::Applied(index);
                }
                self.told(table, told);
            }
            Err(error) => {
                tracing::debug!(%error, "could not note what leases have left");
                let Some(entry) = self.entry.take() else { return };
                let is_unknown = matches!(&error, Error::Unavailable(unavailable) if unavailable.outcome_unknown());
                let unavailable = match error {
                    // Asking the next leader is safe.
                    Error::Unavailable(Unavailable::LeaderChanged | Unavailable::NoLeader)
                    | Error::Rejected(_)
                    | Error::Invalid(_)
                    | Error::PasswordTooLong
                    | Error::VerifyOnly
                    | Error::Fault => Unavailable::NoLeader,
                    Error::Unavailable(
                        other @ (Unavailable::Timeout | Unavailable::TooManyRequests | Unavailable::Stopped),
                    ) => other,
                };
                if !is_unknown {
                    table.checkpoint_settled(entry.lives.iter().copied());
                }
                table.checkpoint_again_at(entry.lives.into_iter(), now + RETRY_AFTER);
                entry.voided.into_values().for_each(|waiting| waiting.tell(Err(unavailable)));
            }
        }
    }

    /// The facts have come as far as `index`.
    pub(crate) fn told(&mut self, table: &mut LeaseTable, index: LogIndex) {
        // An entry about leases that are all gone changed nothing, and nothing is told of it.
        let is_told = |entry: &mut Entry| match entry.stage {
            Stage::Applied(at) => {
                at <= index || !entry.lives.iter().chain(entry.voided.keys()).any(|id| table.contains(*id))
            }
            Stage::Proposed(_) => false,
        };
        let Some(entry) = self.entry.take_if(is_told) else { return };
        table.checkpoint_settled(entry.lives.into_iter().chain(entry.voided.keys().copied()));
        for (id, waiting) in entry.voided {
            let ttl = table.contains(id).then_some(waiting.ttl);
            waiting.tell(Ok(ttl));
        }
    }

    /// The leadership is over, and what was proposed under it is the next leader's to answer for.
    pub(crate) fn abandon(&mut self) {
        let under_way = self.entry.take().map(|entry| entry.voided).unwrap_or_default();
        for waiting in under_way.into_values().chain(std::mem::take(&mut self.to_void).into_values()) {
            waiting.tell(Err(Unavailable::NoLeader));
        }
        self.not_before = None;
    }
}

#[cfg(test)]
#[path = "checkpoints_tests.rs"]
mod tests;
