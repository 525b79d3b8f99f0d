//! v3election: campaign, lead, proclaim, resign, observe; etcd's texts.

use proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, RangeRequest};
use proto::v3electionpb::election_client::ElectionClient;
use proto::v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ResignRequest};
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::support::{Member, PATIENCE, assert_refused, put};

async fn election(member: &Member) -> ElectionClient<Channel> {
    ElectionClient::new(member.channel().await)
}

fn campaign(lease: i64, value: &'static str) -> CampaignRequest {
    CampaignRequest { name: "e".into(), lease, value: value.into() }
}

fn of() -> LeaderRequest {
    LeaderRequest { name: "e".into() }
}

async fn grant(member: &Member, count: i64) {
    for id in 1..=count {
        member.lease().await.lease_grant(LeaseGrantRequest { id, ttl: 60 }).await.expect("a lease");
    }
}

/// Returns when so many candidates stand.
async fn until_candidates(member: &Member, count: i64) {
    let deadline = Instant::now() + PATIENCE;
    let below = RangeRequest { key: "e/".into(), range_end: "e0".into(), count_only: true, ..Default::default() };
    while member.kv().await.range(below.clone()).await.expect("a range").into_inner().count != count {
        assert!(Instant::now() < deadline, "{count} candidates shall stand");
    }
}

async fn elected(member: &Member, lease: i64, value: &'static str) -> LeaderKey {
    let answer = election(member).await.campaign(campaign(lease, value)).await.expect("an election").into_inner();
    answer.leader.expect("a leader's key")
}

async fn proclaim(member: &Member, leader: &LeaderKey, value: &'static str) -> Result<i64, tonic::Status> {
    let request = ProclaimRequest { leader: Some(leader.clone()), value: value.into() };
    let answer = election(member).await.proclaim(request).await?.into_inner();
    Ok(answer.header.expect("a header").revision)
}

/// Value and revision of the next leader that is observed.
async fn observed(stream: &mut Streaming<LeaderResponse>) -> (String, i64) {
    let answer =
        timeout(PATIENCE, stream.message()).await.expect("one comes").expect("an answer").expect("not the end");
    let value = String::from_utf8(answer.kv.expect("a key").value.to_vec()).expect("text");
    (value, answer.header.expect("a header").revision)
}

#[tokio::test]
async fn the_first_candidate_leads_and_is_followed_by_the_next() {
    let member = Member::start().await;
    grant(&member, 2).await;
    let missing = election(&member).await.leader(of()).await;
    assert_refused(missing, Code::Unknown, "election: no leader");
    let first = elected(&member, 1, "one").await;
    let key = LeaderKey { name: "e".into(), key: "e/1".into(), rev: 2, lease: 1 };
    assert_eq!(first, key);
    let leader = election(&member).await.leader(of()).await.expect("a leader").into_inner();
    assert_eq!(leader.kv.expect("a key").value, "one");

    let mut client = election(&member).await;
    let waiting = tokio::spawn(async move { client.campaign(campaign(2, "two")).await });
    until_candidates(&member, 2).await;
    assert_eq!(proclaim(&member, &first, "uno").await.expect("it leads"), 4);
    assert_eq!(elected(&member, 1, "un").await, key, "to stand again with another value proclaims it");
    let leader = election(&member).await.leader(of()).await.expect("a leader").into_inner();
    assert_eq!(leader.kv.expect("a key").value, "un");

    let resign = || ResignRequest { leader: Some(first.clone()) };
    election(&member).await.resign(resign()).await.expect("an end");
    let second = waiting.await.expect("no panic").expect("an election").into_inner();
    assert_eq!(second.leader.expect("a key").key, "e/2");
    election(&member).await.resign(resign()).await.expect("to resign twice is no error");
    member.stop().await;
}

#[tokio::test]
async fn t23_one_that_lost_the_election_proclaims_nothing() {
    let member = Member::start().await;
    grant(&member, 1).await;
    let old = elected(&member, 1, "one").await;
    election(&member).await.resign(ResignRequest { leader: Some(old.clone()) }).await.expect("an end");
    assert_refused(proclaim(&member, &old, "late").await, Code::Unknown, "election: not leader");
    let new = elected(&member, 1, "again").await;
    assert_refused(proclaim(&member, &old, "late").await, Code::Unknown, "election: not leader");
    election(&member).await.resign(ResignRequest { leader: Some(old) }).await.expect("no error");
    assert!(proclaim(&member, &new, "mine").await.is_ok(), "the newer candidacy was left alone");
    let nobody = election(&member).await.proclaim(ProclaimRequest::default()).await;
    assert_refused(nobody, Code::Unknown, "\"leader\" field must be provided");
    let nobody = election(&member).await.resign(ResignRequest::default()).await;
    assert_refused(nobody, Code::Unknown, "\"leader\" field must be provided");
    member.stop().await;
}

#[tokio::test]
async fn t06_a_candidate_whose_session_ended_is_not_told_that_it_leads() {
    let member = Member::start().await;
    grant(&member, 2).await;
    elected(&member, 1, "one").await;
    let mut client = election(&member).await;
    let waiting = tokio::spawn(async move { client.campaign(campaign(2, "two")).await });
    until_candidates(&member, 2).await;
    member.lease().await.lease_revoke(LeaseRevokeRequest { id: 2 }).await.expect("the end");
    assert_refused(waiting.await.expect("no panic"), Code::Unknown, "election: session is expired");
    let unknown = election(&member).await.campaign(campaign(2, "two")).await;
    assert_refused(unknown, Code::Unknown, "etcdserver: requested lease not found");
    member.stop().await;
}

#[tokio::test]
async fn t11_a_candidate_that_gives_up_withdraws() {
    let member = Member::start().await;
    grant(&member, 2).await;
    elected(&member, 1, "one").await;
    let mut client = election(&member).await;
    let waiting = tokio::spawn(async move { client.campaign(campaign(2, "two")).await });
    until_candidates(&member, 2).await;
    waiting.abort();
    until_candidates(&member, 1).await;
    member.stop().await;
}

#[tokio::test]
async fn t24_an_observer_sees_leaders_and_never_one_who_waits() {
    let member = Member::start().await;
    grant(&member, 2).await;
    let mut stream = election(&member).await.observe(of()).await.expect("a stream").into_inner();
    let first = elected(&member, 1, "one").await;
    assert_eq!(observed(&mut stream).await, ("one".to_owned(), 2));
    let mut client = election(&member).await;
    let waiting = tokio::spawn(async move { client.campaign(campaign(2, "two")).await });
    until_candidates(&member, 2).await;
    member.kv().await.put(put("elsewhere", "v")).await.expect("a put");
    proclaim(&member, &first, "uno").await.expect("it leads");
    assert_eq!(observed(&mut stream).await, ("uno".to_owned(), 5), "not the candidate that joined in between");
    election(&member).await.resign(ResignRequest { leader: Some(first) }).await.expect("an end");
    assert_eq!(observed(&mut stream).await, ("two".to_owned(), 6));
    waiting.await.expect("no panic").expect("an election");
    let mut late = election(&member).await.observe(of()).await.expect("a stream").into_inner();
    assert_eq!(observed(&mut late).await.0, "two", "who comes late is told who leads");
    member.stop().await;
}
