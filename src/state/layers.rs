//! How readers and the one writer meet: a few atomics, and the layers of overlays over the store.
//!
//! # Why a reader needs no lock
//!
//! A reader takes, in this order, (1) the published revision W, (2) the layers, (3) a view of the store, (4) the compact revision
//! C and the store's ceiling, and then reads at some revision R with C <= R <= W, ignoring every version newer than R.
//!
//! - *Nothing up to W is missing.* The writer publishes W after adding all versions up to it. They leave an overlay only by way of
//!   an ingestion that is complete before layers without that overlay are published. So layers loaded after W, with a view opened
//!   after those layers, hold every version up to W: in the active overlay, the frozen one, or the store. Layers loaded before W
//!   could lack an overlay that had been added since, a view opened before the layers could lack a flush that the layers rely on.
//! - *Too much does no harm.* The view may hold a flush that the layers still list as frozen, or even a later one. Then a version
//!   is found twice, and the upper layer's is taken; or the newest version in the store is newer than R, and the one that lived at
//!   R is in the store's history, because every ingestion that supersedes a version up to the *ceiling* moves it there, unless its
//!   successor is at or below the compact revision of that moment.
//! - *Nothing that lives at R was dropped.* An ingestion drops only what no read at or above the compact revision C' that was
//!   published before it began can see. C is loaded after the view is opened, so C >= C', and R >= C.
//! - *The ceiling* is raised to the last revision of a flush before its ingestion begins. If R is at or above the ceiling loaded
//!   after the view was opened, then the store's newest versions are all at or below R and its history need not be looked at.
//!
//! If W < C, because a compaction was published in between, the reader starts again; the next W is not below that C, since the
//! writer publishes W first.
//!
//! All of this is one [`Shared`] over one store. An install puts another one in its place; a reader takes the one that is there when it
//! begins and stays with it, as do the jobs. The new one's W is not below the old one's, because more entries are applied in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use model::{KeyValue, LogId, Rejection, Revision};
use parking_lot::{Mutex, RwLock};

use crate::Fault;
use crate::auth::Auth;
use crate::facts::Facts;
use crate::format::{Cursor, Head};
use crate::lease::LeaseTable;
use crate::overlay::{EventRef, Overlay};
use crate::storage::{Storage, View};
use crate::stored;

/// The overlays, newest first.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) active: Arc<Overlay>,
    /// Being flushed, or waiting for it.
    pub(crate) frozen: Option<Arc<Overlay>>,
}

impl Layers {
    /// From the newest down.
    pub(crate) fn overlays(&self) -> impl Iterator<Item = &Arc<Overlay>> {
        [Some(&self.active), self.frozen.as_ref()].into_iter().flatten()
    }

    fn find(&self, key: &Bytes, at: Revision) -> Option<EventRef> {
        self.overlays().find_map(|overlay| overlay.find(key, at))
    }

    /// Everything up to here lies in the store.
    pub(crate) fn base(&self) -> Revision {
        self.frozen.as_ref().unwrap_or(&self.active).base()
    }
}

/// What the machine, its readers and its jobs share.
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) layers: ArcSwap<Layers>,
    revision: AtomicI64,
    compact_revision: AtomicI64,
    ceiling: AtomicI64,
    live_bytes: AtomicU64,
    applied: RwLock<Option<LogId>>,
    pub(crate) leases: RwLock<LeaseTable>,
    /// As of a group of entries that is visible, or is about to be.
    pub(crate) facts: ArcSwap<Facts>,
    /// What those say about users and roles.
    pub(crate) auth: ArcSwap<Auth>,
    /// Held while a job writes to the store, so that flushes and cleanups never overlap: how far cleanup has come.
    pub(crate) cursor: Mutex<Cursor>,
    /// The cursor's revision, for those who only want to know.
    cleaned: AtomicI64,
    /// History below this was missing when the store was opened: readers see no lower compact revision, even though it takes the
    /// replay of the log until the machine's own has got there.
    floor: Revision,
}

impl Shared {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        head: &Head,
        cursor: Cursor,
        leases: LeaseTable,
        (facts, auth): (Arc<Facts>, Arc<Auth>),
    ) -> Self {
        // What was cleaned up had been flushed: the head's own revision can always be read.
        let floor = cursor.floor.min(head.revision);
        let layers = Layers { active: Arc::new(Overlay::new(head.revision)), frozen: None };
        Self {
            storage,
            layers: ArcSwap::from_pointee(layers),
            revision: AtomicI64::new(head.revision.get()),
            compact_revision: AtomicI64::new(head.compact_revision.max(floor).get()),
            ceiling: AtomicI64::new(head.revision.get()),
            live_bytes: AtomicU64::new(head.live_bytes),
            applied: RwLock::new(head.applied),
            leases: RwLock::new(leases),
            facts: ArcSwap::new(facts),
            auth: ArcSwap::new(auth),
            cursor: Mutex::new(cursor),
            cleaned: AtomicI64::new(cursor.next.revision.get()),
            floor,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision::new(self.revision.load(Ordering::Acquire))
    }

    pub(crate) fn compact_revision(&self) -> Revision {
        Revision::new(self.compact_revision.load(Ordering::Acquire))
    }

    pub(crate) fn applied(&self) -> Option<LogId> {
        *self.applied.read()
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed)
    }

    /// Makes a group visible. The revision first: see the top of this file.
    pub(crate) fn publish(&self, head: &Head) {
        self.live_bytes.store(head.live_bytes, Ordering::Relaxed);
        self.revision.store(head.revision.get(), Ordering::Release);
        self.compact_revision.store(head.compact_revision.max(self.floor).get(), Ordering::Release);
        *self.applied.write() = head.applied;
    }

    /// Announces that the store is about to hold revisions up to this one.
    pub(crate) fn raise_ceiling(&self, revision: Revision) {
        self.ceiling.store(revision.get(), Ordering::Release);
    }

    /// Last revision of the newest flush that is complete.
    pub(crate) fn flushed(&self) -> Revision {
        self.layers.load().base()
    }

    /// Notes how far cleanup has come.
    pub(crate) fn note_cleaned(&self, cursor: Cursor) {
        self.cleaned.store(cursor.next.revision.get(), Ordering::Release);
    }

    /// How far a cleanup for `compact_revision` can get: not past the last flush, whose own events must still be there if the
    /// process ends and starts again from it.
    pub(crate) fn cleanup_end(&self, compact_revision: Revision) -> Revision {
        compact_revision.min(self.flushed())
    }

    /// Whether the store holds what a compaction has dropped.
    pub(crate) fn is_cleanup_due(&self) -> bool {
        self.cleaned.load(Ordering::Acquire) < self.cleanup_end(self.compact_revision()).get()
    }

    /// What compaction up to here has dropped is gone from the store, or never came there, but for the events of a last revision.
    pub(crate) fn cleaned_revision(&self) -> Revision {
        let compact_revision = self.compact_revision();
        if !self.is_cleanup_due() && self.layers.load().frozen.is_none() {
            return compact_revision;
        }
        Revision::new(self.cleaned.load(Ordering::Acquire)).previous().min(compact_revision)
    }
}

/// All that a read needs, at one moment: consistent, immutable, and soon to be dropped.
pub(crate) struct Sight {
    /// The published revision; for the machine, its own.
    pub(crate) revision: Revision,
    pub(crate) compact_revision: Revision,
    pub(crate) layers: Arc<Layers>,
    pub(crate) view: Arc<dyn View>,
    ceiling: Revision,
}

impl Sight {
    /// The state as published.
    pub(crate) fn open(shared: &Shared) -> Self {
        loop {
            let sight = Self::at(shared, shared.revision());
            if sight.revision >= sight.compact_revision {
                return sight;
            }
        }
    }

    /// The state at a revision that the caller knows to be complete.
    pub(crate) fn at(shared: &Shared, revision: Revision) -> Self {
        let layers = shared.layers.load_full();
        let view = shared.storage.view();
        let compact_revision = shared.compact_revision();
        let ceiling = Revision::new(shared.ceiling.load(Ordering::Acquire));
        Self { revision, compact_revision, layers, view, ceiling }
    }

    /// The revision that a request means, if it can be read.
    pub(crate) fn resolve(&self, asked: Revision) -> Result<Revision, Rejection> {
        if asked <= Revision::ZERO {
            Ok(self.revision)
        } else if asked > self.revision {
            Err(Rejection::FutureRevision)
        } else if asked < self.compact_revision {
            Err(Rejection::Compacted)
        } else {
            Ok(asked)
        }
    }

    /// Whether versions that lived at `at` can be in the store's history.
    pub(crate) fn needs_history(&self, at: Revision) -> bool {
        at < self.ceiling
    }

    /// `key` as it was at `at`.
    pub(crate) fn get(&self, key: &Bytes, at: Revision) -> Result<Option<KeyValue>, Fault> {
        if let Some(event) = self.layers.find(key, at) {
            return Ok(event.live().cloned());
        }
        match stored::newest_of(&*self.view, key)? {
            Some(kv) if kv.mod_revision <= at => Ok(Some(kv)),
            Some(_) | None if self.needs_history(at) => stored::superseded_of(&*self.view, key, at),
            Some(_) | None => Ok(None),
        }
    }

    /// The newest version of `key`, in memory that may be kept. For the machine, whose revision is never below the ceiling.
    pub(crate) fn newest_to_keep(&self, key: &Bytes) -> Result<Option<KeyValue>, Fault> {
        if let Some(event) = self.layers.find(key, self.revision) {
            return Ok(event.live().cloned());
        }
        let stored = stored::newest_of(&*self.view, key)?;
        Ok(stored.map(|kv| KeyValue { value: Bytes::copy_from_slice(&kv.value), ..kv }))
    }
}
