//! How many proposals may be under way. Beyond it a proposal is refused at once, as etcd does, instead of queueing in memory.
//!
//! A place is held from admission until the entry was applied or discarded, whether or not anyone still waits for the answer:
//! a client that gives up does not make room while its entry is still in the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::ProposeError;

/// The places, by count and by bytes.
#[derive(Debug)]
pub(crate) struct Admission {
    count: AtomicUsize,
    bytes: AtomicUsize,
    count_max: usize,
    bytes_max: usize,
    is_closed: AtomicBool,
    emptied: Notify,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            count_max,
            bytes_max,
            is_closed: AtomicBool::new(false),
            emptied: Notify::new(),
        })
    }

    /// A place for a proposal of `bytes` bytes. One alone always fits: its size was limited at the edge.
    ///
    /// # Errors
    ///
    /// [`ProposeError::TooManyRequests`], or [`ProposeError::Stopped`] once closed.
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Result<Admitted, ProposeError> {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let admitted = Admitted { admission: self.clone(), bytes };
        // Looked at after the place was taken: `drained` either waits for this place or this sees the gate closed.
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(ProposeError::Stopped);
        }
        if count > 0 && (count >= self.count_max || held + bytes > self.bytes_max) {
            return Err(ProposeError::TooManyRequests);
        }
        Ok(admitted)
    }

    /// Admits nothing more and returns when the last place was given back.
    pub(crate) async fn drained(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        loop {
            let emptied = self.emptied.notified();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let admission = &*self.admission;
        admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if admission.count.fetch_sub(1, Ordering::SeqCst) == 1 && admission.is_closed.load(Ordering::SeqCst) {
            admission.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_by_count_and_come_back() {
        let admission = Admission::new(2, 1_000);
        let first = admission.admit(1).unwrap();
        let _second = admission.admit(1).unwrap();
        assert_eq!(admission.admit(1).unwrap_err(), ProposeError::TooManyRequests);
        drop(first);
        assert!(admission.admit(1).is_ok(), "a refusal must not keep what it reserved");
    }

    #[test]
    fn places_are_limited_by_bytes_but_one_always_fits() {
        let admission = Admission::new(10, 100);
        let large = admission.admit(1_000).unwrap();
        assert!(admission.admit(1).is_err());
        drop(large);
        let _most = admission.admit(99).unwrap();
        assert!(admission.admit(2).is_err());
        assert!(admission.admit(1).is_ok());
    }

    #[tokio::test]
    async fn draining_waits_for_every_place_and_admits_none() {
        let admission = Admission::new(10, 100);
        let (first, second) = (admission.admit(1).unwrap(), admission.admit(1).unwrap());
        let draining = admission.drained();
        tokio::pin!(draining);
        assert!(futures::poll!(&mut draining).is_pending());
        assert_eq!(admission.admit(1).unwrap_err(), ProposeError::Stopped);
        drop(first);
        assert!(futures::poll!(&mut draining).is_pending());
        drop(second);
        draining.await;
    }
}
