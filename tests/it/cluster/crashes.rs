//! Members that die without a word: the leader, and all at once.

use std::time::Duration;

use super::run::{Run, gaps, report};

/// K07, K15: what was acknowledged survives, members stay alike, revisions go on without a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k07_a_killed_leader_is_replaced_and_loses_nothing() {
    let mut run = Run::start("leader killed", 3, 0, &[]).await;
    let mut kills = Vec::new();
    for _ in 0..8 {
        let leader = run.cluster.leader().await;
        kills.push(run.now());
        run.cluster.members[leader].kill();
        run.progress(50).await;
        run.cluster.start_member(leader);
        run.progress(50).await;
    }
    let history = run.finish().await;
    report("leader killed", gaps(&history, &kills), Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k15_all_members_killed_at_once_come_back_with_everything() {
    let mut run = Run::start("all killed", 3, 0, &[]).await;
    for _ in 0..6 {
        for member in &mut run.cluster.members {
            member.kill();
        }
        for number in 0..3 {
            run.cluster.start_member(number);
        }
        run.progress(100).await;
    }
    run.finish().await;
}

/// The same load on a member alone, whose clients wait until it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k15_a_cluster_of_one_comes_back_with_everything() {
    let mut run = Run::start("one killed", 1, 0, &[]).await;
    for _ in 0..8 {
        run.cluster.members[0].kill();
        run.cluster.start_member(0);
        run.progress(100).await;
    }
    run.finish().await;
}
