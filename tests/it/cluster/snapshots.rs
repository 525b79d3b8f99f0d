//! Members that were away for longer than the log goes back, and must be sent the state.

use super::network::Condition;
use super::program::Program;
use super::run::Run;

/// Snapshots often, and little kept behind them.
const FLAGS: &[&str] = &["--snapshot-count", "100", "--snapshot-catchup-entries", "100"];

/// A cluster whose log soon forgets, and how many writes make it do so: etcd 3.4 keeps 5000 entries, whatever it is told.
async fn forgetful(name: &'static str) -> (Run, u64) {
    match Program::chosen() {
        Program::Quorate => (Run::start(name, 3, 0, FLAGS).await, 1_500),
        Program::Etcd => (Run::start(name, 3, 0, &FLAGS[..2]).await, 6_000),
    }
}

/// K17: a member is sent a snapshot, then another one at once, while it is watched, and all members have the same in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k17_two_snapshots_in_a_row_bring_a_member_up_to_date() {
    let (mut run, enough) = forgetful("snapshots").await;
    let leader = run.cluster.leader().await;
    let follower = (leader + 1) % 3;
    for _ in 0..2 {
        run.cluster.members[follower].kill();
        run.flood(enough).await;
        run.cluster.start_member(follower);
        let leader = run.cluster.leader().await;
        run.caught_up(follower, leader).await;
    }
    assert_installed(&run, follower, 2);
    run.finish().await;
}

/// K12, K17: a follower that is cut off, but runs, is sent a snapshot: its watchers miss nothing, and see nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k12_a_member_that_was_cut_off_is_sent_a_snapshot_and_its_watchers_miss_nothing() {
    let (mut run, enough) = forgetful("snapshot while watched").await;
    let leader = run.cluster.leader().await;
    let follower = (leader + 1) % 3;
    for _ in 0..2 {
        run.cluster.network.around(follower, Condition::Cut);
        run.flood(enough).await;
        run.cluster.network.heal();
        let leader = run.cluster.leader().await;
        run.caught_up(follower, leader).await;
    }
    assert_installed(&run, follower, 2);
    run.finish().await;
}

/// A member was sent so many snapshots: without them, these tests show nothing.
fn assert_installed(run: &Run, number: usize, times: usize) {
    let installed = run.cluster.members[number].has_said("installed a snapshot");
    assert!(
        installed >= times || Program::chosen() == Program::Etcd,
        "{installed} snapshots were installed, not {times}"
    );
}
