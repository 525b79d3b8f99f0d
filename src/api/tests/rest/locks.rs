//! Locks as they stand, and their names.

use bytes::Bytes;
use model::{Identity, LeaseId, PutRequest};

use crate::support::Member;

#[tokio::test]
async fn a_lock_that_nobody_wants_is_free() {
    let member = Member::start().await;
    let lock = member.client.get("/v1/locks/orders").await.expect(200);
    assert_eq!(lock["state"], "free");
    assert_eq!((&lock["waiting"], &lock["queue"]), (&0.into(), &serde_json::json!([])));
    assert!(lock.get("holder").is_none() && lock.get("next_page_token").is_none());
    let token = member.client.get("/v1/locks/orders/tokens/7").await.expect(200);
    assert_eq!(token, serde_json::json!({"current": false}));
    member.stop().await;
}

#[tokio::test]
async fn a_line_is_shown_page_by_page_as_it_was() {
    let member = Member::start().await;
    let client = member.client;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        let session = client.session().await;
        client.put(&format!("/v1/locks/orders/claims/{session}"), "").await;
        sessions.push(session);
    }
    let (holder, waiters) = sessions.split_first().unwrap();
    let (mut shown, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = client.get(&format!("/v1/locks/orders?{query}")).await.expect(200);
        assert_eq!((&page["holder"]["session"], &page["waiting"]), (&holder.as_str().into(), &5.into()));
        let queue = page["queue"].as_array().unwrap();
        assert!((1..=2).contains(&queue.len()));
        shown.extend(queue.iter().map(|waiter| waiter["session"].as_str().unwrap().to_owned()));
        // What happens between pages does not show.
        client.delete(&format!("/v1/locks/orders/claims/{}", shown[0])).await.expect(204);
        let Some(token) = page["next_page_token"].as_str() else { break };
        query = format!("limit=2&page_token={token}");
    }
    assert_eq!(shown, waiters);
    member.stop().await;
}

#[tokio::test]
async fn t19_a_lock_below_another_is_another() {
    let member = Member::start().await;
    let client = member.client;
    let claim = client.put("/v1/locks/a%2Fb/claims/new", "").await.expect(201);
    assert_eq!(claim["lock"], "a/b");
    assert_eq!(claim["etcd_prefix"], "/default/locks/a%2Fb");
    client.put("/v1/locks/a/claims/new", "").await.expect(201);
    assert_eq!(client.get("/v1/locks/a%2Fb").await.expect(200)["holder"]["session"], claim["session"]);
    member.stop().await;
}

#[tokio::test]
async fn namespaces_are_apart() {
    let member = Member::start().await;
    let client = member.client;
    let answer = client.put("/v1/ns/shop/locks/orders/claims/new", "").await;
    let claim = answer.expect(201);
    let session = claim["session"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/ns/shop/locks/orders/claims/{session}"));
    assert_eq!(claim["etcd_key"], format!("/shop/locks/orders/{session}"));
    assert_eq!(client.get("/v1/locks/orders").await.expect(200)["state"], "free");
    assert_eq!(client.get("/v1/ns/default/locks/orders").await.expect(200)["state"], "free");
    assert_eq!(client.get("/v1/ns/shop/sessions").await.expect(200)["sessions"][0]["id"], session);
    assert_eq!(client.get("/v1/sessions").await.expect(200)["sessions"], serde_json::json!([]));
    member.stop().await;
}

/// A contender as etcd's clients make it: a key below the prefix, on a lease, without a value.
#[tokio::test]
async fn etcds_contenders_stand_in_the_same_line() {
    let member = Member::start().await;
    let (client, handle) = (member.client, member.handle());
    let (_, lease, _) = handle.lease_grant(Identity::default(), LeaseId::NONE, 60).await.unwrap();
    let key = Bytes::from(format!("/my/app/lock/{:x}", lease.get()));
    let put = PutRequest { key, lease, ..PutRequest::default() };
    let token = handle.put(Identity::default(), put).await.unwrap().revision;
    let lock = client.get("/v1/ns/-/locks/%2Fmy%2Fapp%2Flock").await.expect(200);
    assert_eq!(lock["holder"]["session"], format!("{:x}", lease.get()));
    assert_eq!(lock["holder"]["token"], token.get());
    assert_eq!(lock["etcd_prefix"], "/my/app/lock");
    let path = "/v1/ns/-/locks/%2Fmy%2Fapp%2Flock/claims/new";
    client.put(path, r#"{"on_timeout":"keep"}"#).await.expect(202);
    handle.lease_revoke(Identity::default(), lease).await.unwrap();
    assert_eq!(client.get("/v1/ns/-/locks/%2Fmy%2Fapp%2Flock").await.expect(200)["waiting"], 0);
    member.stop().await;
}
