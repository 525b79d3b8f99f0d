//! Sessions: opened, shown, kept alive, closed.

use std::collections::BTreeSet;

use crate::support::Member;

#[tokio::test]
async fn a_session_is_opened_shown_and_closed() {
    let member = Member::start().await;
    let client = member.client;
    let answer = client.post("/v1/sessions", r#"{"ttl":"60s","name":"billing-7","labels":{"zone":"a"}}"#).await;
    let session = answer.expect(201);
    let id = session["id"].as_str().unwrap();
    let path = format!("/v1/sessions/{id}");
    assert_eq!(answer.header("location"), path);
    let lease = i64::from_str_radix(id, 16).unwrap();
    assert_eq!(session["lease_id"], lease.to_string());
    assert_eq!(
        (&session["ttl_ms"], &session["keepalive_interval_ms"], &session["client_deadline_ms"]),
        (&60_000.into(), &20_000.into(), &40_000.into())
    );
    assert_eq!(session["epoch"], crate::support::EPOCH);

    client.put(&format!("/v1/locks/a%2Fb/claims/{id}"), "").await.expect(201);
    let shown = client.get(&path).await.expect(200);
    assert_eq!((&shown["name"], &shown["labels"]["zone"]), (&"billing-7".into(), &"a".into()));
    assert_eq!(shown["claims"][0]["lock"], "a/b");
    let remaining = shown["remaining_ms"].as_u64().unwrap();
    assert!((1_000..=60_000).contains(&remaining), "{remaining}");

    let renewed = client.post(&format!("{path}/keepalive"), "").await.expect(200);
    assert_eq!(renewed["ttl_ms"], 60_000);
    client.delete(&path).await.expect(204);
    client.delete(&path).await.expect(204);
    client.get(&path).await.problem(404, "session-not-found");
    client.post(&format!("{path}/keepalive"), "").await.problem(404, "session-not-found");
    assert_eq!(client.get("/v1/locks/a%2Fb").await.expect(200)["state"], "free", "its claims went with it");
    member.stop().await;
}

#[tokio::test]
async fn nothing_needs_to_be_said_about_a_session() {
    let member = Member::start().await;
    let session = member.client.call(http::Method::POST, "/v1/sessions", &[], "").await.expect(201);
    assert_eq!(session["ttl_ms"], 10_000);
    assert_eq!(session["labels"], serde_json::json!({}));
    member.stop().await;
}

#[tokio::test]
async fn a_ttl_is_raised_to_the_least_there_is() {
    let member = Member::start().await;
    let session = member.client.post("/v1/sessions", r#"{"ttl":"500ms"}"#).await.expect(201);
    assert_eq!(session["ttl_ms"], 2_000);
    member.stop().await;
}

#[tokio::test]
async fn opening_the_same_session_again_is_safe() {
    let member = Member::start().await;
    let client = member.client;
    let document = r#"{"ttl":"1s","name":"a"}"#;
    let first = client.put("/v1/sessions/1f", document).await.expect(201);
    let again = client.put("/v1/sessions/1f", document).await.expect(200);
    assert_eq!(first, again);
    for other in [r#"{"ttl":"1s","name":"b"}"#, r#"{"ttl":"60s","name":"a"}"#, "{}"] {
        client.put("/v1/sessions/1f", other).await.problem(409, "session-conflict");
    }
    client.put("/v1/ns/shop/sessions/1f", document).await.problem(409, "session-conflict");
    member.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_page_by_page() {
    let member = Member::start().await;
    let client = member.client;
    let mut opened = BTreeSet::new();
    for _ in 0..5 {
        opened.insert(client.session().await);
    }
    let (mut listed, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = client.get(&format!("/v1/sessions?{query}")).await.expect(200);
        listed
            .extend(page["sessions"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        client.session().await;
        let Some(token) = page["next_page_token"].as_str() else { break };
        query = format!("limit=2&page_token={token}");
    }
    assert_eq!(listed, Vec::from_iter(opened), "what was opened between pages does not show");
    member.stop().await;
}
