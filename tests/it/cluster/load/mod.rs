//! What clients do while members fail, all of it recorded.

mod compaction;
mod leases;
mod locks;
pub(crate) mod patience;
mod probes;
mod watchers;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::checker::history::{History, Hold, Instant, LeaseRecord, Outcome, Record, Request, Revision, WatchRecord};

use super::client::{Client, Clock, Habit};
use super::program::Program;

/// Writers on all members together; half of them stay at one member.
const WRITERS: usize = 6;

/// Watchers of the whole store, and as many of a part of it.
const WATCHERS: usize = 3;

const LEASE_HOLDERS: usize = 3;

const LOCKERS: usize = 4;

/// What a watcher of a part watches.
const WATCHED_PREFIX: &str = "k1";

/// What all clients of one run share.
pub(super) struct Shared {
    pub(super) urls: Vec<String>,
    pub(super) clock: Clock,
    /// Numbers for values that nobody else writes.
    serial: AtomicU64,
    /// Answered writes of the probes so far.
    answered: watch::Sender<u64>,
    /// How far each watcher is.
    reached: Vec<AtomicI64>,
    /// The highest revision that a compaction was asked for.
    compacted: AtomicI64,
    /// Clients go on until this is true.
    over: watch::Sender<bool>,
    /// Watchers go on until they have reached this.
    end: watch::Sender<Revision>,
}

impl Shared {
    /// A value that is written once.
    pub(super) fn value(&self) -> String {
        format!("v{}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits so long, or until all is over.
    pub(super) async fn pause(&self, milliseconds: u64) {
        let mut over = self.over.subscribe();
        let time = std::time::Duration::from_millis(milliseconds);
        let _ = tokio::time::timeout(time, over.wait_for(|over| *over)).await;
    }
}

/// What one client has recorded.
#[derive(Default)]
struct Recorded {
    records: Vec<Record>,
    watch: Option<WatchRecord>,
    leases: Vec<LeaseRecord>,
    holds: Vec<Hold>,
}

/// All clients of a run.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Recorded>,
    watchers: JoinSet<Recorded>,
    flood: Vec<Record>,
}

impl Load {
    /// Sends all clients to the members of these addresses.
    pub(crate) fn start(urls: Vec<String>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            urls,
            clock: Clock::new(),
            serial: AtomicU64::new(0),
            answered: watch::Sender::new(0),
            reached: (0..2 * WATCHERS).map(|_| AtomicI64::new(0)).collect(),
            compacted: AtomicI64::new(0),
            over: watch::Sender::new(false),
            end: watch::Sender::new(Revision::MAX),
        });
        let (mut clients, mut watchers) = (JoinSet::new(), JoinSet::new());
        for number in 0..WRITERS {
            let habit = if number % 2 == 0 { Habit::Stays } else { Habit::Roams };
            clients.spawn(writers::write(shared.clone(), number, habit, seed));
        }
        for number in 0..WATCHERS {
            watchers.spawn(watchers::watch(shared.clone(), number, ""));
            watchers.spawn(watchers::watch(shared.clone(), number + WATCHERS, WATCHED_PREFIX));
        }
        for number in 0..LEASE_HOLDERS {
            clients.spawn(leases::hold(shared.clone(), number, seed));
        }
        if Program::chosen() == Program::Quorate {
            for number in 0..LOCKERS {
                clients.spawn(locks::take_turns(shared.clone(), number, seed));
            }
        }
        clients.spawn(patience::insist(shared.clone()));
        clients.spawn(probes::probe(shared.clone()));
        clients.spawn(compaction::compact(shared.clone()));
        Self { shared, clients, watchers, flood: Vec::new() }
    }

    /// The clock of the history.
    pub(crate) fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    /// Waits until so many more probes have been answered.
    pub(crate) async fn progress(&self, writes: u64) {
        let mut answered = self.shared.answered.subscribe();
        let enough = *answered.borrow() + writes;
        answered.wait_for(|answered| *answered >= enough).await.expect("the sender is ours");
    }

    /// Does so many writes at once, as fast as they are answered.
    pub(crate) async fn flood(&mut self, writes: u64) {
        self.flood.extend(probes::flood(&self.shared, writes).await);
    }

    /// Writes some megabytes.
    pub(crate) async fn flood_large(&mut self) {
        self.flood.extend(probes::flood_large(&self.shared).await);
    }

    /// Ends all clients, watchers last, when they have seen everything; returns what was recorded.
    pub(crate) async fn finish(mut self) -> History {
        self.shared.over.send_replace(true);
        let mut history = History {
            records: std::mem::take(&mut self.flood),
            guarded: locks::GUARDED.iter().map(|lock| locks::guarded(lock)).collect(),
            unrecorded: locks::PREFIXES.into_iter().chain([locks::SESSIONS]).map(str::to_owned).collect(),
            ..History::default()
        };
        while let Some(client) = self.clients.join_next().await {
            take(&mut history, client.expect("a client does not panic"));
        }
        let end = self.write_end(&mut history).await;
        self.shared.end.send_replace(end);
        while let Some(watcher) = self.watchers.join_next().await {
            take(&mut history, watcher.expect("a watcher does not panic"));
        }
        history.compacted = self.shared.compacted.load(Ordering::Relaxed);
        history
    }

    /// Writes what every watcher sees; returns its revision.
    async fn write_end(&self, history: &mut History) -> Revision {
        let mut client = Client::new(&self.shared.urls, 0, Habit::Roams, self.shared.clock);
        loop {
            let put = |key: &str| writers::put(key, self.shared.value());
            let mut request = Request::one(put("end"));
            request.then.push(put(&format!("{WATCHED_PREFIX}-end")));
            let record = client.ask(request).await;
            let revision = match &record.outcome {
                Outcome::Answered(answer) => Some(answer.revision),
                Outcome::Refused | Outcome::Unknown => None,
            };
            history.records.push(record);
            match revision {
                Some(revision) => return revision,
                None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }
}

fn take(history: &mut History, recorded: Recorded) {
    history.records.extend(recorded.records);
    history.watches.extend(recorded.watch);
    history.leases.extend(recorded.leases);
    history.holds.extend(recorded.holds);
}
