//! Appends under way: tells openraft how far the log is durable, once for each group that reached the disk.
//!
//! openraft takes a completion as a watermark, all before it is durable too. Completions in quick succession cost it a sleep of a
//! millisecond, and a group holds many appends. So the first callback of a group looks how far the disk got and completes the newest
//! append; what its elders and their callbacks add is no news any more.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use openraft::storage::IOFlushed;
use parking_lot::Mutex;

use crate::types::{RaftLogId, TypeConfig};
use crate::watermark::Watermark;

/// Appends by number: how many were handed to the writer, and how many of these are durable. Cheap to clone.
///
/// Not by index: an index that was cut off and written anew is durable twice, and only the second time counts.
#[derive(Clone)]
pub(crate) struct Completions {
    under_way: Arc<Mutex<UnderWay>>,
    durable: Arc<Watermark>,
}

#[derive(Default)]
struct UnderWay {
    /// Number of the next append.
    next: u64,
    appends: VecDeque<Append>,
}

struct Append {
    number: u64,
    last: RaftLogId,
    flushed: IOFlushed<TypeConfig>,
}

impl Completions {
    pub(crate) fn new() -> Self {
        Self { under_way: Arc::default(), durable: Arc::new(Watermark::new(0)) }
    }

    /// Notes an append that ends with `last`, and numbers it.
    pub(crate) fn begin(&self, last: RaftLogId, flushed: IOFlushed<TypeConfig>) -> u64 {
        let mut under_way = self.under_way.lock();
        let number = under_way.next;
        under_way.next += 1;
        under_way.appends.push_back(Append { number, last, flushed });
        number
    }

    /// Completes all appends up to `number`, whose group is on disk, and the later ones of that group: those whose last entry
    /// `is_on_disk`. Called by the writer between two groups, when what is written is also synced.
    pub(crate) fn succeed(&self, number: u64, is_on_disk: impl Fn(RaftLogId) -> bool) {
        let done: Vec<_> = {
            let mut under_way = self.under_way.lock();
            let is_done = |append: &Append| append.number <= number || is_on_disk(append.last);
            let count = under_way.appends.iter().take_while(|append| is_done(append)).count();
            under_way.appends.drain(..count).collect()
        };
        let Some(newest) = done.last() else { return };
        self.durable.advance(newest.number + 1);
        for append in done.into_iter().rev() {
            append.flushed.io_completed(Ok(()));
        }
    }

    /// Fails all appends: nothing that follows a failed write can be trusted.
    pub(crate) fn fail(&self, error: &Arc<wal::Error>) {
        let failed = std::mem::take(&mut self.under_way.lock().appends);
        for append in failed {
            append.flushed.io_completed(Err(io::Error::other(Arc::clone(error))));
        }
    }

    /// Returns when all that was handed to the writer before the call is on disk.
    pub(crate) async fn settled(&self) {
        let next = self.under_way.lock().next;
        if let Some(last) = next.checked_sub(1) {
            self.durable.reached(last).await;
        }
    }
}
