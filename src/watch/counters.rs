//! Numbers for metrics. Written by the hub, read by anyone, exact only when nothing moves.

use std::sync::atomic::{AtomicU64, Ordering};

/// How the hub is doing.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) streams: Gauge,
    pub(crate) watchers: Gauge,
    pub(crate) behind: Gauge,
    pub(crate) events: Gauge,
}

impl Counters {
    /// Streams open now.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams.get()
    }

    /// Watchers that exist now, the compacted ones that were not cancelled yet among them.
    #[must_use]
    pub fn watchers(&self) -> u64 {
        self.watchers.get()
    }

    /// Watchers that are catching up now: created in the past, or their stream is read too slowly.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.behind.get()
    }

    /// Events handed to streams since the start, once for each watcher.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.get()
    }
}

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
