//! What the tests share: a store in memory that is nothing but its history, and a hub that moves only when told to.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use model::{AppliedBatch, Change, Event, EventKind, KeyRange, KeyValue, LogId, Revision};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::doorbell::Doorbell;
use crate::engine::Engine;
use crate::recent::size_of_change;
use crate::scan::Missed;
use crate::{History, HistoryError, HubHandle, WatchMessage, WatchRequest, WatchStream};

/// A write: a key and its new value, or none to delete it.
pub(crate) type Write<'a> = (&'a str, Option<&'a str>);

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Past(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The change of revision 2 and all after it, as in a live batch.
    changes: Vec<Change>,
    /// Every version of every key, a deletion being none.
    versions: BTreeMap<Bytes, BTreeMap<Revision, Option<KeyValue>>>,
    compact_revision: Revision,
    /// Revisions that one read returns; zero is no bound.
    read_max: usize,
    reads: usize,
}

impl Inner {
    fn revision(&self) -> Revision {
        self.changes.last().map_or(Revision::FIRST, |change| change.revision)
    }

    fn write(&mut self, key: &str, value: Option<&str>, revision: Revision) -> Option<Event> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let versions = self.versions.entry(key.clone()).or_default();
        let previous = versions.values().next_back().cloned().flatten();
        let kv = KeyValue { key, mod_revision: revision, ..KeyValue::default() };
        let Some(value) = value else {
            previous.as_ref()?;
            versions.insert(revision, None);
            return Some(Event { kind: EventKind::Delete, kv, previous });
        };
        let create_revision = previous.as_ref().map_or(revision, |previous| previous.create_revision);
        let version = previous.as_ref().map_or(0, |previous| previous.version) + 1;
        let kv = KeyValue { value: Bytes::copy_from_slice(value.as_bytes()), create_revision, version, ..kv };
        versions.insert(revision, Some(kv.clone()));
        Some(Event { kind: EventKind::Put, kv, previous })
    }
}

impl Past {
    /// A store whose reads return at most this many revisions; zero is no bound.
    pub(crate) fn with_read_max(read_max: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { read_max, ..Inner::default() })))
    }

    /// Applies writes of distinct keys in one revision; an empty batch if none changes anything.
    pub(crate) fn write(&self, writes: &[Write<'_>]) -> Arc<AppliedBatch> {
        let mut inner = self.0.lock();
        let revision = inner.revision().next();
        let events: Vec<Event> = writes.iter().filter_map(|(key, value)| inner.write(key, *value, revision)).collect();
        let changes = if events.is_empty() { Vec::new() } else { vec![Change { revision, events: events.into() }] };
        inner.changes.extend(changes.iter().cloned());
        let (revision, compact_revision) = (inner.revision(), inner.compact_revision);
        Arc::new(AppliedBatch {
            applied: LogId::default(),
            revision,
            compact_revision,
            changes,
            leases: Vec::new(),
            auth: Vec::new(),
        })
    }

    pub(crate) fn compact(&self, revision: Revision) {
        let mut inner = self.0.lock();
        assert!(revision <= inner.revision());
        inner.compact_revision = inner.compact_revision.max(revision);
    }

    /// How often changes were read.
    pub(crate) fn reads(&self) -> usize {
        self.0.lock().reads
    }

    /// The first revision at or after `from` that holds events which pass, with these events.
    pub(crate) fn first(&self, from: Revision, passes: impl Fn(&Event) -> bool) -> Option<(Revision, Vec<Event>)> {
        let inner = self.0.lock();
        inner.changes.iter().filter(|change| change.revision >= from).find_map(|change| {
            let events: Vec<Event> = change.events.iter().filter(|event| passes(event)).cloned().collect();
            (!events.is_empty()).then_some((change.revision, events))
        })
    }
}

impl History for Arc<Past> {
    fn revision(&self) -> Revision {
        self.0.lock().revision()
    }

    fn compact_revision(&self) -> Revision {
        self.0.lock().compact_revision
    }

    fn changes(&self, from: Revision, bytes_max: usize) -> Result<Vec<Change>, HistoryError> {
        let mut inner = self.0.lock();
        inner.reads += 1;
        if from < inner.compact_revision {
            return Err(HistoryError::Compacted(inner.compact_revision));
        }
        let read_max = if inner.read_max == 0 { usize::MAX } else { inner.read_max };
        let mut bytes = 0;
        let read = inner.changes.iter().filter(|change| change.revision >= from).take(read_max);
        let read = read.take_while(|change| {
            let is_first = bytes == 0;
            bytes += size_of_change(change);
            is_first || bytes <= bytes_max
        });
        let bare = |event: &Event| Event { previous: None, ..event.clone() };
        Ok(read
            .map(|change| Change { revision: change.revision, events: change.events.iter().map(bare).collect() })
            .collect())
    }

    fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<KeyValue>, HistoryError> {
        let inner = self.0.lock();
        if revision < inner.compact_revision {
            return Err(HistoryError::Compacted(inner.compact_revision));
        }
        let versions = inner.versions.get(key);
        let version = versions.and_then(|versions| versions.range(..=revision).next_back());
        Ok(version.and_then(|(_, version)| version.clone()))
    }
}

/// The hub's engine with everything around it, but no task: each thing that the hub's task does is a call.
pub(crate) struct Rig {
    pub(crate) past: Arc<Past>,
    pub(crate) engine: Engine,
    pub(crate) handle: HubHandle,
    batches: mpsc::Receiver<Arc<AppliedBatch>>,
    doorbell: Arc<Doorbell>,
}

impl Rig {
    /// A hub with room for `batches_max` batches.
    pub(crate) fn new(past: &Arc<Past>, batches_max: usize) -> Self {
        let (sender, batches) = mpsc::channel(batches_max);
        let (counters, doorbell) = (Arc::<Counters>::default(), Arc::<Doorbell>::default());
        let engine = Engine::new(Arc::new(Arc::clone(past)), Arc::clone(&counters), Arc::clone(&doorbell));
        let handle = HubHandle { batches: sender, doorbell: Arc::clone(&doorbell), counters };
        Self { past: Arc::clone(past), engine, handle, batches, doorbell }
    }

    /// Applies writes in one revision and publishes them.
    pub(crate) fn write(&self, writes: &[Write<'_>]) {
        self.handle.publish(self.past.write(writes));
    }

    pub(crate) fn revision(&self) -> Revision {
        self.past.revision()
    }

    /// Takes one batch if none before it was missed. Says whether there was one.
    pub(crate) fn take_batch(&mut self) -> bool {
        if self.engine.missing_from().is_some() {
            return false;
        }
        let Ok(batch) = self.batches.try_recv() else { return false };
        self.engine.take_batch(&batch);
        true
    }

    /// Reads once what was missed. Says whether anything was.
    pub(crate) fn take_missed(&mut self) -> bool {
        if self.batches.is_empty() && self.doorbell.take_missed() {
            self.engine.look_for_missed();
        }
        let Some(from) = self.engine.missing_from() else { return false };
        let missed = Missed::read(&self.past, from).expect("a sound history");
        self.engine.take_missed(missed);
        true
    }

    /// Makes a scan if one is due. Says whether one was.
    pub(crate) fn scan(&mut self) -> bool {
        let Some(scan) = self.engine.next_scan() else { return false };
        self.engine.finish_scan(scan.run(&self.past).expect("a sound history"));
        true
    }

    /// Does all there is to do.
    pub(crate) fn settle(&mut self) {
        loop {
            self.engine.take_turn();
            if !(self.take_batch() || self.take_missed() || self.scan() || self.engine.is_busy()) {
                break;
            }
        }
        self.engine.take_turn();
    }

    /// A stream with one watcher, and what it hears at first.
    pub(crate) fn watch(&mut self, request: WatchRequest) -> (WatchStream, Vec<WatchMessage>) {
        let stream = self.handle.open_stream(100);
        let messages = self.create(&stream, request);
        (stream, messages)
    }

    /// Creates a watcher, does all there is to do, and returns what the stream heard.
    pub(crate) fn create(&mut self, stream: &WatchStream, request: WatchRequest) -> Vec<WatchMessage> {
        now(stream.create(request)).expect("room for a request");
        self.heard(stream)
    }

    /// Does all there is to do, and returns what the stream heard.
    pub(crate) fn heard(&mut self, stream: &WatchStream) -> Vec<WatchMessage> {
        self.settle();
        std::iter::from_fn(|| stream.try_recv()).collect()
    }
}

/// The output of a future that does not have to wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(crate) fn revision(raw: i64) -> Revision {
    Revision::new(raw)
}

/// Everything that begins with `prefix`.
pub(crate) fn prefix(prefix: &str) -> KeyRange {
    KeyRange::prefix(Bytes::copy_from_slice(prefix.as_bytes()))
}

/// One key.
pub(crate) fn single(key: &str) -> KeyRange {
    KeyRange::Single(Bytes::copy_from_slice(key.as_bytes()))
}

/// Revision and key of every event in these messages, `-` before the key of a deletion.
pub(crate) fn events(messages: &[WatchMessage]) -> Vec<(i64, String)> {
    let mut events = Vec::new();
    for message in messages {
        let WatchMessage::Events(message) = message else { continue };
        for event in message.iter() {
            let sign = if event.kind == EventKind::Delete { "-" } else { "" };
            events.push((event.kv.mod_revision.get(), format!("{sign}{}", String::from_utf8_lossy(&event.kv.key))));
        }
    }
    events
}

/// A small generator of numbers (splitmix64): the same seed, the same test.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(crate) fn choose<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.roll(items.len() as u64)).expect("a small number")]
    }
}
