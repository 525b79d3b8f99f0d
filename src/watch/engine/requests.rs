//! What streams ask for: watchers, their end, and how far they are.

use std::sync::Arc;

use model::Revision;

use super::{Engine, is_synced};
use crate::message::{Refusal, WatchMessage};
use crate::queue::{REQUESTS_MAX, StreamQueue, Taken};
use crate::request::{Request, WatchRequest, watched};
use crate::slab::Key;
use crate::watcher::{Position, Stream, Watcher};

/// Watchers of a dropped stream that are removed at once.
const FORGOTTEN_PER_VISIT: usize = 16;

impl Engine {
    /// Looks at a stream that rang.
    pub(super) fn visit(&mut self, queue: &Arc<StreamQueue>) {
        queue.answer_the_door();
        let key = *queue.key.get_or_init(|| self.streams.insert(Stream::new(Arc::clone(queue))));
        // Whoever adds more than this meanwhile has rung again.
        for _ in 0..REQUESTS_MAX {
            match queue.next_request() {
                Taken::Request(Request::Create(request)) => self.create(key, request),
                Taken::Request(Request::Cancel(id)) => self.cancel(key, id),
                Taken::Request(Request::Progress) => self.ask_progress(key),
                Taken::Nothing => break,
                Taken::Closed => return self.close(key),
            }
        }
        self.start_serving(key);
    }

    fn create(&mut self, key: Key<Stream>, request: WatchRequest) {
        let revision = self.store_revision();
        let Some(stream) = self.streams.get_mut(key) else { return };
        let range = watched(request.range);
        let is_taken = request.id.is_some_and(|id| stream.watchers.contains_key(&id));
        let refusal = if request.start_revision < Revision::ZERO {
            Some(Refusal::NegativeRevision)
        } else if range.is_empty() {
            Some(Refusal::EmptyRange)
        } else {
            is_taken.then_some(Refusal::DuplicateId)
        };
        if let Some(reason) = refusal {
            stream.queue.push(WatchMessage::CreateRefused { reason, revision }, 0);
            return;
        }
        let id = request.id.unwrap_or_else(|| stream.take_id());
        stream.queue.push(WatchMessage::Created { id, revision }, 0);
        let start = request.start_revision;
        let next = if start == Revision::ZERO { revision.next() } else { start };
        let watcher = self.watchers.insert(Watcher {
            stream: key,
            id,
            range: range.clone(),
            filters: request.filters,
            prev_kv: request.prev_kv,
            progress_notify: request.progress_notify,
            start,
            next,
            position: Position::Live,
            is_quiet: true,
        });
        stream.watchers.insert(id, watcher);
        self.index.insert(&range, watcher);
        self.counters.watchers.add(1);
        self.place(watcher, next);
    }

    fn cancel(&mut self, key: Key<Stream>, id: i64) {
        let revision = self.store_revision();
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(watcher) = stream.watchers.remove(&id) else { return };
        stream.queue.push(WatchMessage::Canceled { id, revision }, 0);
        self.forget(watcher);
    }

    /// The stream was dropped. One with many watchers is looked at again until they are gone, so that others have their turns.
    fn close(&mut self, key: Key<Stream>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let some: Vec<(i64, Key<Watcher>)> =
            stream.watchers.iter().map(|(id, watcher)| (*id, *watcher)).take(FORGOTTEN_PER_VISIT).collect();
        for (id, _) in &some {
            stream.watchers.remove(id);
        }
        let is_last = stream.watchers.is_empty();
        if !is_last {
            self.ringing.push_back(Arc::clone(&stream.queue));
        }
        for (_, watcher) in some {
            self.forget(watcher);
        }
        if is_last {
            self.streams.remove(key);
        }
    }

    fn forget(&mut self, key: Key<Watcher>) {
        let Some(watcher) = self.watchers.get(key) else { return };
        if watcher.position != Position::Compacted {
            self.index.remove(&watcher.range, key);
        }
        let next = watcher.next;
        // Out of every line it may be in.
        self.put(key, Position::Compacted, next);
        self.watchers.remove(key);
        self.counters.watchers.subtract(1);
    }

    /// A client that has seen a write acknowledged expects the answer to cover it, so the hub catches up with the store first.
    /// Requests that meet while it does get one answer.
    fn ask_progress(&mut self, key: Key<Stream>) {
        let revision = self.store_revision();
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.progress_due.replace(revision).is_none() {
            self.asking.push(key);
        }
    }

    /// Answers the streams that asked for progress, as far as it can be said by now.
    pub(super) fn answer_progress(&mut self) {
        let revision = self.revision();
        let (streams, watchers) = (&mut self.streams, &self.watchers);
        self.asking.retain(|key| {
            let Some(stream) = streams.get_mut(*key) else { return false };
            if stream.progress_due.is_some_and(|due| due > revision) {
                return true;
            }
            stream.progress_due = None;
            let mut all = stream.watchers.values().map(|watcher| watchers.get(*watcher));
            let is_synced = all.all(|watcher| watcher.is_some_and(|watcher| is_synced(watcher, revision)));
            if is_synced && !stream.watchers.is_empty() {
                stream.queue.push(WatchMessage::Progress { id: None, revision }, 0);
            }
            false
        });
    }
}
