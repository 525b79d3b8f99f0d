//! A state made from what another store knows: its leases and its events, in the order of their revisions.
//!
//! What comes out is what a member would send another one ([`crate::Import`] takes it in), with one applied entry that stands for all
//! that happened. Holds everything in memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{Event, EventKind, KeyValue, LeaseId, LogId, Revision};

use crate::Fault;
use crate::format::{self, Head, Position};
use crate::piece::Encoder;

/// See the top of this file.
#[derive(Debug)]
pub struct Rebuild {
    /// All but the newest versions.
    records: BTreeMap<Bytes, Bytes>,
    newest: BTreeMap<Bytes, KeyValue>,
    leases: BTreeSet<LeaseId>,
    revision: Revision,
    compact_revision: Revision,
    last: Position,
}

impl Rebuild {
    /// Begins, with the oldest revision that can be read; zero if history was never compacted.
    #[must_use]
    pub fn new(compact_revision: Revision) -> Self {
        Self {
            records: BTreeMap::new(),
            newest: BTreeMap::new(),
            leases: BTreeSet::new(),
            revision: Revision::FIRST.max(compact_revision),
            compact_revision,
            last: Position::default(),
        }
    }

    /// Adds a lease, before the events. `remaining` is what was last noted of its life, or 0.
    pub fn lease(&mut self, id: LeaseId, ttl: i64, remaining: i64) {
        self.records.insert(format::lease_key(id), format::lease_record(ttl, remaining));
        self.leases.insert(id);
    }

    /// Adds an event, number `sub` of its revision. Events come in order; of those before the compact revision there are only the
    /// puts of versions that lived then.
    ///
    /// # Errors
    ///
    /// [`Fault::Damaged`]: it is out of order.
    pub fn event(&mut self, event: Event, sub: u32) -> Result<(), Fault> {
        let revision = event.kv.mod_revision;
        let position = Position { revision, sub };
        if position <= self.last || event.kv.key.is_empty() {
            return Err(Fault::Damaged("an event out of order"));
        }
        self.last = position;
        self.revision = self.revision.max(revision);
        let key = &event.kv.key;
        let before = self.newest.remove(key);
        if let Some(before) = before.filter(|before| before.mod_revision < revision) {
            self.records.insert(format::history_key(key, revision), format::version_record(&before));
        }
        if revision >= self.compact_revision {
            self.records.insert(format::log_key(position), format::event_record(&event));
        }
        match event.kind {
            EventKind::Put => _ = self.newest.insert(key.clone(), event.kv),
            EventKind::Delete => {}
        }
        Ok(())
    }

    /// The newest revision so far.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Keys that live at it.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.newest.len()
    }

    /// Ends: the whole state in pieces of at most `bytes_max` bytes, with `applied` as the last entry whose effects are in it.
    pub fn pieces(self, applied: LogId, bytes_max: usize) -> impl Iterator<Item = Result<Bytes, Fault>> + use<> {
        let Self { mut records, newest, leases, revision, compact_revision, last: _ } = self;
        let mut live_bytes = 0;
        for (key, kv) in &newest {
            live_bytes += (key.len() + kv.value.len()) as u64;
            if leases.contains(&kv.lease) {
                records.insert(format::attachment_key(kv.lease, key), Bytes::new());
            }
            records.insert(format::current_key(key), format::version_record(kv));
        }
        let head = Head { applied: Some(applied), revision, compact_revision, live_bytes };
        for (key, record) in format::marks(&head) {
            records.insert(key, record.unwrap_or_default());
        }
        Pieces { records: records.into_iter(), encoder: Encoder::default(), bytes_max, is_ended: false }
    }
}

struct Pieces {
    records: std::collections::btree_map::IntoIter<Bytes, Bytes>,
    encoder: Encoder,
    bytes_max: usize,
    is_ended: bool,
}

impl Pieces {
    fn fill(&mut self) -> Result<(), Fault> {
        while !self.is_ended && !self.encoder.fills(self.bytes_max) {
            match self.records.next() {
                Some((key, record)) => self.encoder.push(&key, &record)?,
                None => {
                    self.encoder.end();
                    self.is_ended = true;
                }
            }
        }
        Ok(())
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(fault) = self.fill() {
            (self.encoder, self.is_ended) = (Encoder::default(), true);
            return Some(Err(fault));
        }
        self.encoder.cut(self.bytes_max).map(Ok)
    }
}
