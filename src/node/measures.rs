//! What a member counts about itself, for its metrics page. Nothing is decided by these numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consensus::LogObserver;
use model::{AppliedBatch, EventKind, LeaseChange};

/// Upper bounds of the buckets of a sync's duration in milliseconds (etcd's): 1, 2, 4 … 8192.
const BUCKETS: usize = 14;

/// Counters that only grow, but for `pending`. Shared; each is exact, together they are a moment's picture.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    pub(crate) leader_changes: AtomicU64,
    pub(crate) proposals_pending: AtomicU64,
    pub(crate) proposals_failed: AtomicU64,
    pub(crate) leases_expired: AtomicU64,
    puts: AtomicU64,
    deletes: AtomicU64,
    leases_granted: AtomicU64,
    leases_revoked: AtomicU64,
    written_bytes: AtomicU64,
    /// One more than there are bounds: the last is for what took longer.
    syncs: [AtomicU64; BUCKETS + 1],
    sync_micros: AtomicU64,
}

/// A picture of the counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// How often another leader was seen.
    pub leader_changes: u64,
    /// Proposals under way.
    pub proposals_pending: u64,
    /// Proposals that got no answer from the state machine.
    pub proposals_failed: u64,
    /// Keys written.
    pub puts: u64,
    /// Keys deleted.
    pub deletes: u64,
    /// Leases created.
    pub leases_granted: u64,
    /// Leases ended, for whatever reason.
    pub leases_revoked: u64,
    /// Leases whose time ran out while this member led.
    pub leases_expired: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Syncs of the log by their duration: (upper bound in seconds, how many took no longer and longer than the bound before);
    /// the last bound is `f64::MAX`, for any duration.
    pub log_syncs: Vec<(f64, u64)>,
    /// Seconds that all of them took.
    pub log_sync_seconds: f64,
    /// Watch streams open.
    pub watch_streams: u64,
    /// Watchers.
    pub watchers: u64,
    /// Watchers that read history, because they are behind.
    pub watchers_behind: u64,
    /// Events handed to watchers.
    pub watch_events: u64,
}

impl Measures {
    /// Counts what a batch changed.
    pub(crate) fn applied(&self, batch: &AppliedBatch) {
        let events = || batch.changes.iter().flat_map(|change| change.events.iter());
        let count = |counter: &AtomicU64, things: usize| counter.fetch_add(things as u64, Ordering::Relaxed);
        let puts = events().filter(|event| event.kind == EventKind::Put).count();
        count(&self.puts, puts);
        count(&self.deletes, events().count() - puts);
        for change in &batch.leases {
            match change {
                LeaseChange::Granted { .. } => count(&self.leases_granted, 1),
                LeaseChange::Revoked { .. } => count(&self.leases_revoked, 1),
                LeaseChange::Checkpointed { .. } => 0,
            };
        }
    }

    /// The picture, with the hub's numbers.
    pub(crate) fn picture(&self, hub: &watch::Counters) -> Measured {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let bounds = (0..BUCKETS).map(|bucket| f64::from(1 << bucket) / 1000.0).chain([f64::MAX]);
        Measured {
            leader_changes: read(&self.leader_changes),
            proposals_pending: read(&self.proposals_pending),
            proposals_failed: read(&self.proposals_failed),
            puts: read(&self.puts),
            deletes: read(&self.deletes),
            leases_granted: read(&self.leases_granted),
            leases_revoked: read(&self.leases_revoked),
            leases_expired: read(&self.leases_expired),
            log_bytes: read(&self.written_bytes),
            log_syncs: bounds.zip(self.syncs.iter().map(read)).collect(),
            log_sync_seconds: Duration::from_micros(read(&self.sync_micros)).as_secs_f64(),
            watch_streams: hub.streams(),
            watchers: hub.watchers(),
            watchers_behind: hub.behind(),
            watch_events: hub.events(),
        }
    }
}

impl LogObserver for Measures {
    fn written(&self, bytes: usize) {
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn synced(&self, took: Duration) {
        let bucket = (0..BUCKETS).find(|bucket| took <= Duration::from_millis(1 << bucket)).unwrap_or(BUCKETS);
        self.syncs[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_counted_in_etcds_buckets() {
        let measures = Measures::default();
        for millis in [0, 1, 2, 3, 8192, 9000] {
            measures.synced(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = measures.syncs.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(measures.sync_micros.load(Ordering::Relaxed), 17_198_000);
    }
}
