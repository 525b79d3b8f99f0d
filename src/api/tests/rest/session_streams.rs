//! Sessions that live as long as a stream, and what the stream tells of their claims.

use std::time::Duration;

use http::Method;
use tokio::time::{Instant, sleep};

use crate::support::{Client, Events, Member, PATIENCE};

async fn stream(client: Client, session: &str) -> Events {
    client.events(Method::GET, &format!("/v1/sessions/{session}/stream"), &[]).await
}

async fn open(client: Client, document: &str) -> String {
    let opened = client.post("/v1/sessions", document).await.expect(201);
    opened["id"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_stream_tells_of_all_claims_of_its_session() {
    let member = Member::start().await;
    let client = member.client;
    let (mine, other) = (open(client, r#"{"ttl":"60s"}"#).await, client.session().await);
    client.put(&format!("/v1/locks/first/claims/{mine}"), "").await.expect(201);
    let mut events = stream(client, &mine).await;
    assert_eq!(events.expect("session").await.data["id"], mine.as_str());
    assert_eq!(events.expect("granted").await.data["lock"], "first", "what there was before");

    client.put(&format!("/v1/locks/orders/claims/{other}"), "").await.expect(201);
    let queued = client.put(&format!("/v1/locks/orders/claims/{mine}"), "").await.expect(202);
    let told = events.expect("queued").await.data;
    assert_eq!((&told["lock"], &told["token"]), (&"orders".into(), &queued["token"]));
    client.delete(&format!("/v1/locks/orders/claims/{other}")).await.expect(204);
    assert_eq!(events.expect("granted").await.data["token"], queued["token"]);

    let claim = format!("/v1/locks/orders/claims/{mine}");
    let asked = client.post(&format!("{claim}/revocation-requests"), r#"{"reason":"please"}"#).await.expect(202);
    assert_eq!(asked["token"], queued["token"]);
    let asked = events.expect("revoke-requested").await.data;
    assert_eq!((&asked["resource"], &asked["reason"]), (&"/v1/locks/orders".into(), &"please".into()));
    client.delete(&format!("{claim}?force=true")).await.expect(204);
    let lost = events.expect("lost").await.data;
    assert_eq!((&lost["lock"], &lost["reason"]), (&"orders".into(), &"broken".into()));

    let set = format!("/v1/lock-sets/both/claims/{mine}");
    client.put(&set, r#"{"locks":[{"name":"a"},{"name":"b"}]}"#).await.expect(201);
    assert_eq!(events.expect("granted").await.data["lock_set"], "both", "once, not for each lock");
    client.delete(&set).await.expect(204);
    assert_eq!(events.expect("lost").await.data["reason"], "released");

    client.delete(&format!("/v1/sessions/{mine}")).await.expect(204);
    assert_eq!(events.expect("lost").await.data["reason"], "session-ended");
    events.expect("ended").await;
    assert!(events.is_over().await);
    member.stop().await;
}

#[tokio::test]
async fn a_session_outlives_its_ttl_on_a_stream_and_ends_soon_after_it() {
    let member = Member::start().await;
    let client = member.client;
    let session = open(client, r#"{"ttl":"2s"}"#).await;
    let mut events = stream(client, &session).await;
    events.expect("session").await;
    sleep(Duration::from_secs(5)).await;
    let path = format!("/v1/sessions/{session}");
    client.get(&path).await.expect(200);
    drop(events);

    let long = open(client, r#"{"ttl":"5m","disconnect_grace":"1s"}"#).await;
    let mut events = stream(client, &long).await;
    events.expect("session").await;
    drop(events);
    let deadline = Instant::now() + PATIENCE;
    for path in [path, format!("/v1/sessions/{long}")] {
        while client.get(&path).await.status != 404 {
            assert!(Instant::now() < deadline, "the session shall end soon, and long before its TTL");
            sleep(Duration::from_millis(50)).await;
        }
    }
    member.stop().await;
}

/// The old stream may be taken for closed after the new one was opened.
#[tokio::test]
async fn t25_a_stream_that_is_opened_in_time_brings_the_session_back() {
    let member = Member::start().await;
    let client = member.client;
    let session = open(client, r#"{"ttl":"60s","disconnect_grace":"1s"}"#).await;
    let mut old = stream(client, &session).await;
    old.expect("session").await;
    let mut new = stream(client, &session).await;
    new.expect("session").await;
    drop(old);
    sleep(Duration::from_secs(4)).await;
    let state = client.get(&format!("/v1/sessions/{session}")).await.expect(200);
    assert!(state["remaining_ms"].as_u64().unwrap() > 30_000, "{state}");
    client.get("/v1/sessions/1f/stream").await.problem(404, "session-not-found");
    member.stop().await;
}

#[tokio::test]
async fn many_sessions_are_kept_alive_in_one_request() {
    let member = Member::start().await;
    let client = member.client;
    let session = open(client, r#"{"ttl":"30s"}"#).await;
    let body = format!(r#"{{"ids":["{session}","1f"]}}"#);
    let results = client.post("/v1/sessions:keepalive", &body).await.expect(200)["results"].clone();
    assert_eq!(
        results,
        serde_json::json!([
            {"id": session, "state": "alive", "ttl_ms": 30_000},
            {"id": "1f", "state": "not-found"},
        ])
    );
    client.post("/v1/sessions:keepalive", r#"{"ids":["x"]}"#).await.problem(400, "invalid-request");
    member.stop().await;
}

#[tokio::test]
async fn sessions_are_found_by_name_and_label() {
    let member = Member::start().await;
    let client = member.client;
    let a = open(client, r#"{"ttl":"5m","name":"a","labels":{"zone":"x"}}"#).await;
    let b = open(client, r#"{"ttl":"5m","name":"b","labels":{"zone":"y"}}"#).await;
    let found = async |query: &str| {
        let page = client.get(&format!("/v1/sessions?{query}")).await.expect(200);
        let ids = page["sessions"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(found("name=a").await, std::slice::from_ref(&a));
    assert_eq!(found("label=zone%3Dy").await, std::slice::from_ref(&b));
    assert_eq!(found("label=zone").await.len(), 2);
    assert!(found("name=a&label=zone%3Dy").await.is_empty());
    member.stop().await;
}
