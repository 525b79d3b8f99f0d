//! The quota: how many bytes of live keys and values there may be. What is superseded does not count, so that deleting alone makes
//! space and nobody has to defragment first.
//!
//! A member decides by its own quota what it proposes, never what it applies: once an alarm is in the log, all members refuse what takes
//! space. The leader's watch raises it when recipes have filled the store, and ends it when there is space again.

use std::sync::Arc;
use std::time::Duration;

use consensus::Leadership;
use model::{Alarm, AlarmCause, AlarmChange, AlarmKind, Command, Identity, MemberId, Rejection, Term};
use state::Reader;
use tokio::sync::watch as latest;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Upkeep;
use crate::error::Error;
use crate::handle::Handle;
use crate::proposer::Proposer;

/// How often the leader looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Hundredths of the quota below which the alarm ends: with less to spare it would be back at once.
const FREE_PERCENT: u64 = 95;

/// Hundredths of the quota from which on the log warns.
const WARN_PERCENT: u64 = 80;

impl Handle {
    /// Refuses a command for which there is no space, and tells all members so.
    pub(crate) async fn admit_space(&self, command: &Command) -> Result<(), Rejection> {
        let cost = command.cost();
        let Some(quota) = self.inner().config.upkeep.quota_bytes else { return Ok(()) };
        if cost == 0 || self.inner().reader.live_bytes().saturating_add(cost) < quota {
            return Ok(());
        }
        let alarm = no_space(self.inner().identity.member);
        if !self.alarms().unwrap_or_default().iter().any(|known| is_same(known, &alarm)) {
            let raised = self.inner().proposer.propose(Identity::cluster(), raise(alarm)).await;
            match raised {
                Ok(_) => tracing::warn!(quota, "the quota is used up: nothing is admitted that takes space"),
                Err(error) => tracing::warn!(%error, "the quota is used up, and the other members could not be told"),
            }
        }
        Err(Rejection::NoSpace)
    }
}

/// The leader's watch.
pub(crate) struct SpaceWatch {
    pub(crate) member: MemberId,
    pub(crate) quota: u64,
    pub(crate) upkeep: Upkeep,
    pub(crate) reader: Reader,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) leadership: latest::Receiver<Leadership>,
}

impl SpaceWatch {
    /// Runs until `stop` changes.
    pub(crate) async fn run(self, mut stop: latest::Receiver<bool>) {
        let quota = self.quota;
        let mut ticks = interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_warned = false;
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                _ = ticks.tick() => {}
            }
            let Leadership::Leader { term } = *self.leadership.borrow() else { continue };
            let live = self.reader.live_bytes();
            let is_tight = is_above(live, quota, WARN_PERCENT);
            if is_tight && !has_warned {
                tracing::warn!(live, quota, "the quota is nearly used up");
            }
            has_warned = is_tight;
            for change in self.due(live, quota) {
                self.propose(term, change).await;
            }
        }
    }

    fn due(&self, live: u64, quota: u64) -> Vec<AlarmChange> {
        let alarms = match self.reader.alarms() {
            Ok(alarms) => alarms,
            Err(fault) => {
                tracing::error!(%fault, "the alarms cannot be read");
                return Vec::new();
            }
        };
        due(&alarms, self.member, live, quota, self.upkeep)
    }

    async fn propose(&self, term: Term, change: AlarmChange) {
        match self.proposer.propose_as_leader(term, Command::Alarm(change)).await {
            Ok(_) => tracing::warn!(?change, "the alarm about space has changed"),
            Err(Error::Unavailable(_)) => {}
            Err(error) => tracing::warn!(%error, "could not change the alarm about space, will try again"),
        }
    }
}

/// What the leader has to change: its own alarm is due, or those that a quota raised are over.
fn due(alarms: &[Alarm], member: MemberId, live: u64, quota: u64, upkeep: Upkeep) -> Vec<AlarmChange> {
    let own = no_space(member);
    if live >= quota {
        let is_raised = alarms.iter().any(|alarm| is_same(alarm, &own));
        return if is_raised { Vec::new() } else { vec![AlarmChange::Raise(own)] };
    }
    if !upkeep.frees_quota_alarm || is_above(live, quota, FREE_PERCENT) {
        return Vec::new();
    }
    let over = alarms.iter().filter(|alarm| alarm.kind == AlarmKind::NoSpace && alarm.cause == AlarmCause::Watch);
    over.map(|alarm| AlarmChange::End { kind: alarm.kind, member: alarm.member }).collect()
}

const fn no_space(member: MemberId) -> Alarm {
    Alarm { kind: AlarmKind::NoSpace, member, cause: AlarmCause::Watch }
}

fn is_same(a: &Alarm, b: &Alarm) -> bool {
    (a.kind, a.member) == (b.kind, b.member)
}

const fn raise(alarm: Alarm) -> Command {
    Command::Alarm(AlarmChange::Raise(alarm))
}

const fn is_above(live: u64, quota: u64, percent: u64) -> bool {
    live as u128 * 100 > quota as u128 * percent as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: MemberId = MemberId::new(1);
    const OTHER: MemberId = MemberId::new(2);
    const UPKEEP: Upkeep = Upkeep {
        quota_bytes: Some(1000),
        frees_quota_alarm: true,
        corrupt_check_interval: None,
        checks_at_start: false,
    };

    fn alarm(member: MemberId, cause: AlarmCause) -> Alarm {
        Alarm { kind: AlarmKind::NoSpace, member, cause }
    }

    #[test]
    fn a_full_store_raises_the_alarm_once() {
        assert_eq!(due(&[], ME, 1000, 1000, UPKEEP), [AlarmChange::Raise(no_space(ME))]);
        assert_eq!(due(&[alarm(ME, AlarmCause::Request)], ME, 1000, 1000, UPKEEP), []);
        assert_eq!(due(&[], ME, 999, 1000, UPKEEP), []);
    }

    #[test]
    fn space_ends_what_a_quota_raised_and_nothing_else() {
        let corrupt = Alarm { kind: AlarmKind::Corrupt, member: OTHER, cause: AlarmCause::Watch };
        let alarms = [alarm(ME, AlarmCause::Request), alarm(OTHER, AlarmCause::Watch), corrupt];
        let end = AlarmChange::End { kind: AlarmKind::NoSpace, member: OTHER };
        assert_eq!(due(&alarms, ME, 950, 1000, UPKEEP), [end]);
        assert_eq!(due(&alarms, ME, 951, 1000, UPKEEP), [], "it would be back at once");
        assert_eq!(due(&alarms, ME, 0, 1000, Upkeep { frees_quota_alarm: false, ..UPKEEP }), []);
    }
}
