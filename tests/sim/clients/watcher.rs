//! Watchers: one on each member follows the whole store, and goes on where it was when its member is back.

use std::sync::Arc;
use std::time::Duration;

use model::Revision;
use node::{WatchMessage, WatchRequest, WatchStream};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::checker::history::{Delivery, WatchRecord};
use crate::cluster::{Cluster, Process};
use crate::convert;
use crate::network::Place;
use crate::recording::Recording;
use crate::trace::trace;

/// Messages that a watcher's stream holds.
const CAPACITY: usize = 16;

/// How long a watcher waits for its member to come back before it tries another.
const PAUSE: Duration = Duration::from_millis(50);

/// What one watcher recorded: a new record after each compaction that overtook it, since the checks allow no gap in one.
#[derive(Clone)]
struct Seen {
    place: Place,
    records: Arc<Mutex<Vec<WatchRecord>>>,
}

impl Seen {
    fn new(place: Place) -> Self {
        let seen = Self { place, records: Arc::default() };
        seen.begin(2);
        seen
    }

    fn begin(&self, start: i64) {
        let name = format!("watcher {}", self.place);
        self.records.lock().push(WatchRecord { name, prefix: String::new(), start, deliveries: Vec::new() });
    }

    fn push(&self, delivery: Delivery) {
        let mut records = self.records.lock();
        records.last_mut().expect("begun").deliveries.push(delivery);
    }

    /// The last revision heard of.
    fn reached(&self) -> i64 {
        let records = self.records.lock();
        let record = records.last().expect("begun");
        let last = record.deliveries.iter().rev().find_map(|delivery| delivery.events.last());
        last.map_or(record.start - 1, |event| event.revision)
    }
}

/// All watchers of a run.
pub(crate) struct Watchers {
    seen: Vec<Seen>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    /// One for each member.
    pub(crate) fn spawn(cluster: &Cluster) -> Self {
        let mut tasks = JoinSet::new();
        let mut all = Vec::new();
        for place in cluster.places() {
            let seen = Seen::new(place);
            all.push(seen.clone());
            tasks.spawn(follow(cluster.clone(), place, seen));
        }
        Self { seen: all, _tasks: tasks }
    }

    /// The least revision that one of them has heard of, of those whose member has not left for good.
    pub(crate) fn reached(&self, cluster: &Cluster) -> i64 {
        let places = cluster.places();
        self.seen.iter().filter(|seen| places.contains(&seen.place)).map(Seen::reached).min().unwrap_or(0)
    }

    pub(crate) fn record(&self, recording: &Recording) {
        for record in self.seen.iter().flat_map(|seen| seen.records.lock().clone()) {
            recording.watch(record);
        }
    }
}

async fn follow(cluster: Cluster, place: Place, seen: Seen) {
    loop {
        match cluster.process(place) {
            Some(process) => listen(&cluster, place, process, &seen).await,
            None => sleep(PAUSE).await,
        }
    }
}

/// Listens to one life of a member.
async fn listen(cluster: &Cluster, place: Place, process: Process, seen: &Seen) {
    let stream = process.handle.watch(CAPACITY);
    let from = seen.reached() + 1;
    let request = WatchRequest { prev_kv: true, progress_notify: true, ..WatchRequest::new(convert::prefixed("")) };
    stream.create(request.starting_at(Revision::new(from))).await;
    tokio::select! {
        biased;
        () = process.died() => {}
        () = hear(cluster, place, &stream, seen) => sleep(PAUSE).await,
    }
}

/// Records what a stream says, until it ends or cannot go on.
async fn hear(cluster: &Cluster, place: Place, stream: &WatchStream, seen: &Seen) {
    while let Some(message) = stream.recv().await {
        let at = cluster.trace.now();
        match message {
            WatchMessage::Events(events) => {
                let events: Vec<_> = events.iter().map(convert::event).collect();
                let last = events.last().map_or(0, |event| event.revision);
                trace!(cluster.trace, "{place}>watcher {} events to {last}", events.len());
                seen.push(Delivery { at, progress: None, events });
            }
            WatchMessage::Progress { revision, .. } => {
                let progress = Some(revision.get());
                seen.push(Delivery { at, progress, events: Vec::new() });
            }
            WatchMessage::Compacted { compact_revision, .. } => {
                trace!(cluster.trace, "{place}>watcher compacted to {compact_revision}");
                return seen.begin(compact_revision.get());
            }
            WatchMessage::Created { .. } => {}
            WatchMessage::CreateRefused { .. } | WatchMessage::Canceled { .. } => return,
        }
    }
}
