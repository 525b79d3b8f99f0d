//! Ranges in parts, for answers that must not be in memory as a whole.
//!
//! Each part is a read of its own, at the revision of the first: between two parts nothing is kept alive, so whoever takes long over a
//! stream keeps no superseded data from being reclaimed. A compaction beyond the revision ends it instead.

use bytes::Bytes;
use model::{KeyRange, KeyValue, Revision};

use crate::ReadError;
use crate::layers::Sight;
use crate::scan::Merge;

/// How much a part may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBounds {
    /// Most keys; at least one.
    pub keys_max: usize,
    /// Bytes of keys and values with which a part is full; the last pair may go beyond.
    pub bytes_max: usize,
    /// Whether values are left out.
    pub keys_only: bool,
}

/// A part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its pairs, by key.
    pub kvs: Vec<KeyValue>,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// Where the next part begins; none if this was the last.
    pub next: Option<Bytes>,
    /// The revision that was read: to be asked for with the next part.
    pub at: Revision,
    /// The store's revision then.
    pub revision: Revision,
}

/// Reads the first part of `range` as of `asked`, or as of now if that is zero.
pub(crate) fn page(sight: &Sight, range: &KeyRange, asked: Revision, bounds: PageBounds) -> Result<Page, ReadError> {
    let at = sight.resolve(asked)?;
    let mut page = Page { kvs: Vec::new(), bytes: 0, next: None, at, revision: sight.revision };
    for found in Merge::open(sight, range, at) {
        let found = found?;
        if page.kvs.len() >= bounds.keys_max || page.bytes >= bounds.bytes_max {
            page.next = Some(found.into_key());
            break;
        }
        let mut kv = found.into_kv()?;
        if bounds.keys_only {
            kv.value.clear();
        }
        page.bytes += kv.key.len() + kv.value.len();
        page.kvs.push(kv);
    }
    Ok(page)
}
