//! How far this member has applied the log, for readers that wait for it.
//!
//! openraft's own way to wait clones all of its metrics for every waiter and every change; here a waiter that is not behind
//! reads one atomic, and one that is sleeps on a channel that carries nothing but the index.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Count of applied entries, that is the index behind the last one. Written by the apply worker alone; only grows.
#[derive(Debug)]
pub(crate) struct Watermark {
    next: AtomicU64,
    changed: watch::Sender<u64>,
}

impl Watermark {
    /// A watermark at the first `next` entries.
    pub(crate) fn new(next: u64) -> Self {
        Self { next: AtomicU64::new(next), changed: watch::Sender::new(next) }
    }

    /// The index behind the last applied entry; zero before the first.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Notes that all entries below `next` are applied and wakes who waited for them.
    pub(crate) fn advance(&self, next: u64) {
        self.next.store(next, Ordering::Release);
        self.changed.send_replace(next);
    }

    /// Returns when the entry at `index` is applied. Dropping the future leaves nothing behind.
    pub(crate) async fn reached(&self, index: u64) {
        if self.next() > index {
            return;
        }
        let mut changed = self.changed.subscribe();
        // The sender lives as long as `self`, so that the wait ends by reaching the index and by nothing else.
        let _ = changed.wait_for(|next| *next > index).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_waiter_returns_exactly_when_its_index_is_applied() {
        let watermark = Arc::new(Watermark::new(0));
        let waiting = tokio::spawn({
            let watermark = watermark.clone();
            async move {
                watermark.reached(4).await;
                watermark.next()
            }
        });
        for next in 1..=6 {
            watermark.advance(next);
            tokio::task::yield_now().await;
        }
        assert!(waiting.await.unwrap() >= 5);
        watermark.reached(5).await;
    }
}
