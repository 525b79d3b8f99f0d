//! The end of the log: stages records in a buffer, writes them with one call, syncs them.
//!
//! Owns the offsets and the chain. Guarantees that each frame says truly how far the segment was on disk before it (`durable`).
//! The buffer is reused: staging allocates only when a group is larger than any before.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, IoContext};
use crate::format::{MAX_BODY, Offset, Place, Record, encode, frame_len};
use crate::fs::write_whole;
use crate::index::Spot;
use crate::observer::Observer;
use crate::segment::Segment;

/// A buffer that grew beyond this for one large group is given back after it, in bytes.
const BUFFER_KEPT: usize = 4 << 20;

/// Appends to one segment at a time.
#[derive(Debug)]
pub(crate) struct Appender {
    segment: Arc<Segment>,
    chain: u32,
    buffer: Vec<u8>,
    /// Below this, records were handed to the system.
    written: Offset,
    /// Below this, records are on disk.
    durable: Offset,
    observer: Arc<dyn Observer>,
}

impl Appender {
    /// Appends to `segment` after its records, which end at `end`, are on disk, and end with `chain`.
    pub(crate) fn new(segment: Arc<Segment>, end: Offset, chain: u32, observer: Arc<dyn Observer>) -> Self {
        Self { segment, chain, buffer: Vec::new(), written: end, durable: end, observer }
    }

    /// Goes on in a new segment; all before was synced.
    pub(crate) fn move_to(&mut self, segment: Arc<Segment>, end: Offset, chain: u32) {
        assert!(self.is_durable(), "a segment is synced before the next one is begun");
        self.segment = segment;
        self.chain = chain;
        self.written = end;
        self.durable = end;
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn chain(&self) -> u32 {
        self.chain
    }

    /// Whether all records, the staged ones included, are on disk.
    pub(crate) fn is_durable(&self) -> bool {
        self.buffer.is_empty() && self.durable == self.written
    }

    /// Whether `record` fits into the segment.
    pub(crate) fn has_room_for(&self, record: &Record<'_>) -> bool {
        frame_len(record.body_len()) <= (self.segment.size - self.end()) as usize
    }

    /// Stages a record for which there is room.
    pub(crate) fn stage(&mut self, record: &Record<'_>) -> Spot {
        let offset = self.end();
        let place = Place { sequence: self.segment.name.sequence, offset };
        self.chain = encode(record, place, self.durable, self.chain, &mut self.buffer);
        Spot { offset, length: self.end() - offset }
    }

    /// Hands what is staged to the system.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        write_whole(&*self.segment.file, self.written.into(), &self.buffer).context("write", &self.segment.path)?;
        self.observer.written(self.buffer.len());
        self.written = self.end();
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.durable == self.written {
            return Ok(());
        }
        let begun = Instant::now();
        self.segment.file.fdatasync().context("fdatasync", &self.segment.path)?;
        self.observer.synced(begun.elapsed());
        self.durable = self.written;
        Ok(())
    }

    fn end(&self) -> Offset {
        self.written + Offset::try_from(self.buffer.len()).expect("the buffer fits into the segment")
    }
}

/// Refuses a record that no segment takes.
pub(crate) fn check_size(record: &Record<'_>) -> Result<(), Error> {
    let bytes = record.body_len();
    if bytes > MAX_BODY { Err(Error::TooLarge { bytes, limit: MAX_BODY }) } else { Ok(()) }
}
