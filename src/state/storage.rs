//! The port to the sorted bulk below the machine: a map of byte strings that changes only by whole groups.
//!
//! Contract, which `tests/storages.rs` holds every implementation to:
//!
//! - Keys lie on three [shelves](SHELVES) by their first byte. What a group writes to one shelf becomes visible and durable as a
//!   whole. A group that writes to several does so shelf by shelf, *the last one first*: whoever sees the group on one shelf, now or
//!   after a crash, sees it on all later ones. When [`Storage::ingest`] returns, it is there on all.
//! - A [`View`] never changes.
//!
//! Shelves exist because the three kinds of data age differently: one is rewritten all the time, one grows at random places, one
//! grows at its end. What merging them as one costs is said in `fjall.rs`.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::Fault;

/// First byte of the first key that may lie on each shelf.
pub const SHELVES: [u8; 3] = [0x00, 0x28, 0x40];

/// Longest key in bytes that a storage must take.
pub const STORED_KEY_BYTES_MAX: usize = 65_535;

/// A key with its value, or with none to remove it.
pub type Edit = (Bytes, Option<Bytes>);

/// Entries of a [`View`] in ascending order of keys.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), Fault>> + Send + 'a>;

/// A durable map.
pub trait Storage: Send + Sync {
    /// The map as of now: with every group that was ingested before the call, and none that is ingested after it.
    fn view(&self) -> Arc<dyn View>;

    /// Writes a group, in strictly ascending order of keys, each at most [`STORED_KEY_BYTES_MAX`] long and none empty.
    ///
    /// # Errors
    ///
    /// [`Fault`]: which shelves were written is unknown, but for their order.
    fn ingest(&self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault>;

    /// Gives up the keys from `start` to `end`, which is not included: nobody will ask for them again, and they were never written
    /// twice with different values. They may go now, later, or in part.
    ///
    /// # Errors
    ///
    /// [`Fault`]: whether they are gone is unknown.
    fn discard(&self, start: &[u8], end: &[u8]) -> Result<(), Fault>;

    /// Rewrites what is stored so that it takes no more space than it needs, while others read and write. A storage that wastes
    /// nothing has nothing to do.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    fn compact(&self) -> Result<(), Fault> {
        Ok(())
    }

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

/// The shelf of a key.
pub(crate) fn shelf_of(key: &[u8]) -> usize {
    let first = key.first().copied().unwrap_or_default();
    SHELVES.iter().rposition(|from| first >= *from).unwrap_or_default()
}
