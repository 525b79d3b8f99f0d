//! Proposals of this member that another one carries into the log: answered by this member's own machine when it applies them.
//!
//! The machine is deterministic, so that its answer is the leader's. No answer travels back, a client reads its own write where it
//! wrote, and an entry that was committed is answered even though the leader died before saying so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Committed;

/// Proposals by id. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How many wait, so that nobody looks in vain.
    count: AtomicUsize,
    /// Held for moments, never across a wait.
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Committed>>>,
}

/// A proposal that is waited for, until dropped.
pub(crate) struct Waiting {
    id: u64,
    pending: Pending,
    /// Where the answer comes.
    pub(crate) answer: oneshot::Receiver<Committed>,
}

impl Pending {
    /// Waits for the proposal with this id, which no other one of this member has.
    pub(crate) fn register(&self, id: u64) -> Waiting {
        let (sender, answer) = oneshot::channel();
        if self.shared.waiting.lock().insert(id, sender).is_none() {
            self.shared.count.fetch_add(1, Ordering::Release);
        }
        Waiting { id, pending: self.clone(), answer }
    }

    /// Who waits for the proposal in `payload`, which is about to be applied.
    pub(crate) fn take(&self, payload: &[u8]) -> Option<oneshot::Sender<Committed>> {
        if self.shared.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.remove(model::Proposal::id_of(payload)?)
    }

    fn remove(&self, id: u64) -> Option<oneshot::Sender<Committed>> {
        let removed = self.shared.waiting.lock().remove(&id);
        if removed.is_some() {
            self.shared.count.fetch_sub(1, Ordering::Release);
        }
        removed
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.pending.remove(self.id));
    }
}
