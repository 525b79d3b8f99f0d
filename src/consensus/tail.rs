//! The log in memory: where it begins and ends, and its newest entries, so that replicating and applying them reads no disk.
//!
//! An entry is in memory until it is on disk *and* the tail has outgrown its bound; the older ones are read back from the WAL.
//! Payloads are shared, never copied.

use std::collections::VecDeque;
use std::ops::Range;

use crate::types::{Entry, Payload, RaftLogId};

/// Bytes of payloads kept in memory although they are on disk.
const CACHE_BYTES_MAX: usize = 16 << 20;

/// What an entry costs besides its payload; counted so that many small ones are bounded too.
const ENTRY_OVERHEAD: usize = 96;

/// The log's shape and its newest entries.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Last entry that is gone; none if the log is whole.
    purged: Option<RaftLogId>,
    /// Last entry of the log, in memory or not; equals `purged` when the log is empty.
    last: Option<RaftLogId>,
    /// The entries up to the last, without a gap.
    cached: VecDeque<Entry>,
    bytes: usize,
}

impl Tail {
    /// The tail of a log of which nothing is in memory yet.
    pub(crate) fn new(purged: Option<RaftLogId>, last: Option<RaftLogId>) -> Self {
        Self { purged, last: last.or(purged), cached: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn purged(&self) -> Option<RaftLogId> {
        self.purged
    }

    pub(crate) fn last(&self) -> Option<RaftLogId> {
        self.last
    }

    /// Index of the first entry that is not gone.
    pub(crate) fn first(&self) -> u64 {
        next(self.purged)
    }

    /// Index behind the last entry.
    pub(crate) fn next(&self) -> u64 {
        next(self.last)
    }

    /// Index of the first entry in memory; that behind the last if there is none.
    fn cached_from(&self) -> u64 {
        self.cached.front().map_or(self.next(), |entry| entry.log_id.index)
    }

    /// Adds an entry behind the last.
    ///
    /// # Panics
    ///
    /// When it does not follow: a hole in the log is worse than a stop.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.log_id.index, self.next(), "the log takes no holes");
        self.last = Some(entry.log_id);
        self.bytes += cost(&entry);
        self.cached.push_back(entry);
    }

    /// Drops from memory, oldest first, what exceeds the bound, up to the first entry that `is_on_disk` does not find there.
    pub(crate) fn evict(&mut self, is_on_disk: impl Fn(RaftLogId) -> bool) {
        while self.bytes > CACHE_BYTES_MAX
            && self.cached.front().is_some_and(|entry| is_on_disk(entry.log_id))
            && let Some(entry) = self.cached.pop_front()
        {
            self.bytes -= cost(&entry);
        }
    }

    /// Removes the entries behind `last`.
    pub(crate) fn truncate_after(&mut self, last: Option<RaftLogId>) {
        while self.cached.back().is_some_and(|entry| entry.log_id.index >= next(last))
            && let Some(entry) = self.cached.pop_back()
        {
            self.bytes -= cost(&entry);
        }
        self.last = self.last.min(last).max(self.purged);
    }

    /// Forgets the entries up to `upto`. Beyond the last, which a snapshot can be, it makes the log begin anew behind it.
    pub(crate) fn purge(&mut self, upto: RaftLogId) {
        while self.cached.front().is_some_and(|entry| entry.log_id.index <= upto.index)
            && let Some(entry) = self.cached.pop_front()
        {
            self.bytes -= cost(&entry);
        }
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }

    /// Splits `range`, cut to what the log holds, into the part that is on disk only and the entries in memory, of which there are at
    /// most `count_max` and, after the first, `bytes_max` bytes.
    pub(crate) fn read(&self, range: Range<u64>, count_max: usize, bytes_max: usize) -> (Range<u64>, Vec<Entry>) {
        let range = range.start.max(self.first())..range.end.min(self.next());
        let split = self.cached_from().clamp(range.start, range.end.max(range.start));
        if split > range.start {
            return (range.start..split, Vec::new());
        }
        let skip =
            usize::try_from(split.saturating_sub(self.cached_from())).expect("the position of an entry in memory");
        let length = usize::try_from(range.end.saturating_sub(split)).unwrap_or(usize::MAX).min(count_max);
        let mut entries = Vec::with_capacity(length.min(self.cached.len()));
        let mut bytes = 0;
        for entry in self.cached.range(skip.min(self.cached.len())..).take(length) {
            bytes += cost(entry);
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        (split..split, entries)
    }
}

/// Index behind an entry.
pub(crate) fn next(id: Option<RaftLogId>) -> u64 {
    id.map_or(0, |id| id.index + 1)
}

fn cost(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        Payload::Blank | Payload::Membership(_) => 0,
        Payload::Normal(command) => command.0.len(),
    };
    payload + ENTRY_OVERHEAD
}
