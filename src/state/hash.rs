//! Checksums by which members find out that they differ.
//!
//! What is hashed is what a reader can see, in an order that everybody agrees on: the keys as they were at the compact revision,
//! then every event after it; and beside them leases and facts. Where the bytes lie, in an overlay or in the store, and when they were flushed, makes no difference.

use model::{Event, EventKind, KeyRange, KeyValue, Revision};

use crate::facts::Facts;
use crate::history;
use crate::layers::Sight;
use crate::lease::LeaseTable;
use crate::scan::Merge;
use crate::{Fault, ReadError};

/// A checksum of all keys with their history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// CRC-32C. Comparable between members of one cluster if the next two fields are equal.
    pub hash: u32,
    /// The revision hashed.
    pub hash_revision: Revision,
    /// The compact revision, from where on history was hashed; zero if never compacted.
    pub compact_revision: Revision,
    /// Revision of the store.
    pub revision: Revision,
}

/// Hashes keys and history as of `asked`, or as of now if it is zero.
pub(crate) fn hash_kv(sight: &Sight, asked: Revision) -> Result<HashKv, ReadError> {
    let hash_revision = sight.resolve(asked)?;
    let compact_revision = sight.compact_revision;
    let mut digest = Digest::default();
    if compact_revision > Revision::ZERO {
        let all = KeyRange::From(bytes::Bytes::new());
        for found in Merge::open(sight, &all, compact_revision) {
            digest.version(&found?.into_kv()?);
        }
    }
    for change in history::changes(sight, compact_revision.next()) {
        let change = change?;
        if change.revision > hash_revision {
            break;
        }
        change.events.iter().for_each(|event| digest.event(event));
    }
    Ok(HashKv { hash: digest.0, hash_revision, compact_revision, revision: sight.revision })
}

/// Hashes everything: keys, history, leases and facts.
pub(crate) fn hash_all(sight: &Sight, leases: &LeaseTable, facts: &Facts) -> Result<u32, Fault> {
    let mut digest = Digest(match hash_kv(sight, Revision::ZERO) {
        Ok(kv) => kv.hash,
        Err(ReadError::Fault(fault)) => return Err(fault),
        Err(ReadError::Rejected(_)) => unreachable!("the latest revision can always be read"),
    });
    for (id, ttl, remaining) in leases.all() {
        [id.get(), ttl, remaining].into_iter().for_each(|number| digest.number(number));
        leases.keys(id).unwrap_or_default().iter().for_each(|key| digest.bytes(key));
    }
    for (name, value) in facts.under(&[]) {
        digest.bytes(name);
        digest.bytes(value);
    }
    Ok(digest.0)
}

/// CRC-32C so far. Every field says where it ends, so that no two states look alike.
#[derive(Default)]
struct Digest(u32);

impl Digest {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Put => self.version(&event.kv),
            EventKind::Delete => {
                self.number(-event.kv.mod_revision.get());
                self.bytes(&event.kv.key);
            }
        }
    }

    fn version(&mut self, kv: &KeyValue) {
        self.number(kv.mod_revision.get());
        self.bytes(&kv.key);
        [kv.create_revision.get(), kv.version, kv.lease.get()].into_iter().for_each(|number| self.number(number));
        self.bytes(&kv.value);
    }

    fn number(&mut self, number: i64) {
        self.0 = crc32c::crc32c_append(self.0, &number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, &(bytes.len() as u64).to_le_bytes());
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }
}
