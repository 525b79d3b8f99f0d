//! Lease: grant to expiry, and what is said of leases that are not there.

use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest, RangeRequest,
};
use tonic::Code;

use crate::support::{Member, assert_refused, put};

fn grant(id: i64, ttl: i64) -> LeaseGrantRequest {
    LeaseGrantRequest { id, ttl }
}

fn look(id: i64) -> LeaseTimeToLiveRequest {
    LeaseTimeToLiveRequest { id, keys: true }
}

#[tokio::test]
async fn a_lease_holds_keys_and_takes_them_along() {
    let member = Member::start().await;
    let (mut lease, mut kv) = (member.lease().await, member.kv().await);
    let granted = lease.lease_grant(grant(7, 60)).await.expect("a lease").into_inner();
    assert_eq!((granted.id, granted.ttl, granted.error.as_str()), (7, 60, ""));
    assert_eq!(granted.header.expect("a header").revision, 1, "a lease is no key");
    for key in ["a", "b"] {
        kv.put(PutRequest { lease: 7, ..put(key, "v") }).await.expect("a put");
    }
    let life = lease.lease_time_to_live(look(7)).await.expect("a look").into_inner();
    assert!((58..=60).contains(&life.ttl), "{}", life.ttl);
    assert_eq!((life.granted_ttl, life.keys), (60, vec!["a".into(), "b".into()]));

    let revoked = lease.lease_revoke(LeaseRevokeRequest { id: 7 }).await.expect("the end").into_inner();
    assert_eq!(revoked.header.expect("a header").revision, 4, "all keys go in one revision");
    let all = RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    assert_eq!(kv.range(all).await.expect("a range").into_inner().count, 0);
    member.stop().await;
}

#[tokio::test]
async fn ids_are_chosen_and_ttls_are_raised() {
    let member = Member::start().await;
    let mut lease = member.lease().await;
    let granted = lease.lease_grant(grant(0, -5)).await.expect("a lease").into_inner();
    assert!(granted.id > 0);
    assert_eq!(granted.ttl, 2, "what outlives an election");
    let chosen = lease.lease_grant(grant(-9, 60)).await.expect("a lease").into_inner();
    assert_eq!(chosen.id, -9, "any id but zero will do");
    let listed = lease.lease_leases(LeaseLeasesRequest {}).await.expect("a list").into_inner();
    let mut ids: Vec<i64> = listed.leases.into_iter().map(|lease| lease.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [-9, granted.id]);
    member.stop().await;
}

#[tokio::test]
async fn keepalives_are_answered_one_for_one() {
    let member = Member::start().await;
    let mut lease = member.lease().await;
    lease.lease_grant(grant(7, 60)).await.expect("a lease");
    let requests = tokio_stream::iter([7, 8, 7].map(|id| LeaseKeepAliveRequest { id }));
    let mut answers = lease.lease_keep_alive(requests).await.expect("a stream").into_inner();
    for (id, ttl) in [(7, 60), (8, 0), (7, 60)] {
        let answer = answers.message().await.expect("an answer").expect("not the end");
        assert_eq!((answer.id, answer.ttl), (id, ttl));
        assert_eq!(answer.header.expect("a header").revision, 1);
    }
    assert_eq!(answers.message().await.expect("an end"), None);
    member.stop().await;
}

#[tokio::test]
async fn refusals_have_etcds_codes_and_texts() {
    let member = Member::start().await;
    let mut lease = member.lease().await;
    lease.lease_grant(grant(7, 60)).await.expect("a lease");
    assert_refused(lease.lease_grant(grant(7, 60)).await, Code::FailedPrecondition, "etcdserver: lease already exists");
    assert_refused(
        lease.lease_grant(grant(8, 9_000_000_001)).await,
        Code::OutOfRange,
        "etcdserver: too large lease TTL",
    );
    let unknown = lease.lease_revoke(LeaseRevokeRequest { id: 99 }).await;
    assert_refused(unknown, Code::NotFound, "etcdserver: requested lease not found");
    let life = lease.lease_time_to_live(look(99)).await.expect("no error").into_inner();
    assert_eq!((life.id, life.ttl, life.granted_ttl), (99, -1, 0));
    member.stop().await;
}
