//! Barriers of all kinds over HTTP: held, waited for, entered, left, tripped.

use model::{Identity, KeyRange};

use crate::support::{Client, Member, PATIENCE, joined};

const STAGE: &str = "/v1/double-barriers/stage";
const STEP: &str = "/v1/cyclic-barriers/step";

/// Returns when a field of a resource is so.
async fn until(client: Client, path: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let state = client.get(path).await.expect(200);
        if is_so(&state) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{state}");
    }
}

fn parties(state: &serde_json::Value, field: &str) -> usize {
    state[field].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn who_waits_at_a_barrier_goes_on_when_it_is_released() {
    let member = Member::start().await;
    let client = member.client;
    let path = "/v1/barriers/a";
    assert_eq!(client.get(&format!("{path}?wait=1m")).await.expect(200)["held"], false, "nothing to wait for");
    let held = client.put(path, "").await.expect(201);
    assert_eq!((&held["held"], &held["etcd_key"]), (&true.into(), &"/default/barriers/a".into()));
    assert_eq!(client.put(path, "").await.expect(200)["since"], held["since"]);
    client.put("/v1/barriers/a0", "").await.expect(201);
    assert_eq!(client.get(&format!("{path}?wait=20ms")).await.expect(200)["held"], true);
    let waiting = tokio::spawn(async move { client.get(&format!("{path}?wait=1m")).await });
    client.delete(path).await.expect(204);
    assert_eq!(joined(waiting).await.expect(200)["held"], false, "T27: whatever becomes of the one that begins alike");
    client.delete(path).await.expect(204);
    member.stop().await;
}

#[tokio::test]
async fn t08_waiting_ends_unmet_when_the_member_stops_and_is_not_met_by_compaction() {
    let member = Member::start().await;
    let client = member.client;
    client.put("/v1/barriers/a", "").await.expect(201);
    let waiting = tokio::spawn(async move { client.get("/v1/barriers/a?wait=1m").await });
    let handle = member.handle();
    while handle.measured().watchers == 0 {
        tokio::task::yield_now().await;
    }
    client.put("/v1/barriers/b", "").await.expect(201);
    handle.compact(Identity::default(), handle.revision(), true).await.unwrap();
    assert!(!waiting.is_finished());
    member.begin_to_stop();
    joined(waiting).await.problem(503, "not-ready");
    member.stop().await;
}

#[tokio::test]
async fn t26_parties_begin_together_and_end_together() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second, third) = (client.session().await, client.session().await, client.session().await);
    let of = |session: &str| format!("{STAGE}/members/{session}");
    let path = of(&first);
    let waiting = tokio::spawn(async move { client.put(&path, r#"{"count":2,"wait":"1m"}"#).await });
    until(client, STAGE, |state| parties(state, "members") == 1).await;
    client.put(&of(&second), r#"{"count":3}"#).await.problem(409, "barrier-mismatch");
    let ready = client.put(&of(&second), r#"{"count":2}"#).await.expect(200);
    assert_eq!((&ready["state"], &ready["generation"]), (&"ready".into(), &1.into()));
    assert_eq!(joined(waiting).await.expect(200)["state"], "ready");
    client.put(&of(&third), r#"{"count":2}"#).await.problem(409, "barrier-full");

    let leaving = client.delete(&format!("{}?generation=1", of(&second))).await.expect(202);
    assert_eq!((&leaving["state"], &leaving["present"]), (&"leaving".into(), &1.into()));
    let late = client.put(&of(&first), r#"{"count":2}"#).await.expect(200);
    assert_eq!(late["state"], "ready", "a slow party still finds it ready");
    client.put(&of(&second), r#"{"count":2}"#).await.problem(409, "barrier-full");
    let path = format!("{}?generation=1&wait=1m", of(&second));
    let waiting = tokio::spawn(async move { client.delete(&path).await });
    client.delete(&format!("{}?generation=1", of(&first))).await.expect(204);
    joined(waiting).await.expect(204);
    assert_eq!(client.put(&of(&second), r#"{"count":2}"#).await.expect(202)["generation"], 2);
    client.delete(&format!("{}?generation=1", of(&second))).await.expect(204);
    assert_eq!(parties(&client.get(STAGE).await.expect(200), "members"), 1, "of a round that is over nothing is left");
    client.delete(&of(&second)).await.expect(204);
    assert_eq!(client.get(STAGE).await.expect(200)["state"], "idle");
    member.stop().await;
}

#[tokio::test]
async fn t06_a_party_whose_session_ends_is_told_so_and_is_missing() {
    let member = Member::start().await;
    let client = member.client;
    for (path, document, field) in [
        (STAGE, r#"{"count":2,"wait":"1m"}"#, ("members", "members")),
        (STEP, r#"{"parties":2,"wait":"1m"}"#, ("parties", "waiting")),
    ] {
        let session = client.session().await;
        let mine = format!("{path}/{}/{session}", field.0);
        let asked = mine.clone();
        let waiting = tokio::spawn(async move { client.put(&asked, document).await });
        until(client, path, |state| parties(state, field.1) == 1).await;
        client.delete(&format!("/v1/sessions/{session}")).await.expect(204);
        joined(waiting).await.problem(409, "claim-lost");
        until(client, path, |state| parties(state, field.1) == 0).await;
        client.put(&mine, document).await.problem(404, "session-not-found");
    }
    member.stop().await;
}

#[tokio::test]
async fn t11_a_party_that_hangs_up_is_taken_back() {
    let member = Member::start().await;
    let client = member.client;
    for (path, document, field) in [
        (STAGE, r#"{"count":2,"wait":"1m"}"#, ("members", "members")),
        (STEP, r#"{"parties":2,"wait":"1m"}"#, ("parties", "waiting")),
    ] {
        let mine = format!("{path}/{}/{}", field.0, client.session().await);
        let waiting = tokio::spawn(async move { client.put(&mine, document).await });
        until(client, path, |state| parties(state, field.1) == 1).await;
        waiting.abort();
        until(client, path, |state| parties(state, field.1) == 0).await;
    }
    member.stop().await;
}

#[tokio::test]
async fn a_cyclic_barrier_trips_and_stands_again() {
    let member = Member::start().await;
    let client = member.client;
    let (first, second) = (client.session().await, client.session().await);
    let of = |session: &str| format!("{STEP}/parties/{session}");
    for generation in 1..=2 {
        let path = of(&first);
        let waiting = tokio::spawn(async move { client.put(&path, r#"{"parties":2,"wait":"1m"}"#).await });
        until(client, STEP, |state| parties(state, "waiting") == 1).await;
        let tripped = client.put(&of(&second), r#"{"parties":2}"#).await.expect(200);
        assert_eq!((&tripped["state"], &tripped["generation"]), (&"tripped".into(), &generation.into()));
        assert_eq!(joined(waiting).await.expect(200)["generation"], generation);
    }
    let again = client.put(&of(&second), r#"{"parties":2,"generation":2}"#).await.expect(200);
    assert_eq!(again["state"], "tripped", "T10: a repeated request is no arrival at the next one");
    client.put(&of(&second), r#"{"parties":2,"generation":4}"#).await.problem(409, "barrier-mismatch");
    let waiting = client.put(&of(&second), r#"{"parties":2}"#).await.expect(202);
    assert_eq!((&waiting["generation"], &waiting["arrived"]), (&3.into(), &1.into()));
    client.put(&of(&first), r#"{"parties":3}"#).await.problem(409, "barrier-mismatch");
    client.delete(&of(&second)).await.expect(204);
    assert_eq!(parties(&client.get(STEP).await.expect(200), "waiting"), 0);
    member.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let member = Member::start().await;
    let client = member.client;
    let session = client.session().await;
    for (path, document) in [
        (format!("{STAGE}/members/{session}"), "{}"),
        (format!("{STAGE}/members/{session}"), r#"{"count":0}"#),
        (format!("{STAGE}/members/new"), r#"{"count":1}"#),
        (format!("{STEP}/parties/{session}"), r#"{"parties":0}"#),
        (format!("{STEP}/parties/{session}"), r#"{"parties":1,"wait":"1h"}"#),
        ("/v1/ns/-/barriers/a".to_owned(), ""),
    ] {
        client.put(&path, document).await.problem(400, "invalid-request");
    }
    let below = KeyRange::prefix("/default/".into());
    let left = member.handle().keys(&Identity::default(), below).await.unwrap();
    assert_eq!(left.len(), 1, "the session, and nothing else");
    member.stop().await;
}
