//! One watcher, and the hub's side of the stream that it belongs to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{Change, EventKind, KeyRange, Revision};

use crate::message::Selection;
use crate::queue::StreamQueue;
use crate::request::Filters;
use crate::slab::Key;

/// Watchers by the first revision that they have not been handed, so that those furthest behind come first.
pub(crate) type Line = BTreeSet<(Revision, Key<Watcher>)>;

#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) stream: Key<Stream>,
    /// Unique on the stream.
    pub(crate) id: i64,
    pub(crate) range: KeyRange,
    pub(crate) filters: Filters,
    pub(crate) prev_kv: bool,
    pub(crate) progress_notify: bool,
    /// Revision asked for; zero if none was.
    pub(crate) start: Revision,
    /// Every event below this that the watcher wants was handed to its stream, and none from here on. That of a live watcher
    /// is not kept up: read it as this or the revision that the hub fans out next, whichever is greater.
    pub(crate) next: Revision,
    pub(crate) position: Position,
    /// Nothing was handed over since the last tick.
    pub(crate) is_quiet: bool,
}

/// How a watcher gets its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// As they are fanned out.
    Live,
    /// From the recent changes, once its stream has room: it is in the stream's line.
    Behind,
    /// From the history: it is in the hub's line, and a place in its stream's queue is claimed.
    Remote,
    /// From a scan of the history that is under way; a place in its stream's queue is claimed.
    Scanned,
    /// Not at all any more: what it had to see next is gone. Only its id is left.
    Compacted,
}

impl Position {
    pub(crate) fn is_catching_up(self) -> bool {
        match self {
            Self::Live | Self::Compacted => false,
            Self::Behind | Self::Remote | Self::Scanned => true,
        }
    }
}

impl Watcher {
    /// Whether a live watcher is to hear of an event, which is in its range.
    pub(crate) fn hears(&self, kind: EventKind, revision: Revision) -> bool {
        self.position == Position::Live && revision >= self.next && self.filters.lets_through(kind)
    }

    /// What it wants of a change, if anything.
    pub(crate) fn select(&self, change: &Change) -> Option<Selection> {
        let picked: Vec<u32> = (0u32..)
            .zip(change.events.iter())
            .filter(|(_, event)| self.filters.lets_through(event.kind) && self.range.contains(&event.kv.key))
            .map(|(nth, _)| nth)
            .collect();
        (!picked.is_empty()).then(|| Selection::new(&change.events, picked.into_iter()))
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) queue: Arc<StreamQueue>,
    pub(crate) watchers: HashMap<i64, Key<Watcher>>,
    /// From here on the next free id is looked for.
    pub(crate) next_id: i64,
    /// Watchers that are [`Position::Behind`]. While there are any, live ones get in line too instead of overtaking them.
    pub(crate) behind: Line,
    /// Watchers that are [`Position::Remote`] or [`Position::Scanned`]: each will bring one message.
    pub(crate) claims: usize,
    /// Whether the stream is among those to be served.
    pub(crate) is_served: bool,
    /// Progress was asked for, and is to be answered when the hub has fanned out this revision.
    pub(crate) progress_due: Option<Revision>,
}

impl Stream {
    pub(crate) fn new(queue: Arc<StreamQueue>) -> Self {
        Self {
            queue,
            watchers: HashMap::new(),
            next_id: 0,
            behind: Line::new(),
            claims: 0,
            is_served: false,
            progress_due: None,
        }
    }

    /// The next id that is not in use. An id that was is not given again.
    pub(crate) fn take_id(&mut self) -> i64 {
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }
}
