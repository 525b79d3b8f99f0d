//! Members that stand still for longer than an election takes, and go on as if nothing had been.

use std::time::Duration;

use super::run::{Run, gaps, report};

/// K04, K05, K20: the leader of yesterday acknowledges no renewal, no write and no read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k04_k20_a_leader_that_was_paused_answers_nothing_stale() {
    let run = Run::start("leader paused", 3, 0, &[]).await;
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let leader = run.cluster.leader().await;
        let others: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
        pauses.push(run.now());
        run.cluster.members[leader].signal("STOP");
        run.cluster.leader_among(&others).await;
        run.progress(50).await;
        run.cluster.members[leader].signal("CONT");
        run.progress(50).await;
    }
    let history = run.finish().await;
    report("leader paused", gaps(&history, &pauses), Duration::from_secs(10));
}

/// K20, K21: a member alone answers no linearizable read and no write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k20_a_majority_that_was_paused_goes_on() {
    let run = Run::start("majority paused", 3, 0, &[]).await;
    for round in 0..4 {
        let leader = run.cluster.leader().await;
        // In turn: the leader goes on alone, and the leader is among those that stand still.
        let awake = if round % 2 == 0 { leader } else { (leader + 1) % 3 };
        let paused = (0..3).filter(|number| *number != awake);
        paused.clone().for_each(|number| run.cluster.members[number].signal("STOP"));
        run.last(Duration::from_millis(2500)).await;
        paused.for_each(|number| run.cluster.members[number].signal("CONT"));
        run.progress(50).await;
    }
    run.finish().await;
}
