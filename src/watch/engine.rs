//! All that the hub does, without a clock, a task or a wait: the state of all watchers and its every change.
//!
//! - A watcher's `next` is the first revision not handed to its stream. It only grows, and events are handed over in its order:
//!   so every watcher sees each event once, in order, and misses none.
//! - Live watchers have been handed everything below `recent.next()`. Those that were not are catching up, and join the live
//!   ones in the step that hands them the last change they missed: there is no time in between.
//! - Watchers of one stream do not overtake each other: while one waits for room the others line up. So the one that waits
//!   cannot starve.
//! - A stream with watchers in line is being served, or will ring when it has room, or has claims that a scan will settle.
//! - Nothing waits for a reader. What does not fit in a stream's queue is not kept; the watcher is, and reads it later.
//! - All watchers but the compacted ones are in the index.

mod catch_up;
mod requests;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use model::{AppliedBatch, Change, Revision};

use crate::counters::Counters;
use crate::doorbell::Doorbell;
use crate::history::History;
use crate::interval::IntervalIndex;
use crate::matches::Matches;
use crate::message::{Selection, Selections, WatchEvents, WatchMessage};
use crate::queue::StreamQueue;
use crate::recent::{CHANGES_MAX, Recent, size_of_change};
use crate::slab::{Key, Slab};
use crate::watcher::{Line, Position, Stream, Watcher};

/// Streams that are looked at before the next batch has its turn.
const VISITS_PER_TURN: usize = 64;

/// Recent events that are looked at for watchers that are behind before the next batch has its turn: well below a millisecond.
const CHECKS_PER_TURN: usize = 16 * 1024;

pub(crate) struct Engine {
    history: Arc<dyn History>,
    counters: Arc<Counters>,
    doorbell: Arc<Doorbell>,
    streams: Slab<Stream>,
    watchers: Slab<Watcher>,
    index: IntervalIndex<Key<Watcher>>,
    recent: Recent,
    /// The last revision that is known to exist; may be ahead of `recent` when changes were missed.
    known: Revision,
    /// Streams that rang and were not looked at yet.
    ringing: VecDeque<Arc<StreamQueue>>,
    /// Streams with watchers behind and, as far as is known, room for a message.
    served: VecDeque<Key<Stream>>,
    /// Watchers that wait for a scan of the history.
    remote: Line,
    /// Streams that asked for progress.
    asking: Vec<Key<Stream>>,
    matches: Matches<Key<Watcher>>,
}

impl Engine {
    pub(crate) fn new(history: Arc<dyn History>, counters: Arc<Counters>, doorbell: Arc<Doorbell>) -> Self {
        let known = history.revision();
        Self {
            history,
            counters,
            doorbell,
            streams: Slab::new(),
            watchers: Slab::new(),
            index: IntervalIndex::new(),
            recent: Recent::new(known.next(), CHANGES_MAX),
            known,
            ringing: VecDeque::new(),
            served: VecDeque::new(),
            remote: Line::new(),
            asking: Vec::new(),
            matches: Matches::new(),
        }
    }

    /// Fans a batch out. If changes before it were missed it is left for [`missing_from`](Self::missing_from).
    pub(crate) fn take_batch(&mut self, batch: &AppliedBatch) {
        self.known = self.known.max(batch.revision);
        self.take_changes(&batch.changes);
    }

    fn take_changes(&mut self, changes: &[Change]) {
        for change in changes {
            if change.revision == self.recent.next() {
                self.fan_out(change);
            }
        }
    }

    fn fan_out(&mut self, change: &Change) {
        let mut matches = mem::replace(&mut self.matches, Matches::new());
        matches.clear();
        for (place, event) in (0u32..).zip(change.events.iter()) {
            self.index.visit(&event.kv.key, |key| {
                if self.watchers.get(key).is_some_and(|watcher| watcher.hears(event.kind, change.revision)) {
                    matches.push(key, place);
                }
            });
        }
        let bytes = size_of_change(change);
        let mut delivered = 0;
        for (key, selection) in matches.selections(&change.events) {
            delivered += self.deliver(key, selection, bytes);
        }
        self.counters.events.add(delivered);
        self.matches = matches;
        self.recent.push(change.clone(), bytes);
    }

    /// Hands a live watcher what was just fanned out, or puts it in line. Returns the number of events handed over.
    fn deliver(&mut self, key: Key<Watcher>, selection: Selection, bytes: usize) -> u64 {
        let Some(watcher) = self.watchers.get_mut(key) else { return 0 };
        let Some(stream) = self.streams.get_mut(watcher.stream) else { return 0 };
        let (revision, count) = (selection.revision(), selection.len() as u64);
        if stream.behind.is_empty() {
            let events = WatchEvents {
                id: watcher.id,
                revision,
                prev_kv: watcher.prev_kv,
                selections: Selections::One(selection),
            };
            if stream.queue.push(WatchMessage::Events(events), bytes) {
                watcher.is_quiet = false;
                return count;
            }
        }
        self.put(key, Position::Behind, revision);
        0
    }

    /// The first revision that batches did not bring, if some were missed.
    pub(crate) fn missing_from(&self) -> Option<Revision> {
        (self.recent.next() <= self.known).then(|| self.recent.next())
    }

    /// Looks whether the history is ahead.
    pub(crate) fn look_for_missed(&mut self) {
        self.known = self.known.max(self.history.revision());
    }

    /// Everything but batches and reads, for a bounded time.
    pub(crate) fn take_turn(&mut self) {
        self.ringing.extend(self.doorbell.visitors());
        for _ in 0..VISITS_PER_TURN {
            let Some(queue) = self.ringing.pop_front() else { break };
            self.visit(&queue);
        }
        self.serve(CHECKS_PER_TURN);
        self.answer_progress();
    }

    /// Whether another turn would find something to do at once.
    pub(crate) fn is_busy(&self) -> bool {
        !self.ringing.is_empty() || !self.served.is_empty()
    }

    /// Tells watchers that want to know how far they are, if nothing else told them since the last tick.
    pub(crate) fn tick(&mut self) {
        let revision = self.revision();
        for watcher in self.watchers.values_mut() {
            let was_quiet = mem::replace(&mut watcher.is_quiet, true);
            if watcher.progress_notify && was_quiet && is_synced(watcher, revision) {
                let message = WatchMessage::Progress { id: Some(watcher.id), revision };
                // A stream without room has other things to read first.
                _ = self.streams.get(watcher.stream).is_some_and(|stream| stream.queue.push(message, 0));
            }
        }
    }

    /// The last revision that was fanned out.
    fn revision(&self) -> Revision {
        self.recent.next().previous()
    }

    /// The revision of the store: the hub may not have heard of it yet.
    fn store_revision(&self) -> Revision {
        self.revision().max(self.history.revision())
    }

    /// Changes the position and the next revision of a watcher, and with them every set it is in.
    fn put(&mut self, key: Key<Watcher>, position: Position, next: Revision) {
        let Some(watcher) = self.watchers.get_mut(key) else { return };
        let Some(stream) = self.streams.get_mut(watcher.stream) else { return };
        match watcher.position {
            Position::Live | Position::Compacted => {}
            Position::Behind => _ = stream.behind.remove(&(watcher.next, key)),
            Position::Remote => {
                self.remote.remove(&(watcher.next, key));
                stream.claims -= 1;
            }
            Position::Scanned => stream.claims -= 1,
        }
        match position {
            Position::Live | Position::Compacted => {}
            Position::Behind => _ = stream.behind.insert((next, key)),
            Position::Remote => {
                self.remote.insert((next, key));
                stream.claims += 1;
            }
            Position::Scanned => stream.claims += 1,
        }
        match (watcher.position.is_catching_up(), position.is_catching_up()) {
            (false, true) => self.counters.behind.add(1),
            (true, false) => self.counters.behind.subtract(1),
            (false, false) | (true, true) => {}
        }
        watcher.position = position;
        watcher.next = next;
    }

    /// Lets a watcher join the live ones, or stay behind, when everything below `next` was handed over.
    fn place(&mut self, key: Key<Watcher>, next: Revision) {
        let position = if next >= self.recent.next() { Position::Live } else { Position::Behind };
        self.put(key, position, next);
    }
}

/// Whether the stream of a watcher holds everything up to `revision` that the watcher wants, and it wants something by now.
fn is_synced(watcher: &Watcher, revision: Revision) -> bool {
    watcher.position == Position::Live && watcher.start <= revision
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.doorbell.abandon();
        for queue in mem::take(&mut self.ringing) {
            queue.end();
        }
        for (_, stream) in self.streams.iter() {
            stream.queue.end();
        }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod table_tests;
