//! Members that lose their state, in whichever way, and get it back from the others or are refused.

use std::sync::Arc;

use bytes::Bytes;
use state::{Fault, MemoryPlace, MemoryStorage, Storage};

use super::cluster::{Cluster, url};
use super::soon;
use crate::Error;

/// A store with our mark and no head.
fn damaged() -> MemoryPlace {
    let storage = MemoryStorage::new();
    let mark = Bytes::from_static(b"quorate\0\0\0\0\x01");
    storage.ingest(&mut std::iter::once((Bytes::from_static(&[0]), Some(mark)))).unwrap();
    MemoryPlace::over(Arc::new(storage))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_gone_or_damaged_is_fetched_from_another_member() {
    let mut cluster = Cluster::with_snapshots_every(&[1, 2, 3], 100).await;
    let leader = cluster.leader().await;
    cluster.write_more_than_logs_keep(leader, 0).await;
    for lost in [MemoryPlace::new(), damaged()] {
        let member = cluster.follower().await;
        let leader = cluster.leader().await;
        cluster.caught_up(member, leader).await;
        let vote = cluster.at(member).handle.term();
        cluster.stop(member).await;
        cluster.disks.get_mut(&member).unwrap().place = lost;
        cluster.at(leader).put("while it is away", "1").await;
        cluster.start(member).await;
        cluster.caught_up(member, leader).await;
        assert!(cluster.at(member).handle.term() >= vote, "what it voted is not forgotten");
        assert_eq!(cluster.at(member).reader.hash().unwrap(), cluster.at(leader).reader.hash().unwrap());
        cluster.at(member).put("k", "back").await;
        // And what it fetched survives a restart.
        cluster.stop(member).await;
        cluster.start(member).await;
        cluster.at(member).handle.read_index(soon()).await.unwrap();
        assert_eq!(cluster.at(member).get("k").as_deref(), Some("back"));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_further_than_the_own_log_is_fetched_too() {
    let mut cluster = Cluster::with_snapshots_every(&[1, 2, 3], 100).await;
    let (leader, member) = (cluster.leader().await, cluster.follower().await);
    cluster.at(leader).put("k", "before").await;
    cluster.caught_up(member, leader).await;
    cluster.stop(member).await;
    // The others' logs begin behind the end of this one's.
    cluster.write_more_than_logs_keep(leader, 0).await;
    cluster.disks.get_mut(&member).unwrap().place = damaged();
    cluster.start(member).await;
    assert!(cluster.at(member).reader.hash().unwrap() == cluster.at(leader).reader.hash().unwrap(), "at once");
    cluster.at(member).put("k", "after").await;
    cluster.stop(member).await;
    cluster.start(member).await;
    cluster.at(member).handle.read_index(soon()).await.unwrap();
    assert_eq!(cluster.at(member).get("k").as_deref(), Some("after"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_to_ask_a_lost_state_is_refused_and_says_who_was_tried() {
    let mut cluster = Cluster::with_snapshots_every(&[1, 2, 3], 100).await;
    let leader = cluster.leader().await;
    cluster.write_more_than_logs_keep(leader, 0).await;
    let member = cluster.follower().await;
    cluster.caught_up(member, leader).await;
    cluster.stop(member).await;
    let kept = cluster.disks[&member].place.clone();
    cluster.wires.cut(&url(member));
    for (place, is_behind) in [(MemoryPlace::new(), true), (damaged(), false)] {
        cluster.disks.get_mut(&member).unwrap().place = place;
        let Err(error) = cluster.try_start(member).await else { panic!("a state out of nothing") };
        let said = error.to_string();
        let Error::StateNotFetched { lost, tried } = error else { panic!("{said}") };
        match *lost {
            Error::LogBehindState { applied: None, .. } => assert!(is_behind),
            Error::State(Fault::Damaged(_)) => assert!(!is_behind),
            other => panic!("{other}"),
        }
        for other in [1, 2, 3].into_iter().filter(|other| *other != member) {
            assert!(tried.contains(&format!("member {other}: ")), "{tried}");
        }
    }
    // Nothing was written: with its own state it starts.
    cluster.wires.mend(&url(member));
    cluster.disks.get_mut(&member).unwrap().place = kept;
    cluster.start(member).await;
    cluster.caught_up(member, leader).await;
    cluster.shutdown().await;
}
