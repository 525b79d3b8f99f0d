//! The port through which the hub reads what it no longer has in memory.

use model::{Change, KeyValue, Revision};
use thiserror::Error;

/// The past of the store. Calls may block on a disk; the hub makes those that do from a thread meant for it.
///
/// A batch is published to the hub only after this shows it.
pub trait History: Send + Sync + 'static {
    /// The current revision. Must not block.
    fn revision(&self) -> Revision;

    /// The oldest revision that can be read; zero if nothing was compacted yet. Must not block.
    fn compact_revision(&self) -> Revision;

    /// Whole changes in ascending order, beginning with revision `from` and missing none: at least one unless `from` is in
    /// the future, then as many as fit in `bytes_max` bytes of keys and values.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Compacted`] if `from` is older than the compact revision; [`HistoryError::Fault`].
    fn changes(&self, from: Revision, bytes_max: usize) -> Result<Vec<Change>, HistoryError>;

    /// The version of `key` as of `revision`, if it existed then.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Compacted`] if `revision` is older than the compact revision; [`HistoryError::Fault`].
    fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<KeyValue>, HistoryError>;
}

/// Why the past could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// It was forgotten; this is the oldest revision that can be read.
    #[error("revisions before {0} were compacted")]
    Compacted(Revision),
    /// The store is broken: the owner ends the process.
    #[error("cannot read history: {0}")]
    Fault(String),
}
