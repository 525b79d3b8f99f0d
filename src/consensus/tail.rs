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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::{Command, log_id};

    fn entry(term: u64, index: u64, bytes: usize) -> Entry {
        Entry { log_id: log_id(term, index), payload: Payload::Normal(Command(Bytes::from(vec![0; bytes]))) }
    }

    fn tail(indexes: Range<u64>, bytes: usize) -> Tail {
        let mut tail = Tail::new(None, None);
        indexes.for_each(|index| tail.push(entry(1, index, bytes)));
        tail
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.log_id.index).collect()
    }

    #[test]
    fn only_what_is_on_disk_leaves_memory() {
        let mut tail = tail(0..40, 1 << 20);
        tail.evict(|id| id.index < 5);
        assert_eq!(tail.cached_from(), 5, "entry 5 is nowhere else");
        tail.evict(|_| true);
        assert!(tail.bytes <= CACHE_BYTES_MAX && tail.cached_from() < 40);
        assert_eq!((tail.first(), tail.next()), (0, 40), "the log itself is as long as before");
    }

    #[test]
    fn a_read_is_cut_to_the_log_and_split_where_memory_begins() {
        let mut tail = tail(0..40, 1 << 20);
        tail.evict(|_| true);
        let from = tail.cached_from();
        assert_eq!(tail.read(3..60, 100, usize::MAX), (3..from, Vec::new()), "what is on disk comes first");
        let (cold, entries) = tail.read(from..60, 100, usize::MAX);
        assert!(cold.is_empty());
        assert_eq!(indexes(&entries), (from..40).collect::<Vec<_>>());
        assert_eq!(indexes(&tail.read(from..40, 3, usize::MAX).1), [from, from + 1, from + 2]);
        assert_eq!(indexes(&tail.read(from..40, 100, 1).1), [from], "the first entry comes whatever its size");
        assert_eq!(tail.read(40..60, 100, usize::MAX), (40..40, Vec::new()));
    }

    #[test]
    fn a_purge_beyond_the_end_begins_the_log_anew() {
        let mut tail = tail(0..5, 1);
        tail.purge(log_id(3, 99));
        assert_eq!((tail.first(), tail.next()), (100, 100));
        assert_eq!((tail.purged(), tail.last()), (Some(log_id(3, 99)), Some(log_id(3, 99))));
        tail.push(entry(3, 100, 1));
        assert_eq!(indexes(&tail.read(0..200, 100, usize::MAX).1), [100]);
    }

    #[test]
    fn a_truncation_leaves_what_was_before_it() {
        let mut tail = tail(0..5, 1);
        tail.truncate_after(Some(log_id(1, 2)));
        assert_eq!(tail.last(), Some(log_id(1, 2)));
        tail.push(entry(2, 3, 1));
        assert_eq!(indexes(&tail.read(0..9, 100, usize::MAX).1), [0, 1, 2, 3]);
        tail.truncate_after(None);
        assert_eq!((tail.last(), tail.next(), tail.bytes), (None, 0, 0));
    }
}
