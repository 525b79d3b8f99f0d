//! Small replicated facts: settings and records of the cluster that are no keys of a client. Users and roles are such, alarms are.
//!
//! A fact is a value under a name. The machine alone writes them, while it executes a command; they are part of a flush together
//! with the head, so that a store holds exactly those of the entries up to its head, they travel with exports and imports and count
//! in [`Reader::hash`](crate::Reader::hash). They have no revisions, no history and no watchers, and all are always in memory: they are
//! for what is small and changes seldom.
//!
//! To keep something here: choose names under a prefix of its own ("auth/", "alarm/" …) and a binary form for the values; execute
//! its commands in the machine, where whatever can be refused is refused *before* the first [`FactBook::set`], because a fact that is
//! set is not taken back; and read it with [`FactBook::get`] there, and through [`Reader::facts`](crate::Reader::facts) elsewhere. Readers see the
//! facts of a group of entries when they see its revision, or a moment earlier. What is read often is better kept decoded beside them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::Fault;
use crate::format;

/// Longest name of a fact in bytes: the storage below takes no longer keys than 65,535.
pub const FACT_NAME_BYTES_MAX: usize = 40_000;

/// What a record takes besides name and value: its places in the maps and the allocator's share.
const RECORD_BYTES: usize = 128;

/// All facts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    by_name: BTreeMap<Bytes, Bytes>,
}

impl Facts {
    /// The fact of that name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.by_name.get(name)
    }

    /// The facts whose names begin with `prefix`, by name.
    pub fn under<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.by_name.range::<[u8], _>(from).take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// Takes in a record of the store, in memory of its own.
    pub(crate) fn load(&mut self, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        let name = format::decode_fact_key(key)?;
        self.by_name.insert(name, Bytes::copy_from_slice(record));
        Ok(())
    }
}

/// The machine's own facts, with what the next flush has to write.
#[derive(Debug, Default)]
pub(crate) struct FactBook {
    facts: Arc<Facts>,
    unflushed: BTreeMap<Bytes, Option<Bytes>>,
    unflushed_bytes: usize,
}

impl FactBook {
    pub(crate) fn new(facts: Facts) -> Self {
        Self { facts: Arc::new(facts), ..Self::default() }
    }

    /// All facts as of now.
    pub(crate) const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Sets a fact. A name longer than [`FACT_NAME_BYTES_MAX`] must have been refused before.
    pub(crate) fn set(&mut self, name: Bytes, value: Bytes) {
        assert!(name.len() <= FACT_NAME_BYTES_MAX, "a fact's name is checked before it is set");
        self.note(&name, Some(value.clone()));
        Arc::make_mut(&mut self.facts).by_name.insert(name, value);
    }

    /// Forgets a fact; one that is not there stays so.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        if self.facts.get(name).is_some() {
            self.note(name, None);
            Arc::make_mut(&mut self.facts).by_name.remove(name);
        }
    }

    /// Hands over the records that have changed since the last time, by stored key.
    pub(crate) fn take_unflushed(&mut self) -> BTreeMap<Bytes, Option<Bytes>> {
        self.unflushed_bytes = 0;
        std::mem::take(&mut self.unflushed)
    }

    /// Bytes of memory that those records take.
    pub(crate) const fn unflushed_bytes(&self) -> usize {
        self.unflushed_bytes
    }

    fn note(&mut self, name: &[u8], record: Option<Bytes>) {
        self.unflushed_bytes += RECORD_BYTES + name.len() + record.as_ref().map_or(0, Bytes::len);
        self.unflushed.insert(format::fact_key(name), record);
    }
}
