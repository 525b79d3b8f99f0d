//! Writing a frozen overlay to the store: newest versions, superseded ones, events, leases, facts and the head, in one ingestion.
//!
//! The versions that an overlay supersedes came along with the events that superseded them, so a flush reads nothing. What a
//! compaction dropped before the overlay was frozen is not written at all: a key that is written all the time costs one record
//! and, at most, the history that somebody may still read.

use std::sync::Arc;

use bytes::Bytes;
use model::{LogId, Revision};

use crate::Fault;
use crate::format;
use crate::format::Position;
use crate::layers::{Layers, Shared};
use crate::overlay::{EventRef, Overlay, Seal};
use crate::storage::Edit;

/// A flush to be run where blocking is allowed. One that is dropped is not lost: the machine hands it out again.
pub struct FlushJob {
    shared: Arc<Shared>,
    overlay: Arc<Overlay>,
}

impl FlushJob {
    pub(crate) const fn new(shared: Arc<Shared>, overlay: Arc<Overlay>) -> Self {
        Self { shared, overlay }
    }

    /// Writes, syncs, and gives the memory free. Waits for a cleanup that is running. Returns the last entry whose effects are
    /// durable from now on: the log up to it is not needed any more.
    ///
    /// # Errors
    ///
    /// [`Fault`]: whether it was written is unknown; end the process and start from what the store holds.
    pub fn run(self) -> Result<Option<LogId>, Fault> {
        let writing = self.shared.cursor.lock();
        let seal = self.overlay.seal();
        let is_unfinished = {
            let layers = self.shared.layers.load();
            layers.frozen.as_ref().is_some_and(|frozen| Arc::ptr_eq(frozen, &self.overlay))
        };
        if is_unfinished {
            self.shared.raise_ceiling(seal.head.revision);
            #[cfg(not(seeded_bugs))]
            let mut group = records(&self.overlay, seal);
            #[cfg(seeded_bugs)]
            let mut group = records(&self.overlay, seal)
                .filter(|(key, _)| *key != format::HEAD_KEY || !model::seeded_bug("applied index outside the group"));
            self.shared.storage.ingest(&mut group)?;
            // Nobody else exchanges the layers meanwhile: the machine freezes no second overlay before this one is gone.
            let active = Arc::clone(&self.shared.layers.load().active);
            self.shared.layers.store(Arc::new(Layers { active, frozen: None }));
        }
        drop(writing);
        Ok(seal.head.applied)
    }
}

impl std::fmt::Debug for FlushJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlushJob").field("bytes", &self.overlay.bytes()).finish_non_exhaustive()
    }
}

/// Everything a flush writes, by ascending key: the passes in the order of their tags.
fn records<'a>(overlay: &'a Overlay, seal: &'a Seal) -> impl Iterator<Item = Edit> + 'a {
    let compact_revision = seal.head.compact_revision;
    let membership = Some(&seal.membership).filter(|membership| !membership.is_empty());
    format::marks(&seal.head)
        .into_iter()
        .chain(membership.map(|membership| (format::MEMBERSHIP_KEY, Some(membership.clone()))))
        .chain(seal.leases.iter().chain(&seal.facts).map(|(key, record)| (key.clone(), record.clone())))
        .chain(by_key(overlay).filter_map(|versions| newest(&versions)))
        .chain(by_key(overlay).flat_map(move |versions| superseded(versions, compact_revision)))
        .chain(events(overlay, compact_revision))
}

/// The events of each key, newest first, by ascending key.
fn by_key(overlay: &Overlay) -> impl Iterator<Item = Vec<EventRef>> {
    let mut entries = overlay.versions().iter().peekable();
    std::iter::from_fn(move || {
        let first = entries.next()?;
        let mut versions = vec![first.value().clone()];
        while let Some(next) = entries.next_if(|next| next.key().key == first.key().key) {
            versions.push(next.value().clone());
        }
        Some(versions)
    })
}

/// The newest version of a key, or its removal, which is left out when the store never heard of the key.
fn newest(versions: &[EventRef]) -> Option<Edit> {
    let (newest, oldest) = (versions.first()?, versions.last()?);
    #[cfg(seeded_bugs)]
    if model::seeded_bug("lost tombstone") && newest.live().is_none() {
        return None;
    }
    match newest.live() {
        Some(kv) => Some((format::current_key(&kv.key), Some(format::version_record(kv)))),
        None => oldest.previous.as_ref().map(|_| (format::current_key(&newest.kv.key), None)),
    }
}

/// The versions of a key that were superseded after the last compaction, by ascending successor.
fn superseded(versions: Vec<EventRef>, compact_revision: Revision) -> impl Iterator<Item = Edit> {
    versions.into_iter().rev().filter_map(move |event| {
        let successor = event.kv.mod_revision;
        let previous = event.previous.as_ref().filter(|_| successor > compact_revision)?;
        Some((format::history_key(&event.kv.key, successor), Some(format::version_record(previous))))
    })
}

/// The events that can still be read: a watcher may start at the compact revision itself.
fn events(overlay: &Overlay, compact_revision: Revision) -> impl Iterator<Item = Edit> {
    overlay.log().range(compact_revision..).flat_map(|entry| {
        let (revision, events) = (*entry.key(), Arc::clone(entry.value()));
        (0..).take(events.len()).map(move |sub: u32| {
            let record: Bytes = format::event_record(&events[sub as usize]);
            (format::log_key(Position { revision, sub }), Some(record))
        })
    })
}
