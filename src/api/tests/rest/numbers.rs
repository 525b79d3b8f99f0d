//! Latches and counters over HTTP.

use http::Method;

use crate::support::{Member, joined};

const LATCH: &str = "/v1/latches/start";
const COUNTER: &str = "/v1/counters/stock";

#[tokio::test]
async fn who_waits_for_a_latch_goes_on_when_nothing_remains() {
    let member = Member::start().await;
    let client = member.client;
    client.get(LATCH).await.problem(404, "not-found");
    client.post(&format!("{LATCH}/count-downs"), "").await.problem(404, "not-found");
    assert_eq!(client.put(LATCH, r#"{"count":2}"#).await.expect(201)["remaining"], 2);
    client.put(LATCH, r#"{"count":2}"#).await.expect(200);
    client.put(LATCH, r#"{"count":3}"#).await.problem(409, "barrier-mismatch");
    let waiting = tokio::spawn(async move { client.get(&format!("{LATCH}?wait=1m")).await });
    let count_down = move |document: &'static str| async move {
        client.post(&format!("{LATCH}/count-downs"), document).await.expect(200)
    };
    let counted = count_down(r#"{"by":"a"}"#).await;
    assert_eq!((&counted["remaining"], &counted["counted"]), (&1.into(), &true.into()));
    let again = count_down(r#"{"by":"a"}"#).await;
    assert_eq!((&again["remaining"], &again["counted"]), (&1.into(), &false.into()));
    assert_eq!(client.get(&format!("{LATCH}?wait=20ms")).await.expect(200)["remaining"], 1);
    count_down("").await;
    assert_eq!(joined(waiting).await.expect(200)["remaining"], 0);
    assert_eq!(count_down("").await["counted"], false, "it is open for good");
    member.stop().await;
}

#[tokio::test]
async fn a_latch_that_is_taken_away_is_not_an_open_one() {
    let member = Member::start().await;
    let client = member.client;
    client.put(LATCH, r#"{"count":1}"#).await.expect(201);
    let waiting = tokio::spawn(async move { client.get(&format!("{LATCH}?wait=1m")).await });
    client.delete(LATCH).await.expect(204);
    client.delete(LATCH).await.expect(204);
    joined(waiting).await.problem(404, "not-found");
    for document in ["", r#"{"count":0}"#, r#"{"count":65537}"#] {
        client.put(LATCH, document).await.problem(400, "invalid-request");
    }
    client.post(&format!("{LATCH}/count-downs"), r#"{"by":""}"#).await.problem(400, "invalid-request");
    member.stop().await;
}

#[tokio::test]
async fn a_counter_is_added_to_within_bounds() {
    let member = Member::start().await;
    let client = member.client;
    let zero = client.get(COUNTER).await;
    assert_eq!((&zero.expect(200)["value"], zero.header("etag")), (&0.into(), "\"0\""));
    let add =
        move |document: &'static str| async move { client.post(&format!("{COUNTER}/increments"), document).await };
    assert_eq!(add("").await.expect(200)["value"], 1);
    assert_eq!(add(r#"{"by":9,"max":10}"#).await.expect(200)["value"], 10);
    let revision = member.handle().revision();
    add(r#"{"max":10}"#).await.problem(409, "counter-out-of-bounds");
    add(r#"{"by":-11,"min":0}"#).await.problem(409, "counter-out-of-bounds");
    add(r#"{"by":9223372036854775807}"#).await.problem(409, "counter-out-of-bounds");
    add(r#"{"min":1,"max":0}"#).await.problem(400, "invalid-request");
    assert_eq!(member.handle().revision(), revision, "nothing was written");
    let additions: Vec<_> = (0..8).map(|_| tokio::spawn(async move { add("").await.expect(200) })).collect();
    for addition in additions {
        joined(addition).await;
    }
    assert_eq!(client.get(COUNTER).await.expect(200)["value"], 18);
    assert_eq!(client.get("/v1/kv/%2Fdefault%2Fcounters%2Fstock").await.body, "18", "readable as a key");
    member.stop().await;
}

#[tokio::test]
async fn a_counter_is_set_where_it_was_expected() {
    let member = Member::start().await;
    let client = member.client;
    let set = move |header: Option<(&'static str, String)>, document: &'static str| async move {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(header.as_ref().map(|(name, value)| (*name, value.as_str())));
        client.call(Method::PUT, COUNTER, &headers, document).await
    };
    let answer = set(Some(("if-none-match", "*".to_owned())), r#"{"value":5}"#).await;
    answer.expect(200);
    let tag = answer.header("etag").to_owned();
    let conflict =
        set(Some(("if-none-match", "*".to_owned())), r#"{"value":6}"#).await.problem(412, "version-conflict");
    assert_eq!(format!("\"{}\"", conflict["current_revision"]), tag);
    set(Some(("if-match", "\"1\"".to_owned())), r#"{"value":6}"#).await.problem(412, "version-conflict");
    assert_eq!(set(Some(("if-match", tag)), r#"{"value":6}"#).await.expect(200)["value"], 6);
    set(None, "{}").await.problem(400, "invalid-request");
    client.call(Method::PUT, "/v1/kv/%2Fdefault%2Fcounters%2Fstock", &[], "many").await.expect(200);
    client.get(COUNTER).await.problem(409, "not-a-number");
    client.post(&format!("{COUNTER}/increments"), "").await.problem(409, "not-a-number");
    assert_eq!(set(None, r#"{"value":7}"#).await.expect(200)["value"], 7);
    member.stop().await;
}
