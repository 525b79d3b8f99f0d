//! What happens to claims that are held: asked for again, changed, broken, asked to be released, polled.

use http::Method;
use model::{Identity, LeaseId};
use node::{ClaimRequest, OnTimeout, SessionRequest};

use crate::support::{Answer, Client, Member, joined};

const ORDERS: &str = "/v1/locks/orders";

async fn call(client: Client, method: Method, path: &str, document: &'static str) -> Answer {
    client.call(method, path, &[("content-type", "application/json")], document).await
}

/// The second request may be at another member: the log decides, which both go through.
#[tokio::test]
async fn t10_t11_a_place_that_another_request_was_told_of_is_not_given_back() {
    let member = Member::start().await;
    let (client, handle) = (member.client, member.handle());
    let session = client.session().await;
    let path = format!("{ORDERS}/claims/{session}");
    let lease = LeaseId::new(i64::from_str_radix(&session, 16).unwrap());
    let request = ClaimRequest::mutex("/default/locks/orders/".into(), SessionRequest::Existing(lease));
    let (outcome, abandoned) = handle.claim_stream(Identity::default(), request).await.unwrap();
    let node::ClaimOutcome::Held { claim, .. } = outcome else { panic!("{outcome:?}") };
    let told = client.put(&path, "").await.expect(200);
    assert_eq!(told["token"], claim.token.get());
    drop(abandoned);
    // What is given back goes through the log; so does this, behind it or before.
    for _ in 0..20 {
        let again = client.put(&path, r#"{"meta":{"late":true}}"#).await.expect(200);
        assert_eq!(again["token"], told["token"], "the place is the one that was told of");
    }
    let revision = handle.revision();
    client.put(&path, "").await.expect(200);
    assert_eq!(handle.revision(), revision, "asking again and again writes nothing");
    client.delete(&path).await.expect(204);
    member.stop().await;
}

#[tokio::test]
async fn a_place_that_nobody_else_was_told_of_is_given_back() {
    let member = Member::start().await;
    let (client, handle) = (member.client, member.handle());
    let lease = LeaseId::new(i64::from_str_radix(&client.session().await, 16).unwrap());
    let request = ClaimRequest {
        on_timeout: OnTimeout::Keep,
        ..ClaimRequest::mutex("/default/locks/orders/".into(), SessionRequest::Existing(lease))
    };
    let (_, abandoned) = handle.claim_stream(Identity::default(), request).await.unwrap();
    drop(abandoned);
    client.until_free("orders").await;
    member.stop().await;
}

#[tokio::test]
async fn t15_a_session_that_holds_twice_has_one_token_and_releases_with_the_last_hold() {
    let member = Member::start().await;
    let client = member.client;
    let path = format!("{ORDERS}/claims/{}", client.session().await);
    let first = client.put(&path, r#"{"hold":"outer"}"#).await.expect(201);
    let second = client.put(&path, r#"{"hold":"inner"}"#).await.expect(200);
    assert_eq!((&first["holds"], &second["holds"]), (&1.into(), &2.into()));
    assert_eq!(first["token"], second["token"]);
    assert_eq!(client.put(&path, r#"{"hold":"inner"}"#).await.expect(200)["holds"], 2, "a retry counts once");
    for _ in 0..2 {
        client.delete(&format!("{path}?hold=inner")).await.expect(204);
        assert_eq!(client.get(&path).await.expect(200)["holds"], 1);
    }
    client.delete(&format!("{path}?hold=outer")).await.expect(204);
    client.get(&path).await.problem(404, "claim-not-found");
    member.stop().await;
}

#[tokio::test]
async fn a_claim_says_something_else_about_itself() {
    let member = Member::start().await;
    let client = member.client;
    let path = format!("{ORDERS}/claims/{}", client.session().await);
    call(client, Method::PATCH, &path, r#"{"meta":{"pod":"b"}}"#).await.problem(404, "claim-not-found");
    let held = client.put(&path, r#"{"meta":{"pod":"a"}}"#).await.expect(201);
    let patched = call(client, Method::PATCH, &path, r#"{"meta":{"pod":"b"}}"#).await.expect(200);
    assert_eq!((&patched["meta"]["pod"], &patched["token"]), (&"b".into(), &held["token"]));
    assert_eq!(client.get(ORDERS).await.expect(200)["holder"]["meta"]["pod"], "b");
    call(client, Method::PATCH, &path, "{}").await.problem(400, "invalid-request");
    call(client, Method::PATCH, &path, r#"{"mode":"shared"}"#).await.problem(400, "invalid-request");
    let stale = client
        .call(Method::PATCH, &path, &[("content-type", "application/json"), ("if-match", "\"1\"")], r#"{"meta":{}}"#)
        .await;
    stale.problem(412, "fencing-token-stale");
    member.stop().await;
}

#[tokio::test]
async fn a_claim_is_broken_by_somebody_else_and_its_stream_says_why() {
    let member = Member::start().await;
    let client = member.client;
    let session = client.session().await;
    let path = format!("{ORDERS}/claims/{session}");
    let other = format!("/v1/locks/other/claims/{session}");
    client.put(&other, "").await.expect(201);
    let mut events = client.events(Method::PUT, &path, &[("accept", "text/event-stream")]).await;
    events.expect("granted").await;
    call(client, Method::DELETE, &path, r#"{"reason":"maintenance"}"#).await.problem(400, "invalid-request");
    call(client, Method::DELETE, &format!("{path}?force=true"), r#"{"reason":"maintenance"}"#).await.expect(204);
    let lost = events.expect("lost").await.data;
    assert_eq!((&lost["reason"], &lost["detail"]), (&"broken".into(), &"maintenance".into()));
    assert_eq!(client.get(&other).await.expect(200)["state"], "held", "the session's other claims stay");
    client.delete(&format!("{path}?force=true")).await.expect(204);
    member.stop().await;
}

#[tokio::test]
async fn who_polls_hears_of_every_change_and_of_none() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) =
        (format!("{ORDERS}/claims/{}", client.session().await), format!("{ORDERS}/claims/{}", client.session().await));
    let third = format!("{ORDERS}/claims/{}", client.session().await);
    client.put(&first, "").await.expect(201);
    client.put(&second, "").await.expect(202);
    client.put(&third, "").await.expect(202);
    let known = client.get(&third).await;
    let tag = known.header("etag").to_owned();
    let headers = [("if-none-match", tag.as_str())];
    let same = client.call(Method::GET, &format!("{third}?wait=20ms"), &headers, "").await;
    assert_eq!((same.status, same.header("etag")), (304, tag.as_str()));
    let (path, tag) = (third.clone(), tag.clone());
    let polling = tokio::spawn(async move {
        client.call(Method::GET, &format!("{path}?wait=30s"), &[("if-none-match", tag.as_str())], "").await
    });
    client.delete(&second).await.expect(204);
    assert_eq!(joined(polling).await.expect(200)["ahead"], 1);
    member.stop().await;
}

#[tokio::test]
async fn t01_a_holder_that_was_paused_cannot_write_what_its_lock_guards() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    let claim = |session: &str| format!("{ORDERS}/claims/{session}");
    let held = client.put(&claim(&first), "").await.expect(201);
    let queued = client.put(&claim(&second), "").await.expect(202);
    let tag = |session: &str, token: &serde_json::Value| format!("\"orders\";session=\"{session}\";token={token}");
    let (mine, next) = (tag(&first, &held["token"]), tag(&second, &queued["token"]));
    let write = async |tag: &str, value: &'static str| {
        client.call(Method::PUT, "/v1/kv/guarded", &[("if-lock", tag)], value).await
    };
    write(&mine, "a").await.expect(201);
    let early = write(&next, "b").await.problem(412, "fencing-token-stale");
    assert_eq!(early["current_token"], held["token"], "who waits does not hold, whatever its token");
    client.delete(&format!("/v1/sessions/{first}")).await.expect(204);
    write(&mine, "late").await.problem(412, "fencing-token-stale");
    write(&next, "c").await.expect(200);
    let both = client.call(Method::DELETE, "/v1/kv/guarded", &[("if-lock", &next), ("if-match", "\"1\"")], "").await;
    both.problem(412, "version-conflict");
    client.call(Method::DELETE, "/v1/kv/guarded", &[("if-lock", &mine)], "").await.problem(412, "fencing-token-stale");
    client.call(Method::DELETE, "/v1/kv/guarded", &[("if-lock", &next)], "").await.expect(204);
    write("orders", "d").await.problem(400, "invalid-request");
    member.stop().await;
}
