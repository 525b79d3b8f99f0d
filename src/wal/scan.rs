//! Reads a segment from its beginning, record by record, checking everything that can be checked within it.
//!
//! Memory is bounded by the read window or the largest record; only a damaged tail is read whole to be judged. What the records mean
//! is for `recovery` and `dump`.

use crate::error::{Error, IoContext};
use crate::format::{ALIGN, FRAME_HEADER, Frame, Head, Offset, Place, Record, SEGMENT_HEADER, frame_len, next_chain};
use crate::fs::read_exact;
use crate::segment::Segment;
use crate::tail::{Verdict, judge};

/// Bytes read at a time.
const WINDOW: Offset = 256 * 1024;

/// A record and where it stands.
#[derive(Debug)]
pub(crate) struct Located<'a> {
    pub(crate) offset: Offset,
    /// Bytes of the frame.
    pub(crate) length: Offset,
    pub(crate) record: Record<'a>,
}

/// The end of the good records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) offset: Offset,
    /// If a write was interrupted here: below which offset its remains lie.
    pub(crate) dirty_end: Option<Offset>,
}

/// What reading on gives.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Record(Located<'a>),
    End(End),
}

/// The reading of one segment.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    segment: &'a Segment,
    window: Window,
    offset: Offset,
    chain: Option<u32>,
    expected: Expected,
    synced_to: Offset,
}

impl<'a> Scanner<'a> {
    /// `chain` is the one at the end of the segment before, if that was read.
    pub(crate) fn new(segment: &'a Segment, chain: Option<u32>) -> Self {
        let offset = Offset::try_from(SEGMENT_HEADER).expect("forty");
        let window = Window { start: 0, bytes: Vec::new() };
        Self { segment, window, offset, chain, expected: Expected::Crc, synced_to: offset }
    }

    /// The chain after the records read so far.
    pub(crate) fn chain(&self) -> Option<u32> {
        self.chain
    }

    /// The highest offset that the records read so far prove to be on disk.
    pub(crate) fn synced_to(&self) -> Offset {
        self.synced_to
    }

    /// Reads the next record.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, Error> {
        let (segment, offset) = (self.segment, self.offset);
        if offset == segment.size {
            return self.end().map(Step::End);
        }
        let Head::Valid { length, .. } = Head::parse(self.window.get(segment, offset, ALIGN)?) else {
            return self.end().map(Step::End);
        };
        let length = frame_len(length);
        if length > (segment.size - offset) as usize {
            return Err(segment.corrupt(offset, "the record runs past the end of the segment"));
        }
        let place = Place { sequence: segment.name.sequence, offset };
        let Some(frame) = Frame::parse(self.window.get(segment, offset, length)?, place) else {
            return self.end().map(Step::End);
        };
        let Frame { kind, checksum, chain, durable, body } = frame;
        let body_len = body.len();
        if durable > offset {
            return Err(segment.corrupt(offset, "the record claims that it was on disk before it was written"));
        }
        let body = self.window.get(segment, offset + len32(FRAME_HEADER), body_len)?;
        let record = Record::decode(kind, body).map_err(|what| segment.corrupt(offset, what))?;
        let before = chain_before(self.chain, &record).map_err(|what| segment.corrupt(offset, what))?;
        if next_chain(before, checksum) != chain {
            return Err(segment.corrupt(offset, "the record does not continue the chain"));
        }
        let expected = self.expected.after(&record);
        self.expected = expected.ok_or_else(|| segment.corrupt(offset, "a record out of place"))?;
        self.chain = Some(chain);
        self.offset += len32(length);
        // The opening records were synced before the segment got its name.
        let is_opening = matches!(record, Record::State(_)) && self.synced_to == len32(SEGMENT_HEADER);
        self.synced_to = self.synced_to.max(if is_opening { self.offset } else { durable });
        Ok(Step::Record(Located { offset, length: len32(length), record }))
    }

    fn end(&mut self) -> Result<End, Error> {
        let (segment, offset) = (self.segment, self.offset);
        if self.expected != Expected::Any {
            return Err(segment.corrupt(offset, "an opening record is missing or broken"));
        }
        if self.is_zero_from(offset)? {
            return Ok(End { offset, dirty_end: None });
        }
        let mut rest = vec![0; (segment.size - offset) as usize];
        read_exact(&*segment.file, offset.into(), &mut rest).context("read", &segment.path)?;
        let place = Place { sequence: segment.name.sequence, offset };
        match judge(&rest, place) {
            Verdict::Clean => Ok(End { offset, dirty_end: None }),
            Verdict::Torn { dirty_end } => Ok(End { offset, dirty_end: Some(dirty_end) }),
            Verdict::Damaged(what) => Err(segment.corrupt(offset, what)),
        }
    }

    fn is_zero_from(&mut self, mut offset: Offset) -> Result<bool, Error> {
        while offset < self.segment.size {
            let length = WINDOW.min(self.segment.size - offset);
            if self.window.get(self.segment, offset, length as usize)?.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            offset += length;
        }
        Ok(true)
    }
}

/// The chain that `record` continues; a crc record says it itself.
fn chain_before(chain: Option<u32>, record: &Record<'_>) -> Result<u32, &'static str> {
    match (chain, record) {
        (Some(chain), Record::Crc(opening)) if chain != *opening => Err("the segment does not continue the one before"),
        (_, Record::Crc(opening)) => Ok(*opening),
        (Some(chain), _) => Ok(chain),
        (None, _) => Err("the segment does not open with a crc record"),
    }
}

/// The order of a segment's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Crc,
    Metadata,
    /// Snapshot and purge may come first.
    State,
    Any,
}

impl Expected {
    fn after(self, record: &Record<'_>) -> Option<Self> {
        match (self, record) {
            (Expected::Crc, Record::Crc(_)) => Some(Expected::Metadata),
            (Expected::Metadata, Record::Metadata(_)) => Some(Expected::State),
            (Expected::State, Record::Snapshot { .. } | Record::Purge(_)) => Some(Expected::State),
            (Expected::State, Record::State(_)) => Some(Expected::Any),
            (Expected::Any, Record::Entry { .. } | Record::State(_) | Record::Snapshot { .. } | Record::Purge(_)) => {
                Some(Expected::Any)
            }
            (Expected::Crc | Expected::Metadata | Expected::State | Expected::Any, _) => None,
        }
    }
}

/// A stretch of the file in memory.
#[derive(Debug)]
struct Window {
    start: Offset,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes of `segment` from `offset`; the caller has checked that there are `length`.
    fn get(&mut self, segment: &Segment, offset: Offset, length: usize) -> Result<&[u8], Error> {
        let end = offset as usize + length;
        if offset < self.start || end > self.start as usize + self.bytes.len() {
            let wanted = length.max(WINDOW as usize).min((segment.size - offset) as usize);
            self.bytes.resize(wanted, 0);
            self.start = offset;
            read_exact(&*segment.file, offset.into(), &mut self.bytes).context("read", &segment.path)?;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + length])
    }
}

fn len32(length: usize) -> Offset {
    Offset::try_from(length).expect("within a segment, which is below 4 GiB")
}
