//! What the clients of one run record, together.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::checker::history::{History, Hold, LeaseRecord, Record, Revision, WatchRecord};

/// The history in the making. Clones write to the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    history: Arc<Mutex<History>>,
}

impl Recording {
    pub(crate) fn request(&self, record: Record) {
        self.history.lock().records.push(record);
    }

    pub(crate) fn lease(&self, record: LeaseRecord) {
        self.history.lock().leases.push(record);
    }

    pub(crate) fn hold(&self, hold: Hold) {
        self.history.lock().holds.push(hold);
    }

    pub(crate) fn watch(&self, watch: WatchRecord) {
        self.history.lock().watches.push(watch);
    }

    pub(crate) fn compacted(&self, revision: Revision) {
        let mut history = self.history.lock();
        history.compacted = history.compacted.max(revision);
    }

    /// Notes a key that only holders of a lock write.
    pub(crate) fn guarded(&self, key: &str) {
        self.history.lock().guarded.push(key.to_owned());
    }

    /// Notes a prefix that others write under.
    pub(crate) fn unrecorded(&self, prefix: &str) {
        self.history.lock().unrecorded.push(prefix.to_owned());
    }

    pub(crate) fn taken(&self) -> History {
        self.history.lock().clone()
    }
}
