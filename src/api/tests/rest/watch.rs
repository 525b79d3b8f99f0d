//! Following keys: nothing missed, nothing told twice, nothing skipped in silence.

use bytes::Bytes;
use http::Method;
use model::{DeleteRequest, Identity, KeyRange, Op, PutRequest, Revision, TxnRequest};
use serde_json::Value;

use crate::support::{Client, EPOCH, Event, Member};

async fn put(client: Client, key: &str, value: &'static str) -> i64 {
    let answer = client.call(Method::PUT, &format!("/v1/kv/{key}"), &[], value).await;
    answer.json()["mod_revision"].as_i64().expect("a revision")
}

fn op(number: usize, value: &'static str) -> Op {
    let key = format!("a/{number:05}").into();
    Op::Put(PutRequest { key, value: Bytes::from_static(value.as_bytes()), ..PutRequest::default() })
}

async fn txn(member: &Member, success: Vec<Op>) -> Revision {
    let txn = TxnRequest { success, ..TxnRequest::default() };
    member.handle().txn(Identity::default(), txn).await.expect("a transaction").revision
}

fn keys(entries: &Value) -> Vec<&str> {
    entries.as_array().expect("a list").iter().map(|entry| entry["key"].as_str().expect("a key")).collect()
}

fn id(revision: i64) -> String {
    format!("{EPOCH}.{revision}")
}

#[tokio::test]
async fn first_what_there_is_and_then_what_changes() {
    let member = Member::start().await;
    let client = member.client;
    put(client, "a/1", "x").await;
    let other = put(client, "b", "x").await;
    let mut events = client.watch("prefix=a/", &[]).await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
    assert_eq!(events.headers["cache-control"], "no-store");
    assert_eq!(events.headers["x-accel-buffering"], "no");
    assert_eq!(events.line().await, "retry: 2000");
    let snapshot = events.expect("snapshot").await;
    assert_eq!((snapshot.id, &snapshot.data["revision"]), (id(other), &other.into()));
    assert_eq!(keys(&snapshot.data["items"]), ["a/1"]);

    put(client, "b", "y").await;
    let revision = put(client, "a/2", "y").await;
    let change = events.expect("change").await;
    assert_eq!(change.id, id(revision));
    assert_eq!(change.data["changes"][0]["type"], "put");
    assert_eq!((&change.data["changes"][0]["key"], &change.data["changes"][0]["value"]), (&"a/2".into(), &"y".into()));
    client.delete("/v1/kv/a/1").await.expect(204);
    let change = events.expect("change").await;
    assert_eq!(change.data["changes"], serde_json::json!([{"type": "delete", "key": "a/1"}]));
    member.stop().await;
}

#[tokio::test]
async fn t29_a_revision_is_one_event() {
    let member = Member::start().await;
    let mut events = member.client.watch("prefix=a/", &[]).await;
    events.expect("snapshot").await;
    let revision = txn(&member, (0..3).map(|number| op(number, "x")).collect()).await;
    let change = events.expect("change").await;
    assert_eq!(change.id, id(revision.get()));
    assert_eq!(keys(&change.data["changes"]), ["a/00000", "a/00001", "a/00002"]);
    member.stop().await;
}

#[tokio::test]
async fn a_client_goes_on_where_it_was() {
    let member = Member::start().await;
    let client = member.client;
    let first = put(client, "k", "1").await;
    let mut revisions = Vec::new();
    for _ in 0..3 {
        revisions.push(put(client, "k", "again").await);
    }
    for (query, headers) in [
        ("key=k".to_owned(), vec![("last-event-id", id(first))]),
        (format!("key=k&cursor={}", id(first)), vec![]),
        ("key=k&cursor=7.7".to_owned(), vec![("last-event-id", id(first))]),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut events = client.watch(&query, &headers).await;
        for revision in &revisions {
            assert_eq!(events.expect("change").await.id, id(*revision), "{query}");
        }
        let live = put(client, "k", "live").await;
        assert_eq!(events.expect("change").await.id, id(live));
        revisions.push(live);
    }
    let mut events = client.watch("key=k", &[("last-event-id", &id(*revisions.last().unwrap()))]).await;
    let next = put(client, "k", "next").await;
    assert_eq!(events.expect("change").await.id, id(next), "who has heard everything hears what is new");
    member.stop().await;
}

async fn reset(client: Client, cursor: &str) -> Event {
    client.watch("key=k", &[("last-event-id", cursor)]).await.expect("reset").await
}

#[tokio::test]
async fn t30_what_cannot_be_told_any_more_is_not_skipped() {
    let member = Member::start().await;
    let client = member.client;
    let first = put(client, "k", "1").await;
    put(client, "k", "2").await;
    let last = put(client, "k", "3").await;
    member.handle().compact(Identity::default(), Revision::new(last), false).await.unwrap();
    let reset = reset(client, &id(first)).await;
    assert_eq!(reset.id, id(last));
    assert_eq!(reset.data["reason"], "compacted");
    assert_eq!((&reset.data["from"], &reset.data["to"]), (&id(first).into(), &id(last).into()));
    assert_eq!(reset.data["items"][0]["value"], "3");
    let mut events = client.watch("key=k", &[("last-event-id", &id(last - 1))]).await;
    assert_eq!(events.expect("change").await.id, id(last), "the edge of what is kept is still told");
    member.stop().await;
}

#[tokio::test]
async fn t28_a_cursor_of_another_history_is_told_so() {
    let member = Member::start().await;
    let client = member.client;
    let last = put(client, "k", "1").await;
    let future = id(last + 1);
    for (cursor, reason) in
        [("7.1", "epoch"), (future.as_str(), "future"), ("what is this", "unknown"), ("-1", "unknown")]
    {
        let reset = reset(client, cursor).await;
        assert_eq!((&reset.data["reason"], &reset.data["from"]), (&reason.into(), &cursor.into()));
        assert_eq!(reset.id, id(last));
    }
    member.stop().await;
}

/// Collects the parts of an event until the one that completes them.
async fn whole(events: &mut crate::support::Events, name: &str, list: &str) -> (String, Vec<String>) {
    let mut all = Vec::new();
    loop {
        let event = events.next().await;
        all.extend(keys(&event.data[list]).into_iter().map(str::to_owned));
        if event.name == name {
            return (event.id, all);
        }
        assert_eq!((event.name.as_str(), event.id.as_str()), ("part", ""), "only the last part can be resumed after");
    }
}

#[tokio::test]
async fn what_is_too_big_for_one_event_comes_in_parts() {
    let member = Member::start().await;
    let written: Vec<usize> = (0..1280).collect();
    let mut revision = Revision::ZERO;
    for chunk in written.chunks(128) {
        revision = txn(&member, chunk.iter().map(|number| op(*number, "x")).collect()).await;
    }
    let names: Vec<String> = written.iter().map(|number| format!("a/{number:05}")).collect();
    let mut events = member.client.watch("prefix=a/", &[]).await;
    assert_eq!(whole(&mut events, "snapshot", "items").await, (id(revision.get()), names.clone()));
    let delete = DeleteRequest { range: KeyRange::prefix("a/".into()), prev_kv: false };
    let deleted = member.handle().delete(Identity::default(), delete).await.unwrap();
    assert_eq!(whole(&mut events, "change", "changes").await, (id(deleted.revision.get()), names));
    member.stop().await;
}

#[tokio::test]
async fn too_many_keys_are_not_a_snapshot_but_can_be_followed() {
    let member = Member::start().await;
    let client = member.client;
    let numbers: Vec<usize> = (0..=50_000).collect();
    for chunk in numbers.chunks(128) {
        txn(&member, chunk.iter().map(|number| op(*number, "")).collect()).await;
    }
    client.get("/v1/watch?prefix=a/").await.problem(413, "snapshot-too-large");
    let cursor = client.get("/v1/kv?prefix=a/&limit=1").await.expect(200)["cursor"].clone();
    let mut events = client.watch(&format!("prefix=a/&cursor={}", cursor.as_str().unwrap()), &[]).await;
    let revision = put(client, "a/new", "x").await;
    assert_eq!(events.expect("change").await.id, id(revision));
    member.stop().await;
}

/// Its cursor would otherwise fall behind what is kept, though there was nothing to hear.
#[tokio::test]
async fn who_hears_nothing_hears_how_far_it_is() {
    let member = Member::start().await;
    let mut events = member.client.watch("key=k", &[]).await;
    events.expect("snapshot").await;
    let revision = put(member.client, "other", "x").await;
    let progress = events.expect("progress").await;
    assert_eq!((progress.id, progress.data), (id(revision), serde_json::json!({"revision": revision})));
    member.stop().await;
}

#[tokio::test]
async fn lines_of_json_say_the_same() {
    let member = Member::start().await;
    let client = member.client;
    let first = put(client, "k", "1").await;
    let mut lines = client.watch("key=k", &[("accept", "application/x-ndjson")]).await;
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    let snapshot: Value = serde_json::from_str(&lines.line().await).unwrap();
    assert_eq!((&snapshot["event"], &snapshot["id"]), (&"snapshot".into(), &id(first).into()));
    let second = put(client, "k", "2").await;
    let change: Value = serde_json::from_str(&lines.line().await).unwrap();
    assert_eq!((&change["event"], &change["id"]), (&"change".into(), &id(second).into()));
    assert_eq!(change["data"]["changes"][0]["value"], "2");
    member.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_a_word_when_the_member_stops() {
    let member = Member::start().await;
    let mut events = member.client.watch("prefix=", &[]).await;
    events.expect("snapshot").await;
    member.begin_to_stop();
    events.expect("goaway").await;
    assert!(events.is_over().await);
    member.stop().await;
}

#[tokio::test]
async fn a_slow_reader_hears_everything_and_holds_up_nobody() {
    let member = Member::start().await;
    let client = member.client;
    let mut events = client.watch("prefix=a/", &[]).await;
    events.expect("snapshot").await;
    let mut revisions = Vec::new();
    let value: &'static str = Box::leak("x".repeat(200_000).into_boxed_str());
    for number in 0..100 {
        revisions.push(txn(&member, vec![op(number, value)]).await);
    }
    for revision in revisions {
        assert_eq!(events.expect("change").await.id, id(revision.get()));
    }
    member.stop().await;
}
