//! Keys with their values, and the events that changed them.

use bytes::Bytes;

use crate::{LeaseId, Revision};

/// One version of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// The key; never empty.
    pub key: Bytes,
    /// The value; may be empty.
    pub value: Bytes,
    /// Revision of the put that created the current generation; the fencing token of a lock key.
    pub create_revision: Revision,
    /// Revision of the last put.
    pub mod_revision: Revision,
    /// Puts in this generation: 1 when created.
    pub version: i64,
    /// Lease of the last put, or [`LeaseId::NONE`].
    pub lease: LeaseId,
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A key was written.
    Put,
    /// A key was deleted, directly or with its lease.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The new version; of a delete only `key` and `mod_revision` are set.
    pub kv: KeyValue,
    /// The version before, where it is at hand: always in a live batch, never in history (look it up at
    /// `mod_revision - 1`). Absent for a put that created the key.
    pub previous: Option<KeyValue>,
}

impl Event {
    /// Whether the event created a key: such an event has no version before it.
    #[must_use]
    pub fn is_create(&self) -> bool {
        self.kind == EventKind::Put && self.kv.create_revision == self.kv.mod_revision
    }
}
