//! Leases across changes of the leader, one lease at a time.

use std::time::{Duration, Instant};

use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseTimeToLiveRequest, MoveLeaderRequest};

use super::members::Cluster;
use super::program::Program;

const TTL: Duration = Duration::from_secs(6);

/// Hands leadership over from the member that has it to the next.
async fn move_leader(cluster: &Cluster) {
    let leader = cluster.leader().await;
    let next = (leader + 1) % 3;
    let moved = async || {
        let target = cluster.status(next).await?.header?.member_id;
        cluster.maintenance(leader).move_leader(MoveLeaderRequest { target_id: target }).await.ok()
    };
    cluster.until("a change of the leader", moved).await;
}

/// Grants a lease at a member.
async fn grant(cluster: &Cluster, at: usize, id: i64) {
    let ttl = i64::try_from(TTL.as_secs()).expect("a short time");
    LeaseClient::new(cluster.channel(at)).lease_grant(LeaseGrantRequest { ttl, id }).await.expect("a grant");
}

/// Renews a lease at a member; the time it then has, in seconds, 0 if it is gone.
async fn renew(cluster: &Cluster, at: usize, id: i64) -> Option<i64> {
    let mut leases = LeaseClient::new(cluster.channel(at));
    let answers = leases.lease_keep_alive(tokio_stream::once(LeaseKeepAliveRequest { id })).await;
    answers.ok()?.into_inner().message().await.ok()?.map(|answer| answer.ttl)
}

/// K05: a leader is paused while it counts a lease down; others renew the lease meanwhile. When the old leader goes on, the
/// lease has run out by its clock, and must live on all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k05_a_leader_of_yesterday_ends_no_lease_that_was_renewed() {
    let cluster = Cluster::start(3, 0, &[]).await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|number| *number != old).collect();
    for round in 1..=3 {
        grant(&cluster, old, round).await;
    }
    cluster.members[old].signal("STOP");
    let paused = Instant::now();
    cluster.leader_among(&others).await;
    let mut ticks = tokio::time::interval(TTL / 4);
    while paused.elapsed() < TTL + TTL / 2 {
        ticks.tick().await;
        for lease in 1..=3 {
            let renewed = cluster.until("a renewal", async || renew(&cluster, others[0], lease).await).await;
            assert!(renewed > 0, "lease {lease} is gone while it is renewed");
        }
    }
    cluster.members[old].signal("CONT");
    // Whatever it is that the old leader wants, it has done that by then.
    let back = async || cluster.status(old).await.filter(|status| status.leader != 0);
    cluster.until("the old leader as a follower", back).await;
    tokio::time::sleep(TTL / 3).await;
    for lease in 1..=3 {
        let renewed = cluster.until("a renewal", async || renew(&cluster, others[1], lease).await).await;
        assert!(renewed > 0, "lease {lease} was ended by a leader of yesterday");
    }
}

/// K32: the leader changes twice in each life of a lease; nobody renews it, and it ends within twice its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k32_a_lease_ends_although_the_leader_changes_all_the_time() {
    if Program::chosen() == Program::Etcd {
        // Its new leaders give every lease its whole time again.
        return;
    }
    let cluster = Cluster::start(3, 0, &[]).await;
    let id = 42;
    let granted = Instant::now();
    grant(&cluster, 0, id).await;
    let mut ticks = tokio::time::interval(TTL / 2);
    let ended = loop {
        ticks.tick().await;
        move_leader(&cluster).await;
        let ask = LeaseTimeToLiveRequest { id, keys: false };
        let left = LeaseClient::new(cluster.channel(0)).lease_time_to_live(ask).await;
        if left.is_ok_and(|left| left.into_inner().ttl < 0) {
            break granted.elapsed();
        }
        assert!(granted.elapsed() < 3 * TTL, "the lease goes on and on");
    };
    assert!(ended >= TTL, "the lease ended after {ended:?}");
    // It is looked at only twice in its time, and an election may take one.
    assert!(ended <= 2 * TTL + TTL / 2 + Duration::from_secs(1), "the lease ended after {ended:?}");
}
