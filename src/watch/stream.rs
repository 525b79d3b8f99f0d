//! What one gRPC watch stream, or one connection that follows changes, holds.

use std::sync::Arc;

use crate::counters::Counters;
use crate::message::WatchMessage;
use crate::queue::StreamQueue;
use crate::request::{Request, WatchRequest};

/// A set of watchers that share one bounded queue of messages. Dropping it removes them.
///
/// Requests are answered by messages, in order, each by one at most. While the queue is full they are not taken, so whoever
/// makes them may have to wait for whoever reads: do both from one place only if that place never awaits a request when it
/// could be reading instead. All methods take `&self` for that; only one place at a time may read.
#[derive(Debug)]
pub struct WatchStream {
    queue: Arc<StreamQueue>,
    counters: Arc<Counters>,
}

impl WatchStream {
    pub(crate) fn new(queue: Arc<StreamQueue>, counters: Arc<Counters>) -> Self {
        counters.streams.add(1);
        Self { queue, counters }
    }

    /// Asks for a watcher: [`WatchMessage::Created`] or [`WatchMessage::CreateRefused`] follows.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has not asked.
    pub async fn create(&self, request: WatchRequest) {
        self.queue.request(Request::Create(request)).await;
    }

    /// Asks to remove a watcher: [`WatchMessage::Canceled`] follows if there is one of that id, else nothing.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has not asked.
    pub async fn cancel(&self, id: i64) {
        self.queue.request(Request::Cancel(id)).await;
    }

    /// Asks how far the stream is: [`WatchMessage::Progress`] without an id follows if it has watchers and all of them have
    /// reached both the current revision and the one they start at, else nothing.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has not asked.
    pub async fn request_progress(&self) {
        self.queue.request(Request::Progress).await;
    }

    /// The next message; `None` when the hub has stopped and nothing is left to read.
    ///
    /// # Cancel safety
    ///
    /// No message is lost when the call is dropped.
    pub async fn recv(&self) -> Option<WatchMessage> {
        self.queue.recv().await
    }

    /// The next message if one is waiting, to empty the queue in one go.
    #[must_use]
    pub fn try_recv(&self) -> Option<WatchMessage> {
        self.queue.pop()
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.counters.streams.subtract(1);
        self.queue.close();
    }
}
