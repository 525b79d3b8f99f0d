//! Reads a log back: what it knows, where its entries are, where it goes on; and mends an interrupted write.
//!
//! Guarantees: what it returns is on disk, even if the process before died between writing and syncing, or after a failed sync (whose
//! pages the system may hold as clean although they never arrived): the unproven end of the log is written once more and synced. A crash
//! during recovery leaves a log that recovery reads the same way.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, IoContext};
use crate::format::{Offset, Record};
use crate::fs::{Access, Fs, read_exact, write_whole};
use crate::index::Index;
use crate::record::{Snapshot, State};
use crate::scan::{End, Located, Scanner, Step};
use crate::segment::{Segment, SegmentName};

/// Bytes rewritten at a time.
const CHUNK: Offset = 1 << 20;
/// Bytes of a frame's head.
const HEAD: Offset = 8;

/// An interrupted write that was found at the end of the log and removed. None of it had been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the good records end.
    pub offset: u64,
    /// How many bytes were wiped after it.
    pub bytes: u64,
}

/// A log as read back.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) metadata: Bytes,
    pub(crate) state: State,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) index: Index,
    pub(crate) segments: VecDeque<Arc<Segment>>,
    pub(crate) chain: u32,
    /// Where the last segment goes on.
    pub(crate) end: Offset,
    pub(crate) torn: Option<TornTail>,
}

/// Reads the segments `names` of `dir`, oldest first, and makes the last one fit to go on.
pub(crate) fn recover(fs: &dyn Fs, dir: &Path, names: &[SegmentName]) -> Result<Replay, Error> {
    let (Some(oldest), Some(newest)) = (names.first(), names.last()) else {
        return Err(Error::NotFound { dir: dir.to_path_buf() });
    };
    let mut replaying = Replaying { index: Index::starting_at(oldest.first), ..Replaying::default() };
    let mut segments = VecDeque::new();
    let mut chain = None;
    let (end, synced_to) = loop {
        let name = names[segments.len()];
        let access = if name == *newest { Access::ReadWrite } else { Access::Read };
        let segment = Arc::new(Segment::open(fs, dir, name, access)?);
        let mut scanner = Scanner::new(&segment, chain);
        let end = replaying.read(&segment, &mut scanner)?;
        chain = scanner.chain();
        let synced_to = scanner.synced_to();
        segments.push_back(Arc::clone(&segment));
        if name == *newest {
            break (end, synced_to);
        }
        if end.dirty_end.is_some() {
            return Err(segment.corrupt(end.offset, "an interrupted write in a segment that is not the last"));
        }
    };
    if !replaying.index.is_complete() {
        return Err(
            segments[0].corrupt(0, "the segments before this one are missing, and their entries were not purged")
        );
    }
    let tail = &segments[segments.len() - 1];
    mend(tail, end, synced_to)?;
    fs.fsync_dir(dir).context("fsync", dir)?;
    let torn = end.dirty_end.map(|dirty_end| TornTail {
        file: tail.path.clone(),
        offset: end.offset.into(),
        bytes: (dirty_end - end.offset).into(),
    });
    Ok(replaying.finish(segments, chain.unwrap_or_default(), end.offset, torn))
}

/// Wipes an interrupted write, rewrites what is not proven to be on disk, and syncs.
fn mend(segment: &Segment, end: End, synced_to: Offset) -> Result<(), Error> {
    if let Some(dirty_end) = end.dirty_end {
        // The head that tells the tear goes last: if this is interrupted in turn, what remains still reads as a tear.
        let after_head = (end.offset + HEAD).min(dirty_end);
        wipe(segment, after_head, dirty_end)?;
        wipe(segment, end.offset, after_head)?;
    }
    let mut bytes = vec![0; CHUNK.min(end.offset - synced_to) as usize];
    for_chunks(synced_to, end.offset, |offset, length| {
        let chunk = &mut bytes[..length];
        read_exact(&*segment.file, offset.into(), chunk).context("read", &segment.path)?;
        write_whole(&*segment.file, offset.into(), chunk).context("write", &segment.path)
    })?;
    segment.file.fdatasync().context("fdatasync", &segment.path)
}

fn wipe(segment: &Segment, from: Offset, to: Offset) -> Result<(), Error> {
    let zeros = vec![0; CHUNK.min(to - from) as usize];
    for_chunks(from, to, |offset, length| {
        write_whole(&*segment.file, offset.into(), &zeros[..length]).context("write", &segment.path)
    })?;
    segment.file.fdatasync().context("fdatasync", &segment.path)
}

fn for_chunks(from: Offset, to: Offset, mut each: impl FnMut(Offset, usize) -> Result<(), Error>) -> Result<(), Error> {
    let mut offset = from;
    while offset < to {
        let length = CHUNK.min(to - offset);
        each(offset, length as usize)?;
        offset += length;
    }
    Ok(())
}

/// What the records read so far amount to.
#[derive(Debug, Default)]
struct Replaying {
    metadata: Option<Bytes>,
    state: State,
    snapshot: Option<Snapshot>,
    index: Index,
}

impl Replaying {
    fn read(&mut self, segment: &Arc<Segment>, scanner: &mut Scanner<'_>) -> Result<End, Error> {
        loop {
            match scanner.step()? {
                Step::Record(located) => self.apply(segment, &located)?,
                Step::End(end) => return Ok(end),
            }
        }
    }

    fn apply(&mut self, segment: &Arc<Segment>, located: &Located<'_>) -> Result<(), Error> {
        match located.record {
            Record::Crc(_) => {}
            Record::Metadata(bytes) => match &self.metadata {
                Some(known) if known != bytes => {
                    return Err(segment.corrupt(located.offset, "the metadata differs from that of the segment before"));
                }
                Some(_) => {}
                None => self.metadata = Some(Bytes::copy_from_slice(bytes)),
            },
            Record::Entry { log_id, .. } => {
                let appended = self.index.append(segment, log_id, located.into());
                appended.map_err(|error| segment.corrupt(located.offset, error.to_string()))?;
            }
            Record::State(state) => self.state = state,
            Record::Snapshot { log_id, data } => {
                self.snapshot = Some(Snapshot { log_id, data: Bytes::copy_from_slice(data) })
            }
            Record::Purge(upto) => self.index.purge(upto),
        }
        Ok(())
    }

    fn finish(self, segments: VecDeque<Arc<Segment>>, chain: u32, end: Offset, torn: Option<TornTail>) -> Replay {
        let metadata = self.metadata.unwrap_or_default();
        Replay { metadata, state: self.state, snapshot: self.snapshot, index: self.index, segments, chain, end, torn }
    }
}

impl From<&Located<'_>> for crate::index::Spot {
    fn from(located: &Located<'_>) -> Self {
        Self { offset: located.offset, length: located.length }
    }
}
