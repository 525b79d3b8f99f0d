//! Claims that are followed on this member: who is told, when the lines before them move.
//!
//! A task that follows the applied changes and keeps the lines on which somebody here waits (`board.rs`). Nothing is decided here: who
//! holds is a function of committed keys, this task only sees it first, by the same function that the machine decides by. A
//! hand-off therefore costs the release's commit, and wakes those alone who move: a mutex's next, a read-write lock's next readers,
//! as many as fit into a semaphore. A claim on several lines is woken when the last of them lets it.
//!
//! Invariants: a claim is in the `waiting` of each of its lines while it was last told that it waits; one that was told `Lost` is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use model::{AppliedBatch, EventKind, LeaseId, Revision};
use recipes::{Place, Standing};
use state::{ReadError, Reader};
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio::time::{MissedTickBehavior, interval};

use crate::board::Board;
use crate::error::{Error, Unavailable};
use crate::inbox::{Fact, FactReceiver};
use crate::session_feed::{Feeds, SessionFeed};

/// Registrations that may wait for the task.
const REQUESTS_MAX: usize = 4096;

/// Places at the front of those who wait that are told at once when they move up; the others are told once a second.
const FRONT: usize = 16;

/// How often those further back are told, and waiters that went away are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// It waits.
    Queued {
        /// How many are before it, those that hold included.
        ahead: usize,
    },
    /// It holds.
    Granted,
    /// It is gone: released, broken, or its session ended. Nothing follows.
    Lost,
}

impl From<Standing> for ClaimState {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Granted => Self::Granted,
            Standing::Queued { ahead } => Self::Queued { ahead },
        }
    }
}

/// A claim that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Where it stands; closed after `Lost`.
    pub(crate) state: latest::Receiver<ClaimState>,
    /// Key of who is first in its first line.
    pub(crate) head: Option<Bytes>,
}

/// A claim to be followed.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    /// Key of its record.
    pub(crate) record: Bytes,
    pub(crate) places: Vec<Place>,
    pub(crate) lease: LeaseId,
    pub(crate) token: Revision,
    /// It was there at this revision.
    pub(crate) seen_at: Revision,
}

enum Request {
    Claim { claim: Followed, answer: oneshot::Sender<Result<Watched, ReadError>> },
    Session { lease: LeaseId, answer: oneshot::Sender<SessionFeed> },
}

/// The way to the task.
#[derive(Clone, Debug)]
pub(crate) struct WaitersHandle {
    requests: mpsc::Sender<Request>,
}

impl WaitersHandle {
    /// Follows a claim.
    pub(crate) async fn watch(&self, claim: Followed) -> Result<Watched, Error> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Claim { claim, answer }).await.map_err(|_| Unavailable::Stopped)?;
        answered.await.map_err(|_| Unavailable::Stopped)?.map_err(Error::from)
    }

    /// Follows what happens to the keys of a session, from some revision before the answer on.
    pub(crate) async fn follow_session(&self, lease: LeaseId) -> Result<SessionFeed, Error> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Session { lease, answer }).await.map_err(|_| Unavailable::Stopped)?;
        Ok(answered.await.map_err(|_| Unavailable::Stopped)?)
    }
}

struct Waiter {
    places: Vec<Place>,
    lease: LeaseId,
    token: Revision,
    state: latest::Sender<ClaimState>,
}

/// The task.
pub(crate) struct Waiters {
    board: Board,
    /// By the keys of their records.
    waiters: BTreeMap<Bytes, Waiter>,
    /// The records of the claims that these keys are places of.
    records: BTreeMap<Bytes, Bytes>,
    feeds: Feeds,
    reader: Reader,
    facts: FactReceiver,
    requests: mpsc::Receiver<Request>,
}

/// The task, and the way to it.
pub(crate) fn waiters(reader: Reader, facts: FactReceiver) -> (WaitersHandle, Waiters) {
    let (sender, requests) = mpsc::channel(REQUESTS_MAX);
    let waiters = Waiters {
        board: Board::default(),
        waiters: BTreeMap::new(),
        records: BTreeMap::new(),
        feeds: Feeds::default(),
        reader,
        facts,
        requests,
    };
    (WaitersHandle { requests: sender }, waiters)
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
                Some(request) = self.requests.recv() => self.answer(request),
                _ = sweeps.tick() => self.sweep(),
            }
        }
    }

    /// Answers a request. Who has gone needs no answer.
    fn answer(&mut self, request: Request) {
        match request {
            Request::Claim { claim, answer } => drop(answer.send(self.register(claim))),
            Request::Session { lease, answer } => drop(answer.send(self.feeds.open(lease))),
        }
    }

    fn register(&mut self, claim: Followed) -> Result<Watched, ReadError> {
        let Followed { record, places, lease, token, seen_at } = claim;
        let line = places.first().map(|place| place.line().clone()).unwrap_or_default();
        if let Some(waiter) = self.waiters.get(&record).filter(|waiter| waiter.token == token) {
            let state = waiter.state.subscribe();
            return Ok(Watched { state, head: self.head_of(&line) });
        }
        self.board.join(&places, seen_at, &self.reader)?;
        if self.waiters.contains_key(&record) {
            self.lose(&record);
        }
        let state = stand(&mut self.board, &places, lease, token);
        let (sender, receiver) = latest::channel(state);
        let watched = Watched { state: receiver, head: self.head_of(&line) };
        if state == ClaimState::Lost {
            self.board.leave(&places);
            return Ok(watched);
        }
        let record = Bytes::copy_from_slice(&record);
        for place in &places {
            self.records.insert(place.key(lease), record.clone());
            if let (ClaimState::Queued { .. }, Some(line)) = (state, self.board.lines.get_mut(place.line())) {
                line.waiting.insert((token, record.clone()));
            }
        }
        self.waiters.insert(record, Waiter { places, lease, token, state: sender });
        Ok(watched)
    }

    fn head_of(&self, line: &Bytes) -> Option<Bytes> {
        self.board.lines.get(line)?.queue.head().map(|head| head.key.clone())
    }

    fn follow(&mut self, batch: &AppliedBatch) {
        self.feeds.follow(batch);
        self.board.seen(batch.revision);
        if self.board.lines.is_empty() {
            return;
        }
        let mut touched = BTreeSet::new();
        for change in &batch.changes {
            for event in change.events.iter() {
                self.board.follow(event, change.revision, &mut touched);
                if let (EventKind::Delete, Some(gone)) = (event.kind, &event.previous)
                    && let Some(record) = self.records.get(&gone.key)
                    && self.waiters.get(record).is_some_and(|waiter| waiter.token == gone.create_revision)
                {
                    let record = record.clone();
                    self.lose(&record);
                }
            }
        }
        for prefix in touched {
            self.tell(&prefix, FRONT);
            if let Some(line) = self.board.lines.get_mut(&prefix) {
                line.moved = true;
            }
        }
    }

    /// Tells those who wait in a line how they stand now, first come first, until `most` are found to wait still.
    fn tell(&mut self, prefix: &Bytes, most: usize) {
        let mut after = Bound::Unbounded;
        let mut still_waiting = 0;
        while still_waiting < most {
            let Some(line) = self.board.lines.get(prefix) else { return };
            let next = line.waiting.range((after, Bound::Unbounded)).next().cloned();
            let Some((token, record)) = next else { return };
            match self.tell_one(&record) {
                ClaimState::Queued { .. } => still_waiting += 1,
                ClaimState::Granted | ClaimState::Lost => {}
            }
            after = Bound::Excluded((token, record));
        }
    }

    /// Tells one how it stands now.
    fn tell_one(&mut self, record: &Bytes) -> ClaimState {
        let Some(waiter) = self.waiters.get(record) else { return ClaimState::Lost };
        let state = stand(&mut self.board, &waiter.places, waiter.lease, waiter.token);
        match state {
            ClaimState::Lost => self.lose(record),
            ClaimState::Granted => {
                waiter.tell(state);
                stop_waiting(&mut self.board, waiter, record);
            }
            ClaimState::Queued { .. } => waiter.tell(state),
        }
        state
    }

    /// A claim is gone.
    fn lose(&mut self, record: &Bytes) {
        if let Some(waiter) = self.forget(record) {
            waiter.state.send_replace(ClaimState::Lost);
        }
    }

    fn forget(&mut self, record: &Bytes) -> Option<Waiter> {
        let waiter = self.waiters.remove(record)?;
        stop_waiting(&mut self.board, &waiter, record);
        for place in &waiter.places {
            self.records.remove(&place.key(waiter.lease));
        }
        self.board.leave(&waiter.places);
        Some(waiter)
    }

    /// Changes were missed: every line is read anew, and everybody is told.
    fn look_at_state(&mut self) {
        self.facts.known(self.reader.applied().map(|applied| applied.index));
        self.feeds.miss();
        if let Err(error) = self.board.read_again(&self.reader) {
            tracing::error!(?error, "cannot read who waits for a lock; its waiters have to ask again");
            (self.board, self.waiters, self.records) = (Board::default(), BTreeMap::new(), BTreeMap::new());
        }
        let records: Vec<Bytes> = self.waiters.keys().cloned().collect();
        for record in records {
            self.tell_one(&record);
        }
    }

    fn sweep(&mut self) {
        let closed = self.waiters.iter().filter(|(_, waiter)| waiter.state.is_closed());
        let closed: Vec<Bytes> = closed.map(|(record, _)| record.clone()).collect();
        for record in closed {
            self.forget(&record);
        }
        self.feeds.sweep();
        self.board.sweep();
        let moved = self.board.lines.iter_mut().filter_map(|(prefix, line)| {
            std::mem::take(&mut line.moved).then(|| prefix.clone()).filter(|_| !line.waiting.is_empty())
        });
        let moved: Vec<Bytes> = moved.collect();
        for prefix in moved {
            self.tell(&prefix, usize::MAX);
        }
    }
}

/// How a claim stands: by the place that has most before it.
fn stand(board: &mut Board, places: &[Place], lease: LeaseId, token: Revision) -> ClaimState {
    let mut state = ClaimState::Granted;
    for place in places {
        let key = place.key(lease);
        let is_there = board.lines.get(place.line()).is_some_and(|line| line.queue.contains(token, &key));
        if !is_there {
            return ClaimState::Lost;
        }
        let Ok(standing) = place.standing(board, token, &key);
        state = match (state, ClaimState::from(standing)) {
            (ClaimState::Queued { ahead }, ClaimState::Queued { ahead: other }) => {
                ClaimState::Queued { ahead: ahead.max(other) }
            }
            (ClaimState::Granted, other) => other,
            (state, _) => state,
        };
    }
    #[cfg(seeded_bugs)]
    if state == (ClaimState::Queued { ahead: 1 }) && model::seeded_bug("lock granted to the second in line") {
        return ClaimState::Granted;
    }
    state
}

fn stop_waiting(board: &mut Board, waiter: &Waiter, record: &Bytes) {
    for place in &waiter.places {
        if let Some(line) = board.lines.get_mut(place.line()) {
            line.waiting.remove(&(waiter.token, record.clone()));
        }
    }
}

impl Waiter {
    fn tell(&self, state: ClaimState) {
        self.state.send_if_modified(|known| std::mem::replace(known, state) != state);
    }
}
