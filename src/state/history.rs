//! Changes in order of their revisions: from the store as far as it reaches, from the overlays after that.

use std::iter::Peekable;

use model::{Change, Event, Revision};

use crate::Fault;
use crate::format::Position;
use crate::layers::Sight;
use crate::stored;

/// All changes in sight from `from` on. From the store they come without the versions before.
pub(crate) fn changes(sight: &Sight, from: Revision) -> impl Iterator<Item = Result<Change, Fault>> + '_ {
    // The view may hold more than the layers say: those are taken from the overlays.
    let events = stored::events(&*sight.view, Position { revision: from, sub: 0 }, sight.layers.base());
    let mut overlays: Vec<_> = sight.layers.overlays().collect();
    overlays.reverse();
    let recent = overlays.into_iter().flat_map(move |overlay| overlay.log().range(from..));
    let recent = recent.map(|entry| Change { revision: *entry.key(), events: entry.value().clone() });
    let recent = recent.take_while(|change| change.revision <= sight.revision);
    ByRevision { events: events.peekable() }.chain(recent.map(Ok))
}

/// Joins events of one revision.
struct ByRevision<I: Iterator> {
    events: Peekable<I>,
}

impl<I: Iterator<Item = Result<(Position, Event), Fault>>> Iterator for ByRevision<I> {
    type Item = Result<Change, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let (Position { revision, .. }, first) = match self.events.next()? {
            Ok(first) => first,
            Err(fault) => return Some(Err(fault)),
        };
        let mut events = vec![first];
        let is_same =
            |next: &Result<(Position, Event), Fault>| next.as_ref().is_ok_and(|next| next.0.revision == revision);
        while let Some(Ok((_, event))) = self.events.next_if(is_same) {
            events.push(event);
        }
        Some(Ok(Change { revision, events: events.into() }))
    }
}
