//! How long something took, counted by upper bounds: what a metrics page shows as a histogram. Counting is two atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts of durations by `N` upper bounds; whatever took longer is counted apart. Shared; each number is exact, together they are a
/// moment's picture.
#[derive(Debug)]
pub struct Durations<const N: usize> {
    bounds: [Duration; N],
    counts: [AtomicU64; N],
    longer: AtomicU64,
    micros: AtomicU64,
}

/// A picture of [`Durations`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DurationCounts {
    /// (upper bound in seconds, how many took no longer and longer than the bound before); the last bound is `f64::INFINITY`, for any duration.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// Seconds that all of them took.
    pub seconds: f64,
}

impl<const N: usize> Durations<N> {
    /// With these upper bounds, in ascending order.
    #[must_use]
    pub fn new(bounds: [Duration; N]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::default());
        Self { bounds, counts, longer: AtomicU64::default(), micros: AtomicU64::default() }
    }

    /// With upper bounds that double from `first` on.
    #[must_use]
    pub fn doubling(first: Duration) -> Self {
        let mut next = first;
        Self::new(std::array::from_fn(|_| {
            let bound = next;
            next *= 2;
            bound
        }))
    }

    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let bucket = self.bounds.iter().position(|bound| took <= *bound);
        bucket.map_or(&self.longer, |bucket| &self.counts[bucket]).fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The numbers as of now.
    #[must_use]
    pub fn picture(&self) -> DurationCounts {
        let counts = self.counts.iter().chain([&self.longer]).map(|count| count.load(Ordering::Relaxed));
        let bounds = self.bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        DurationCounts { buckets, count, seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_at_the_first_bound_that_it_does_not_exceed() {
        let durations = Durations::<3>::doubling(Duration::from_millis(1));
        for millis in [0, 1, 2, 3, 4, 5] {
            durations.observe(Duration::from_millis(millis));
        }
        let picture = durations.picture();
        assert_eq!(picture.buckets, [(0.001, 2), (0.002, 1), (0.004, 2), (f64::INFINITY, 1)]);
        assert_eq!((picture.count, picture.seconds), (6, 0.015));
    }
}
