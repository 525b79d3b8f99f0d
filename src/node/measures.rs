//! What a member counts about itself, for its metrics page. Nothing is decided by these numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consensus::LogObserver;
use model::{AppliedBatch, DurationCounts, Durations, EventKind, LeaseChange};

/// Counters that only grow, but for `pending`. Shared; each is exact, together they are a moment's picture. Bounds of durations are etcd's.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) leader_changes: AtomicU64,
    pub(crate) proposals_pending: AtomicU64,
    pub(crate) proposals_failed: AtomicU64,
    pub(crate) leases_expired: AtomicU64,
    puts: AtomicU64,
    deletes: AtomicU64,
    leases_granted: AtomicU64,
    leases_revoked: AtomicU64,
    pub(crate) txns: AtomicU64,
    pub(crate) ranges: AtomicU64,
    pub(crate) leases_renewed: AtomicU64,
    pub(crate) read_indexes_failed: AtomicU64,
    pub(crate) defragmentation: Work<13>,
    pub(crate) hashes: Durations<15>,
    lease_ttls: Durations<24>,
    put_bytes: AtomicU64,
    written_bytes: AtomicU64,
    syncs: Durations<14>,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            leader_changes: AtomicU64::default(),
            proposals_pending: AtomicU64::default(),
            proposals_failed: AtomicU64::default(),
            leases_expired: AtomicU64::default(),
            puts: AtomicU64::default(),
            deletes: AtomicU64::default(),
            leases_granted: AtomicU64::default(),
            leases_revoked: AtomicU64::default(),
            txns: AtomicU64::default(),
            ranges: AtomicU64::default(),
            leases_renewed: AtomicU64::default(),
            read_indexes_failed: AtomicU64::default(),
            defragmentation: Work::new(Durations::doubling(Duration::from_millis(100))),
            hashes: Durations::doubling(Duration::from_millis(10)),
            lease_ttls: Durations::doubling(Duration::from_secs(1)),
            put_bytes: AtomicU64::default(),
            written_bytes: AtomicU64::default(),
            syncs: Durations::doubling(Duration::from_millis(1)),
        }
    }
}

/// Work that takes a while, of which some may be under way.
#[derive(Debug)]
pub(crate) struct Work<const N: usize> {
    under_way: AtomicU64,
    took: Durations<N>,
}

impl<const N: usize> Work<N> {
    const fn new(took: Durations<N>) -> Self {
        Self { under_way: AtomicU64::new(0), took }
    }

    /// Notes that work begins.
    pub(crate) fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that work that had begun has ended.
    pub(crate) fn end(&self, took: Duration) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.took.observe(took);
    }
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
    /// Syncs of the log.
    pub log_syncs: DurationCounts,
    /// Transactions answered, whether they wrote or not.
    pub txns: u64,
    /// Ranges answered.
    pub ranges: u64,
    /// Bytes of keys and values written.
    pub put_bytes: u64,
    /// Keepalives of leases that were granted while this member led.
    pub leases_renewed: u64,
    /// Linearizable reads that no quorum confirmed.
    pub read_indexes_failed: u64,
    /// Defragmentations under way.
    pub defragmentations_under_way: u64,
    /// Defragmentations.
    pub defragmentations: DurationCounts,
    /// Checksums of the keys at a revision.
    pub hashes: DurationCounts,
    /// How long leases were granted.
    pub lease_ttls: DurationCounts,
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
        let put_bytes = events().filter(|event| event.kind == EventKind::Put);
        count(&self.put_bytes, put_bytes.map(|event| event.kv.key.len() + event.kv.value.len()).sum());
        count(&self.deletes, events().count() - puts);
        for change in &batch.leases {
            match change {
                LeaseChange::Granted { ttl, .. } => {
                    self.lease_ttls.observe(Duration::from_secs(ttl.unsigned_abs()));
                    count(&self.leases_granted, 1)
                }
                LeaseChange::Revoked { .. } => count(&self.leases_revoked, 1),
                LeaseChange::Checkpointed { .. } => 0,
            };
        }
    }

    /// The picture, with the hub's numbers.
    pub(crate) fn picture(&self, hub: &watch::Counters) -> Measured {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
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
            log_syncs: self.syncs.picture(),
            txns: read(&self.txns),
            ranges: read(&self.ranges),
            put_bytes: read(&self.put_bytes),
            leases_renewed: read(&self.leases_renewed),
            read_indexes_failed: read(&self.read_indexes_failed),
            defragmentations_under_way: read(&self.defragmentation.under_way),
            defragmentations: self.defragmentation.took.picture(),
            hashes: self.hashes.picture(),
            lease_ttls: self.lease_ttls.picture(),
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
        self.syncs.observe(took);
    }
}
