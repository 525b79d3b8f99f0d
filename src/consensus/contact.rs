//! When a follower last heard from a leader: one that was cut off must not go on saying who leads.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The moment. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    last: Arc<Mutex<Instant>>,
}

impl Contact {
    /// As if a leader had just been heard: a member that starts gives it the time to appear.
    pub(crate) fn new() -> Self {
        Self { last: Arc::new(Mutex::new(Instant::now())) }
    }

    /// A leader was heard now.
    pub(crate) fn heard(&self) {
        *self.last.lock() = Instant::now();
    }

    /// Whether a leader was heard within `period`.
    pub(crate) fn is_within(&self, period: Duration) -> bool {
        self.last.lock().elapsed() <= period
    }
}
