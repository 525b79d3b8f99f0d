//! Segment files: their names, their making, their opening; and what else may lie in a log's directory.
//!
//! A segment appears under its name complete: made as `next.tmp`, filled with its opening records, synced, renamed, and the rename
//! synced. So a name always means a good header and good opening records, and anything less is damage.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, IoContext};
use crate::format::{BadHeader, FORMAT, Offset, SEGMENT_HEADER, SegmentHeader};
use crate::fs::{Access, File, Fs, read_exact, write_whole};

/// The file whose lock is the directory's.
pub(crate) const LOCK_FILE: &str = "lock";
/// A segment in the making; worthless after a crash.
pub(crate) const TEMPORARY_FILE: &str = "next.tmp";

const SUFFIX: &str = ".wal";

/// What a segment's file name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Counts segments, without gaps.
    pub(crate) sequence: u64,
    /// The index of the entry that was to be appended next when the segment was cut.
    pub(crate) first: u64,
}

impl SegmentName {
    fn parse(name: &str) -> Option<Self> {
        let (sequence, first) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        Some(Self { sequence: parse_hex(sequence)?, first: parse_hex(first)? })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}{SUFFIX}", self.sequence, self.first)
    }
}

fn parse_hex(digits: &str) -> Option<u64> {
    let is_ours = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The segments in `dir`, oldest first; an absent directory has none.
///
/// Refuses files that are not of a log, and a gap in the sequence.
pub(crate) fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<SegmentName>, Error> {
    let names = match fs.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.context("list", dir)?,
    };
    let mut segments = Vec::new();
    for name in names.iter().filter(|name| *name != LOCK_FILE && *name != TEMPORARY_FILE) {
        segments.push(SegmentName::parse(name).ok_or_else(|| Error::Foreign { file: dir.join(name) })?);
    }
    segments.sort_unstable();
    for pair in segments.windows(2) {
        if pair[0].sequence.checked_add(1) != Some(pair[1].sequence) {
            let what = format!("the segment does not follow {}: one is missing or doubled", pair[0]);
            return Err(Error::Corrupt { file: dir.join(pair[1].to_string()), offset: 0, what });
        }
    }
    Ok(segments)
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    /// Length of the file, in bytes.
    pub(crate) size: Offset,
}

impl Segment {
    /// Makes a segment of `size` bytes that begins with `opening` (header included), durable when this returns.
    pub(crate) fn create(
        fs: &dyn Fs,
        dir: &Path,
        name: SegmentName,
        size: Offset,
        opening: &[u8],
    ) -> Result<Self, Error> {
        let temporary = dir.join(TEMPORARY_FILE);
        let file = fs.create(&temporary).context("create", &temporary)?;
        file.preallocate(size.into()).context("preallocate", &temporary)?;
        write_whole(&*file, 0, opening).context("write", &temporary)?;
        file.fdatasync().context("fdatasync", &temporary)?;
        let path = dir.join(name.to_string());
        fs.rename(&temporary, &path).context("rename", &temporary)?;
        fs.fsync_dir(dir).context("fsync", dir)?;
        Ok(Self { name, path, file, size })
    }

    /// Opens a segment and checks its header.
    pub(crate) fn open(fs: &dyn Fs, dir: &Path, name: SegmentName, access: Access) -> Result<Self, Error> {
        let path = dir.join(name.to_string());
        let file = fs.open(&path, access).context("open", &path)?;
        let length = file.size().context("stat", &path)?;
        let corrupt = |offset, what: String| Error::Corrupt { file: path.clone(), offset, what };
        if length < SEGMENT_HEADER as u64 {
            return Err(corrupt(length, "the file ends within its header".to_owned()));
        }
        let mut bytes = [0; SEGMENT_HEADER];
        read_exact(&*file, 0, &mut bytes).context("read", &path)?;
        let header = SegmentHeader::decode(&bytes).map_err(|bad| match bad {
            BadHeader::Magic => corrupt(0, "the file does not begin as a segment does".to_owned()),
            BadHeader::Format(found) => Error::UnknownFormat { file: path.clone(), found, known: FORMAT },
            BadHeader::Checksum => corrupt(0, "the checksum of the header does not match".to_owned()),
        })?;
        if (header.sequence, header.first) != (name.sequence, name.first) {
            return Err(corrupt(16, "the header names another segment than the file name".to_owned()));
        }
        if header.size != length {
            let what = format!("the file has {length} bytes but was made with {}: it was cut or extended", header.size);
            return Err(corrupt(length.min(header.size), what));
        }
        let size =
            Offset::try_from(length).map_err(|_| corrupt(32, "the file is larger than a segment can be".to_owned()))?;
        Ok(Self { name, path, file, size })
    }

    /// Damage at `offset`.
    pub(crate) fn corrupt(&self, offset: Offset, what: impl Into<String>) -> Error {
        Error::Corrupt { file: self.path.clone(), offset: offset.into(), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        let name = SegmentName { sequence: 0x2a, first: u64::MAX };
        assert_eq!(name.to_string(), "000000000000002a-ffffffffffffffff.wal");
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        for foreign in [
            "",
            "a.wal",
            "000000000000002a-fffffffffffffff.wal",
            "000000000000002A-ffffffffffffffff.wal",
            "+00000000000002a-0000000000000000.wal",
        ] {
            assert_eq!(SegmentName::parse(foreign), None, "{foreign}");
        }
    }
}
