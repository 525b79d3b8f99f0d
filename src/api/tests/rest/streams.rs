//! Claims as streams: the connection is the claim.

use http::Method;

use crate::support::{Client, Events, Member};

const ACCEPT: (&str, &str) = ("accept", "text/event-stream");

async fn claim(client: Client, session: &str) -> Events {
    client.events(Method::PUT, &format!("/v1/locks/orders/claims/{session}"), &[ACCEPT]).await
}

#[tokio::test]
async fn a_claim_is_followed_from_waiting_to_losing() {
    let member = Member::start().await;
    let client = member.client;
    let holder = client.put("/v1/locks/orders/claims/new", r#"{"ttl":"5m"}"#).await.expect(201);
    let session = client.session().await;
    let mut events = claim(client, &session).await;
    let queued = events.expect("queued").await.data;
    assert_eq!((&queued["position"], &queued["session"]), (&1.into(), &session.as_str().into()));
    assert_eq!(queued["holder"]["token"], holder["token"]);
    client.delete(&format!("/v1/sessions/{}", holder["session"].as_str().unwrap())).await.expect(204);
    let granted = events.expect("granted").await.data;
    assert_eq!((&granted["state"], &granted["token"]), (&"held".into(), &queued["token"]));
    client.delete(&format!("/v1/sessions/{session}")).await.expect(204);
    let lost = events.expect("lost").await.data;
    assert_eq!((&lost["reason"], &lost["token"]), (&"session-ended".into(), &granted["token"]));
    assert!(events.is_over().await);
    member.stop().await;
}

#[tokio::test]
async fn hanging_up_releases() {
    let member = Member::start().await;
    let client = member.client;
    let mut held = claim(client, "new").await;
    let granted = held.expect("granted").await.data;
    assert_eq!(granted["opened_session"]["id"], granted["session"]);
    let mut waiting = claim(client, &client.session().await).await;
    waiting.expect("queued").await;
    drop(held);
    waiting.expect("granted").await;
    drop(waiting);
    client.until_free("orders").await;
    member.stop().await;
}

#[tokio::test]
async fn a_claim_that_is_released_elsewhere_is_lost() {
    let member = Member::start().await;
    let client = member.client;
    let session = client.session().await;
    let mut events = claim(client, &session).await;
    events.expect("granted").await;
    client.delete(&format!("/v1/locks/orders/claims/{session}")).await.expect(204);
    assert_eq!(events.expect("lost").await.data["reason"], "released");
    member.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_no_stream() {
    let member = Member::start().await;
    let client = member.client;
    client.put("/v1/locks/orders/claims/new", r#"{"ttl":"5m"}"#).await.expect(201);
    let headers = [ACCEPT, ("content-type", "application/json")];
    let ask = async |session: &str, document: &'static str| {
        client.call(Method::PUT, &format!("/v1/locks/orders/claims/{session}"), &headers, document).await
    };
    ask("new", r#"{"enqueue":false}"#).await.problem(409, "lock-held");
    ask("new", r#"{"wait":"1s"}"#).await.problem(400, "invalid-request");
    ask("1f", "").await.problem(404, "session-not-found");
    member.stop().await;
}
