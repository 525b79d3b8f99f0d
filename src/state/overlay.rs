//! The newest part of the state, in memory: versions and events that no flush has written yet.
//!
//! One writer adds, any number of readers look, nobody locks, nothing is ever changed or removed: an overlay grows until it is
//! frozen and dies whole. Readers ignore what is newer than the revision they read at, so that a half-written revision is
//! invisible. A version is the event that made it and shares the memory of the log entry that it came in.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;
use model::{Change, Event, EventKind, KeyValue, Revision};

use crate::format::Head;

/// Newest first, so that a lookup at a revision finds its version with one seek.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VersionKey {
    pub(crate) key: Bytes,
    pub(crate) revision: Reverse<Revision>,
}

impl VersionKey {
    pub(crate) const fn new(key: Bytes, revision: Revision) -> Self {
        Self { key, revision: Reverse(revision) }
    }

    /// Before every version of `key`.
    pub(crate) const fn before(key: Bytes) -> Self {
        Self::new(key, Revision::new(i64::MAX))
    }

    /// After every version of `key`.
    pub(crate) const fn after(key: Bytes) -> Self {
        Self::new(key, Revision::ZERO)
    }
}

/// An event in the memory of its revision.
#[derive(Clone, Debug)]
pub(crate) struct EventRef {
    events: Arc<[Event]>,
    at: usize,
}

impl EventRef {
    pub(crate) const fn new(events: Arc<[Event]>, at: usize) -> Self {
        Self { events, at }
    }

    /// The version that the event made, unless it ended the key's life.
    pub(crate) fn live(&self) -> Option<&KeyValue> {
        match self.kind {
            EventKind::Put => Some(&self.kv),
            EventKind::Delete => None,
        }
    }
}

impl Deref for EventRef {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.events[self.at]
    }
}

/// What an event takes besides key and values: itself, its node in the map, and the allocator's share of both.
const EVENT_BYTES: usize = size_of::<Event>() + size_of::<(VersionKey, EventRef)>() + 48;

/// What a revision takes besides its events: its node in the log, the head of the shared slice, and the frame of its log entry.
const REVISION_BYTES: usize = 192;

/// What else a flush writes, fixed when the overlay is frozen.
#[derive(Debug)]
pub(crate) struct Seal {
    pub(crate) head: Head,
    pub(crate) membership: Bytes,
    /// Changed lease and attachment records by stored key.
    pub(crate) leases: BTreeMap<Bytes, Option<Bytes>>,
    /// Changed facts by stored key.
    pub(crate) facts: BTreeMap<Bytes, Option<Bytes>>,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Everything up to here lies in the layers below.
    base: Revision,
    versions: SkipMap<VersionKey, EventRef>,
    log: SkipMap<Revision, Arc<[Event]>>,
    bytes: AtomicUsize,
    seal: OnceLock<Seal>,
}

impl Overlay {
    /// An empty one, for the revisions after `base`.
    pub(crate) fn new(base: Revision) -> Self {
        Self { base, versions: SkipMap::new(), log: SkipMap::new(), bytes: AtomicUsize::new(0), seal: OnceLock::new() }
    }

    pub(crate) const fn base(&self) -> Revision {
        self.base
    }

    /// Bytes of memory that this overlay keeps alive.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds a revision. Only the machine calls this, with growing revisions.
    pub(crate) fn add(&self, change: &Change) {
        let mut bytes = REVISION_BYTES;
        for (at, event) in change.events.iter().enumerate() {
            let previous = event.previous.as_ref().map_or(0, |previous| previous.value.len());
            bytes += EVENT_BYTES + event.kv.key.len() + event.kv.value.len() + previous;
            let place = VersionKey::new(event.kv.key.clone(), change.revision);
            self.versions.insert(place, EventRef::new(Arc::clone(&change.events), at));
        }
        self.log.insert(change.revision, Arc::clone(&change.events));
        self.account(bytes);
    }

    /// Adds to the memory that is kept alive.
    pub(crate) fn account(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The event that made the newest version of `key` at `at` or before, if it happened in this overlay.
    pub(crate) fn find(&self, key: &Bytes, at: Revision) -> Option<EventRef> {
        let entry = self.versions.range(VersionKey::new(key.clone(), at)..).next()?;
        (entry.key().key == *key).then(|| entry.value().clone())
    }

    pub(crate) const fn versions(&self) -> &SkipMap<VersionKey, EventRef> {
        &self.versions
    }

    pub(crate) const fn log(&self) -> &SkipMap<Revision, Arc<[Event]>> {
        &self.log
    }

    /// Ends the growth of this overlay. Once.
    pub(crate) fn freeze(&self, seal: Seal) {
        assert!(self.seal.set(seal).is_ok(), "an overlay is frozen once");
    }

    pub(crate) fn seal(&self) -> &Seal {
        self.seal.get().expect("only a frozen overlay is flushed")
    }
}
