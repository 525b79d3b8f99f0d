//! Random clients against the plainest model of a watcher: a cursor in the list of all changes.
//!
//! Every message that a stream hears is held against what the rules allow at that point; in the end nothing may be missing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use model::{Event, KeyRange, Revision};

use crate::recent::Recent;
use crate::request::watched;
use crate::scan::{Missed, Scanned};
use crate::testing::{Dice, Past, Rig, Write, now, revision};
use crate::{Filters, History, Refusal, WatchEvents, WatchMessage, WatchRequest, WatchStream};

const KEYS: [&str; 6] = ["a", "b", "ba", "bb", "c", "d"];

/// One stream, as its client knows it.
struct Client {
    stream: WatchStream,
    /// Requests that no message has answered yet.
    asked: VecDeque<Asked>,
    watchers: BTreeMap<i64, Seen>,
    next_id: i64,
    /// What the last message about the whole stream said.
    told: Revision,
    heard: Tally,
}

/// How often each thing was heard: proof that the dice reach every corner.
type Tally = BTreeMap<&'static str, u64>;

enum Asked {
    Create(WatchRequest),
    Cancel(i64),
}

/// One watcher, as its client knows it.
struct Seen {
    request: WatchRequest,
    range: KeyRange,
    /// Everything below was heard.
    cursor: Revision,
    is_compacted: bool,
}

impl Seen {
    fn wants(&self, event: &Event) -> bool {
        self.range.contains(&event.kv.key) && self.request.filters.lets_through(event.kind)
    }

    /// The next thing it has to hear.
    fn due(&self, past: &Past) -> Option<(Revision, Vec<Event>)> {
        past.first(self.cursor, |event| self.wants(event))
    }

    fn hear(&mut self, past: &Arc<Past>, events: &WatchEvents) {
        assert!(!self.is_compacted, "events of a compacted watcher");
        assert_eq!(events.prev_kv(), self.request.prev_kv);
        for selection in events.selections() {
            let (at, due) = self.due(past).expect("an event that did not happen");
            assert_eq!(selection.revision(), at, "the next revision with anything in it, from {}", self.cursor);
            assert_eq!(selection.len(), due.len(), "all of revision {at}");
            for (event, due) in selection.iter().zip(&due) {
                assert_eq!((event.kind, &event.kv), (due.kind, &due.kv));
                let is_gone = at.previous() < past.compact_revision() && event.previous.is_none();
                assert!(!self.request.prev_kv || event.previous == due.previous || is_gone, "{event:?} {due:?}");
            }
            self.cursor = at.next();
        }
        assert!(self.cursor <= events.revision().next() && events.revision() <= past.revision());
    }

    /// After this nothing up to `at` may come.
    fn check_progress(&self, past: &Past, at: Revision) {
        assert!(!self.is_compacted && self.request.start_revision <= at);
        assert!(self.due(past).is_none_or(|(due, _)| due > at), "progress to {at} before its events");
    }
}

impl Client {
    fn ask(&mut self, dice: &mut Dice, past: &Arc<Past>) {
        match dice.roll(8) {
            0..=3 => {
                let request = random_request(dice, past);
                // A call that has to wait is dropped, and must not have asked.
                if now(self.stream.create(request.clone())).is_some() {
                    self.asked.push_back(Asked::Create(request));
                }
            }
            4..=5 => {
                let id = dice.choose(&[0, 1, 2, 3, 4]);
                if now(self.stream.cancel(id)).is_some() {
                    self.asked.push_back(Asked::Cancel(id));
                }
            }
            _ => _ = now(self.stream.request_progress()),
        }
    }

    /// Reads up to `count` messages; returns how many there were.
    fn read(&mut self, past: &Arc<Past>, count: u64) -> u64 {
        for nth in 0..count {
            let Some(message) = self.stream.try_recv() else { return nth };
            *self.heard.entry(kind(&message)).or_default() += 1;
            self.hear(past, &message);
        }
        count
    }

    fn hear(&mut self, past: &Arc<Past>, message: &WatchMessage) {
        match message {
            WatchMessage::Created { id, revision } => self.created(past, *id, *revision),
            WatchMessage::CreateRefused { reason, .. } => {
                let request = self.next_create();
                let is_taken = request.id.is_some_and(|id| self.watchers.contains_key(&id));
                let expected = if request.start_revision.get() < 0 {
                    Refusal::NegativeRevision
                } else if watched(request.range).is_empty() {
                    Refusal::EmptyRange
                } else {
                    assert!(is_taken);
                    Refusal::DuplicateId
                };
                assert_eq!(*reason, expected);
            }
            WatchMessage::Events(events) => {
                self.watchers.get_mut(&events.id()).expect("a watcher").hear(past, events);
            }
            WatchMessage::Progress { id: Some(id), revision } => {
                let seen = &self.watchers[id];
                assert!(seen.request.progress_notify);
                seen.check_progress(past, *revision);
            }
            WatchMessage::Progress { id: None, revision } => {
                assert!(!self.watchers.is_empty() && *revision >= self.told);
                self.told = *revision;
                self.watchers.values().for_each(|seen| seen.check_progress(past, *revision));
            }
            WatchMessage::Canceled { id, .. } => {
                while let Some(asked) = self.asked.pop_front() {
                    let Asked::Cancel(asked) = asked else { panic!("a create without an answer") };
                    if asked == *id {
                        break;
                    }
                    assert!(!self.watchers.contains_key(&asked), "a cancel without an answer");
                }
                assert!(self.watchers.remove(id).is_some());
            }
            WatchMessage::Compacted { id, compact_revision } => {
                let seen = self.watchers.get_mut(id).expect("a watcher");
                assert!(!seen.is_compacted && *compact_revision <= past.compact_revision());
                assert!(seen.cursor < *compact_revision, "what it had to see is still there");
                seen.is_compacted = true;
            }
        }
    }

    fn created(&mut self, past: &Arc<Past>, id: i64, at: Revision) {
        let request = self.next_create();
        if let Some(asked) = request.id {
            assert_eq!(id, asked);
        } else {
            while self.watchers.contains_key(&self.next_id) {
                self.next_id += 1;
            }
            assert_eq!(id, self.next_id);
            self.next_id += 1;
        }
        assert!(at <= past.revision());
        let range = watched(request.range.clone());
        assert!(!range.is_empty() && request.start_revision >= Revision::ZERO);
        let cursor = if request.start_revision == Revision::ZERO { at.next() } else { request.start_revision };
        let taken = self.watchers.insert(id, Seen { request, range, cursor, is_compacted: false });
        assert!(taken.is_none());
    }

    /// The oldest create that was not answered; cancels before it must have had no answer to give.
    fn next_create(&mut self) -> WatchRequest {
        loop {
            match self.asked.pop_front().expect("an answer without a question") {
                Asked::Create(request) => return request,
                Asked::Cancel(id) => assert!(!self.watchers.contains_key(&id), "a cancel without an answer"),
            }
        }
    }

    fn is_synced(&self, at: Revision) -> bool {
        let mut watchers = self.watchers.values();
        !self.watchers.is_empty() && watchers.all(|seen| !seen.is_compacted && seen.request.start_revision <= at)
    }
}

fn kind(message: &WatchMessage) -> &'static str {
    match message {
        WatchMessage::Created { .. } => "created",
        WatchMessage::CreateRefused { .. } => "refused",
        WatchMessage::Events(events) if events.selections().len() > 1 => "events of several revisions",
        WatchMessage::Events(_) => "events of one revision",
        WatchMessage::Progress { id: None, .. } => "progress of a stream",
        WatchMessage::Progress { .. } => "progress of a watcher",
        WatchMessage::Canceled { .. } => "canceled",
        WatchMessage::Compacted { .. } => "compacted",
    }
}

fn random_request(dice: &mut Dice, past: &Arc<Past>) -> WatchRequest {
    let key = Bytes::from(dice.choose(&KEYS));
    let range = match dice.roll(6) {
        0..=1 => KeyRange::Single(key),
        2 => KeyRange::From(key),
        3 => KeyRange::prefix(key),
        _ => KeyRange::from_wire(key, Bytes::from(dice.choose(&KEYS))),
    };
    let (current, compacted) = (past.revision().get(), past.compact_revision().get());
    let start = match dice.roll(10) {
        0..=2 => 0,
        3 => compacted,
        4 => current + 1 + i64::try_from(dice.roll(4)).unwrap(),
        5 if dice.roll(4) == 0 => -1,
        _ => 1 + i64::try_from(dice.roll(current.unsigned_abs())).unwrap(),
    };
    WatchRequest {
        range,
        start_revision: revision(start),
        filters: Filters { no_put: dice.roll(6) == 0, no_delete: dice.roll(6) == 0 },
        prev_kv: dice.roll(2) == 0,
        progress_notify: dice.roll(2) == 0,
        id: (dice.roll(3) == 0).then(|| dice.choose(&[0, 1, 2, 3])),
    }
}

/// A read of the history that is under way.
enum Reading {
    Missed(Missed),
    Scanned(Scanned),
}

struct World {
    dice: Dice,
    rig: Rig,
    clients: Vec<Client>,
    reading: Option<Reading>,
    /// What streams heard, and where from.
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let past = Past::with_read_max(dice.choose(&[0, 1, 3]));
        let mut rig = Rig::new(&past, dice.choose(&[1, 4, 100]));
        rig.engine.recent = Recent::new(rig.revision().next(), dice.choose(&[1, 3, 10, 1024]));
        Self { dice, rig, clients: Vec::new(), reading: None, tally: Tally::new() }
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0..=4 => self.write(),
            5 => self.compact(),
            6 => self.open_or_drop(),
            7..=8 => {
                if let Some(client) = pick(&mut self.dice, &mut self.clients) {
                    client.ask(&mut self.dice, &self.rig.past);
                }
            }
            9..=11 => {
                let count = self.dice.choose(&[1, 1, 3, 100]);
                if let Some(client) = pick(&mut self.dice, &mut self.clients) {
                    client.read(&self.rig.past, count);
                }
            }
            12..=14 => _ = self.rig.take_batch(),
            15..=16 => self.rig.engine.take_turn(),
            17 => self.read_history(),
            18 => self.rig.engine.tick(),
            _ if self.dice.roll(10) == 0 => self.rig.handle.reset(),
            _ => self.rig.engine.serve(1),
        }
    }

    fn write(&mut self) {
        let mut writes: Vec<Write<'_>> = Vec::new();
        for key in KEYS {
            if self.dice.roll(4) == 0 {
                writes.push((key, self.dice.choose(&[None, Some("x"), Some("yy")])));
            }
        }
        let batch = self.rig.past.write(&writes);
        // Rarely, what a snapshot brings instead of batches.
        if self.dice.roll(50) == 0 {
            self.rig.handle.reset();
        } else {
            self.rig.handle.publish(batch);
        }
    }

    fn compact(&mut self) {
        let current = self.rig.revision().get();
        let back = if self.dice.roll(3) == 0 { 0 } else { i64::try_from(self.dice.roll(20)).unwrap() };
        if self.dice.roll(10) == 0 && current > back {
            self.rig.past.compact(revision(current - back));
        }
    }

    fn open_or_drop(&mut self) {
        if self.clients.len() < 4 {
            let stream = self.rig.handle.open_stream(self.dice.choose(&[1, 2, 5, 50]));
            let (asked, watchers) = (VecDeque::new(), BTreeMap::new());
            self.clients.push(Client {
                stream,
                asked,
                watchers,
                next_id: 0,
                told: Revision::ZERO,
                heard: Tally::new(),
            });
        } else if self.dice.roll(4) == 0 {
            let nth = self.dice.roll(4);
            let client = self.clients.swap_remove(usize::try_from(nth).unwrap());
            self.count(&client.heard);
        }
    }

    /// Ends the read that is under way, or begins one: much may happen in between.
    fn read_history(&mut self) {
        match self.reading.take() {
            Some(Reading::Missed(missed)) => {
                let kind = match missed {
                    Missed::Changes(_) => "missed",
                    Missed::Compacted(_) => "missed and gone",
                };
                *self.tally.entry(kind).or_default() += 1;
                self.rig.engine.take_missed(missed);
            }
            Some(Reading::Scanned(scanned)) => {
                *self.tally.entry("scanned").or_default() += 1;
                self.rig.engine.finish_scan(scanned);
            }
            None => {
                if let Some(from) = self.rig.engine.missing_from() {
                    self.reading = Some(Reading::Missed(Missed::read(&self.rig.past, from).unwrap()));
                } else if let Some(scan) = self.rig.engine.next_scan() {
                    self.reading = Some(Reading::Scanned(scan.run(&self.rig.past).unwrap()));
                }
            }
        }
    }

    fn count(&mut self, heard: &Tally) {
        for (kind, count) in heard {
            *self.tally.entry(kind).or_default() += count;
        }
    }

    /// Lets everyone read until nothing comes any more.
    fn finish(&mut self) {
        if self.reading.is_some() {
            self.read_history();
        }
        loop {
            self.rig.settle();
            let past = &self.rig.past;
            if self.clients.iter_mut().map(|client| client.read(past, u64::MAX)).sum::<u64>() == 0 {
                break;
            }
        }
    }

    fn check_end(mut self) -> Tally {
        self.finish();
        let past = Arc::clone(&self.rig.past);
        let count: usize = self.clients.iter().map(|client| client.watchers.len()).sum();
        let counters = self.rig.handle.counters();
        assert_eq!(counters.behind(), 0);
        assert_eq!(counters.watchers(), count as u64);
        for client in &mut self.clients {
            for seen in client.watchers.values().filter(|seen| !seen.is_compacted) {
                assert_eq!(seen.due(&past), None, "not heard");
            }
            assert!(!client.asked.iter().any(|asked| matches!(asked, Asked::Create(_))), "not answered");
            client.asked.clear();
            client.told = Revision::ZERO;
            now(client.stream.request_progress()).expect("room for a request");
        }
        self.finish();
        for client in &self.clients {
            let expected = if client.is_synced(past.revision()) { past.revision() } else { Revision::ZERO };
            assert_eq!(client.told, expected, "progress");
        }
        for client in std::mem::take(&mut self.clients) {
            self.count(&client.heard);
        }
        self.rig.settle();
        let counters = self.rig.handle.counters();
        assert_eq!((counters.watchers(), counters.streams(), counters.behind()), (0, 0, 0));
        for key in KEYS {
            self.rig.engine.index.visit(key.as_bytes(), |watcher| panic!("{watcher:?} is still there"));
        }
        self.tally
    }
}

fn pick<'a, T>(dice: &mut Dice, items: &'a mut [T]) -> Option<&'a mut T> {
    let nth = dice.roll(items.len().max(1) as u64);
    items.get_mut(usize::try_from(nth).unwrap())
}

#[test]
fn every_watcher_hears_all_it_wants_once_and_in_order() {
    let mut total = Tally::new();
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        for (kind, count) in world.check_end() {
            *total.entry(kind).or_default() += count;
        }
    }
    assert_eq!(total.len(), 11, "{total:?}");
    assert!(total.values().all(|count| *count > 300), "{total:?}");
}
