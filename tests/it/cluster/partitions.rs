//! Networks that lose one direction, one member, one link, or only patience.

use std::time::Duration;

use super::network::Condition;
use super::run::{Run, longest_gap};

const FLAGS: &[&str] = &["--heartbeat-interval", "100", "--election-timeout", "500"];

/// Longest time without an answered write that still counts as service, on a machine that does other things as well.
const GAP_MAX: Duration = Duration::from_secs(3);

/// How long faults last: an isolated member would have called many elections by then.
const ISOLATION: Duration = Duration::from_millis(500 * 20);

/// Who leads in which term, as a member sees it: its leader's id.
async fn leadership(run: &Run, member: usize) -> (u64, u64) {
    let status = run.cluster.until("a member's status", async || run.cluster.status(member).await).await;
    (status.raft_term, status.leader)
}

/// K31: a member that was alone neither deposes the leader nor raises the term when it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k31_an_isolated_follower_returns_without_an_election() {
    let run = Run::start("follower isolated", 3, 0, FLAGS).await;
    let leader = run.cluster.leader().await;
    let before = leadership(&run, leader).await;
    let follower = (leader + 1) % 3;
    let from = run.now();
    run.cluster.network.around(follower, Condition::Cut);
    run.last(ISOLATION).await;
    let alone = run.cluster.status(follower).await.expect("a follower that is alone still says so");
    assert_eq!((alone.raft_term, alone.leader), (before.0, 0), "what the follower knows when it was alone for long");
    run.cluster.network.heal();
    run.caught_up(follower, leader).await;
    let to = run.now();
    assert_eq!(leadership(&run, leader).await, before, "term and leader, after the follower's return");
    assert_eq!(leadership(&run, follower).await, before, "what the follower knows of it");
    let history = run.finish().await;
    let gap = longest_gap(&history, from, to);
    println!("follower isolated: longest write gap {gap:?}");
    assert!(gap < GAP_MAX, "the majority was not served for {gap:?}");
}

/// K21, K31: the majority gets a new leader; the old one, alone, answers nothing, and follows when it returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k21_an_isolated_leader_is_replaced_and_follows_on_return() {
    let run = Run::start("leader isolated", 3, 0, FLAGS).await;
    let old = run.cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|number| *number != old).collect();
    run.cluster.network.around(old, Condition::Cut);
    let new = run.cluster.leader_among(&others).await;
    let elected = leadership(&run, new).await;
    run.last(ISOLATION).await;
    run.cluster.network.heal();
    run.caught_up(old, new).await;
    assert_eq!(leadership(&run, new).await, elected, "term and leader, after the old leader's return");
    assert_eq!(leadership(&run, old).await, elected, "what the old leader knows of it");
    run.finish().await;
}

/// K31: a member that hears nothing, or is not heard, changes nothing for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k31_one_way_cuts_of_a_follower_change_no_leader() {
    let run = Run::start("one way", 3, 0, FLAGS).await;
    let leader = run.cluster.leader().await;
    let before = leadership(&run, leader).await;
    let (deaf, mute) = ((leader + 1) % 3, (leader + 2) % 3);
    for other in [leader, mute] {
        run.cluster.network.set(other, deaf, Condition::Cut);
    }
    run.last(ISOLATION / 2).await;
    run.progress(20).await;
    assert_eq!(leadership(&run, leader).await, before, "term and leader, while a follower hears nothing");
    run.cluster.network.heal();
    run.caught_up(deaf, leader).await;
    for other in [leader, deaf] {
        run.cluster.network.set(mute, other, Condition::Cut);
    }
    run.last(ISOLATION / 2).await;
    run.progress(20).await;
    assert_eq!(leadership(&run, leader).await, before, "term and leader, while a follower is not heard");
    run.cluster.network.heal();
    run.caught_up(mute, leader).await;
    assert_eq!(leadership(&run, leader).await, before, "term and leader in the end");
    run.finish().await;
}

/// K25: a leader that is not heard by anyone, or hears nobody, gives way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k25_a_leader_cut_off_in_one_direction_is_replaced() {
    let run = Run::start("leader one way", 3, 0, FLAGS).await;
    for outgoing in [true, false] {
        let old = run.cluster.leader().await;
        let others: Vec<usize> = (0..3).filter(|number| *number != old).collect();
        for other in &others {
            let (from, to) = if outgoing { (old, *other) } else { (*other, old) };
            run.cluster.network.set(from, to, Condition::Cut);
        }
        run.cluster.leader_among(&others).await;
        run.progress(50).await;
        run.cluster.network.heal();
        run.progress(50).await;
    }
    run.finish().await;
}

/// K25: one link of three is cut, so that the leader and a follower only reach the third member: the leader stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k25_a_bridge_between_two_members_is_enough() {
    let run = Run::start("bridge", 3, 0, FLAGS).await;
    let leader = run.cluster.leader().await;
    let cut_off = (leader + 1) % 3;
    run.cluster.network.set(leader, cut_off, Condition::Cut);
    run.cluster.network.set(cut_off, leader, Condition::Cut);
    run.last(ISOLATION / 2).await;
    run.progress(50).await;
    run.cluster.network.heal();
    let leader = run.cluster.leader().await;
    run.caught_up(cut_off, leader).await;
    run.finish().await;
}

/// A network that is late everywhere, and one follower whose bytes come by the handful.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_links_slow_writes_down_and_change_no_leader() {
    let run = Run::start("slow links", 3, 0, FLAGS).await;
    let leader = run.cluster.leader().await;
    let before = leadership(&run, leader).await;
    for member in 0..3 {
        run.cluster.network.around(member, Condition::Late(Duration::from_millis(10)));
    }
    run.last(ISOLATION / 4).await;
    run.progress(50).await;
    run.cluster.network.heal();
    let follower = (leader + 1) % 3;
    run.cluster.network.around(follower, Condition::Thin(20_000));
    run.last(ISOLATION / 4).await;
    run.progress(50).await;
    assert_eq!(leadership(&run, leader).await, before, "term and leader, over slow links");
    run.cluster.network.heal();
    run.caught_up(follower, leader).await;
    run.finish().await;
}
