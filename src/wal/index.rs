//! Where each entry stands: 8 bytes an entry, and the rules by which entries come and go.
//!
//! Guarantees: the entries held are contiguous, from `first` up to, but not including, `next`. An entry replaces what had its index
//! and all after it; that is the only truncation there is, on disk as here. The same code runs when the log is written and when it is
//! read back, so both come to the same entries.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Error;
use crate::format::Offset;
use crate::record::LogId;
use crate::segment::Segment;

/// A frame's place in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) offset: Offset,
    pub(crate) length: Offset,
}

impl Spot {
    fn end(self) -> Offset {
        self.offset + self.length
    }
}

/// Consecutive entries in one segment.
#[derive(Debug)]
struct Run {
    segment: Arc<Segment>,
    first: u64,
    spots: Vec<Spot>,
}

impl Run {
    fn next(&self) -> u64 {
        self.first + self.spots.len() as u64
    }
}

/// Entries to be read with one call.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) segment: Arc<Segment>,
    pub(crate) first: u64,
    pub(crate) spots: Vec<Spot>,
}

/// The index of a log.
#[derive(Debug, Default)]
pub(crate) struct Index {
    runs: VecDeque<Run>,
    /// The first entry held of each term.
    terms: VecDeque<LogId>,
    first: u64,
    next: u64,
    purged: Option<LogId>,
}

impl Index {
    /// An index whose entries begin at `first`: for a log whose oldest segments are gone.
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, next: first, ..Self::default() }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// Whether all entries between the purged ones and the last are there.
    pub(crate) fn is_complete(&self) -> bool {
        self.first == index_after(self.purged)
    }

    /// The last entry; if there is none, the last purged one.
    pub(crate) fn last(&self) -> Option<LogId> {
        match self.terms.back() {
            Some(start) => Some(LogId { term: start.term, index: self.next - 1 }),
            None => self.purged,
        }
    }

    /// The name of the entry at `index`, if held; the last purged one counts as held.
    pub(crate) fn log_id(&self, index: u64) -> Option<LogId> {
        if let Some(purged) = self.purged.filter(|purged| purged.index == index) {
            return Some(purged);
        }
        if index < self.first || index >= self.next {
            return None;
        }
        let later = self.terms.partition_point(|start| start.index <= index);
        Some(LogId { term: self.terms[later - 1].term, index })
    }

    /// The first entry held of each term, in order.
    pub(crate) fn term_starts(&self) -> impl Iterator<Item = LogId> + '_ {
        self.terms.iter().copied()
    }

    /// Adds an entry, dropping those at its index and after.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if it would leave a hole or replace a purged one; nothing has changed then.
    pub(crate) fn append(&mut self, segment: &Arc<Segment>, log_id: LogId, spot: Spot) -> Result<(), Error> {
        check_order(log_id.index, index_after(self.purged), self.next)?;
        self.truncate(log_id.index);
        self.next += 1;
        if self.terms.back().is_none_or(|start| start.term != log_id.term) {
            self.terms.push_back(log_id);
        }
        match self.runs.back_mut() {
            Some(run) if Arc::ptr_eq(&run.segment, segment) => run.spots.push(spot),
            _ => self.runs.push_back(Run { segment: Arc::clone(segment), first: log_id.index, spots: vec![spot] }),
        }
        Ok(())
    }

    /// Forgets all entries up to and including `upto`. If the log does not hold that very entry (it ends before, or has another
    /// term's), all its entries are of another history: none is kept, and the log goes on after `upto`.
    pub(crate) fn purge(&mut self, upto: LogId) {
        if upto.index < index_after(self.purged) {
            return;
        }
        let first = index_after(Some(upto));
        if upto.index >= self.first {
            if self.log_id(upto.index) == Some(upto) {
                self.drop_before(first);
            } else {
                self.runs.clear();
                self.terms.clear();
                self.next = first;
            }
            self.first = first;
        }
        self.purged = Some(upto);
    }

    /// The stretches that hold the entries from `start` up to, but not including, `end` or the end of the log, until they exceed
    /// `bytes_max`, but at least one entry. Each spans at most `span_max` bytes unless it is a single entry.
    ///
    /// # Errors
    /// [`Error::Missing`] if `start` is not held.
    pub(crate) fn stretches(
        &self,
        start: u64,
        end: u64,
        bytes_max: usize,
        span_max: Offset,
    ) -> Result<Vec<Stretch>, Error> {
        if start < self.first || start >= self.next {
            return Err(Error::Missing { index: start, first: self.first, next: self.next });
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut bytes = 0;
        let from = self.runs.partition_point(|run| run.next() <= start);
        for run in self.runs.iter().skip(from) {
            let skipped = usize::try_from(start.saturating_sub(run.first)).expect("a position in memory");
            let mut is_fresh = true;
            for (index, &spot) in (run.first + skipped as u64..end).zip(&run.spots[skipped..]) {
                bytes += spot.length as usize;
                if bytes > bytes_max && !stretches.is_empty() {
                    return Ok(stretches);
                }
                match stretches
                    .last_mut()
                    .filter(|stretch| !is_fresh && spot.end() - stretch.spots[0].offset <= span_max)
                {
                    Some(stretch) => stretch.spots.push(spot),
                    None => {
                        stretches.push(Stretch { segment: Arc::clone(&run.segment), first: index, spots: vec![spot] })
                    }
                }
                is_fresh = false;
            }
        }
        Ok(stretches)
    }

    /// Drops the entries from `index` on.
    fn truncate(&mut self, index: u64) {
        while self.runs.back().is_some_and(|run| run.first >= index) {
            self.runs.pop_back();
        }
        if let Some(run) = self.runs.back_mut() {
            run.spots.truncate(usize::try_from(index - run.first).unwrap_or(usize::MAX));
        }
        while self.terms.back().is_some_and(|start| start.index >= index) {
            self.terms.pop_back();
        }
        // Below `first` only while reading back a log whose older segments are gone.
        self.first = self.first.min(index);
        self.next = index;
    }

    /// Drops the entries before `index`, or at least those in whole runs.
    fn drop_before(&mut self, index: u64) {
        while self.runs.front().is_some_and(|run| run.next() <= index) {
            self.runs.pop_front();
        }
        while self.terms.get(1).is_some_and(|start| start.index <= index) {
            self.terms.pop_front();
        }
        if index == self.next {
            self.terms.clear();
        }
        if let Some(start) = self.terms.front_mut() {
            start.index = start.index.max(index);
        }
    }
}

/// Whether a log that takes `first` to `next` takes `index`.
pub(crate) fn check_order(index: u64, first: u64, next: u64) -> Result<(), Error> {
    if index < first || index > next { Err(Error::OutOfOrder { index, first, next }) } else { Ok(()) }
}

/// The index that follows; 0 after nothing.
pub(crate) fn index_after(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index.saturating_add(1))
}
