//! Calls with one answer: each goes through and back, with its deadline and its errors.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use proto::quoratepb::*;

use super::LONG;
use super::fake::{Fake, appended, entry, header, taken, vote};
use super::served::Served;
use crate::CallError;

const LOG_ID: LogId = LogId { term: 1, index: 0 };

#[tokio::test]
async fn raft_calls_go_through_and_back() {
    let served = Served::start(Arc::default()).await;
    let peer = served.dial();
    let ballot =
        VoteRequest { header: Some(header()), vote: Some(vote(3)), last_log_id: Some(LOG_ID), ..Default::default() };
    assert_eq!(peer.heartbeat(entry(5, "x"), LONG).await, Ok(appended(5)));
    let granted = |granted| VoteResponse { vote: Some(vote(3)), granted, last_log_id: Some(LOG_ID) };
    assert_eq!(peer.vote(ballot, LONG).await, Ok(granted(true)));
    assert_eq!(peer.pre_vote(ballot, LONG).await, Ok(granted(false)));
    let transfer = TransferLeaderRequest { last_log_id: Some(LOG_ID), ..Default::default() };
    let behind = transfer_leader_response::Outcome::LogBehind(LogBehind { flushed: Some(LOG_ID) });
    assert_eq!(peer.transfer_leader(transfer, LONG).await, Ok(TransferLeaderResponse { outcome: Some(behind) }));
    let read = read_index_response::Outcome::ReadLogId(LOG_ID);
    let question = ReadIndexRequest { header: Some(header()) };
    assert_eq!(peer.read_index(question, LONG).await, Ok(ReadIndexResponse { outcome: Some(read) }));
}

#[tokio::test]
async fn forwarded_calls_go_through_and_back() {
    let served = Served::start(Arc::default()).await;
    let peer = served.dial();
    let proposals =
        ProposeRequest { header: None, commands: vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")] };
    let applied = |index| ProposeOutcome { outcome: Some(propose_outcome::Outcome::Applied(LogId { term: 1, index })) };
    assert_eq!(peer.propose(proposals, LONG).await, Ok(ProposeResponse { outcomes: vec![applied(1), applied(2)] }));
    let renewed = renew_leases_response::Outcome::Renewed(RenewedLeases { ttls: vec![4, -1] });
    let renewal = RenewLeasesRequest { header: None, ids: vec![4, -1] };
    assert_eq!(peer.renew_leases(renewal, LONG).await, Ok(RenewLeasesResponse { outcome: Some(renewed) }));
    let life = lease_life_response::Outcome::Life(LeaseLife { granted_ttl: 9, remaining: 1 });
    let question = LeaseLifeRequest { header: None, id: 9 };
    assert_eq!(peer.lease_life(question, LONG).await, Ok(LeaseLifeResponse { outcome: Some(life) }));
    let member = Member { id: 3, name: "three".to_owned(), ..Default::default() };
    let change = Some(change_members_request::Change::Add(member.clone()));
    let members = change_members_response::Outcome::Members(Members { members: vec![member] });
    let changed = peer.change_members(ChangeMembersRequest { header: None, change }, LONG).await;
    assert_eq!(changed, Ok(ChangeMembersResponse { outcome: Some(members) }));
    let probed = peer.probe(LONG).await.expect("an answer");
    assert_eq!((probed.cluster_id, probed.member_id), (7, 2));
}

#[tokio::test]
async fn a_served_member_learns_how_long_the_caller_waits() {
    let fake = Arc::new(Fake::default());
    let served = Served::start(fake.clone()).await;
    let peer = served.dial();
    peer.probe(Duration::from_secs(7)).await.expect("an answer");
    let calls = fake.calls.lock().clone();
    let [("probe", timeout)] = calls[..] else { panic!("{calls:?}") };
    assert!(timeout <= Duration::from_secs(7) && timeout > Duration::from_secs(1), "{timeout:?}");
}

#[tokio::test]
async fn every_kind_of_call_brings_back_the_error() {
    let refusal = Refusal { reason: refusal::Reason::Removed.into(), receiver: Some(header()) };
    for error in [
        CallError::Refused(refusal),
        CallError::NotServing,
        CallError::Timeout,
        CallError::Malformed("no vote".to_owned()),
        CallError::Interrupted("the disk".to_owned()),
    ] {
        let served = Served::start(Fake::failing(error.clone())).await;
        let peer = served.dial();
        assert_eq!(peer.probe(LONG).await, Err(error.clone()));
        assert_eq!(peer.heartbeat(entry(1, "x"), LONG).await, Err(error.clone()));
        assert_eq!(peer.snapshot(stream::empty().boxed(), LONG).await, Err(error.clone()));
        let mut responses = peer.append(stream::iter([entry(1, "x")]).boxed(), LONG).await.expect("a stream");
        assert_eq!(responses.next().await, Some(Err(error)));
        assert_eq!(responses.next().await, None);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let served = Served::start(Arc::new(Fake { is_stuck: true, ..Fake::default() })).await;
    let peer = served.dial();
    assert_eq!(peer.probe(Duration::from_millis(300)).await, Err(CallError::Timeout));
}

#[tokio::test]
async fn sixty_four_mebibytes_pass() {
    let served = Served::start(Arc::default()).await;
    let peer = served.dial();
    let payload = vec![7; 64 * 1024 * 1024];
    assert_eq!(peer.heartbeat(entry(5, payload), LONG * 3).await, Ok(appended(5)));
    assert_eq!(peer.snapshot(stream::iter([SnapshotChunk::default()]).boxed(), LONG).await, Ok(taken(1)));
}

#[tokio::test]
async fn what_is_too_large_is_malformed() {
    let served = Served::start(Arc::default()).await;
    let peer = served.dial();
    let payload = vec![7; crate::MESSAGE_BYTES_MAX + 1];
    let error = peer.heartbeat(entry(5, payload), LONG).await.expect_err("too large");
    assert!(matches!(error, CallError::Malformed(_)), "{error:?}");
}
