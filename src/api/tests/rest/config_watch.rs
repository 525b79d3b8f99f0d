//! Following a configuration: nothing missed, nothing told twice, nothing skipped in silence.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, EPOCH, Events, Member};

const SET: &str = "/v1/configs/shop/prod";

async fn publish(client: Client, env: &str, items: Value) -> i64 {
    let items: Value = items
        .as_object()
        .expect("an object")
        .iter()
        .map(|(key, value)| (key.clone(), json!({"value": value})))
        .collect();
    let request = json!({"items": items}).to_string();
    let answer = client.post(&format!("/v1/configs/shop/{env}/releases"), &request).await;
    answer.expect(201);
    answer.header("revision").parse().expect("a revision")
}

async fn watch(client: Client, query: &str, headers: &[(&str, &str)]) -> Events {
    client.events(http::Method::GET, &format!("{SET}/watch?{query}"), headers).await
}

fn id(revision: i64) -> String {
    format!("{EPOCH}.{revision}")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// What a change says: type, key and value of each item.
fn changes(data: &Value) -> Vec<(&str, &str, &Value)> {
    let changes = data["changes"].as_array().expect("changes").iter();
    changes.map(|change| (text(&change["type"]), text(&change["key"]), &change["value"])).collect()
}

#[tokio::test]
async fn t29_a_release_is_one_event_whatever_it_changes() {
    let member = Member::start().await;
    let client = member.client;
    let base = publish(client, "base", json!({"a": "base", "b": "base"})).await;
    let first = publish(client, "prod", json!({"b": "1", "c": "1"})).await;
    let mut events = watch(client, "", &[]).await;
    let snapshot = events.expect("snapshot").await;
    assert_eq!((snapshot.id, &snapshot.data["version"]), (id(first), &json!(1)));
    assert_eq!(
        snapshot.data["items"]["b"],
        json!({"value": "1", "encoding": "utf8",
        "content_type": "text/plain; charset=utf-8", "layer": "prod"})
    );
    assert!(base < first);
    let second = publish(client, "prod", json!({"c": "2", "d": "2"})).await;
    let release = events.expect("release").await;
    assert_eq!((release.id, &release.data["version"], &release.data["label"]), (id(second), &json!(2), &json!("live")));
    let two = json!("2");
    assert_eq!(
        changes(&release.data),
        [("put", "b", &json!("base")), ("put", "c", &two), ("put", "d", &two)],
        "what is gone above is as it is below"
    );
    assert_eq!(release.data["changes"][1]["prev"]["value"], "1");
    let third = publish(client, "base", json!({"a": "base"})).await;
    let release = events.expect("release").await;
    assert_eq!((release.id, changes(&release.data)), (id(third), vec![("delete", "b", &Value::Null)]));
    member.stop().await;
}

#[tokio::test]
async fn t28_whoever_comes_back_hears_exactly_what_changed() {
    let member = Member::start().await;
    let client = member.client;
    let first = publish(client, "prod", json!({"a": "1"})).await;
    let mut expected = Vec::new();
    for number in 2..5 {
        expected.push(publish(client, "prod", json!({"a": number.to_string()})).await);
        expected.push(publish(client, "base", json!({"b": number.to_string()})).await);
    }
    for (query, headers) in [
        (String::new(), vec![("last-event-id", id(first))]),
        (format!("cursor={}", id(first)), vec![]),
        ("cursor=7.7".to_owned(), vec![("last-event-id", id(first))]),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut events = watch(client, &query, &headers).await;
        for revision in &expected {
            let release = events.expect("release").await;
            assert_eq!(release.id, id(*revision));
            assert_eq!(release.data.get("coalesced"), None);
        }
    }
    let document = client.get(SET).await.expect(200);
    let cursor = document["cursor"].as_str().expect("a text").to_owned();
    let mut events = watch(client, &format!("cursor={cursor}"), &[]).await;
    let next = publish(client, "prod", json!({"a": "5"})).await;
    assert_eq!(events.expect("release").await.id, id(next), "a document is where a watch goes on from");
    member.stop().await;
}

#[tokio::test]
async fn t30_a_cursor_that_compaction_has_passed_is_a_reset() {
    let member = Member::start().await;
    let client = member.client;
    let first = publish(client, "prod", json!({"a": "1"})).await;
    let last = publish(client, "prod", json!({"a": "2"})).await;
    let (handle, now) = (member.handle(), member.handle().revision());
    handle.compact(model::Identity::default(), now, false).await.expect("a compaction");
    let mut events = watch(client, "", &[("last-event-id", &id(first))]).await;
    let reset = events.expect("reset").await;
    assert_eq!((reset.id, &reset.data["reason"]), (id(last), &json!("compacted")));
    assert_eq!((&reset.data["from"], &reset.data["to"]), (&json!(id(first)), &json!(id(last))));
    assert_eq!(reset.data["items"]["a"]["value"], "2");
    let next = publish(client, "prod", json!({"a": "3"})).await;
    assert_eq!(events.expect("release").await.id, id(next));
    let mut kept = watch(client, "", &[("last-event-id", &id(last))]).await;
    assert_eq!(kept.expect("release").await.id, id(next), "the revision compacted at is still there");
    member.stop().await;
}

#[tokio::test]
async fn t31_a_cursor_of_another_history_is_a_reset() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "prod", json!({"a": "1"})).await;
    for (cursor, reason) in [("7.1", "epoch"), (&*id(1_000_000), "future"), ("soon", "unknown")] {
        let mut events = watch(client, "", &[("last-event-id", cursor)]).await;
        assert_eq!(events.expect("reset").await.data["reason"], reason, "{cursor}");
    }
    member.stop().await;
}

#[tokio::test]
async fn drafts_and_other_labels_are_not_heard_of() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "prod", json!({"a": "1"})).await;
    let mut events = watch(client, "", &[]).await;
    events.expect("snapshot").await;
    client.call(http::Method::PUT, &format!("{SET}/items/a"), &[], "draft").await.expect(200);
    let kept = json!({"items": {"a": {"value": "2"}}, "label": null}).to_string();
    client.post(&format!("{SET}/releases"), &kept).await.expect(201);
    client.put(&format!("{SET}/labels/other"), r#"{"version":2}"#).await.expect(201);
    let moved = client.put(&format!("{SET}/labels/live"), r#"{"version":2}"#).await;
    let release = events.expect("release").await;
    assert_eq!(release.id, id(moved.header("revision").parse().unwrap()));
    assert_eq!(changes(&release.data), [("put", "a", &json!("2"))]);
    member.stop().await;
}

#[tokio::test]
async fn a_client_hears_of_a_rollout_when_its_turn_comes() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "prod", json!({"a": "1"})).await;
    let mut first = watch(client, "client=web-1&client_labels=zone:a", &[]).await;
    let mut second = watch(client, "client=web-2", &[]).await;
    first.expect("snapshot").await;
    second.expect("snapshot").await;
    let steps = json!([{"selector": {"zone": "a"}, "min_acks": 1}, {"percent": 100, "min_acks": 2}]);
    let request = json!({"items": {"a": {"value": "2"}}, "rollout": {"steps": steps}}).to_string();
    client.post(&format!("{SET}/releases"), &request).await.expect(201);
    assert_eq!(first.expect("release").await.data["version"], 2);
    let session = client.session().await;
    let report = json!({"session": session, "version": 2, "status": "applied"}).to_string();
    let acked = client.put(&format!("{SET}/clients/web-1"), &report).await;
    let release = second.expect("release").await;
    assert_eq!(release.id, id(acked.header("revision").parse().unwrap()), "the report is what let it through");
    client.post(&format!("{SET}/rollout/abort"), "").await.expect(200);
    for events in [&mut first, &mut second] {
        assert_eq!(events.expect("release").await.data["version"], 1);
    }
    member.stop().await;
}

#[tokio::test]
async fn a_slow_reader_hears_the_newest_once() {
    let member = Member::start().await;
    let client = member.client;
    let first = publish(client, "prod", json!({"a": "0"})).await;
    // More than is held for a connection, and more than it takes by itself.
    let large = "x".repeat(300_000);
    let mut last = 0;
    let mut events = watch(client, "", &[]).await;
    events.expect("snapshot").await;
    for number in 1..40 {
        last = publish(client, "prod", json!({"a": number.to_string(), "large": format!("{number}{large}")})).await;
    }
    let (mut told, mut coalesced) = (vec![id(first)], false);
    while told.last() != Some(&id(last)) {
        let release = events.expect("release").await;
        coalesced |= release.data["coalesced"] == true;
        told.push(release.id);
    }
    assert!(coalesced && told.len() < 40, "{told:?}");
    member.stop().await;
}

#[tokio::test]
async fn lines_of_json_are_the_same_events() {
    let member = Member::start().await;
    let client = member.client;
    let first = publish(client, "prod", json!({"a": "1"})).await;
    let mut lines = watch(client, "", &[("accept", "application/x-ndjson")]).await;
    let line: Value = serde_json::from_str(&lines.line().await).expect("JSON");
    assert_eq!((&line["event"], &line["id"]), (&json!("snapshot"), &json!(id(first))));
    member.stop().await;
}

#[tokio::test]
async fn a_member_that_stops_says_so_and_when_to_come_back() {
    let member = Member::start().await;
    let client = member.client;
    let mut events = watch(client, "", &[]).await;
    events.expect("snapshot").await;
    member.begin_to_stop();
    let goaway = events.expect("goaway").await;
    let delay = Duration::from_millis(goaway.data["retry_after_ms"].as_u64().expect("a number"));
    assert!(delay <= Duration::from_secs(3), "{delay:?}");
    assert!(events.is_over().await);
    member.stop().await;
}
