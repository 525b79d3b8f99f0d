//! Reclaiming what compaction dropped: superseded versions, and events below the compact revision.
//!
//! The log of events says where the versions are: each event names its key, and its revision is the successor of the version that
//! it superseded. So a cleanup walks the log and never the keys. It works in chunks. The cursor is written with the removals of its
//! chunk, on the same shelf; the events that led there are given up only then.

use std::sync::Arc;

use bytes::Bytes;

use crate::Fault;
use crate::format::{self, Cursor, Position};
use crate::layers::Shared;
use crate::stored;

/// Events of a chunk: some megabytes of memory and 0.1 s, and the store is not littered with small tables. Those of one revision
/// are not split if it is the last one.
const CHUNK_EVENTS: usize = 50_000;

/// A cleanup to be run where blocking is allowed. It can be run again and again.
#[derive(Clone)]
pub struct CleanupJob {
    shared: Arc<Shared>,
    chunk_events: usize,
}

impl CleanupJob {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, chunk_events: CHUNK_EVENTS }
    }

    /// The same job, in chunks that a test can fill.
    #[cfg(test)]
    pub(crate) fn in_chunks_of(self, chunk_events: usize) -> Self {
        Self { chunk_events, ..self }
    }

    /// Reclaims one chunk, and says whether there is more. Waits for a flush that is running. How fast chunks follow each other is
    /// up to the caller.
    ///
    /// # Errors
    ///
    /// [`Fault`]: end the process; the next start goes on where this one stopped.
    pub fn run(&self) -> Result<bool, Fault> {
        let shared = &*self.shared;
        let mut cursor = shared.cursor.lock();
        let floor = shared.compact_revision();
        let end = shared.cleanup_end(floor);
        if cursor.next.revision >= end {
            return Ok(false);
        }
        let mut next = Cursor { next: Position { revision: end, sub: 0 }, floor };
        let mut versions: Vec<Bytes> = Vec::new();
        let view = shared.storage.view();
        for (count, event) in stored::events(&*view, cursor.next, end).enumerate() {
            let (position, event) = event?;
            if count >= self.chunk_events && position.revision < end {
                next.next = position;
                break;
            }
            if !event.is_create() {
                versions.push(format::history_key(&event.kv.key, position.revision));
            }
        }
        drop(view);
        versions.sort_unstable();
        let removed = versions.into_iter().map(|key| (key, None));
        shared.storage.ingest(&mut std::iter::once((format::CURSOR_KEY, Some(next.encode()))).chain(removed))?;
        shared.storage.discard(format::LOG_START, &format::log_key(next.next))?;
        *cursor = next;
        shared.note_cleaned(next);
        Ok(next.next.revision < end)
    }
}

impl std::fmt::Debug for CleanupJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CleanupJob").field("cleaned", &self.shared.cleaned_revision()).finish_non_exhaustive()
    }
}
