//! Replication and snapshots: order, idleness, and what a slow other side does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, StreamExt, TryStreamExt, future, stream};
use proto::quoratepb::{SnapshotChunk, SnapshotData, snapshot_chunk};
use tokio::time::{Instant, timeout};

use super::LONG;
use super::fake::{Fake, appended, entry, taken};
use super::served::Served;
use crate::CallError;

/// Short enough to wait for, long enough that a busy machine does not reach it by itself.
const IDLE: Duration = Duration::from_millis(700);

fn piece(bytes: usize) -> SnapshotChunk {
    let data = SnapshotData { data: Bytes::from(vec![7; bytes]), crc32c: 0 };
    SnapshotChunk { part: Some(snapshot_chunk::Part::Data(data)) }
}

#[tokio::test]
async fn responses_come_in_the_order_of_the_requests() {
    let served = Served::start(Arc::default()).await;
    let requests = stream::iter(0..2000).map(|index| entry(index, vec![1; 100])).boxed();
    let responses = served.dial().append(requests, LONG).await.expect("a stream");
    let responses: Vec<_> = responses.try_collect().await.expect("answers");
    assert_eq!(responses, (0..2000).map(appended).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_goes_on_as_long_as_its_requests_do() {
    let served = Served::start(Arc::default()).await;
    let (mut sender, requests) = mpsc::channel(1);
    let mut responses = served.dial().append(requests.boxed(), LONG).await.expect("a stream");
    for index in 0..100 {
        sender.send(entry(index, "x")).await.expect("it listens");
        assert_eq!(responses.next().await, Some(Ok(appended(index))));
    }
    drop(sender);
    assert_eq!(responses.next().await, None);
}

#[tokio::test]
async fn a_stream_without_requests_is_not_idle() {
    let served = Served::start(Arc::default()).await;
    let (mut sender, requests) = mpsc::channel(1);
    let mut responses = served.dial().append(requests.boxed(), IDLE).await.expect("a stream");
    assert!(timeout(IDLE * 2, responses.next()).await.is_err(), "nothing was asked");
    sender.send(entry(1, "x")).await.expect("it listens");
    assert_eq!(responses.next().await, Some(Ok(appended(1))));
}

#[tokio::test]
async fn a_stream_without_answers_times_out_and_the_next_takes_another_connection() {
    let silent = Fake {
        on_append: Box::new(|requests| {
            let answer_the_first = |(index, request): (usize, _)| {
                drop(request);
                if index == 0 { future::ready(Ok(appended(0))).boxed() } else { future::pending().boxed() }
            };
            requests.enumerate().then(answer_the_first).boxed()
        }),
        ..Fake::default()
    };
    let served = Served::start(Arc::new(silent)).await;
    let peer = served.dial();
    for _ in 0..2 {
        let requests = stream::iter([entry(0, "x"), entry(1, "x")]).chain(stream::pending()).boxed();
        let begun = Instant::now();
        let mut responses = peer.append(requests, IDLE).await.expect("a stream");
        assert_eq!(responses.next().await, Some(Ok(appended(0))));
        assert_eq!(responses.next().await, Some(Err(CallError::Timeout)));
        assert!(begun.elapsed() >= IDLE);
        assert_eq!(responses.next().await, None);
    }
}

#[tokio::test]
async fn bulk_that_is_not_read_does_not_delay_heartbeats() {
    let unread = Fake {
        on_append: Box::new(|requests| {
            // Kept, so that the stream stays open, and never read.
            stream::once(async move {
                future::pending::<()>().await;
                drop(requests);
                Err(CallError::NotServing)
            })
            .boxed()
        }),
        ..Fake::default()
    };
    let served = Served::start(Arc::new(unread)).await;
    let peer = served.dial();
    let (sender, requests) = mpsc::channel(0);
    let mut responses = peer.append(requests.boxed(), LONG).await.expect("a stream");
    let flood = stream::iter(0..1000).map(|index| Ok(entry(index, vec![1; 1024 * 1024]))).forward(sender);
    let heartbeats = async {
        for index in 0..50 {
            assert_eq!(peer.heartbeat(entry(index, "x"), LONG).await, Ok(appended(index)));
        }
    };
    tokio::select! {
        () = heartbeats => {}
        _ = flood => panic!("nobody reads it"),
        response = responses.next() => panic!("nobody answers: {response:?}"),
    }
}

#[tokio::test]
async fn a_slow_reader_of_a_snapshot_slows_its_sender() {
    const PIECES: usize = 64;
    let (permit, permits) = mpsc::channel::<()>(0);
    let permits = Arc::new(parking_lot::Mutex::new(Some(permits)));
    let slow = Fake {
        on_snapshot: Box::new(move |chunks| {
            let permits = permits.lock().take().expect("one snapshot");
            chunks.zip(permits).count().map(|count| Ok(taken(count as u64))).boxed()
        }),
        ..Fake::default()
    };
    let served = Served::start(Arc::new(slow)).await;
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = sent.clone();
    let chunks = stream::iter(0..PIECES).map(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        piece(1024 * 1024)
    });
    let answer = tokio::spawn(served.dial().snapshot(chunks.boxed(), LONG));
    let mut permit = permit;
    for read in 0..PIECES {
        permit.send(()).await.expect("it reads");
        let ahead = sent.load(std::sync::atomic::Ordering::Relaxed).saturating_sub(read);
        assert!(ahead < 16, "{ahead} MiB were sent ahead of the reader");
    }
    drop(permit);
    assert_eq!(answer.await.expect("no panic"), Ok(taken(PIECES as u64)));
}

#[tokio::test]
async fn a_snapshot_that_is_not_taken_times_out() {
    let stuck = Fake {
        on_snapshot: Box::new(|chunks| {
            async move {
                future::pending::<()>().await;
                drop(chunks);
                Ok(taken(0))
            }
            .boxed()
        }),
        ..Fake::default()
    };
    let served = Served::start(Arc::new(stuck)).await;
    let chunks = stream::repeat_with(|| piece(1024 * 1024)).boxed();
    assert_eq!(served.dial().snapshot(chunks, IDLE).await, Err(CallError::Timeout));
}

#[tokio::test]
async fn a_slow_source_of_a_snapshot_is_waited_for() {
    let served = Served::start(Arc::default()).await;
    let (mut sender, chunks) = mpsc::channel(0);
    let mut answer = served.dial().snapshot(chunks.boxed(), IDLE);
    assert!(timeout(IDLE * 2, &mut answer).await.is_err(), "the source has nothing yet");
    let send = async move { sender.send(piece(1)).await.expect("it listens") };
    let (answer, ()) = tokio::join!(answer, send);
    assert_eq!(answer, Ok(taken(1)));
}
