//! What a stream hears from the hub.
//!
//! Events are shared, never copied: a message names the events of a change that its watcher wants. All that a watcher wants
//! of one revision is in one message; a message may hold several revisions when the watcher was behind.

use std::slice;
use std::sync::Arc;

use model::{Event, Revision};
use thiserror::Error;

/// One message of a stream, in the order in which it must reach the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchMessage {
    /// A watcher exists. Comes before anything else about it.
    Created {
        /// The watcher.
        id: i64,
        /// Revision of the store; a watcher without a start revision sees what comes after it.
        revision: Revision,
    },
    /// A watcher was not created; etcd answers under the id -1.
    CreateRefused {
        /// Why; the text is etcd's.
        reason: Refusal,
        /// Revision of the store.
        revision: Revision,
    },
    /// Something happened.
    Events(WatchEvents),
    /// Every event up to `revision` that the watcher wants was sent before this.
    Progress {
        /// The watcher; `None`: this holds for every watcher of the stream (etcd's id -1).
        id: Option<i64>,
        /// How far.
        revision: Revision,
    },
    /// A watcher was cancelled on request; nothing follows under its id.
    Canceled {
        /// The watcher.
        id: i64,
        /// Revision of the store.
        revision: Revision,
    },
    /// What the watcher has not seen yet is gone; nothing but the answer to a cancel follows under its id, which stays taken
    /// until then (etcd's quirk). etcd answers with a header of revision 0.
    Compacted {
        /// The watcher.
        id: i64,
        /// The revision from which it can be created anew.
        compact_revision: Revision,
    },
}

/// Why a watcher was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The id is taken on this stream. Choose another, or none.
    #[error("mvcc: duplicate watch ID provided on the WatchStream")]
    DuplicateId,
    /// The range ends before it begins.
    #[error("mvcc: watcher range is empty")]
    EmptyRange,
    /// The start revision is negative.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    NegativeRevision,
}

/// Events for one watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvents {
    pub(crate) id: i64,
    pub(crate) revision: Revision,
    pub(crate) prev_kv: bool,
    pub(crate) selections: Selections,
}

impl WatchEvents {
    /// The watcher.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// For the header: the revision of the events, or of the store if the watcher was behind.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether [`Event::previous`] was asked for. If not it may be there nonetheless and is to be left out.
    #[must_use]
    pub fn prev_kv(&self) -> bool {
        self.prev_kv
    }

    /// One selection for each revision, ascending; at least one.
    #[must_use]
    pub fn selections(&self) -> &[Selection] {
        self.selections.as_slice()
    }

    /// All events in order; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.selections().iter().flat_map(Selection::iter)
    }
}

/// The common case, one revision, without an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selections {
    One(Selection),
    Many(Box<[Selection]>),
}

impl Selections {
    /// `None` if there is nothing to tell.
    pub(crate) fn from_vec(mut selections: Vec<Selection>) -> Option<Self> {
        if selections.len() > 1 {
            return Some(Self::Many(selections.into_boxed_slice()));
        }
        selections.pop().map(Self::One)
    }

    pub(crate) fn as_slice(&self) -> &[Selection] {
        match self {
            Self::One(selection) => slice::from_ref(selection),
            Self::Many(selections) => selections,
        }
    }
}

/// What a watcher wants of the events of one revision: never nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    events: Arc<[Event]>,
    /// Ascending places in `events`; `None` is all of them.
    picked: Option<Box<[u32]>>,
}

impl Selection {
    /// The events at `picked`, which ascends and is not empty.
    pub(crate) fn new(events: &Arc<[Event]>, picked: impl ExactSizeIterator<Item = u32>) -> Self {
        let picked = (picked.len() < events.len()).then(|| picked.collect());
        Self { events: Arc::clone(events), picked }
    }

    /// The revision of all its events.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.events[0].kv.mod_revision
    }

    /// How many events; not zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.picked.as_ref().map_or(self.events.len(), |picked| picked.len())
    }

    /// The events in the order of the operations.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        (0..self.len()).map(|nth| match &self.picked {
            None => &self.events[nth],
            Some(picked) => &self.events[picked[nth] as usize],
        })
    }
}
