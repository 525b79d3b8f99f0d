//! Contenders that wait on this member: who is told, when the line before them moves.
//!
//! A task that follows the applied changes and keeps, for each prefix on which somebody here waits, the same order of
//! contenders that the machine decides by. Nothing is decided here: who holds is a function of committed keys, this task only
//! sees it first. A hand-off therefore costs the release's commit and wakes exactly one waiter.
//!
//! Invariants: a line is what the keys under its prefix were at `max(line.as_of, seen)`; a waiter that was told `Lost` is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use model::{AppliedBatch, Change, Event, EventKind, KeyRange, RangeRequest, Revision};
use recipes::Queue;
use state::{ReadError, Reader};
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::{Error, Unavailable};
use crate::inbox::{Fact, FactReceiver};

/// Registrations that may wait for the task.
const REQUESTS_MAX: usize = 4096;

/// Places at the front of a line that are told at once when they move up; the others are told once a second.
const FRONT: usize = 16;

/// How often those further back are told, and waiters that went away are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// It waits.
    Queued {
        /// How many are before it, the holder included.
        ahead: usize,
    },
    /// It holds.
    Granted,
    /// It is gone: released, broken, or its session ended. Nothing follows.
    Lost,
}

/// A claim that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Where it stands; closed after `Lost`.
    pub(crate) state: latest::Receiver<ClaimState>,
    /// Key of who held when the watching began.
    pub(crate) head: Option<Bytes>,
}

struct Register {
    prefix: Bytes,
    key: Bytes,
    create_revision: Revision,
    /// The claim was there at this revision.
    seen_at: Revision,
    answer: oneshot::Sender<Result<Watched, ReadError>>,
}

/// The way to the task.
#[derive(Clone, Debug)]
pub(crate) struct WaitersHandle {
    requests: mpsc::Sender<Register>,
}

impl WaitersHandle {
    /// Follows the claim `key` of `create_revision` in the line of `prefix`, which was there at revision `seen_at`.
    pub(crate) async fn watch(
        &self,
        prefix: Bytes,
        key: Bytes,
        create_revision: Revision,
        seen_at: Revision,
    ) -> Result<Watched, Error> {
        let (answer, answered) = oneshot::channel();
        let request = Register { prefix, key, create_revision, seen_at, answer };
        self.requests.send(request).await.map_err(|_| Unavailable::Stopped)?;
        answered.await.map_err(|_| Unavailable::Stopped)?.map_err(Error::from)
    }
}

struct Waiter {
    create_revision: Revision,
    state: latest::Sender<ClaimState>,
}

/// One prefix with waiters here.
struct Line {
    queue: Queue,
    as_of: Revision,
    waiters: BTreeMap<Bytes, Waiter>,
    /// Whether places beyond the front have moved since they were told.
    moved: bool,
}

/// The task.
pub(crate) struct Waiters {
    lines: BTreeMap<Bytes, Line>,
    /// Revision of the last batch followed.
    seen: Revision,
    reader: Reader,
    facts: FactReceiver,
    requests: mpsc::Receiver<Register>,
}

/// The task, and the way to it.
pub(crate) fn waiters(reader: Reader, facts: FactReceiver) -> (WaitersHandle, Waiters) {
    let (sender, requests) = mpsc::channel(REQUESTS_MAX);
    (
        WaitersHandle { requests: sender },
        Waiters { lines: BTreeMap::new(), seen: Revision::ZERO, reader, facts, requests },
    )
}

impl Waiters {
    /// Runs until `stop` changes or the apply worker is gone. Waiters then see their claim's channel closed.
    pub(crate) async fn run(mut self, mut stop: latest::Receiver<bool>) {
        let mut sweeps = interval(SWEEP_INTERVAL);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                fact = self.facts.recv() => match fact {
                    Some(Fact::Applied(batch)) => self.follow(&batch),
                    Some(Fact::Missed) => self.look_at_state(),
                    None => return,
                },
                Some(request) = self.requests.recv() => self.register(request),
                _ = sweeps.tick() => self.sweep(),
            }
        }
    }

    fn register(&mut self, request: Register) {
        let Register { prefix, key, create_revision, seen_at, answer } = request;
        let known = self.lines.get(&prefix).is_some_and(|line| line.as_of.max(self.seen) >= seen_at);
        if !known && let Err(error) = self.read_line(&prefix) {
            let _ = answer.send(Err(error));
            return;
        }
        let line = self.lines.get_mut(&prefix).expect("a line that was just read, or known");
        let state = line.state_of(create_revision, &key);
        let head = line.queue.head().map(|head| head.key.clone());
        let (sender, receiver) = latest::channel(state);
        if state != ClaimState::Lost {
            line.waiters.insert(key, Waiter { create_revision, state: sender });
        }
        let _ = answer.send(Ok(Watched { state: receiver, head }));
    }

    /// Reads a line from the state, keeping the waiters there are.
    fn read_line(&mut self, prefix: &Bytes) -> Result<(), ReadError> {
        let keys = RangeRequest { keys_only: true, ..RangeRequest::new(KeyRange::prefix(prefix.clone())) };
        let read = self.reader.range(&keys)?;
        let mut queue = Queue::default();
        for kv in &read.kvs {
            queue.insert(kv.create_revision, &kv.key);
        }
        let line = Line { queue, as_of: read.revision, waiters: BTreeMap::new(), moved: true };
        match self.lines.get_mut(prefix) {
            Some(old) => {
                let waiters = std::mem::take(&mut old.waiters);
                *old = Line { waiters, ..line };
                old.tell_all();
            }
            None => {
                self.lines.insert(Bytes::copy_from_slice(prefix), line);
            }
        }
        Ok(())
    }

    fn follow(&mut self, batch: &AppliedBatch) {
        self.seen = batch.revision;
        if self.lines.is_empty() {
            return;
        }
        let mut touched = BTreeSet::new();
        for change in &batch.changes {
            self.follow_change(change, &mut touched);
        }
        for prefix in touched {
            let line = self.lines.get_mut(&prefix).expect("lines are forgotten by sweeps only");
            line.tell_front();
            line.moved = true;
        }
    }

    fn follow_change(&mut self, change: &Change, touched: &mut BTreeSet<Bytes>) {
        for event in change.events.iter() {
            // Every prefix of a line that this key can be under: whoever waits here chose it, but all end in a slash.
            let slashes = event.kv.key.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            for at in slashes {
                if let Some(line) = self.lines.get_mut(&event.kv.key[..=at])
                    && change.revision > line.as_of
                    && line.follow(event)
                {
                    touched.insert(event.kv.key.slice(..=at));
                }
            }
        }
    }

    /// Changes were missed: every line is read anew.
    fn look_at_state(&mut self) {
        self.facts.known(self.reader.applied().map(|applied| applied.index));
        let prefixes: Vec<Bytes> = self.lines.keys().cloned().collect();
        for prefix in prefixes {
            if let Err(error) = self.read_line(&prefix) {
                tracing::error!(?error, "cannot read who waits for a lock; its waiters have to ask again");
                self.lines.remove(&prefix);
            }
        }
    }

    fn sweep(&mut self) {
        self.lines.retain(|_, line| {
            line.waiters.retain(|_, waiter| !waiter.state.is_closed());
            if std::mem::take(&mut line.moved) {
                line.tell_all();
            }
            !line.waiters.is_empty()
        });
    }
}

impl Line {
    fn state_of(&self, create_revision: Revision, key: &[u8]) -> ClaimState {
        if !self.queue.contains(create_revision, key) {
            return ClaimState::Lost;
        }
        match self.queue.ahead_of(create_revision, key) {
            0 => ClaimState::Granted,
            ahead => ClaimState::Queued { ahead },
        }
    }

    /// Follows one event under the prefix. Returns whether anybody moved.
    fn follow(&mut self, event: &Event) -> bool {
        match event.kind {
            EventKind::Put if event.is_create() => {
                self.queue.insert(event.kv.create_revision, &event.kv.key);
                false
            }
            EventKind::Put => false,
            EventKind::Delete => {
                let gone = event.previous.as_ref().expect("a live deletion says what it deleted");
                self.queue.remove(gone.create_revision, &gone.key);
                if let Some(waiter) = self.waiters.remove(&gone.key) {
                    waiter.state.send_replace(ClaimState::Lost);
                }
                true
            }
        }
    }

    /// Tells the first in line how they stand now.
    fn tell_front(&self) {
        for (ahead, contender) in self.queue.iter().take(FRONT).enumerate() {
            #[cfg(seeded_bugs)]
            let ahead = if model::seeded_bug("lock granted to the second in line") { ahead / 2 } else { ahead };
            if let Some(waiter) = self.waiters.get(&contender.key) {
                waiter.tell(if ahead == 0 { ClaimState::Granted } else { ClaimState::Queued { ahead } });
            }
        }
    }

    /// Tells everybody, and forgets those whose claim is gone.
    fn tell_all(&mut self) {
        let places: BTreeMap<&Bytes, (usize, Revision)> = self
            .queue
            .iter()
            .enumerate()
            .map(|(ahead, contender)| (&contender.key, (ahead, contender.create_revision)))
            .collect();
        self.waiters.retain(|key, waiter| {
            let place = places.get(key).filter(|(_, create_revision)| *create_revision == waiter.create_revision);
            let state = match place {
                None => ClaimState::Lost,
                Some((0, _)) => ClaimState::Granted,
                Some((ahead, _)) => ClaimState::Queued { ahead: *ahead },
            };
            waiter.tell(state);
            state != ClaimState::Lost
        });
    }
}

impl Waiter {
    fn tell(&self, state: ClaimState) {
        self.state.send_if_modified(|known| std::mem::replace(known, state) != state);
    }
}
