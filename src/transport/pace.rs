//! How fast a snapshot is sent: a token bucket on tokio's time.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much unused time may be made up for by sending faster.
const BURST: Duration = Duration::from_millis(100);

/// Lets bytes pass at a rate.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: NonZeroU64,
    /// When all that has passed would have passed at exactly the rate.
    paid_until: Instant,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid_until: Instant::now() }
    }

    /// Waits until `bytes` more may pass.
    pub(crate) async fn pass(&mut self, bytes: usize) {
        sleep_until(self.paid_until).await;
        let floor = Instant::now().checked_sub(BURST).unwrap_or(self.paid_until);
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_until = self.paid_until.max(floor) + cost;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const RATE: NonZeroU64 = NonZeroU64::new(1000).unwrap();

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate() {
        let begun = Instant::now();
        let mut pace = Pace::new(RATE);
        for _ in 0..11 {
            pace.pass(500).await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(5), "the last piece is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn little_of_unused_time_is_made_up_for() {
        let mut pace = Pace::new(RATE);
        advance(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..11 {
            pace.pass(500).await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(5) - BURST);
    }
}
