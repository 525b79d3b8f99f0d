//! What is counted of the calls between members, and what they tell each other about their keys.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use model::Revision;
use tokio::time::Instant;

use super::cluster::{Cluster, id};
use super::soon;
use crate::{HashSource, KeysHash, PeerMeasured};

/// What `member` has counted of its calls with `other`.
fn counted(cluster: &Cluster, member: u64, other: u64) -> PeerMeasured {
    let peers = cluster.at(member).handle.measured().peers;
    peers.into_iter().find(|peer| peer.member == id(other)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_count_what_travels_between_them() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let value = "v".repeat(10_000);
    cluster.at(follower).put("k", &value).await;
    let there = counted(&cluster, leader, follower);
    let here = counted(&cluster, follower, leader);
    // The follower sent the proposal, the leader replicated it.
    for (name, bytes) in [
        ("sent by the leader", there.sent_bytes),
        ("received by the follower", here.received_bytes),
        ("sent by the follower", here.sent_bytes),
        ("received by the leader", there.received_bytes),
    ] {
        assert!(bytes > 10_000, "{name}: {bytes}");
    }
    assert_eq!((there.received_failures, here.received_failures), (0, 0));
    let applies = cluster.at(follower).handle.measured().applies;
    assert!(applies.count > 0);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_are_timed_and_those_that_fail_are_counted() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let until = async |what: &str, is_so: &dyn Fn(&PeerMeasured) -> bool| {
        let deadline = soon();
        while !is_so(&counted(&cluster, leader, follower)) {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    until("no heartbeat was timed", &|peer| peer.round_trips.count > 0).await;
    let failed = counted(&cluster, leader, follower).heartbeats_failed;
    cluster.wires.cut(&super::cluster::url(follower));
    until("no failure was counted", &|peer| peer.heartbeats_failed > failed && peer.sent_failures > 0).await;
    cluster.shutdown().await;
}

/// The revision as its checksum, and none above 10.
struct OddHashes;

impl HashSource for OddHashes {
    fn hash(&self, revision: Revision, _deadline: Instant) -> BoxFuture<'static, Option<KeysHash>> {
        let number = u32::try_from(revision.get()).unwrap();
        let hash = KeysHash { hash: number, compact_revision: Revision::new(3) };
        future::ready(Some(hash).filter(|_| number <= 10)).boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_tells_its_checksum_if_it_has_one() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let handle = &cluster.at(leader).handle;
    let ask = |revision| handle.hash_of(id(follower), Revision::new(revision), soon());
    assert_eq!(ask(7).await, None, "nobody computes any yet");
    cluster.at(follower).handle.serve_hashes(Arc::new(OddHashes));
    assert_eq!(ask(7).await, Some(KeysHash { hash: 7, compact_revision: Revision::new(3) }));
    assert_eq!(ask(11).await, None);
    cluster.wires.cut(&super::cluster::url(follower));
    assert_eq!(ask(7).await, None, "it cannot be reached");
    cluster.shutdown().await;
}
