//! The way to the hub.

use std::sync::Arc;

use model::AppliedBatch;
use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::doorbell::Doorbell;
use crate::queue::StreamQueue;
use crate::stream::WatchStream;

/// The way to the hub. Cheap to clone. When the last one is gone the hub stops.
#[derive(Clone, Debug)]
pub struct HubHandle {
    pub(crate) batches: mpsc::Sender<Arc<AppliedBatch>>,
    pub(crate) doorbell: Arc<Doorbell>,
    pub(crate) counters: Arc<Counters>,
}

impl HubHandle {
    /// Tells all watchers what was applied. Batches come in order, each only after the history shows it. Never waits: what
    /// the hub has no room for it reads from the history.
    pub fn publish(&self, batch: Arc<AppliedBatch>) {
        if batch.changes.is_empty() {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.batches.try_send(batch) {
            self.doorbell.ring_for_missed();
        }
    }

    /// The history was replaced by a newer one, as when a snapshot is installed: every watcher goes on from where it is, or
    /// hears that this was compacted.
    pub fn reset(&self) {
        self.doorbell.ring_for_missed();
    }

    /// A stream without watchers, for `capacity` messages that were not read yet (one at least). If the hub has stopped the
    /// stream is at its end.
    #[must_use]
    pub fn open_stream(&self, capacity: usize) -> WatchStream {
        let queue = StreamQueue::new(capacity, Arc::clone(&self.doorbell));
        queue.ring();
        WatchStream::new(queue, Arc::clone(&self.counters))
    }

    /// Numbers for metrics.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
