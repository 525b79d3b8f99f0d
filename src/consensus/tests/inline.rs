//! A member without a thread of its own, as simulations run it: time is the runtime's, and the disk takes as long as it is told to.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep};

use super::{Disks, Member, put, soon};
use crate::{Execution, SimLife};

const FSYNC: Duration = Duration::from_millis(40);

/// A member that leads, and the life in which it does.
async fn start(disks: &Disks) -> (Member, SimLife) {
    let life = SimLife::new(1);
    let disks = Disks { execution: Execution::Inline(Arc::new(|| sleep(FSYNC).boxed())), ..disks.clone() };
    let member = life.run(disks.start()).await;
    member.handle.read_index(soon()).await.unwrap();
    (member, life)
}

#[tokio::test(start_paused = true)]
async fn a_write_takes_as_long_as_the_disk() {
    let (member, _life) = start(&Disks::new()).await;
    let before = Instant::now();
    member.put("k", "v").await;
    let took = before.elapsed();
    assert!((FSYNC..FSYNC + Duration::from_millis(5)).contains(&took), "{took:?}");
    member.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_had_not_taken_is_gone_with_the_life() {
    let disks = Disks::new();
    let (member, life) = start(&disks).await;
    member.put("acknowledged", "v").await;
    let proposal = member.handle.propose(put("under way", "v"), soon());
    tokio::pin!(proposal);
    assert!(futures::poll!(&mut proposal).is_pending());
    sleep(FSYNC / 2).await;
    life.end();
    disks.fs.power_cycle(wal::Survival::Everything);
    assert!(proposal.await.unwrap_err().may_be_applied());

    let (member, _life) = start(&disks).await;
    assert_eq!(member.get("acknowledged").as_deref(), Some("v"));
    assert_eq!(member.get("under way"), None);
    member.stop().await;
}
