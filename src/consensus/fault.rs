//! Faults on their way to the owner, who ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// Called once, with the first fault, from whatever thread met it; must not block. The consensus does no more after it.
pub type OnFault = Arc<dyn Fn(Error) + Send + Sync>;

/// Passes the first fault on and drops those that follow from it.
#[derive(Clone)]
pub(crate) struct FaultReport {
    reported: Arc<AtomicBool>,
    on_fault: OnFault,
}

impl FaultReport {
    pub(crate) fn new(on_fault: OnFault) -> Self {
        Self { reported: Arc::new(AtomicBool::new(false)), on_fault }
    }

    pub(crate) fn report(&self, error: Error) {
        if self.reported.swap(true, Ordering::AcqRel) {
            tracing::debug!(%error, "another fault after the first");
        } else {
            tracing::error!(%error, "the consensus failed");
            (self.on_fault)(error);
        }
    }
}
