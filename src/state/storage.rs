//! The port to the sorted bulk below the machine: a map of byte strings that changes only by whole groups.
//!
//! Contract, which every implementation keeps and `tests/storage.rs` holds it to: a group is visible and durable as a whole when
//! [`Storage::ingest`] returns, and never in part, whatever happens in between; a [`View`] never changes.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::Fault;

/// Longest key in bytes that a storage must take.
pub const STORED_KEY_BYTES_MAX: usize = 65_535;

/// A key with its value, or with none to remove it.
pub type Change = (Bytes, Option<Bytes>);

/// Entries of a [`View`] in ascending order of keys.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), Fault>> + Send + 'a>;

/// A durable map.
pub trait Storage: Send + Sync {
    /// The map as of now: with every group that was ingested before the call, and none that is ingested after it.
    fn view(&self) -> Arc<dyn View>;

    /// Writes a group, in strictly ascending order of keys, each at most [`STORED_KEY_BYTES_MAX`] long and none empty. When this
    /// returns the group is visible to new views, and durable.
    ///
    /// # Errors
    ///
    /// [`Fault`]: whether the group was written is unknown.
    fn ingest(&self, group: &mut dyn Iterator<Item = Change>) -> Result<(), Fault>;

    /// Bytes on disk.
    fn disk_bytes(&self) -> u64;
}

/// The map at one moment. Cheap to get and meant to be dropped soon: it keeps superseded data from being reclaimed.
pub trait View: Send + Sync {
    /// The value of a key of any length.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault>;

    /// The entries between two bounds of any length; none when the bounds exclude each other.
    fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Entries<'_>;
}

/// Whether two bounds leave nothing between them, which ordered maps refuse to look up.
pub(crate) fn is_empty(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
    }
}
