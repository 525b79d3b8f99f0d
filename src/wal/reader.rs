//! Reads entries back, on any thread, while the log is being written.
//!
//! The lock on the index is held only to look up places, never while reading the disk. What was written is never changed in place, and
//! an open segment outlives its deletion, so places stay good.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::error::{Error, IoContext};
use crate::format::{Frame, Offset, Place, Record};
use crate::fs::read_exact;
use crate::index::{Index, Stretch};
use crate::record::{Entry, LogId};

/// Bytes read at a time, unless one entry is larger.
const SPAN_MAX: Offset = 1 << 20;

/// A view of a log's entries. It sees an entry once the group that holds it is written, that is at the latest when its `append` is
/// acknowledged.
#[derive(Debug, Clone)]
pub struct Reader {
    index: Arc<RwLock<Index>>,
}

impl Reader {
    pub(crate) fn new(index: Arc<RwLock<Index>>) -> Self {
        Self { index }
    }

    /// The indexes held.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let index = self.index.read();
        index.first()..index.next()
    }

    /// The last purged entry.
    #[must_use]
    pub fn purged(&self) -> Option<LogId> {
        self.index.read().purged()
    }

    /// The last entry; if there is none, the last purged one.
    #[must_use]
    pub fn last(&self) -> Option<LogId> {
        self.index.read().last()
    }

    /// The name of the entry at `index`, without reading it; the last purged one still has its name.
    #[must_use]
    pub fn log_id(&self, index: u64) -> Option<LogId> {
        self.index.read().log_id(index)
    }

    /// The first entry held of each term, in order.
    #[must_use]
    pub fn term_starts(&self) -> Vec<LogId> {
        self.index.read().term_starts().collect()
    }

    /// Reads the entries of `range`, which must begin with one that is held; it may reach beyond the last. Stops before the records
    /// exceed `bytes_max` bytes, but not before the first entry. An empty range gives nothing.
    ///
    /// Payloads share buffers of up to 1 MiB: keep them briefly, or copy them.
    ///
    /// # Errors
    /// [`Error::Missing`] if the range begins with an entry that was purged or is not yet written; [`Error::Corrupt`] and [`Error::Io`]
    /// are faults of the disk.
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let stretches = self.index.read().stretches(range.start, range.end, bytes_max, SPAN_MAX)?;
        let mut entries = Vec::with_capacity(stretches.iter().map(|stretch| stretch.spots.len()).sum());
        for stretch in &stretches {
            read_stretch(stretch, &mut entries)?;
        }
        Ok(entries)
    }
}

fn read_stretch(stretch: &Stretch, entries: &mut Vec<Entry>) -> Result<(), Error> {
    let segment = &stretch.segment;
    let (Some(first), Some(last)) = (stretch.spots.first(), stretch.spots.last()) else { return Ok(()) };
    let start = first.offset;
    let mut bytes = vec![0; (last.offset + last.length - start) as usize];
    read_exact(&*segment.file, start.into(), &mut bytes).context("read", &segment.path)?;
    let bytes = Bytes::from(bytes);
    for (index, spot) in (stretch.first..).zip(&stretch.spots) {
        let place = Place { sequence: segment.name.sequence, offset: spot.offset };
        let frame = Frame::parse(&bytes[(spot.offset - start) as usize..], place);
        let frame = frame.ok_or_else(|| segment.corrupt(spot.offset, "the checksum does not match"))?;
        match Record::decode(frame.kind, frame.body) {
            Ok(Record::Entry { log_id, payload }) if log_id.index == index => {
                entries.push(Entry { term: log_id.term, index, payload: bytes.slice_ref(payload) });
            }
            _ => return Err(segment.corrupt(spot.offset, format!("the record is not entry {index}"))),
        }
    }
    Ok(())
}
