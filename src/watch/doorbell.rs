//! How others wake the hub without ever waiting for it.
//!
//! A stream that wants something (it has requests, its queue has room again, it was dropped) puts itself on a list. It is on
//! the list once at most, so the list is bounded by the number of streams, and ringing cannot fail.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::queue::StreamQueue;

#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    visitors: Mutex<Visitors>,
    /// The history holds changes that no batch brings.
    missed: AtomicBool,
    rung: Notify,
}

#[derive(Debug, Default)]
struct Visitors {
    streams: Vec<Arc<StreamQueue>>,
    is_hub_gone: bool,
}

impl Doorbell {
    /// The hub is to look at this stream. Called only by the stream, which sees to it that it is listed once.
    pub(crate) fn ring(&self, stream: Arc<StreamQueue>) {
        let mut visitors = self.visitors.lock();
        if visitors.is_hub_gone {
            drop(visitors);
            stream.end();
            return;
        }
        visitors.streams.push(stream);
        drop(visitors);
        self.rung.notify_one();
    }

    /// The hub is to look at the history.
    pub(crate) fn ring_for_missed(&self) {
        self.missed.store(true, Ordering::Release);
        self.rung.notify_one();
    }

    /// Waits until someone rings; returns at once if someone did since the last call.
    pub(crate) async fn wait(&self) {
        self.rung.notified().await;
    }

    /// Who rang since the last call, in order.
    pub(crate) fn visitors(&self) -> Vec<Arc<StreamQueue>> {
        mem::take(&mut self.visitors.lock().streams)
    }

    /// Whether changes were missed since the last call.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Acquire)
    }

    /// The hub is gone: streams that ring from now on are ended.
    pub(crate) fn abandon(&self) {
        let streams = {
            let mut visitors = self.visitors.lock();
            visitors.is_hub_gone = true;
            mem::take(&mut visitors.streams)
        };
        for stream in streams {
            stream.end();
        }
    }
}
