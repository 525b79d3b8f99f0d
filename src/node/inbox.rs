//! A bounded inbox for facts from the apply worker, which must never wait: what does not fit is noted, not queued.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{AppliedBatch, LogIndex};
use tokio::sync::{Notify, mpsc};

/// Batches that a task of this member may lag behind before it has to look at the state itself.
const BATCHES_MAX: usize = 1024;

/// The apply worker's end.
#[derive(Clone, Debug)]
pub(crate) struct FactSender {
    batches: mpsc::Sender<Arc<AppliedBatch>>,
    missed: Arc<Missed>,
}

/// Whether something was missed, and a bell for who sleeps meanwhile.
#[derive(Debug, Default)]
struct Missed {
    flag: AtomicBool,
    bell: Notify,
}

/// The task's end.
#[derive(Debug)]
pub(crate) struct FactReceiver {
    batches: mpsc::Receiver<Arc<AppliedBatch>>,
    missed: Arc<Missed>,
    known: Option<LogIndex>,
}

/// What the apply worker said.
#[derive(Debug)]
pub(crate) enum Fact {
    /// The next batch.
    Applied(Arc<AppliedBatch>),
    /// Batches were missed: only the state itself knows. Look at it, then say with [`FactReceiver::known`] how far that
    /// look reached, so that older batches still queued do not bring back what is gone.
    Missed,
}

/// A new inbox.
pub(crate) fn facts() -> (FactSender, FactReceiver) {
    let (sender, receiver) = mpsc::channel(BATCHES_MAX);
    let missed = Arc::<Missed>::default();
    (FactSender { batches: sender, missed: missed.clone() }, FactReceiver { batches: receiver, missed, known: None })
}

impl FactSender {
    /// Hands a batch over, or notes that it was missed. Never waits.
    pub(crate) fn send(&self, batch: &Arc<AppliedBatch>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.batches.try_send(Arc::clone(batch)) {
            self.miss();
        }
    }

    /// Notes that something happened which no batch tells of.
    pub(crate) fn miss(&self) {
        self.missed.flag.store(true, Ordering::Release);
        self.missed.bell.notify_one();
    }
}

impl FactReceiver {
    /// The next fact; `None` when the apply worker is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn recv(&mut self) -> Option<Fact> {
        loop {
            if self.missed.flag.swap(false, Ordering::AcqRel) {
                return Some(Fact::Missed);
            }
            tokio::select! {
                biased;
                () = self.missed.bell.notified() => {}
                batch = self.batches.recv() => {
                    let batch = batch?;
                    if self.known.is_none_or(|known| batch.applied.index > known) {
                        return Some(Fact::Applied(batch));
                    }
                }
            }
        }
    }

    /// The next fact that is there already, if any.
    pub(crate) fn try_recv(&mut self) -> Option<Fact> {
        if self.missed.flag.swap(false, Ordering::AcqRel) {
            return Some(Fact::Missed);
        }
        while let Ok(batch) = self.batches.try_recv() {
            if self.known.is_none_or(|known| batch.applied.index > known) {
                return Some(Fact::Applied(batch));
            }
        }
        None
    }

    /// The receiver has seen the state as of `index`, or later: batches up to there are news no more.
    pub(crate) fn known(&mut self, index: Option<LogIndex>) {
        self.known = self.known.max(index);
    }
}

#[cfg(test)]
mod tests {
    use model::{LogId, Revision};

    use super::*;

    fn batch(index: u64) -> Arc<AppliedBatch> {
        Arc::new(AppliedBatch {
            applied: LogId { index: LogIndex::new(index), ..LogId::default() },
            revision: Revision::FIRST,
            compact_revision: Revision::ZERO,
            changes: vec![],
            leases: vec![],
            auth: vec![],
        })
    }

    #[tokio::test]
    async fn overflow_is_said_not_queued() {
        let (sender, mut receiver) = facts();
        for _ in 0..=BATCHES_MAX {
            sender.send(&batch(7));
        }
        assert!(matches!(receiver.recv().await, Some(Fact::Missed)));
        for _ in 0..BATCHES_MAX {
            assert!(matches!(receiver.recv().await, Some(Fact::Applied(_))));
        }
        drop(sender);
        assert!(receiver.recv().await.is_none());
    }

    #[tokio::test]
    async fn who_sleeps_hears_that_something_was_missed() {
        let (sender, mut receiver) = facts();
        let (fact, ()) = tokio::join!(receiver.recv(), async { sender.miss() });
        assert!(matches!(fact, Some(Fact::Missed)));
    }

    #[tokio::test]
    async fn what_a_look_at_the_state_showed_is_not_told_again() {
        let (sender, mut receiver) = facts();
        for index in 1..=5 {
            sender.send(&batch(index));
        }
        receiver.known(Some(LogIndex::new(3)));
        receiver.known(Some(LogIndex::new(2)));
        let Some(Fact::Applied(next)) = receiver.recv().await else { panic!("a batch") };
        assert_eq!(next.applied.index, LogIndex::new(4));
        let Some(Fact::Applied(next)) = receiver.try_recv() else { panic!("a batch") };
        assert_eq!(next.applied.index, LogIndex::new(5));
        assert!(receiver.try_recv().is_none());
    }
}
