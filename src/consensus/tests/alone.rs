//! A member whose cluster has a second voter that nobody reaches: no leader, and nothing pretends there were one.

use std::time::Duration;

use model::MemberId;
use tokio::time::Instant;

use super::{Disks, config, put};
use crate::{Config, Leadership, MemberInfo, ProposeError, ReadIndexError};

fn half_of_two() -> Config {
    let mut config = config();
    config.members.insert(MemberId::new(0xb2), MemberInfo::default());
    Config { heartbeat: Duration::from_millis(4), election_timeout: Duration::from_millis(20), ..config }
}

#[tokio::test]
async fn without_a_quorum_nothing_is_answered_and_the_term_stays() {
    let member = Disks::new().try_start(half_of_two()).await.unwrap();
    // Time for more than twenty elections.
    let deadline = Instant::now() + Duration::from_millis(400);
    let (proposed, read) =
        tokio::join!(member.handle.propose(put("k", "v"), deadline), member.handle.read_index(deadline));
    assert_eq!(proposed.unwrap_err(), ProposeError::NoLeader);
    assert_eq!(read.unwrap_err(), ReadIndexError::NoLeader);
    assert_eq!(*member.handle.leadership().borrow(), Leadership::None);

    let status = member.handle.status();
    assert!(!status.is_leader && status.leader.is_none());
    assert_eq!(status.term.get(), 1, "the founding election only: an unreachable peer grants no pre-vote");
    member.stop().await;
}

#[tokio::test]
async fn a_proposal_waiting_for_a_leader_ends_with_the_member() {
    let member = Disks::new().try_start(half_of_two()).await.unwrap();
    let handle = member.handle.clone();
    let proposal = tokio::spawn(async move { handle.propose(put("k", "v"), super::soon()).await });
    tokio::task::yield_now().await;
    member.stop().await;
    assert_eq!(proposal.await.unwrap().unwrap_err(), ProposeError::Stopped);
}
