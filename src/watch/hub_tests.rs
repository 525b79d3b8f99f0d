//! The hub as a task, with clients that read at their own pace.

use std::collections::HashMap;

use model::{KeyRange, Revision};
use tokio::task::yield_now;

use super::*;
use crate::testing::{Past, Rig, now, prefix, revision, single};
use crate::{WatchMessage, WatchRequest, WatchStream};

const HOUR: Duration = Duration::from_secs(3600);

struct Running {
    past: Arc<Past>,
    handle: HubHandle,
    stop: latest::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(past: &Arc<Past>) -> Self {
        let (handle, hub) = Hub::new(Arc::clone(past), HOUR, Reads::OnThreads);
        let (stop, stopping) = latest::channel(false);
        Self { past: Arc::clone(past), handle, stop, task: tokio::spawn(hub.run(stopping)) }
    }

    fn write(&self, key: &str, value: &str) {
        self.handle.publish(self.past.write(&[(key, Some(value))]));
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("a hub that ends");
    }
}

/// Reads until every watcher has heard of every revision from `first` to `last`, in order.
async fn hear_all(stream: &WatchStream, watchers: usize, first: Revision, last: Revision) {
    let mut cursors: HashMap<i64, Revision> = HashMap::new();
    let mut left = watchers;
    while left > 0 {
        let Some(WatchMessage::Events(events)) = stream.recv().await else { continue };
        let cursor = cursors.entry(events.id()).or_insert(first);
        for event in events.iter() {
            assert_eq!(event.kv.mod_revision, *cursor, "watcher {}", events.id());
            *cursor = cursor.next();
        }
        left -= usize::from(*cursor > last);
    }
    assert_eq!(cursors.len(), watchers);
}

async fn create_many(stream: &WatchStream, count: usize, request: &WatchRequest) {
    let create = async {
        for _ in 0..count {
            stream.create(request.clone()).await;
        }
    };
    let hear = async {
        for _ in 0..count {
            assert!(matches!(stream.recv().await, Some(WatchMessage::Created { .. })));
        }
    };
    tokio::join!(create, hear);
}

#[tokio::test]
async fn ten_thousand_watchers_on_one_stream_hear_everything() {
    const WATCHERS: usize = 10_000;
    let hub = Running::start(&Past::with_read_max(0));
    let stream = hub.handle.open_stream(128);
    create_many(&stream, WATCHERS, &WatchRequest { prev_kv: true, ..WatchRequest::new(prefix("k")) }).await;
    assert_eq!(hub.handle.counters().watchers(), WATCHERS as u64);
    for value in ["1", "2", "3"] {
        hub.write("k", value);
    }
    hear_all(&stream, WATCHERS, revision(2), revision(4)).await;
    assert_eq!(hub.handle.counters().behind(), 0);
    assert_eq!(hub.handle.counters().events(), 3 * WATCHERS as u64);
    hub.stop().await;
}

#[tokio::test]
async fn a_stuck_reader_delays_nobody_and_hears_everything_in_the_end() {
    const WRITES: i64 = 5_000;
    let hub = Running::start(&Past::with_read_max(0));
    let (stuck, brisk) = (hub.handle.open_stream(16), hub.handle.open_stream(16));
    create_many(&stuck, 8, &WatchRequest::new(prefix(""))).await;
    create_many(&brisk, 1, &WatchRequest::new(prefix(""))).await;
    for nth in 2..WRITES + 2 {
        hub.write("k", "v");
        hear_all(&brisk, 1, revision(nth), revision(nth)).await;
    }
    assert_eq!(hub.handle.counters().behind(), 8);
    assert_eq!(hub.handle.counters().events(), WRITES.unsigned_abs() + 16, "one queue is full, the rest was not kept");
    hear_all(&stuck, 8, revision(2), revision(WRITES + 1)).await;
    assert_eq!(hub.handle.counters().behind(), 0);
    hub.stop().await;
}

#[tokio::test]
async fn what_overflows_the_hub_is_read_from_history() {
    let last = revision(3 * i64::try_from(BATCHES_MAX).unwrap());
    let hub = Running::start(&Past::with_read_max(700));
    let (live, behind) = (hub.handle.open_stream(16), hub.handle.open_stream(16));
    create_many(&live, 1, &WatchRequest::new(prefix(""))).await;
    // The hub has no turn while this goes on.
    while hub.past.revision() < last {
        hub.write("k", "v");
    }
    behind.create(WatchRequest::new(prefix("")).starting_at(revision(2))).await;
    tokio::join!(hear_all(&live, 1, revision(2), last), hear_all(&behind, 1, revision(2), last));
    hub.stop().await;
}

#[tokio::test]
async fn reconnecting_clients_share_what_they_read() {
    const STREAMS: i64 = 600;
    let past = Past::with_read_max(100);
    for _ in 0..3_000 {
        past.write(&[("k", Some("v"))]);
    }
    let hub = Running::start(&past);
    let streams: Vec<_> = (0..STREAMS).map(|_| hub.handle.open_stream(8)).collect();
    for (nth, stream) in (0..STREAMS).zip(&streams) {
        stream.create(WatchRequest::new(single("k")).starting_at(revision(2 + nth))).await;
    }
    let readers: Vec<_> = (0..STREAMS)
        .zip(streams)
        .map(|(nth, stream)| {
            tokio::spawn(async move { hear_all(&stream, 1, revision(2 + nth), revision(3_001)).await })
        })
        .collect();
    for reader in readers {
        reader.await.expect("a reader that hears everything");
    }
    let reads = past.reads();
    assert!(reads < 120, "{reads} reads, where one alone takes 30");
    hub.stop().await;
}

#[tokio::test]
async fn streams_end_with_the_hub_but_not_before_they_are_read() {
    let hub = Running::start(&Past::with_read_max(0));
    let stream = hub.handle.open_stream(16);
    create_many(&stream, 1, &WatchRequest::new(prefix(""))).await;
    hub.write("k", "v");
    while hub.handle.counters().events() == 0 {
        yield_now().await;
    }
    let handle = hub.handle.clone();
    hub.stop().await;
    assert!(matches!(stream.recv().await, Some(WatchMessage::Events(_))));
    assert_eq!(stream.recv().await, None);
    stream.create(WatchRequest::new(prefix(""))).await;
    assert_eq!(handle.open_stream(1).recv().await, None);
}

#[tokio::test]
async fn a_waiting_stream_hears_that_the_hub_is_gone() {
    let hub = Running::start(&Past::with_read_max(0));
    let stream = hub.handle.open_stream(1);
    let fill = async {
        // More than the queue and the requests hold: the last ones wait for the end.
        for _ in 0..100 {
            stream.create(WatchRequest::new(prefix(""))).await;
        }
    };
    let abort = async {
        while hub.handle.counters().watchers() == 0 {
            yield_now().await;
        }
        hub.task.abort();
    };
    tokio::join!(fill, abort);
    assert!(matches!(stream.recv().await, Some(WatchMessage::Created { .. })));
    assert_eq!(stream.recv().await, None);
}

#[tokio::test]
async fn the_clock_tells_quiet_watchers_how_far_they_are() {
    let past = Past::with_read_max(0);
    let (handle, hub) = Hub::new(Arc::clone(&past), Duration::ZERO, Reads::OnThreads);
    let (_stop, stopping) = latest::channel(false);
    tokio::spawn(hub.run(stopping));
    let stream = handle.open_stream(16);
    stream.create(WatchRequest { progress_notify: true, ..WatchRequest::new(prefix("")) }).await;
    assert!(matches!(stream.recv().await, Some(WatchMessage::Created { .. })));
    assert_eq!(stream.recv().await, Some(WatchMessage::Progress { id: Some(0), revision: revision(1) }));
}

#[test]
fn requests_wait_while_their_answers_are_not_read() {
    let mut rig = Rig::new(&Past::with_read_max(0), 1);
    let stream = rig.handle.open_stream(1);
    let mut accepted = 0;
    for _ in 0..100 {
        accepted += usize::from(now(stream.create(WatchRequest::new(prefix("")))).is_some());
        rig.settle();
    }
    assert_eq!(accepted, 1 + 16, "one answered, a queue of requests");
    for id in 0..17 {
        assert_eq!(rig.heard(&stream), [WatchMessage::Created { id, revision: revision(1) }]);
    }
    assert_eq!(rig.heard(&stream), []);
}

#[test]
fn a_queue_is_bounded_by_bytes_too() {
    let mut rig = Rig::new(&Past::with_read_max(0), 100);
    let stream = rig.handle.open_stream(100);
    rig.create(&stream, WatchRequest::new(KeyRange::prefix("k".into())));
    let large = "v".repeat(1 << 20);
    for _ in 0..20 {
        rig.write(&[("k", Some(&large))]);
    }
    rig.settle();
    assert_eq!(rig.handle.counters().behind(), 1);
    let queued = std::iter::from_fn(|| stream.try_recv()).count();
    assert!(queued <= 4, "{queued} messages of two versions of 1 MiB each");
    let mut heard = queued;
    while rig.handle.counters().behind() > 0 {
        heard += rig.heard(&stream).len();
    }
    assert_eq!(heard + rig.heard(&stream).len(), 20, "a message of its own for each that is as large");
}
