//! Which events of one change go to whom.

use std::sync::Arc;

use model::Event;

use crate::message::Selection;

/// Pairs of a receiver and the place of an event in the change, collected event by event. Kept between changes for its memory.
#[derive(Debug)]
pub(crate) struct Matches<K>(Vec<(K, u32)>);

impl<K: Copy + Ord> Matches<K> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn push(&mut self, receiver: K, place: u32) {
        self.0.push((receiver, place));
    }

    /// Everything collected so far, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, u32)> {
        self.0.iter().copied()
    }

    /// One selection of `events` for each receiver.
    pub(crate) fn selections(&mut self, events: &Arc<[Event]>) -> impl Iterator<Item = (K, Selection)> {
        // One event comes to each receiver once.
        if events.len() > 1 {
            self.0.sort_unstable();
        }
        self.0
            .chunk_by(|a, b| a.0 == b.0)
            .map(|chunk| (chunk[0].0, Selection::new(events, chunk.iter().map(|&(_, place)| place))))
    }
}
