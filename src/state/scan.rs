//! Keys of a range at a revision: the layers merged, each key once, in ascending order.

use model::{KeyRange, KeyValue, Revision};

use bytes::Bytes;
use crossbeam_skiplist::map::Entry;

use crate::Fault;
use crate::format;
use crate::layers::Sight;
use crate::overlay::{EventRef, Overlay, VersionKey};
use crate::stored;

/// Versions to pass over one by one before seeking, so that a key that is written all the time does not slow those around it.
const STEPS_MAX: usize = 8;

/// What one layer knows of a key.
pub(crate) struct Candidate {
    pub(crate) key: Bytes,
    /// None if it was deleted there.
    pub(crate) version: Option<Version>,
}

/// A live version, decoded no further than a count needs.
pub(crate) enum Version {
    /// In an overlay: the put that made it.
    Recent(EventRef),
    /// In the store: its record.
    Stored(Bytes),
    /// Decoded already.
    Whole(KeyValue),
}

/// A live key of the range.
pub(crate) struct Found {
    key: Bytes,
    version: Version,
}

impl Found {
    pub(crate) const fn new(key: Bytes, version: Version) -> Self {
        Self { key, version }
    }

    /// The key in memory of its own.
    pub(crate) fn into_key(self) -> Bytes {
        Bytes::copy_from_slice(&self.key)
    }

    /// The version, which may share memory with a block of the store: to be sent and forgotten.
    pub(crate) fn into_kv(self) -> Result<KeyValue, Fault> {
        match self.version {
            Version::Recent(event) => Ok(event.kv.clone()),
            Version::Stored(record) => format::decode_version(self.key, record),
            Version::Whole(kv) => Ok(kv),
        }
    }

    /// The version in memory of its own or of its log entry: to be kept.
    pub(crate) fn into_owned_kv(self) -> Result<KeyValue, Fault> {
        match self.version {
            Version::Recent(event) => Ok(event.kv.clone()),
            Version::Stored(record) => {
                let kv = format::decode_version(self.key, record)?;
                let (key, value) = (Bytes::copy_from_slice(&kv.key), Bytes::copy_from_slice(&kv.value));
                Ok(KeyValue { key, value, ..kv })
            }
            Version::Whole(kv) => Ok(kv),
        }
    }
}

/// Candidates of one layer in ascending order of keys.
pub(crate) type Lane<'a> = Box<dyn Iterator<Item = Result<Candidate, Fault>> + 'a>;

/// The lanes of a range, newest first.
pub(crate) fn lanes<'a>(sight: &'a Sight, range: &'a KeyRange, at: Revision) -> Vec<Lane<'a>> {
    if range.is_empty() {
        return Vec::new();
    }
    let overlays = sight.layers.overlays().map(|overlay| Box::new(OverlayScan::new(overlay, range, at)) as Lane<'a>);
    let mut lanes: Vec<_> = overlays.collect();
    if sight.needs_history(at) {
        lanes.push(Box::new(stored::newest_until(&*sight.view, range, at)));
        lanes.push(Box::new(stored::HistoryScan::new(&*sight.view, range, at)));
    } else {
        lanes.push(Box::new(stored::newest(&*sight.view, range)));
    }
    lanes
}

/// Lanes merged: of equal keys the first lane's counts, deleted ones are left out.
pub(crate) struct Merge<'a> {
    lanes: Vec<(Candidate, Lane<'a>)>,
    failed: Option<Fault>,
}

impl<'a> Merge<'a> {
    /// The keys of `range` as they were at `at`.
    pub(crate) fn open(sight: &'a Sight, range: &'a KeyRange, at: Revision) -> Self {
        Self::new(lanes(sight, range, at))
    }

    pub(crate) fn new(lanes: Vec<Lane<'a>>) -> Self {
        let mut merge = Self { lanes: Vec::with_capacity(lanes.len()), failed: None };
        for mut lane in lanes {
            match lane.next() {
                Some(Ok(head)) => merge.lanes.push((head, lane)),
                Some(Err(fault)) => merge.failed = Some(fault),
                None => {}
            }
        }
        merge
    }

    /// Takes the head of a lane, and the lane away when it has ended.
    fn advance(&mut self, at: usize) -> Option<Candidate> {
        let (head, lane) = self.lanes.get_mut(at)?;
        match lane.next() {
            Some(Ok(next)) => Some(std::mem::replace(head, next)),
            Some(Err(fault)) => {
                self.failed = Some(fault);
                None
            }
            None => Some(self.lanes.remove(at).0),
        }
    }

    fn smallest(&self) -> usize {
        let mut smallest = 0;
        for at in 1..self.lanes.len() {
            if self.lanes[at].0.key < self.lanes[smallest].0.key {
                smallest = at;
            }
        }
        smallest
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Found, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.smallest();
            let Some(Candidate { key, version }) = (if self.failed.is_some() { None } else { self.advance(at) }) else {
                return self.failed.take().map(|fault| {
                    self.lanes.clear();
                    Err(fault)
                });
            };
            // Lanes above it have greater keys; those below may repeat this one. Backwards, because ended lanes go.
            for below in (at..self.lanes.len()).rev() {
                if self.lanes[below].0.key == key {
                    self.advance(below);
                }
            }
            if let Some(version) = version {
                return Some(Ok(Found { key, version }));
            }
        }
    }
}

/// The lane of an overlay.
struct OverlayScan<'a> {
    overlay: &'a Overlay,
    range: &'a KeyRange,
    at: Revision,
    next: Option<Entry<'a, VersionKey, EventRef>>,
}

impl<'a> OverlayScan<'a> {
    fn new(overlay: &'a Overlay, range: &'a KeyRange, at: Revision) -> Self {
        let first = VersionKey::before(range.start().clone());
        let next = overlay.versions().lower_bound(std::ops::Bound::Included(&first));
        Self { overlay, range, at, next }
    }

    /// The first entry at or after `target`, which is after `entry`.
    fn advance(
        &self,
        entry: &Entry<'a, VersionKey, EventRef>,
        target: &VersionKey,
    ) -> Option<Entry<'a, VersionKey, EventRef>> {
        let mut next = entry.next();
        for _ in 0..STEPS_MAX {
            match next {
                Some(entry) if entry.key() < target => next = entry.next(),
                reached => return reached,
            }
        }
        self.overlay.versions().lower_bound(std::ops::Bound::Included(target))
    }
}

impl Iterator for OverlayScan<'_> {
    type Item = Result<Candidate, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.next.take()?;
            let VersionKey { key, revision } = entry.key();
            if !self.range.contains(key) {
                return None;
            }
            if revision.0 > self.at {
                self.next = self.advance(&entry, &VersionKey::new(key.clone(), self.at));
                continue;
            }
            self.next = self.advance(&entry, &VersionKey::after(key.clone()));
            let version = entry.value().live().map(|_| Version::Recent(entry.value().clone()));
            return Some(Ok(Candidate { key: key.clone(), version }));
        }
    }
}
