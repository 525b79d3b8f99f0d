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

#[cfg(test)]
mod tests {
    use openraft::type_config::TypeConfigExt;

    use super::*;
    use crate::types::log_id;

    #[tokio::test]
    async fn a_group_is_complete_with_the_first_of_its_callbacks() {
        let completions = Completions::new();
        let mut outcomes: Vec<_> = (0..4)
            .map(|index| {
                let (flushed, outcome) = TypeConfig::oneshot();
                assert_eq!(completions.begin(log_id(1, index), IOFlushed::signal(flushed)), index);
                outcome
            })
            .collect();
        let later = outcomes.split_off(3).remove(0);
        let settled = completions.settled();
        tokio::pin!(settled);

        // Entries 0 to 2 were one group.
        completions.succeed(0, |id| id.index <= 2);
        for outcome in outcomes {
            outcome.await.unwrap().unwrap();
        }
        assert!(futures::poll!(&mut settled).is_pending());
        completions.succeed(1, |id| id.index <= 2);
        completions.succeed(2, |id| id.index <= 2);
        assert!(futures::poll!(&mut settled).is_pending(), "the last append is not on disk");

        completions.succeed(3, |_| false);
        later.await.unwrap().unwrap();
        settled.await;
    }

    #[tokio::test]
    async fn an_append_that_was_overwritten_in_its_own_group_is_complete_too() {
        let completions = Completions::new();
        let (flushed, overwritten) = TypeConfig::oneshot();
        completions.begin(log_id(1, 5), IOFlushed::signal(flushed));
        // Entry 5 is another one by now.
        completions.succeed(0, |_| false);
        overwritten.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_failure_fails_all_that_is_under_way() {
        let completions = Completions::new();
        let (first, outcome) = TypeConfig::oneshot();
        let (second, later) = TypeConfig::oneshot();
        completions.begin(log_id(1, 0), IOFlushed::signal(first));
        completions.begin(log_id(1, 1), IOFlushed::signal(second));
        completions.fail(&Arc::new(wal::Error::Failed));
        outcome.await.unwrap().unwrap_err();
        later.await.unwrap().unwrap_err();
    }
}
