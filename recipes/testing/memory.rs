//! A store of keys and leases in ordered maps.
//!
//! It counts revisions as etcd does, and it asserts what an expansion promises to a ledger: reads before writes, no key written
//! twice in a revision, no lease used that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bytes::Bytes;
use model::{KeyRange, KeyValue, LeaseId, Revision};

use crate::{Command, Ledger, Outcome, Queue, apply};

/// Keys and leases in memory. Two are equal when everything that is replicated is.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    keys: BTreeMap<Bytes, KeyValue>,
    leases: BTreeMap<LeaseId, i64>,
    revision: Revision,
    /// Derived from `keys`, for each prefix that was asked for.
    queues: BTreeMap<Bytes, Queue>,
    /// Keys written since the last revision; a lease granted counts as no key.
    written: BTreeSet<Bytes>,
    has_granted: bool,
}

impl Default for MemoryLedger {
    /// A store that has never been written.
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            revision: Revision::FIRST,
            queues: BTreeMap::new(),
            written: BTreeSet::new(),
            has_granted: false,
        }
    }
}

impl PartialEq for MemoryLedger {
    fn eq(&self, other: &Self) -> bool {
        (&self.keys, &self.leases, self.revision) == (&other.keys, &other.leases, other.revision)
    }
}

impl MemoryLedger {
    /// Applies one command, as one log entry.
    pub fn apply(&mut self, command: &Command) -> Outcome {
        let Ok(outcome) = apply(command, self);
        self.commit();
        outcome
    }

    /// Writes keys in one revision, as a transaction does.
    pub fn put_all(&mut self, puts: impl IntoIterator<Item = (Bytes, Bytes, LeaseId)>) {
        for (key, value, lease) in puts {
            let Ok(()) = self.put(key, value, lease);
        }
        self.commit();
    }

    /// Deletes keys in one revision.
    pub fn delete_range(&mut self, range: &KeyRange) {
        self.delete_where(|kv| range.contains(&kv.key));
    }

    /// Deletes keys, which exist, in one revision.
    pub fn delete_all(&mut self, keys: &[Bytes]) {
        for key in keys {
            let Ok(()) = self.delete(key);
        }
        self.commit();
    }

    /// Grants a lease; the answer is whether the id was free.
    pub fn grant(&mut self, lease: LeaseId, ttl: i64) -> bool {
        let is_free = !self.leases.contains_key(&lease);
        if is_free {
            self.leases.insert(lease, ttl);
        }
        is_free
    }

    /// Ends a lease: its keys are deleted in one revision.
    pub fn revoke(&mut self, lease: LeaseId) {
        if self.leases.remove(&lease).is_some() {
            self.delete_where(|kv| kv.lease == lease);
        }
    }

    /// The revision of the last write.
    #[must_use]
    pub const fn latest(&self) -> Revision {
        self.revision
    }

    /// The keys of a range, in order of the keys, read without any index.
    pub fn range<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a KeyValue> {
        self.keys.values().filter(|kv| range.contains(&kv.key))
    }

    /// The same store without what is derived: a member that has just started.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self { queues: BTreeMap::new(), ..self.clone() }
    }

    fn delete_where(&mut self, is_meant: impl Fn(&KeyValue) -> bool) {
        let keys: Vec<Bytes> = self.keys.values().filter(|kv| is_meant(kv)).map(|kv| kv.key.clone()).collect();
        for key in &keys {
            let Ok(()) = self.delete(key);
        }
        self.commit();
    }

    fn commit(&mut self) {
        if !self.written.is_empty() {
            self.revision = self.revision.next();
        }
        self.written.clear();
        self.has_granted = false;
    }

    fn assert_no_write_yet(&self) {
        assert!(self.written.is_empty() && !self.has_granted, "an expansion reads first and writes last");
    }

    fn queues_of(&mut self, key: &Bytes) -> impl Iterator<Item = &mut Queue> {
        self.queues.iter_mut().filter(|(prefix, _)| key.starts_with(prefix)).map(|(_, queue)| queue)
    }
}

impl Ledger for MemoryLedger {
    type Fault = Infallible;

    fn revision(&self) -> Revision {
        self.revision.next()
    }

    fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, Infallible> {
        self.assert_no_write_yet();
        Ok(self.keys.get(key).cloned())
    }

    fn contenders(&mut self, prefix: &Bytes) -> Result<&Queue, Infallible> {
        self.assert_no_write_yet();
        let keys = &self.keys;
        Ok(self.queues.entry(prefix.clone()).or_insert_with(|| {
            let mut queue = Queue::default();
            for kv in keys.values().filter(|kv| kv.key.starts_with(prefix)) {
                queue.join(kv);
            }
            queue
        }))
    }

    fn lease_ttl(&self, id: LeaseId) -> Option<i64> {
        self.assert_no_write_yet();
        self.leases.get(&id).copied()
    }

    fn put(&mut self, key: Bytes, value: Bytes, lease: LeaseId) -> Result<(), Infallible> {
        assert!(!key.is_empty(), "a key has at least one byte");
        assert!(!lease.is_some() || self.leases.contains_key(&lease), "lease {lease} does not exist");
        assert!(self.written.insert(key.clone()), "{key:?} is written twice in one revision");
        let revision = self.revision.next();
        let before = self.keys.get(&key);
        let create_revision = before.map_or(revision, |kv| kv.create_revision);
        let version = before.map_or(1, |kv| kv.version + 1);
        let kv = KeyValue { key: key.clone(), value, create_revision, mod_revision: revision, version, lease };
        self.queues_of(&key).for_each(|queue| queue.join(&kv));
        self.keys.insert(key, kv);
        Ok(())
    }

    fn delete(&mut self, key: &Bytes) -> Result<(), Infallible> {
        assert!(self.written.insert(key.clone()), "{key:?} is written twice in one revision");
        let before = self.keys.remove(key).expect("a key that is deleted exists");
        self.queues_of(key).for_each(|queue| queue.remove(before.create_revision, key));
        Ok(())
    }

    fn grant_lease(&mut self, id: LeaseId, ttl: i64) {
        self.has_granted = true;
        assert!(self.grant(id, ttl), "lease {id} is in use");
    }

    fn range(&self, prefix: &Bytes) -> Result<Vec<KeyValue>, Infallible> {
        self.assert_no_write_yet();
        Ok(self.keys.values().filter(|kv| kv.key.starts_with(prefix)).cloned().collect())
    }
}
