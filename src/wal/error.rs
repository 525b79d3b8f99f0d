//! Everything that can go wrong with a log, as one type.
//!
//! Three families: the directory is not ours to use (`Locked`, `NotFound`, `Exists`, `Foreign`, `UnknownFormat`), what is in it is
//! not what was written (`Corrupt`), and the disk or the caller failed while running (the rest). None of them is worth a retry:
//! after a failed write or fsync nobody knows what the disk holds, so the owner ends the process and lets recovery find out.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process, or another `Log` of this one, holds the directory.
    #[error("{}: locked by another process", dir.display())]
    Locked {
        /// The log's directory.
        dir: PathBuf,
    },
    /// The directory holds no log.
    #[error("{}: no write-ahead log here", dir.display())]
    NotFound {
        /// The log's directory.
        dir: PathBuf,
    },
    /// The directory already holds a log, so that none may be created in it.
    #[error("{}: a write-ahead log is already here", dir.display())]
    Exists {
        /// The log's directory.
        dir: PathBuf,
    },
    /// A file that this log did not make: the directory belongs to something else, or the path is wrong.
    #[error("{}: not a file of a write-ahead log", file.display())]
    Foreign {
        /// The file in question.
        file: PathBuf,
    },
    /// A segment written in a format that this build does not know.
    #[error("{}: written in format {found}, this build reads format {known}", file.display())]
    UnknownFormat {
        /// The segment.
        file: PathBuf,
        /// The format number it carries.
        found: u32,
        /// The format number this build reads and writes.
        known: u32,
    },
    /// Bytes that no interrupted write can explain. The log must not be used: restore the member from its peers or a backup.
    #[error("{}: corrupt at offset {offset}: {what}", file.display())]
    Corrupt {
        /// The damaged segment.
        file: PathBuf,
        /// Where the first bad record begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A system call failed. The state of the disk is unknown from here on; only reopening can tell.
    #[error("{}: {operation} failed: {source}", file.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory it was tried on.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An entry that would leave a hole, or overwrite what was purged: the caller broke its contract.
    #[error("entry {index} does not follow: the log takes {first} to {next}")]
    OutOfOrder {
        /// The index offered.
        index: u64,
        /// The lowest index the log would take (it replaces what is there, and all after it).
        first: u64,
        /// The highest index the log would take (it extends the log).
        next: u64,
    },
    /// A record above the limit of [`MAX_BODY`](crate::MAX_BODY); the edge must refuse such payloads earlier.
    #[error("a record of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// The size of the record's body.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An entry that the log does not hold: purged, or not yet written.
    #[error("entry {index} is not in the log, which holds {first} up to, but not including, {next}")]
    Missing {
        /// The index asked for.
        index: u64,
        /// The first index held.
        first: u64,
        /// One above the last index held.
        next: u64,
    },
    /// An earlier call failed; this log takes nothing more.
    #[error("the log has failed before and takes nothing more")]
    Failed,
    /// The writer thread has ended: shut down, or brought down by a panic of a callback.
    #[error("the log's writer has stopped")]
    Stopped,
    /// The receiver of a dump went away.
    #[error("writing the dump failed: {0}")]
    Output(#[source] io::Error),
}

/// Attaches what was tried, and on what, to an I/O error.
pub(crate) trait IoContext<T> {
    /// Turns the error into [`Error::Io`].
    fn context(self, operation: &'static str, file: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, file: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { operation, file: file.to_path_buf(), source })
    }
}
