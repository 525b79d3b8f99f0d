//! When a lease that nobody renews is due for a checkpoint: late enough that one that is renewed in time never is, and early enough that
//! elections do not make one immortal.
//!
//! A client renews every third of the TTL, so after three eighths a lease counts as unattended. That suffices while leaders last
//! longer. Where the last one did not, whatever was unattended then went without a checkpoint; so the next leader is quicker, by so
//! much that the delays of any row of short-lived leaders together stay below an eighth of the TTL. All told a lease that nobody
//! renews ends within twice its TTL and one grace for each election, provided that leaders last for half a second.

use std::time::Duration;

use tokio::time::Instant;

/// A leader that must be quick waits this much of the time that the last one had.
const HASTE: u32 = 4;

/// However quick, no sooner than this.
const FIRST_AFTER_MIN: Duration = Duration::from_millis(500);

/// However long a lease lives: restarts of all members forget what is in no log, and may be more frequent than its TTL.
const AFTER_MAX: Duration = Duration::from_secs(3600);

/// A lease with less left is not worth another checkpoint.
const LEFT_MIN: Duration = Duration::from_secs(5);

/// What a member has seen of leaders coming and going.
#[derive(Debug, Default)]
pub(crate) struct CheckpointPace {
    /// When the present leader was first known.
    began: Option<Instant>,
    /// How long the one before lasted, the election after it included.
    last: Option<Duration>,
}

impl CheckpointPace {
    /// Another leader is known from `now` on.
    pub(crate) fn leader_changed(&mut self, now: Instant) {
        self.last = self.began.replace(now).map(|began| now.saturating_duration_since(began));
    }

    /// Time from a renewal, or a grant, for a `life` until a lease counts as unattended.
    pub(crate) fn healthy_after(life: Duration) -> Duration {
        (life * 3 / 8).min(AFTER_MAX)
    }

    /// Time from the start of this leader until a lease that nobody renewed since is due, if it has `left` then.
    pub(crate) fn first_after(&self, left: Duration, grace: Duration) -> Duration {
        let healthy = Self::healthy_after(left);
        match self.last {
            // Half the life, and what an election takes: the leader itself had less than was seen of it.
            Some(last) if last < left / 2 + 2 * grace => healthy.min((last / HASTE).max(FIRST_AFTER_MIN)),
            Some(_) | None => healthy,
        }
    }
}

/// Time from a checkpoint that left a lease so much until the next one, if that is worth it. A lease of an hour has ten.
pub(crate) fn again_after(left: Duration) -> Option<Duration> {
    let after = (left / 2).min(AFTER_MAX);
    (left - after >= LEFT_MIN).then_some(after)
}
