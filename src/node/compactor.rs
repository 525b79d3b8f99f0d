//! Auto-compaction: proposes to forget history by age or by number of revisions (etcd's two modes and their rhythms).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use consensus::Leadership;
use model::{Command, Rejection, Revision, Term};
use state::Reader;
use tokio::sync::watch as latest;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::AutoCompaction;
use crate::error::Error;
use crate::proposer::Proposer;

/// How often the mode that counts revisions looks (etcd's figure).
const REVISIONS_INTERVAL: Duration = Duration::from_secs(300);

/// Longest time between two compactions of the mode that goes by age (etcd's figure).
const PERIOD_MAX: Duration = Duration::from_secs(3600);

/// Samples of the revision taken in one period of the mode that goes by age (etcd's figure).
const SAMPLES_PER_PERIOD: u32 = 10;

/// The task.
pub(crate) struct Compactor {
    pub(crate) mode: AutoCompaction,
    pub(crate) reader: Reader,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) leadership: latest::Receiver<Leadership>,
}

impl Compactor {
    /// Runs until `stop` changes.
    pub(crate) async fn run(self, mut stop: latest::Receiver<bool>) {
        let every = match self.mode {
            AutoCompaction::Off => return,
            AutoCompaction::Periodic(period) => period.min(PERIOD_MAX) / SAMPLES_PER_PERIOD,
            AutoCompaction::Revisions(_) => REVISIONS_INTERVAL,
        };
        let mut schedule = Schedule::default();
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                _ = ticks.tick() => {}
            }
            let Leadership::Leader { term } = *self.leadership.borrow() else {
                schedule = Schedule::default();
                continue;
            };
            if let Some(revision) = schedule.tick(self.mode, self.reader.revision(), Instant::now()) {
                self.compact(term, revision).await;
            }
        }
    }

    async fn compact(&self, term: Term, revision: Revision) {
        if revision <= self.reader.compact_revision() {
            return;
        }
        match self.proposer.propose_as_leader(term, Command::Compact { revision }).await {
            Ok(_) => tracing::info!(revision = revision.get(), "compacted history"),
            Err(Error::Rejected(Rejection::Compacted)) => {}
            Err(error) => tracing::warn!(revision = revision.get(), %error, "could not compact, will try again"),
        }
    }
}

/// What was seen so far; told the time.
#[derive(Debug, Default)]
struct Schedule {
    /// Revisions with the time they were seen, oldest first.
    samples: VecDeque<(Instant, Revision)>,
    last: Option<Instant>,
}

impl Schedule {
    /// Notes the current revision and says which one to compact to, if it is time.
    fn tick(&mut self, mode: AutoCompaction, current: Revision, now: Instant) -> Option<Revision> {
        match mode {
            AutoCompaction::Off => None,
            AutoCompaction::Revisions(keep) => {
                Some(Revision::new(current.get() - keep)).filter(|revision| *revision > Revision::ZERO)
            }
            AutoCompaction::Periodic(period) => {
                self.samples.push_back((now, current));
                let due = self.last.is_none_or(|last| now >= last + period.min(PERIOD_MAX));
                let mut target = None;
                while let Some((seen, revision)) = self.samples.front().copied()
                    && now >= seen + period
                {
                    target = Some(revision);
                    if !due {
                        break;
                    }
                    self.samples.pop_front();
                }
                let target = target.filter(|_| due)?;
                self.last = Some(now);
                Some(target)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Ticks every sixth minute while the revision grows by ten a tick; returns (tick, revision compacted to).
    fn compactions(period: Duration, ticks: u32) -> Vec<(u32, i64)> {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        let step = period.min(PERIOD_MAX) / SAMPLES_PER_PERIOD;
        (0..ticks)
            .filter_map(|tick| {
                let current = Revision::new(i64::from(tick) * 10 + 1);
                let target = schedule.tick(AutoCompaction::Periodic(period), current, start + step * tick)?;
                Some((tick, target.get()))
            })
            .collect()
    }

    #[test]
    fn by_age_the_first_comes_after_a_full_period_and_then_one_each() {
        assert_eq!(compactions(HOUR, 31), vec![(10, 1), (20, 101), (30, 201)]);
    }

    #[test]
    fn by_age_long_periods_compact_hourly() {
        assert_eq!(compactions(2 * HOUR, 41), vec![(20, 1), (30, 101), (40, 201)]);
    }

    #[test]
    fn by_revisions_the_newest_stay() {
        let mut schedule = Schedule::default();
        let mut tick = |current| schedule.tick(AutoCompaction::Revisions(100), Revision::new(current), Instant::now());
        assert_eq!(tick(100), None);
        assert_eq!(tick(150), Some(Revision::new(50)));
    }

    #[test]
    fn off_is_off() {
        assert_eq!(Schedule::default().tick(AutoCompaction::Off, Revision::new(9), Instant::now()), None);
    }
}
