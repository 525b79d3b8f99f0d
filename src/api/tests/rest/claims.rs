//! The life of a claim: taken, waited for, handed over, given up, lost.

use http::Method;

use crate::support::{Client, Member, joined};

const ORDERS: &str = "/v1/locks/orders";

async fn release(client: Client, path: &str, token: &str) -> crate::support::Answer {
    client.call(Method::DELETE, path, &[("if-match", token)], "").await
}

#[tokio::test]
async fn a_lock_is_taken_with_a_new_session_in_one_step() {
    let member = Member::start().await;
    let client = member.client;
    let document = r#"{"ttl":"30s","name":"billing-7","meta":{"pod":"a"}}"#;
    let answer = client.put("/v1/locks/orders/claims/new", document).await;
    let claim = answer.expect(201);
    let session = claim["session"].as_str().unwrap();
    assert_eq!((&claim["lock"], &claim["state"]), (&"orders".into(), &"held".into()));
    assert_eq!((&claim["position"], &claim["ahead"]), (&0.into(), &0.into()));
    assert_eq!(claim["etcd_key"], format!("/default/locks/orders/{session}"));
    assert_eq!(claim["etcd_prefix"], "/default/locks/orders");
    assert_eq!(claim["opened_session"]["id"], session);
    assert_eq!(claim["opened_session"]["ttl_ms"], 30_000);
    assert_eq!(claim["opened_session"]["client_deadline_ms"], 20_000);
    assert_eq!(answer.header("location"), format!("{ORDERS}/claims/{session}"));
    assert_eq!(answer.header("etag"), format!("\"{}\"", claim["token"]));
    assert_eq!(answer.header("revision"), claim["token"].to_string(), "one step is one revision");

    let again = client.put(answer.header("location"), "").await.expect(200);
    assert_eq!(again["token"], claim["token"], "T10: asking again is safe");
    assert_eq!(again["meta"], serde_json::json!({"pod": "a"}));
    assert!(again.get("opened_session").is_none());

    let lock = client.get(ORDERS).await.expect(200);
    assert_eq!(lock["holder"]["session"], session);
    assert_eq!(lock["holder"]["name"], "billing-7");
    assert_eq!(lock["holder"]["meta"], serde_json::json!({"pod": "a"}));
    assert_eq!(lock["holder"]["token"], claim["token"], "T16: token and holder are told together");
    member.stop().await;
}

#[tokio::test]
async fn a_lock_is_handed_over_to_who_waits() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    let (first, second) = (format!("{ORDERS}/claims/{first}"), format!("{ORDERS}/claims/{second}"));
    let held = client.put(&first, "").await.expect(201);

    let queued = client.put(&second, "{}").await;
    assert_eq!(queued.header("retry-after"), "1");
    assert_eq!(queued.header("etag"), "", "a place in line is not yet a token");
    let queued = queued.expect(202);
    assert_eq!((&queued["state"], &queued["position"], &queued["ahead"]), (&"queued".into(), &1.into(), &1.into()));
    assert_eq!(queued["holder"]["token"], held["token"]);

    let path = second.clone();
    let waiting = tokio::spawn(async move { client.put(&path, r#"{"wait":"30s"}"#).await });
    release(client, &first, "\"1\"").await.problem(412, "fencing-token-stale");
    release(client, &first, &format!("\"{}\"", held["token"])).await.expect(204);
    let granted = joined(waiting).await.expect(200);
    assert_eq!((&granted["state"], &granted["token"]), (&"held".into(), &queued["token"]));
    assert!(granted["token"].as_i64() > held["token"].as_i64(), "T17: tokens rise with every change of the holder");

    let old = client.get(&format!("{ORDERS}/tokens/{}", held["token"])).await.expect(200);
    assert_eq!(old, serde_json::json!({"current": false, "current_token": granted["token"]}));
    let new = client.get(&format!("{ORDERS}/tokens/{}", granted["token"])).await.expect(200);
    assert_eq!(new["current"], true);
    member.stop().await;
}

#[tokio::test]
async fn t09_a_repeated_release_leaves_a_newer_claim_alone() {
    let member = Member::start().await;
    let client = member.client;
    let claim = format!("{ORDERS}/claims/{}", client.session().await);
    let first = client.put(&claim, "").await.expect(201);
    let tag = format!("\"{}\"", first["token"]);
    release(client, &claim, &tag).await.expect(204);
    release(client, &claim, &tag).await.expect(204);
    let second = client.put(&claim, "").await.expect(201);
    let stale = release(client, &claim, &tag).await.problem(412, "fencing-token-stale");
    assert_eq!(stale["current_token"], second["token"]);
    assert_eq!(client.get(&claim).await.expect(200)["state"], "held");
    client.delete(&claim).await.expect(204);
    client.get(&claim).await.problem(404, "claim-not-found");
    member.stop().await;
}

#[tokio::test]
async fn t13_who_only_tries_leaves_no_trace() {
    let member = Member::start().await;
    let client = member.client;
    let holder = client.put(&format!("{ORDERS}/claims/{}", client.session().await), "").await.expect(201);
    let other = client.session().await;
    let revision = member.handle().revision();
    for (session, document) in
        [(other.as_str(), r#"{"enqueue":false}"#), ("new", "{}"), ("new", r#"{"enqueue":false,"ttl":"5s"}"#)]
    {
        let problem = client.put(&format!("{ORDERS}/claims/{session}"), document).await.problem(409, "lock-held");
        assert_eq!(problem["holder"]["session"], holder["session"]);
        assert_eq!(problem["retryable"], true);
    }
    assert_eq!(member.handle().revision(), revision, "nothing was written");
    member.stop().await;
}

#[tokio::test]
async fn a_wait_that_ends_keeps_or_leaves_the_place_as_asked() {
    let member = Member::start().await;
    let client = member.client;
    client.put(&format!("{ORDERS}/claims/{}", client.session().await), "").await.expect(201);
    let left = client.put(&format!("{ORDERS}/claims/new"), r#"{"wait":"20ms"}"#).await;
    assert!(left.problem(409, "lock-wait-timeout")["holder"].is_object());
    client.until_waiting("orders", 0).await;
    let mine = format!("{ORDERS}/claims/{}", client.session().await);
    client.put(&mine, r#"{"wait":"20ms","on_timeout":"leave"}"#).await.problem(409, "lock-wait-timeout");
    client.until_waiting("orders", 0).await;
    client.put(&mine, r#"{"wait":"20ms"}"#).await.expect(202);
    client.until_waiting("orders", 1).await;
    assert_eq!(client.get(&mine).await.expect(200)["position"], 1);
    member.stop().await;
}

#[tokio::test]
async fn t11_a_client_that_hangs_up_gives_its_place_back() {
    let member = Member::start().await;
    let client = member.client;
    client.put(&format!("{ORDERS}/claims/{}", client.session().await), "").await.expect(201);
    let impatient = client.session().await;
    for session in ["new", &impatient] {
        let path = format!("{ORDERS}/claims/{session}");
        let waiting = tokio::spawn(async move { client.put(&path, r#"{"wait":"5m"}"#).await });
        client.until_waiting("orders", 1).await;
        waiting.abort();
        client.until_waiting("orders", 0).await;
    }
    let path = format!("{ORDERS}/claims/{impatient}");
    client.put(&path, "").await.expect(202);
    let again = path.clone();
    let waiting = tokio::spawn(async move { client.put(&again, r#"{"wait":"5m"}"#).await });
    assert_eq!(client.get(&path).await.expect(200)["state"], "queued");
    waiting.abort();
    let _ = waiting.await;
    assert_eq!(client.get(&path).await.expect(200)["state"], "queued", "a place from before stays");
    member.stop().await;
}

#[tokio::test]
async fn t06_a_waiter_whose_session_ends_hears_of_it_at_once() {
    let member = Member::start().await;
    let client = member.client;
    client.put(&format!("{ORDERS}/claims/{}", client.session().await), "").await.expect(201);
    let session = client.session().await;
    let path = format!("{ORDERS}/claims/{session}");
    let waiting = tokio::spawn(async move { client.put(&path, r#"{"wait":"5m"}"#).await });
    client.until_waiting("orders", 1).await;
    client.delete(&format!("/v1/sessions/{session}")).await.expect(204);
    joined(waiting).await.problem(409, "claim-lost");
    client.put(&format!("{ORDERS}/claims/{session}"), "").await.problem(404, "session-not-found");
    member.stop().await;
}

#[tokio::test]
async fn a_line_can_be_full() {
    let member = Member::start().await;
    let client = member.client;
    for status in [201, 202] {
        let path = format!("{ORDERS}/claims/{}", client.session().await);
        client.put(&path, r#"{"max_queue":1}"#).await.expect(status);
    }
    let path = format!("{ORDERS}/claims/{}", client.session().await);
    let full = client.put(&path, r#"{"max_queue":1}"#).await.problem(429, "queue-full");
    assert!(full["holder"].is_object());
    client.put(&path, r#"{"max_queue":2}"#).await.expect(202);
    member.stop().await;
}

#[tokio::test]
async fn a_claim_can_be_polled_until_it_holds() {
    let member = Member::start().await;
    let client = member.client;
    let first = format!("{ORDERS}/claims/{}", client.session().await);
    let second = format!("{ORDERS}/claims/{}", client.session().await);
    client.put(&first, "").await.expect(201);
    let queued = client.put(&second, "").await.expect(202);
    assert_eq!(client.get(&format!("{second}?wait=20ms")).await.expect(200)["state"], "queued");
    let path = format!("{second}?wait=30s&state_not=queued");
    let polling = tokio::spawn(async move { client.get(&path).await });
    client.delete(&first).await.expect(204);
    let answer = joined(polling).await;
    assert_eq!(answer.expect(200)["state"], "held");
    assert_eq!(answer.header("etag"), format!("\"{}\"", queued["token"]));
    member.stop().await;
}

#[tokio::test]
async fn waiting_ends_when_the_member_stops() {
    let member = Member::start().await;
    let client = member.client;
    client.put(&format!("{ORDERS}/claims/{}", client.session().await), "").await.expect(201);
    let waiting = tokio::spawn(async move {
        client.put("/v1/locks/orders/claims/new", r#"{"wait":"5m"}"#).await.problem(503, "not-ready")
    });
    client.until_waiting("orders", 1).await;
    member.begin_to_stop();
    assert_eq!(joined(waiting).await["retryable"], true);
    member.stop().await;
}
