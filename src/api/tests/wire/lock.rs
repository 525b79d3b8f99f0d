//! v3lock: one line for all, etcd's texts, and what it does better: lost sessions and given-up calls are noticed at once.

use proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest};
use proto::mvccpb::KeyValue;
use proto::v3lockpb::lock_client::LockClient;
use proto::v3lockpb::{LockRequest, UnlockRequest};
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{Member, PATIENCE, assert_refused, put};

async fn lock(member: &Member) -> LockClient<Channel> {
    LockClient::new(member.channel().await)
}

fn ask(lease: i64) -> LockRequest {
    LockRequest { name: "lk".into(), lease }
}

/// Leases 1 to `count`.
async fn grant(member: &Member, count: i64) {
    for id in 1..=count {
        member.lease().await.lease_grant(LeaseGrantRequest { id, ttl: 60 }).await.expect("a lease");
    }
}

async fn claims(member: &Member) -> Vec<KeyValue> {
    let below = RangeRequest { key: "lk/".into(), range_end: "lk0".into(), ..Default::default() };
    member.kv().await.range(below).await.expect("a range").into_inner().kvs
}

/// Returns when so many claims are there.
async fn until_claims(member: &Member, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while claims(member).await.len() != count {
        assert!(Instant::now() < deadline, "{count} claims shall be there");
    }
}

#[tokio::test]
async fn a_lock_is_an_ordinary_key_and_passes_to_who_waits() {
    let member = Member::start().await;
    grant(&member, 2).await;
    let held = lock(&member).await.lock(ask(1)).await.expect("a lock").into_inner();
    assert_eq!((held.key.as_ref(), held.header.expect("a header").revision), (&b"lk/1"[..], 2));
    for _ in 0..2 {
        let again = lock(&member).await.lock(ask(1)).await.expect("the same").into_inner();
        let revision = again.header.expect("a header").revision;
        assert_eq!((again.key.as_ref(), revision), (&b"lk/1"[..], 3), "noted once, with the same token");
    }
    let [claim] = &claims(&member).await[..] else { panic!("one claim") };
    assert_eq!((claim.value.as_ref(), claim.lease, claim.create_revision), (&b""[..], 1, 2));

    let mut client = lock(&member).await;
    let waiting = tokio::spawn(async move { client.lock(ask(2)).await });
    until_claims(&member, 2).await;
    assert!(!waiting.is_finished());
    let unlocked = lock(&member).await.unlock(UnlockRequest { key: "lk/1".into() }).await.expect("an end").into_inner();
    assert_eq!(unlocked.header.expect("a header").revision, 5);
    let granted = waiting.await.expect("no panic").expect("a lock").into_inner();
    assert_eq!((granted.key.as_ref(), granted.header.expect("a header").revision), (&b"lk/2"[..], 5));
    member.stop().await;
}

#[tokio::test]
async fn without_a_lease_one_of_a_minute_is_granted() {
    let member = Member::start().await;
    let held = lock(&member).await.lock(ask(0)).await.expect("a lock").into_inner();
    let [claim] = &claims(&member).await[..] else { panic!("one claim") };
    assert_eq!(held.key, format!("lk/{:x}", claim.lease));
    let look = LeaseTimeToLiveRequest { id: claim.lease, keys: true };
    let life = member.lease().await.lease_time_to_live(look).await.expect("a look").into_inner();
    assert_eq!((life.granted_ttl, &life.keys), (60, &vec![held.key]));
    member.stop().await;
}

#[tokio::test]
async fn t06_a_waiter_whose_session_ends_is_told_at_once() {
    let member = Member::start().await;
    grant(&member, 2).await;
    lock(&member).await.lock(ask(1)).await.expect("a lock");
    let mut client = lock(&member).await;
    let waiting = tokio::spawn(async move { client.lock(ask(2)).await });
    until_claims(&member, 2).await;
    member.lease().await.lease_revoke(LeaseRevokeRequest { id: 2 }).await.expect("the end");
    assert_refused(waiting.await.expect("no panic"), Code::Unknown, "mutex: session is expired");
    for lease in [2, 99, -7] {
        let refused = lock(&member).await.lock(ask(lease)).await;
        assert_refused(refused, Code::Unknown, "etcdserver: requested lease not found");
    }
    assert_eq!(claims(&member).await.len(), 1);
    member.stop().await;
}

#[tokio::test]
async fn t11_a_call_that_is_given_up_gives_its_place_back() {
    let member = Member::start().await;
    grant(&member, 2).await;
    lock(&member).await.lock(ask(1)).await.expect("a lock");
    let mut client = lock(&member).await;
    let waiting = tokio::spawn(async move { client.lock(ask(2)).await });
    until_claims(&member, 2).await;
    waiting.abort();
    until_claims(&member, 1).await;
    assert_eq!(claims(&member).await[0].key, "lk/1");
    member.stop().await;
}

#[tokio::test]
async fn t09_unlocking_deletes_claims_and_nothing_else() {
    let member = Member::start().await;
    grant(&member, 2).await;
    lock(&member).await.lock(ask(1)).await.expect("a lock");
    let mut kv = member.kv().await;
    // What was no claim, and what is named after one lease and attached to another.
    kv.put(put("lk/config", "v")).await.expect("a put");
    kv.put(PutRequest { lease: 2, ..put("lk/7", "v") }).await.expect("a put");
    let before = claims(&member).await;
    for key in ["lk/config", "lk/7", "lk/none", "lk/2", ""] {
        lock(&member).await.unlock(UnlockRequest { key: key.into() }).await.expect("an end");
    }
    assert_eq!(claims(&member).await, before);
    lock(&member).await.unlock(UnlockRequest { key: "lk/1".into() }).await.expect("an end");
    assert_eq!(claims(&member).await.len(), 2);
    member.stop().await;
}

#[tokio::test]
async fn calls_that_wait_end_when_the_member_stops() {
    let member = Member::start().await;
    grant(&member, 2).await;
    lock(&member).await.lock(ask(1)).await.expect("a lock");
    let mut client = lock(&member).await;
    let waiting = tokio::spawn(async move { client.lock(ask(2)).await });
    until_claims(&member, 2).await;
    member.begin_to_stop();
    assert_refused(waiting.await.expect("no panic"), Code::Unavailable, "etcdserver: server stopped");
    member.stop().await;
}
