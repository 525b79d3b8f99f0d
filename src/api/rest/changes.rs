//! Changes as documents: all of one revision in one event, or in parts of which the last one completes it.

use model::{Event, EventKind, Revision};
use node::WatchMessage;
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{Cursor, Epoch};
use super::frames::Frame;
use super::value::{Encoding, KeyDocument, Wanted, show_key};

/// Most changes of an event.
const CHANGES_MAX: usize = 500;

/// Bytes of values after which an event is cut: one value may be larger.
const VALUE_BYTES: usize = 1 << 20;

/// All changes of one revision, or a part of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// The revision.
    pub(crate) revision: i64,
    /// In the order of the operations.
    pub(crate) changes: Vec<KeyChange>,
}

/// A change of a key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum KeyChange {
    /// It was written.
    Put(KeyDocument),
    /// It was deleted, or ended with its session.
    Delete(DeletedKey),
}

/// A key that is no more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedKey {
    /// The key.
    pub(crate) key: String,
    /// `base64` when the key is not UTF-8; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_encoding: Option<Encoding>,
}

impl KeyChange {
    fn of(event: &Event, wanted: Wanted) -> Self {
        match event.kind {
            EventKind::Put => Self::Put(wanted.document(&event.kv)),
            EventKind::Delete => {
                let (key, key_encoding) = show_key(&event.kv.key);
                Self::Delete(DeletedKey { key, key_encoding })
            }
        }
    }
}

/// A message of changes of which not all was told yet. Told piece by piece, because one revision can delete a million keys.
#[derive(Debug)]
pub(crate) struct Untold {
    message: WatchMessage,
    /// The revision of the message that is being told, counted from 0.
    selection: usize,
    /// The event of it that comes next.
    event: usize,
}

impl Untold {
    /// All of `message`, if it tells of changes.
    pub(crate) fn new(message: WatchMessage) -> Self {
        Self { message, selection: 0, event: 0 }
    }

    /// The next piece, and the revision that it completes; `None` when all was told.
    pub(crate) fn next(&mut self, epoch: Epoch, wanted: Wanted) -> Option<(Frame, Option<Revision>)> {
        let WatchMessage::Events(events) = &self.message else { return None };
        let selection = events.selections().get(self.selection)?;
        let mut changes = Vec::new();
        let mut bytes = 0;
        for event in selection.iter().skip(self.event).take(CHANGES_MAX) {
            bytes += event.kv.value.len();
            if bytes > VALUE_BYTES && !changes.is_empty() {
                break;
            }
            changes.push(KeyChange::of(event, wanted));
        }
        self.event += changes.len();
        let revision = selection.revision();
        let document = Changes { revision: revision.get(), changes };
        if self.event < selection.len() {
            return Some((Frame::event("part", &document), None));
        }
        self.selection += 1;
        self.event = 0;
        let frame = Frame::event("change", &document).resumable(&Cursor { epoch, revision });
        Some((frame, Some(revision)))
    }
}
