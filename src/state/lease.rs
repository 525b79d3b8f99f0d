//! Leases as replicated facts: which there are, what they were granted, which keys are attached. No clock: when one runs out is
//! decided elsewhere and arrives as a command.
//!
//! The machine writes, under a short lock, and only for commands that touch a lease; whatever changes is also noted for the next
//! flush. Keys are copied, because they outlive the log entries that they came in.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{Event, LeaseId, Rejection};

use crate::Fault;
use crate::format;

/// A lease as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Seconds to live, as granted.
    pub ttl: i64,
    /// Seconds left when that was last noted; zero means the full TTL.
    pub remaining: i64,
    /// Attached keys in byte order.
    pub keys: Vec<Bytes>,
}

#[derive(Debug, Default)]
struct Lease {
    ttl: i64,
    remaining: i64,
    keys: BTreeSet<Bytes>,
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    leases: BTreeMap<LeaseId, Lease>,
    /// Records that the next flush writes.
    unflushed: BTreeMap<Bytes, Option<Bytes>>,
    /// What those take, counting one that is replaced again.
    unflushed_bytes: usize,
}

/// What a record takes besides its key: its place in the map, its value and the allocator's share.
const RECORD_BYTES: usize = 128;

impl LeaseTable {
    /// Takes in a record of the store, if it is about a lease. They come by ascending key, so that each lease precedes its keys.
    pub(crate) fn load(&mut self, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        if format::is_lease(key) {
            let (id, ttl, remaining) = format::decode_lease(key, record)?;
            self.leases.insert(id, Lease { ttl, remaining, keys: BTreeSet::new() });
        } else if format::is_attachment(key) {
            let (id, key) = format::decode_attachment(key)?;
            self.leases.get_mut(&id).ok_or(Fault::Damaged("attachment without its lease"))?.keys.insert(key);
        }
        Ok(())
    }

    pub(crate) fn contains(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    pub(crate) fn ttl(&self, id: LeaseId) -> Option<i64> {
        self.leases.get(&id).map(|lease| lease.ttl)
    }

    /// (id, TTL, noted remaining life) of each.
    pub(crate) fn all(&self) -> Vec<(LeaseId, i64, i64)> {
        self.leases.iter().map(|(id, lease)| (*id, lease.ttl, lease.remaining)).collect()
    }

    pub(crate) fn info(&self, id: LeaseId) -> Option<LeaseInfo> {
        let lease = self.leases.get(&id)?;
        let keys = lease.keys.iter().cloned().collect();
        Some(LeaseInfo { ttl: lease.ttl, remaining: lease.remaining, keys })
    }

    pub(crate) fn grant(&mut self, id: LeaseId, ttl: i64) -> Result<(), Rejection> {
        if !id.is_some() {
            return Err(Rejection::LeaseNotFound);
        }
        if self.contains(id) {
            return Err(Rejection::LeaseExists);
        }
        self.leases.insert(id, Lease { ttl, ..Lease::default() });
        self.note(format::lease_key(id), Some(format::lease_record(ttl, 0)));
        Ok(())
    }

    /// Notes the remaining life of a lease; false if there is none.
    pub(crate) fn checkpoint(&mut self, id: LeaseId, remaining: i64) -> bool {
        let Some(lease) = self.leases.get_mut(&id) else { return false };
        lease.remaining = remaining;
        let ttl = lease.ttl;
        self.note(format::lease_key(id), Some(format::lease_record(ttl, remaining)));
        true
    }

    /// The keys of a lease in byte order.
    pub(crate) fn keys(&self, id: LeaseId) -> Option<Vec<Bytes>> {
        self.leases.get(&id).map(|lease| lease.keys.iter().cloned().collect())
    }

    /// The keys of a lease, one by one; none if there is no such lease.
    pub(crate) fn each_key(&self, id: LeaseId) -> impl Iterator<Item = &Bytes> {
        self.leases.get(&id).into_iter().flat_map(|lease| &lease.keys)
    }

    /// Forgets a lease, whose keys have been deleted.
    pub(crate) fn revoke(&mut self, id: LeaseId) {
        let lease = self.leases.remove(&id);
        assert!(lease.is_none_or(|lease| lease.keys.is_empty()), "lease {id} still has keys");
        self.note(format::lease_key(id), None);
    }

    /// Moves the key of an event from the lease it had to the one it has.
    pub(crate) fn follow(&mut self, event: &Event) {
        let before = event.previous.as_ref().map_or(LeaseId::NONE, |previous| previous.lease);
        let after = event.kv.lease;
        if before == after {
            return;
        }
        let key = &event.kv.key;
        if let Some(lease) = self.leases.get_mut(&before) {
            lease.keys.remove(key);
            self.note(format::attachment_key(before, key), None);
        }
        if let Some(lease) = self.leases.get_mut(&after) {
            lease.keys.insert(Bytes::copy_from_slice(key));
            self.note(format::attachment_key(after, key), Some(Bytes::new()));
        }
    }

    /// Hands over the records that have changed since the last time.
    pub(crate) fn take_unflushed(&mut self) -> BTreeMap<Bytes, Option<Bytes>> {
        self.unflushed_bytes = 0;
        std::mem::take(&mut self.unflushed)
    }

    /// Bytes of memory that those records take.
    pub(crate) const fn unflushed_bytes(&self) -> usize {
        self.unflushed_bytes
    }

    fn note(&mut self, key: Bytes, record: Option<Bytes>) {
        self.unflushed_bytes += RECORD_BYTES + key.len();
        self.unflushed.insert(key, record);
    }
}
