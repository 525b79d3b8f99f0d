//! What the consensus counts about itself and about its calls with each other member, for a metrics page. Nothing is decided by these
//! numbers. Bounds of durations are etcd's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{DurationCounts, Durations, MemberId};
use parking_lot::Mutex;

/// How long applying a group of entries may take before it counts as slow (etcd's figure for one entry).
const SLOW_APPLY: Duration = Duration::from_millis(100);

/// Counters of one member. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    applies: Durations<20>,
    slow_applies: AtomicU64,
    flushes: Durations<14>,
    /// Held for moments, never across a wait.
    peers: Mutex<BTreeMap<u64, Arc<PeerMeters>>>,
}

/// Counters of the calls with one other member.
#[derive(Debug)]
pub(crate) struct PeerMeters {
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) sent_failures: AtomicU64,
    pub(crate) received_failures: AtomicU64,
    pub(crate) heartbeats_failed: AtomicU64,
    pub(crate) round_trips: Durations<16>,
    pub(crate) snapshots_sent: Transfers,
    pub(crate) snapshots_received: Transfers,
}

/// Counters of snapshots on their way.
#[derive(Debug)]
pub(crate) struct Transfers {
    under_way: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    took: Durations<10>,
}

/// A picture of what the consensus counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RaftMeasured {
    /// Groups of entries applied.
    pub applies: DurationCounts,
    /// Groups that took longer than 100 ms.
    pub slow_applies: u64,
    /// Flushes of the state to the disk.
    pub flushes: DurationCounts,
    /// Calls with each other member that there were any with.
    pub peers: Vec<PeerMeasured>,
}

/// A picture of the calls with one other member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerMeasured {
    /// Which.
    pub member: MemberId,
    /// Bytes of messages to it.
    pub sent_bytes: u64,
    /// Bytes of messages from it.
    pub received_bytes: u64,
    /// Calls to it that failed.
    pub sent_failures: u64,
    /// Calls from it that failed.
    pub received_failures: u64,
    /// Heartbeats to it that failed.
    pub heartbeats_failed: u64,
    /// There and back, as heartbeats take it.
    pub round_trips: DurationCounts,
    /// Snapshots to it.
    pub snapshots_sent: TransfersMeasured,
    /// Snapshots from it.
    pub snapshots_received: TransfersMeasured,
}

/// A picture of snapshots on their way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransfersMeasured {
    /// Under way now.
    pub under_way: u64,
    /// Arrived and installed.
    pub succeeded: u64,
    /// Given up.
    pub failed: u64,
    /// How long those took that arrived.
    pub took: DurationCounts,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            applies: Durations::doubling(Duration::from_micros(100)),
            slow_applies: AtomicU64::default(),
            flushes: Durations::doubling(Duration::from_millis(1)),
            peers: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn applied(&self, took: Duration) {
        self.shared.applies.observe(took);
        if took > SLOW_APPLY {
            add(&self.shared.slow_applies, 1);
        }
    }

    pub(crate) fn flushed(&self, took: Duration) {
        self.shared.flushes.observe(took);
    }

    /// The counters of calls with `member`, which has to be one of the cluster: there are never fewer.
    pub(crate) fn peer(&self, member: u64) -> Arc<PeerMeters> {
        Arc::clone(self.shared.peers.lock().entry(member).or_insert_with(|| Arc::new(PeerMeters::new())))
    }

    pub(crate) fn picture(&self) -> RaftMeasured {
        let peers = self.shared.peers.lock().clone();
        RaftMeasured {
            applies: self.shared.applies.picture(),
            slow_applies: read(&self.shared.slow_applies),
            flushes: self.shared.flushes.picture(),
            peers: peers.iter().map(|(member, meters)| meters.picture(MemberId::new(*member))).collect(),
        }
    }
}

impl PeerMeters {
    fn new() -> Self {
        Self {
            sent_bytes: AtomicU64::default(),
            received_bytes: AtomicU64::default(),
            sent_failures: AtomicU64::default(),
            received_failures: AtomicU64::default(),
            heartbeats_failed: AtomicU64::default(),
            round_trips: Durations::doubling(Duration::from_micros(100)),
            snapshots_sent: Transfers::new(),
            snapshots_received: Transfers::new(),
        }
    }

    fn picture(&self, member: MemberId) -> PeerMeasured {
        PeerMeasured {
            member,
            sent_bytes: read(&self.sent_bytes),
            received_bytes: read(&self.received_bytes),
            sent_failures: read(&self.sent_failures),
            received_failures: read(&self.received_failures),
            heartbeats_failed: read(&self.heartbeats_failed),
            round_trips: self.round_trips.picture(),
            snapshots_sent: self.snapshots_sent.picture(),
            snapshots_received: self.snapshots_received.picture(),
        }
    }
}

impl Transfers {
    fn new() -> Self {
        Self {
            under_way: AtomicU64::default(),
            succeeded: AtomicU64::default(),
            failed: AtomicU64::default(),
            took: Durations::doubling(Duration::from_millis(100)),
        }
    }

    pub(crate) fn begun(&self) {
        add(&self.under_way, 1);
    }

    /// One that had begun arrived after this time, or never.
    pub(crate) fn ended(&self, arrived_after: Option<Duration>) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        match arrived_after {
            Some(took) => {
                add(&self.succeeded, 1);
                self.took.observe(took);
            }
            None => add(&self.failed, 1),
        }
    }

    fn picture(&self) -> TransfersMeasured {
        TransfersMeasured {
            under_way: read(&self.under_way),
            succeeded: read(&self.succeeded),
            failed: read(&self.failed),
            took: self.took.picture(),
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
