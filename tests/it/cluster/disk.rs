//! A full disk under one member of three.

use crate::small_disk::SmallDisk;

use super::members::Cluster;
use super::run::Run;

/// K28: the member whose disk is full ends rather than acknowledge what it cannot keep; the others go on, and with room it
/// comes back with all it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root to mount a small disk; `make test` runs it"]
async fn k28_a_member_with_a_full_disk_ends_and_comes_back() {
    let mut cluster = Cluster::prepare(3, 0, &["--snapshot-count", "1000"]).await;
    let disk = SmallDisk::mount(&cluster.members[1].data, 448);
    // Some programs refuse a data directory that others may read.
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&cluster.members[1].data, private).expect("a folder of our own");
    (0..3).for_each(|number| cluster.start_member(number));
    cluster.leader().await;
    let mut run = Run::of("full disk", cluster).await;
    disk.fill();
    run.flood_until_ended(1).await;
    run.progress(50).await;
    disk.empty();
    run.cluster.start_member(1);
    let leader = run.cluster.leader().await;
    run.caught_up(1, leader).await;
    run.progress(50).await;
    run.finish().await;
    drop(disk);
}
