//! What can go wrong: faults end the process, rejections are answers.

use std::path::PathBuf;

use model::{LogId, Rejection};
use thiserror::Error;

/// A local failure: the disk, damaged data, or an order that the owner may not give. Never an outcome of a command. Whoever meets
/// one ends the process; the machine may be half-way through a group and must not be used again.
#[derive(Debug, Error)]
pub enum Fault {
    /// The storage failed, or found its own data damaged. Restart; if it comes back, fetch the state anew from the peers.
    #[error("the store failed: {0}")]
    Storage(Box<dyn std::error::Error + Send + Sync>),
    /// Another process has the directory open. End it, or choose another directory.
    #[error("the store at {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The directory holds something that is not ours. Choose another one; nothing in it was touched.
    #[error("{} is not a store of this program: {found}", .path.display())]
    ForeignDirectory {
        /// Which directory.
        path: PathBuf,
        /// What tells.
        found: &'static str,
    },
    /// The directory of the current store is gone, or was never complete. Bring it back; nothing was made in its place.
    #[error("the current store should be at {}, and is not", .0.display())]
    MissingStore(PathBuf),
    /// The store holds data without our mark. Choose another directory.
    #[error("the store holds data of another program")]
    ForeignData,
    /// The store was written by a version of this program that does not understand it, or is not understood by it.
    #[error("the store has format {found}, this version reads format {known}")]
    UnknownFormat {
        /// The number in the store.
        found: u32,
        /// The only number that this version reads.
        known: u32,
    },
    /// A record in the store cannot be read although its checksum held.
    #[error("a damaged record in the store: {0}")]
    Damaged(&'static str),
    /// A piece of a state that is being fetched is not what was sent. The current state is untouched: fetch again from the beginning.
    #[error("a piece of a fetched state cannot be taken: {0}")]
    MalformedPiece(&'static str),
    /// A store that was being built was given up for a later one. The current state is untouched.
    #[error("this store was given up: another one has been begun since")]
    Superseded,
    /// A log entry cannot be decoded.
    #[error("log entry {log_id}: {reason}")]
    MalformedEntry {
        /// Which entry.
        log_id: LogId,
        /// What the decoder says.
        reason: String,
    },
    /// An entry was applied before, or entries before it were not: applying it would diverge from the other members in silence.
    #[error("entry {log_id} cannot follow {}", .applied.map_or("an empty state".to_owned(), |id| id.to_string()))]
    OutOfOrder {
        /// The entry.
        log_id: LogId,
        /// The last one that was applied.
        applied: Option<LogId>,
    },
    /// A recipe broke the contract of its port: a mistake in this program.
    #[error("a recipe broke its contract: {0}")]
    Recipe(&'static str),
}

impl Fault {
    pub(crate) fn storage(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Storage(error.into())
    }
}

/// Why a read has no answer.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The answer is no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store cannot be read: end the process.
    #[error(transparent)]
    Fault(#[from] Fault),
}
