//! Members that are not there, go away and come back.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::LONG;
use super::fake::{Fake, appended, entry};
use super::served::Served;
use crate::{CallError, Dialer, Network, Peer};

/// Calls until `peer` answers; how long that took.
async fn reached(peer: &Arc<dyn Peer>) -> Duration {
    let begun = Instant::now();
    while peer.probe(LONG).await.is_err() {
        assert!(begun.elapsed() < LONG, "it never came back");
        tokio::task::yield_now().await;
    }
    begun.elapsed()
}

#[tokio::test]
async fn a_dead_member_costs_no_time_and_is_reached_when_it_is_back() {
    let served = Served::start(Arc::default()).await;
    let (peer, url) = (served.dial(), served.url.clone());
    peer.probe(LONG).await.expect("it serves");
    served.stop().await;
    let begun = Instant::now();
    for _ in 0..1000 {
        let error = peer.probe(LONG).await.expect_err("it is gone");
        assert!(matches!(error, CallError::Unreachable(_)), "{error:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "calls waited: {:?}", begun.elapsed());
    let _served = Served::start_at(&url, Arc::default()).await;
    let took = reached(&peer).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn replication_finds_a_member_that_is_back() {
    let served = Served::start(Arc::default()).await;
    let (peer, url) = (served.dial(), served.url.clone());
    let requests = stream::iter([entry(1, "x")]).chain(stream::pending()).boxed();
    let mut responses = peer.append(requests, LONG).await.expect("a stream");
    assert_eq!(responses.next().await, Some(Ok(appended(1))));
    served.stop().await;
    assert_eq!(responses.next().await, Some(Err(CallError::NotServing)));
    assert_eq!(responses.next().await, None);
    let _served = Served::start_at(&url, Arc::default()).await;
    let begun = Instant::now();
    let mut responses = loop {
        match peer.append(stream::iter([entry(2, "x")]).boxed(), LONG).await {
            Ok(responses) => break responses,
            Err(error) => assert!(begun.elapsed() < LONG, "{error:?}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(responses.next().await, Some(Ok(appended(2))));
}

#[tokio::test]
async fn urls_are_tried_in_turn() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let served = Served::start(Arc::default()).await;
    let peer = Network::new().dial(&[dead, "nonsense".to_owned(), served.url.clone()]);
    peer.probe(LONG).await.expect("the last one answers");
}

#[tokio::test]
async fn why_a_member_cannot_be_reached_is_said_for_each_url() {
    let error = Network::new().dial(&["nonsense".to_owned(), "ftp://a:1".to_owned()]).probe(LONG).await;
    let Err(CallError::Unreachable(reason)) = error else { panic!("{error:?}") };
    assert!(reason.contains("nonsense: ") && reason.contains("; ftp://a:1: not an http"), "{reason}");
    let error = Network::new().dial(&[]).probe(LONG).await;
    assert_eq!(error, Err(CallError::Unreachable("it has no URL".to_owned())));
}

#[tokio::test]
async fn what_accepts_and_hangs_up_is_not_hammered() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let peer = Network::new().dial(&[format!("http://{}", socket.local_addr().expect("an address"))]);
    let accepting = tokio::spawn(async move {
        let mut accepted = 0_u32;
        while let Ok((stream, _)) = socket.accept().await {
            accepted += 1;
            drop(stream);
            if accepted == 3 {
                break;
            }
        }
    });
    let begun = Instant::now();
    let mut calls = 0_u32;
    while !accepting.is_finished() {
        peer.probe(LONG).await.expect_err("it hangs up");
        calls += 1;
        assert!(begun.elapsed() < LONG, "{calls} calls");
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(200), "three connections, two pauses: {:?}", begun.elapsed());
    assert!(calls > 3, "calls in between failed at once");
}

#[tokio::test]
async fn a_stopping_member_cuts_off_calls_without_end() {
    let served = Served::start(Arc::new(Fake { is_stuck: true, ..Fake::default() })).await;
    let peer = served.dial();
    let call = tokio::spawn(peer.probe(LONG));
    // The connection is there and the call is on its way when a second one has timed out.
    assert_eq!(peer.probe(Duration::from_millis(200)).await, Err(CallError::Timeout));
    timeout(Duration::from_secs(5), served.stop()).await.expect("stopping is bounded");
    let error = call.await.expect("no panic").expect_err("it was cut off");
    assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
}
