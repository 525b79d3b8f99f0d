//! Members that are asked to end, one after the other, as an operator does it.

use std::time::Duration;

use super::load::patience;
use super::program::Program;
use super::run::{Run, longest_gap, report};

/// How long a client that asks again elsewhere may have to do so.
const PATIENCE: Duration = Duration::from_secs(5);

/// A leader that is asked to end hands over first; no write fails that is tried again elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request_that_is_retried() {
    let mut run = Run::start("rolling restart", 3, 0, &[]).await;
    let mut hand_overs = Vec::new();
    for round in 0..8 {
        // The leader every other time: of two restarts one is a hand-over.
        let leader = run.cluster.leader().await;
        let number = if round % 2 == 0 { leader } else { (leader + 1) % 3 };
        let from = run.now();
        run.cluster.members[number].signal("TERM");
        let status = run.cluster.members[number].ended().await;
        // etcd ends by the signal that it was sent.
        let clean = status.success() || Program::chosen() == Program::Etcd;
        assert!(clean, "a member that was asked to end ended with {status}");
        run.progress(30).await;
        if number == leader {
            hand_overs.push((from, run.now()));
        }
        run.cluster.start_member(number);
        let leader = run.cluster.leader().await;
        run.caught_up(number, leader).await;
    }
    let history = run.finish().await;
    let longest = patience::longest(&history);
    println!("rolling restart: longest time of a write with retries {longest:?}");
    assert!(longest < PATIENCE, "a write was tried for {longest:?}");
    let gaps = hand_overs.iter().map(|(from, to)| longest_gap(&history, *from, *to)).collect();
    report("rolling restart", gaps, PATIENCE);
}
