//! What the owner of a stream may ask of the hub.

use bytes::Bytes;
use model::{EventKind, KeyRange, Revision};

/// Kinds of events that a watcher does not want. With both set it hears of progress only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Leave puts out.
    pub no_put: bool,
    /// Leave deletes out.
    pub no_delete: bool,
}

impl Filters {
    /// Whether an event of this kind gets through.
    #[must_use]
    pub fn lets_through(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Put => !self.no_put,
            EventKind::Delete => !self.no_delete,
        }
    }
}

/// A new watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// Which keys. An empty start means the key of one zero byte, as in etcd.
    pub range: KeyRange,
    /// First revision wanted, included; may lie in the future. Zero: what comes after the current one. Negative is refused.
    pub start_revision: Revision,
    /// What to leave out.
    pub filters: Filters,
    /// Whether the version before each event is wanted.
    pub prev_kv: bool,
    /// Whether the watcher is to hear how far it is when nothing happens.
    pub progress_notify: bool,
    /// The watcher's id on its stream; `None`: the next free one, counted from zero. Any number will do as a given id.
    pub id: Option<i64>,
}

impl WatchRequest {
    /// Everything that happens to `range` from now on, under an id of the stream's choice.
    #[must_use]
    pub fn new(range: KeyRange) -> Self {
        Self {
            range,
            start_revision: Revision::ZERO,
            filters: Filters::default(),
            prev_kv: false,
            progress_notify: false,
            id: None,
        }
    }

    /// The same watcher, from `revision` on.
    #[must_use]
    pub fn starting_at(self, revision: Revision) -> Self {
        Self { start_revision: revision, ..self }
    }
}

/// What travels from a stream to the hub. Each is answered by one message at most.
#[derive(Debug)]
pub(crate) enum Request {
    Create(WatchRequest),
    Cancel(i64),
    Progress,
}

/// The range that is really watched: no key is empty, so the first possible one stands in for the empty one.
pub(crate) fn watched(range: KeyRange) -> KeyRange {
    if !range.start().is_empty() {
        return range;
    }
    let start = Bytes::from_static(&[0]);
    match range {
        KeyRange::Single(_) => KeyRange::Single(start),
        KeyRange::From(_) => KeyRange::From(start),
        KeyRange::Span { end, .. } => KeyRange::Span { start, end },
    }
}
