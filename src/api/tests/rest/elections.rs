//! Elections: stood for, waited for, followed, resigned from.

use http::Method;
use model::{KeyRange, LeaseId, PutRequest};

use crate::support::{Answer, Client, Member, PATIENCE, joined};

const SHARDS: &str = "/v1/elections/shards";

fn candidate(session: &str) -> String {
    format!("{SHARDS}/candidates/{session}")
}

async fn proclaim(client: Client, term: &str, value: &'static str) -> Answer {
    let headers = [("if-match", term), ("content-type", "text/plain")];
    client.call(Method::PUT, &format!("{SHARDS}/value"), &headers, value).await
}

async fn resign(client: Client, session: &str, term: &str) -> Answer {
    client.call(Method::DELETE, &candidate(session), &[("if-match", term)], "").await
}

/// Returns when so many wait to lead.
async fn until_waiting(client: Client, waiting: i64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let state = client.get(SHARDS).await.expect(200);
        if state["waiting"] == waiting {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{waiting} shall wait, but: {state}");
    }
}

#[tokio::test]
async fn a_leader_is_elected_with_a_new_session_in_one_step() {
    let member = Member::start().await;
    let client = member.client;
    assert_eq!(client.get(SHARDS).await.expect(200)["leader"], serde_json::Value::Null);
    let document = r#"{"value":"10.0.0.7:80","content_type":"text/plain","ttl":"30s","name":"billing-7"}"#;
    let answer = client.put(&candidate("new"), document).await;
    let candidacy = answer.expect(201);
    let session = candidacy["session"].as_str().unwrap();
    assert_eq!((&candidacy["state"], &candidacy["position"]), (&"leader".into(), &0.into()));
    assert_eq!(candidacy["etcd_key"], format!("/default/elections/shards/{session}"));
    assert_eq!(candidacy["opened_session"]["id"], session);
    assert_eq!(answer.header("location"), candidate(session));
    assert_eq!(answer.header("etag"), format!("\"{}\"", candidacy["term"]));
    assert_eq!(answer.header("revision"), candidacy["term"].to_string(), "one step is one revision");

    let leader = &client.get(SHARDS).await.expect(200)["leader"];
    assert_eq!((&leader["session"], &leader["name"]), (&session.into(), &"billing-7".into()));
    assert_eq!((&leader["value"], &leader["content_type"]), (&"10.0.0.7:80".into(), &"text/plain".into()));
    assert_eq!(leader["term"], candidacy["term"]);

    let again = client.put(&candidate(session), document).await;
    again.problem(400, "invalid-request");
    let again = client.put(&candidate(session), r#"{"value":"10.0.0.7:80","content_type":"text/plain"}"#).await;
    assert_eq!(again.expect(200)["term"], candidacy["term"], "T10: standing again is safe");
    assert_eq!(again.header("revision"), candidacy["term"].to_string(), "and writes nothing");
    member.stop().await;
}

#[tokio::test]
async fn leadership_passes_to_who_waits() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    let led = client.put(&candidate(&first), r#"{"value":"one"}"#).await.expect(201);
    let queued = client.put(&candidate(&second), r#"{"value":"two"}"#).await;
    assert_eq!(queued.header("retry-after"), "1");
    let queued = queued.expect(202);
    assert_eq!((&queued["state"], &queued["position"]), (&"candidate".into(), &1.into()));
    assert_eq!(queued["leader"]["value"], "one");
    assert_eq!(client.get(&candidate(&second)).await.expect(200)["position"], 1);

    let path = candidate(&second);
    let waiting = tokio::spawn(async move { client.put(&path, r#"{"value":"two","wait":"30s"}"#).await });
    resign(client, &first, "\"1\"").await.problem(412, "not-leader");
    resign(client, &first, &format!("\"{}\"", led["term"])).await.expect(204);
    let elected = joined(waiting).await.expect(200);
    assert_eq!((&elected["state"], &elected["term"]), (&"leader".into(), &queued["term"]));
    assert!(elected["term"].as_i64() > led["term"].as_i64(), "T17: terms rise with every change of the leader");
    member.stop().await;
}

#[tokio::test]
async fn t06_a_candidate_whose_session_ends_hears_of_it_at_once_and_never_leads() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    client.put(&candidate(&first), "").await.expect(201);
    let path = candidate(&second);
    let waiting = tokio::spawn(async move { client.put(&path, r#"{"wait":"5m","auto_requeue":true}"#).await });
    until_waiting(client, 1).await;
    client.delete(&format!("/v1/sessions/{second}")).await.expect(204);
    joined(waiting).await.problem(404, "session-not-found");
    client.delete(&format!("/v1/sessions/{first}")).await.expect(204);
    assert_eq!(client.get(SHARDS).await.expect(200)["leader"], serde_json::Value::Null);
    member.stop().await;
}

#[tokio::test]
async fn a_candidate_that_was_withdrawn_stands_again_if_it_asked_for_that() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    client.put(&candidate(&first), "").await.expect(201);
    for (document, requeues) in [(r#"{"wait":"5m"}"#, false), (r#"{"wait":"5m","auto_requeue":true}"#, true)] {
        let path = candidate(&second);
        let waiting = tokio::spawn(async move { client.put(&path, document).await });
        until_waiting(client, 1).await;
        client.delete(&candidate(&second)).await.expect(204);
        if requeues {
            until_waiting(client, 1).await;
            client.delete(&candidate(&first)).await.expect(204);
            assert_eq!(joined(waiting).await.expect(201)["state"], "leader");
        } else {
            joined(waiting).await.problem(409, "claim-lost");
        }
    }
    member.stop().await;
}

#[tokio::test]
async fn t11_a_candidate_that_hangs_up_withdraws() {
    let member = Member::start().await;
    let client = member.client;
    client.put(&candidate(&client.session().await), "").await.expect(201);
    let path = candidate(&client.session().await);
    let waiting = tokio::spawn(async move { client.put(&path, r#"{"wait":"5m"}"#).await });
    until_waiting(client, 1).await;
    waiting.abort();
    until_waiting(client, 0).await;
    member.stop().await;
}

#[tokio::test]
async fn t23_only_the_leader_of_the_present_term_proclaims() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    let old = client.put(&candidate(&first), r#"{"value":"one"}"#).await.expect(201)["term"].to_string();
    let next = client.put(&candidate(&second), r#"{"value":"two"}"#).await.expect(202)["term"].to_string();
    let quoted = |term: &str| format!("\"{term}\"");
    let value = format!("{SHARDS}/value");
    client.call(Method::PUT, &value, &[], "x").await.problem(428, "precondition-required");
    client.call(Method::PUT, &value, &[("if-match", "*")], "x").await.problem(400, "invalid-request");
    proclaim(client, &quoted(&next), "early").await.problem(412, "not-leader");
    let answer = proclaim(client, &quoted(&old), "uno").await;
    let leader = answer.expect(200);
    assert_eq!((&leader["value"], &leader["content_type"]), (&"uno".into(), &"text/plain".into()));
    assert_eq!((leader["term"].to_string(), answer.header("etag")), (old.clone(), &*quoted(&old)));

    client.delete(&candidate(&first)).await.expect(204);
    let late = proclaim(client, &quoted(&old), "late").await.problem(412, "not-leader");
    assert_eq!(late["current_token"].to_string(), next);
    assert_eq!(client.get(SHARDS).await.expect(200)["leader"]["value"], "two");
    member.stop().await;
}

#[tokio::test]
async fn t24_a_follower_hears_of_every_leader_and_of_none() {
    let member = Member::start().await;
    let client = member.client;
    let mut events = client.events(Method::GET, &format!("{SHARDS}/events"), &[]).await;
    events.expect("no-leader").await;
    let known = events.expect("candidates").await;
    assert_eq!(known.data["candidates"], serde_json::json!([]));

    let (first, second) = (client.session().await, client.session().await);
    let term = client.put(&candidate(&first), r#"{"value":"one"}"#).await.expect(201)["term"].clone();
    let leader = events.expect("leader").await;
    assert_eq!((&leader.data["value"], &leader.data["term"]), (&"one".into(), &term));
    client.put(&candidate(&second), r#"{"value":"two"}"#).await.expect(202);
    let candidates = events.expect("candidates").await;
    assert_eq!(candidates.data["candidates"][0]["session"], second);
    proclaim(client, &format!("\"{term}\""), "uno").await.expect(200);
    assert_eq!(events.expect("proclaimed").await.data["value"], "uno");

    client.delete(&format!("/v1/sessions/{first}")).await.expect(204);
    let taken_over = events.expect("leader").await;
    assert_eq!((taken_over.data["value"].as_str(), taken_over.id.as_str()), (Some("two"), ""), "not complete yet");
    events.expect("candidates").await;
    client.delete(&candidate(&second)).await.expect(204);
    events.expect("no-leader").await;

    let mut again = client.events(Method::GET, &format!("{SHARDS}/events"), &[("last-event-id", &leader.id)]).await;
    assert_eq!(again.expect("candidates").await.id, candidates.id, "what came after the cursor, and nothing twice");
    again.expect("proclaimed").await;
    member.stop().await;
}

#[tokio::test]
async fn a_follower_whose_cursor_is_of_no_use_is_told_all_again() {
    let member = Member::start().await;
    let client = member.client;
    client.put(&candidate(&client.session().await), r#"{"value":"one"}"#).await.expect(201);
    let revision = member.handle().revision();
    member.handle().compact(model::Identity::default(), revision, false).await.unwrap();
    let compacted = format!("{}.1", crate::support::EPOCH);
    for (cursor, reason) in [(compacted.as_str(), "compacted"), ("7.1", "epoch"), ("x", "unknown")] {
        let path = format!("{SHARDS}/events?cursor={cursor}");
        let mut events = client.events(Method::GET, &path, &[]).await;
        assert_eq!(events.expect("reset").await.data["reason"], reason);
        assert_eq!(events.expect("leader").await.data["value"], "one");
        assert_ne!(events.expect("candidates").await.id, "");
    }
    member.stop().await;
}

#[tokio::test]
async fn t21_etcds_own_candidates_stand_in_the_same_line() {
    let member = Member::start().await;
    let client = member.client;
    let handle = member.handle();
    let (_, lease, _) = handle.lease_grant(model::Identity::default(), LeaseId::new(0xbeef), 60).await.unwrap();
    let key = "/default/elections/shards/beef";
    let put = PutRequest { key: key.into(), value: vec![0xff].into(), lease, ..PutRequest::default() };
    handle.put(model::Identity::default(), put).await.unwrap();
    let leader = client.get(SHARDS).await.expect(200)["leader"].clone();
    assert_eq!((&leader["session"], &leader["value"]), (&"beef".into(), &"/w==".into()));
    assert_eq!(leader["encoding"], "base64");
    client.put(&candidate(&client.session().await), "").await.expect(202);
    let gone = model::DeleteRequest { range: KeyRange::Single(key.into()), prev_kv: false };
    handle.delete(model::Identity::default(), gone).await.unwrap();
    assert_ne!(client.get(SHARDS).await.expect(200)["leader"]["session"], "beef");

    let elsewhere = client.put("/v1/ns/-/elections/my%2Felection/candidates/new", "").await.expect(201);
    assert_eq!(elsewhere["etcd_key"], format!("my/election/{}", elsewhere["session"].as_str().unwrap()));
    member.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let member = Member::start().await;
    let client = member.client;
    let session = client.session().await;
    for document in [
        r#"{"wait":"601s"}"#,
        r#"{"ttl":"10s"}"#,
        r#"{"value":"%","encoding":"base64"}"#,
        r#"{"content_type":""}"#,
        r#"{"priority":1}"#,
    ] {
        client.put(&candidate(&session), document).await.problem(400, "invalid-request");
    }
    client.put(&candidate("1"), "").await.problem(404, "session-not-found");
    client.get(&candidate(&session)).await.problem(404, "claim-not-found");
    client.delete(&candidate(&session)).await.expect(204);
    member.stop().await;
}
