//! Configuration: drafts, releases, layers, labels, schemas, rollouts and reports, as clients see them.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Member, joined};

const SET: &str = "/v1/configs/shop/prod";

async fn put_item(client: Client, env: &str, key: &str, value: &'static str) -> Answer {
    let path = format!("/v1/configs/shop/{env}/items/{key}");
    client.call(Method::PUT, &path, &[("content-type", "text/plain")], value).await
}

async fn publish(client: Client, env: &str, request: Value) -> Value {
    client.post(&format!("/v1/configs/shop/{env}/releases"), &request.to_string()).await.expect(201)
}

/// The values of a document's items.
fn values(document: &Value) -> Value {
    let items = document["items"].as_object().expect("items");
    items.iter().map(|(key, item)| (key.clone(), item["value"].clone())).collect()
}

#[tokio::test]
async fn an_item_is_what_was_put() {
    let member = Member::start().await;
    let client = member.client;
    let written = put_item(client, "prod", "pool/max.size", "50").await;
    assert_eq!(written.expect(201)["created"], true);
    assert_eq!(written.header("location"), "/v1/configs/shop/prod/items/pool/max.size");
    let path = format!("{SET}/items/pool/max.size");
    let read = client.get(&path).await;
    assert_eq!((read.status, &*read.body, read.header("content-type")), (200, &b"50"[..], "text/plain"));
    let etag = read.header("etag").to_owned();
    assert_eq!(client.call(Method::GET, &path, &[("if-none-match", &etag)], "").await.status, 304);
    client.call(Method::PUT, &path, &[("if-none-match", "*")], "7").await.problem(412, "version-conflict");
    assert_eq!(client.call(Method::PUT, &path, &[("if-match", &etag)], "60").await.expect(200)["created"], false);
    client.call(Method::PUT, &path, &[("if-match", &etag)], "7").await.problem(412, "version-conflict");
    let raw = client.get("/v1/kv/%2Fdefault/config/shop/prod/items/pool/max.size").await;
    assert_eq!(&*raw.body, b"60", "etcd's clients see the bytes");
    client.delete(&path).await.expect(204);
    client.get(&path).await.problem(404, "config-not-found");
    client.get(&format!("{SET}/items/a/../b")).await.problem(400, "invalid-request");
    member.stop().await;
}

#[tokio::test]
async fn several_items_change_together_or_not_at_all() {
    let member = Member::start().await;
    let client = member.client;
    let old = put_item(client, "prod", "old", "1").await.expect(201)["mod_revision"].clone();
    let edit = |changes: Value| async move {
        let body = json!({"changes": changes}).to_string();
        client.call(Method::PATCH, &format!("{SET}/items"), &[("content-type", "application/json")], body).await
    };
    let put = json!({"op": "put", "key": "a", "value": 1});
    let refused = edit(json!([put, {"op": "delete", "key": "old", "if_match": 1}])).await;
    refused.problem(412, "version-conflict");
    client.get(&format!("{SET}/items/a")).await.problem(404, "config-not-found");
    let done = edit(json!([put, {"op": "delete", "key": "old", "if_match": old}])).await.expect(200);
    assert_eq!((&done["created"], &done["deleted"]), (&json!(1), &json!(1)));
    let draft = client.get(&format!("{SET}/items?encoding=json")).await.expect(200);
    assert_eq!(draft["items"]["a"]["value"], 1);
    assert_eq!(draft["items"]["a"]["mod_revision"], done["mod_revision"]);
    edit(json!([put, put])).await.problem(400, "invalid-request");
    member.stop().await;
}

#[tokio::test]
async fn a_release_reaches_its_readers_in_one_step() {
    let member = Member::start().await;
    let client = member.client;
    client.get(SET).await.problem(404, "config-not-found");
    put_item(client, "prod", "pool", "50").await;
    client.get(SET).await.problem(404, "config-not-found");
    let release = publish(client, "prod", json!({"message": "first"})).await;
    assert_eq!((&release["version"], &release["message"]), (&json!(1), &json!("first")));
    let read = client.get(SET).await;
    assert_eq!((read.header("config-version"), read.header("etag")), ("1", "\"base:0,prod:1\""));
    assert_eq!(values(&read.json()), json!({"pool": "50"}));
    let known = [("if-none-match", "\"base:0,prod:1\"")];
    assert_eq!(client.call(Method::GET, SET, &known, "").await.status, 304);
    put_item(client, "prod", "pool", "60").await;
    assert_eq!(client.call(Method::GET, SET, &known, "").await.status, 304, "a draft is nobody's business");
    let request = json!({"items": {"pool": {"value": "70"}, "new": {"value": {"a": 1}}}});
    publish(client, "prod", request).await;
    let read = client.get(&format!("{SET}?encoding=json")).await.expect(200);
    assert_eq!(values(&read), json!({"pool": "70", "new": {"a": 1}}));
    let pinned = client.get(&format!("{SET}?version=1")).await.expect(200);
    assert_eq!(values(&pinned), json!({"pool": "50"}));
    member.stop().await;
}

#[tokio::test]
async fn layers_lie_upon_each_other() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "base", json!({"items": {"a": {"value": "base"}, "b": {"value": "base"}}})).await;
    publish(client, "prod", json!({"items": {"b": {"value": "prod"}, "c": {"value": "prod"}}})).await;
    publish(client, "prod.eu", json!({"items": {"c": {"value": "eu"}}})).await;
    let read = |query: &'static str| async move { client.get(&format!("{SET}{query}")).await.expect(200) };
    assert_eq!(values(&read("").await), json!({"a": "base", "b": "prod", "c": "prod"}));
    let cluster = read("?cluster=eu").await;
    assert_eq!(values(&cluster), json!({"a": "base", "b": "prod", "c": "eu"}));
    assert_eq!(cluster["items"]["c"]["layer"], "prod.eu");
    assert_eq!(values(&read("?layers=prod").await), json!({"b": "prod", "c": "prod"}));
    assert_eq!(values(&read("?layers=prod,base").await), json!({"a": "base", "b": "base", "c": "prod"}));
    member.stop().await;
}

#[tokio::test]
async fn t32_history_outlives_compaction_and_a_rollback_is_a_release() {
    let member = Member::start().await;
    let client = member.client;
    for value in ["1", "2", "3"] {
        publish(client, "prod", json!({"message": value, "items": {"a": {"value": value}}})).await;
    }
    let (handle, now) = (member.handle(), member.handle().revision());
    handle.compact(model::Identity::default(), now, false).await.expect("a compaction");
    let back = publish(client, "prod", json!({"message": "back", "rollback_to": 1})).await;
    assert_eq!((&back["version"], &back["rollback_to"]), (&json!(4), &json!(1)));
    assert_eq!(values(&client.get(SET).await.expect(200)), json!({"a": "1"}));
    assert_eq!(&*client.get(&format!("{SET}/items/a")).await.body, b"1", "the draft goes back as well");
    let list = client.get(&format!("{SET}/releases?limit=3")).await.expect(200);
    let versions: Vec<_> = list["releases"].as_array().unwrap().iter().map(|release| &release["version"]).collect();
    assert_eq!(versions, [&json!(4), &json!(3), &json!(2)]);
    assert_eq!(list["releases"][0]["labels"], json!(["live"]));
    let rest = client.get(&format!("{SET}/releases?before={}", list["next_before"])).await.expect(200);
    assert_eq!((&rest["releases"][0]["version"], &rest["next_before"]), (&json!(1), &Value::Null));
    let diff = client.get(&format!("{SET}/releases/3/diff?against=1")).await;
    assert_eq!(diff.header("content-type"), "application/json-patch+json");
    assert_eq!(diff.json(), json!([{"op": "replace", "path": "/a", "value": "3"}]));
    let request = json!({"rollback_to": 9}).to_string();
    client.post(&format!("{SET}/releases"), &request).await.problem(404, "config-not-found");
    member.stop().await;
}

#[tokio::test]
async fn a_release_follows_the_one_that_was_meant() {
    let member = Member::start().await;
    let client = member.client;
    let path = format!("{SET}/releases");
    let publish_if = |name: &'static str, value: &'static str| {
        let path = path.clone();
        async move { client.call(Method::POST, &path, &[(name, value)], "").await }
    };
    publish_if("if-none-match", "*").await.expect(201);
    let conflict = publish_if("if-none-match", "*").await.problem(412, "version-conflict");
    assert_eq!(conflict["current_version"], 1);
    assert_eq!(publish_if("if-match", "\"1\"").await.header("etag"), "\"2\"");
    publish_if("if-match", "\"1\"").await.problem(412, "version-conflict");
    member.stop().await;
}

#[tokio::test]
async fn a_label_moves_and_says_when() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "prod", json!({"items": {"a": {"value": "1"}}})).await;
    publish(client, "prod", json!({"items": {"a": {"value": "2"}}, "label": null})).await;
    let path = format!("{SET}/labels/stable");
    client.put(&path, r#"{"version":3}"#).await.problem(404, "config-not-found");
    let moved = client.put(&path, r#"{"version":2}"#).await;
    moved.expect(201);
    let etag = moved.header("etag").to_owned();
    assert_eq!(values(&client.get(&format!("{SET}?label=stable")).await.expect(200)), json!({"a": "2"}));
    assert_eq!(values(&client.get(SET).await.expect(200)), json!({"a": "1"}));
    let json = ("content-type", "application/json");
    let moves = |etag: String| async move {
        client
            .call(Method::PUT, &format!("{SET}/labels/stable"), &[json, ("if-match", &etag)], r#"{"version":1}"#)
            .await
    };
    moves(etag.clone()).await.expect(200);
    moves(etag).await.problem(412, "version-conflict");
    let labels = client.get(&format!("{SET}/labels")).await.expect(200);
    assert_eq!((&labels["live"]["version"], &labels["stable"]["version"]), (&json!(1), &json!(1)));
    client.delete(&path).await.expect(204);
    client.get(&path).await.problem(404, "config-not-found");
    member.stop().await;
}

#[tokio::test]
async fn a_schema_is_kept_with_the_release_that_satisfied_it() {
    let member = Member::start().await;
    let client = member.client;
    let path = format!("{SET}/schema");
    client.put(&path, r#"{"type":7}"#).await.problem(422, "schema-violation");
    client.put(&path, r#"{"properties":{"pool":{"type":"integer","maximum":100}}}"#).await.expect(204);
    let request = |pool: Value| json!({"items": {"pool": {"value": pool}}}).to_string();
    let releases = format!("{SET}/releases");
    let problem = client.post(&releases, &request(json!(7000))).await.problem(422, "schema-violation");
    assert_eq!(problem["errors"][0]["pointer"], "/pool");
    assert!(!problem.to_string().contains("7000"), "{problem}");
    let dry = client.post(&format!("{releases}?dry_run=true"), &request(json!(7))).await.expect(200);
    assert_eq!(dry["changes"], json!([{"op": "add", "path": "/pool", "value": 7}]));
    client.get(&format!("{releases}/1")).await.problem(404, "config-not-found");
    client.post(&releases, &request(json!(7))).await.expect(201);
    client.put(&path, r#"{"required":["other"]}"#).await.expect(204);
    client.post(&releases, r#"{"from":"draft"}"#).await.problem(422, "schema-violation");
    client.post(&releases, r#"{"rollback_to":1}"#).await.expect(201);
    let schema = client.get(&format!("{path}?version=2")).await.expect(200);
    assert_eq!(schema["properties"]["pool"]["maximum"], 100, "a release goes back to its own schema");
    member.stop().await;
}

#[tokio::test]
async fn a_reader_waits_until_there_is_something_else() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "prod", json!({"items": {"a": {"value": "1"}}})).await;
    let known = [("if-none-match", "\"base:0,prod:1\"")];
    let path = format!("{SET}?wait=1ms");
    assert_eq!(client.call(Method::GET, &path, &known, "").await.status, 304);
    let waiting = tokio::spawn(async move {
        let known = [("if-none-match", "\"base:0,prod:1\"")];
        client.call(Method::GET, &format!("{SET}?wait=10m"), &known, "").await
    });
    publish(client, "base", json!({"items": {"b": {"value": "1"}}})).await;
    let answer = joined(waiting).await;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"base:1,prod:1\""));
    assert_eq!(values(&answer.json()), json!({"a": "1", "b": "1"}));
    member.stop().await;
}

#[tokio::test]
async fn t33_a_rollout_goes_on_with_what_clients_report() {
    let member = Member::start().await;
    let client = member.client;
    publish(client, "prod", json!({"items": {"a": {"value": "1"}}})).await;
    let steps = json!([{"selector": {"zone": "a"}, "min_acks": 1}, {"percent": 100, "min_acks": 2}]);
    let request = json!({"items": {"a": {"value": "2"}}, "rollout": {"steps": steps, "on_failure": "rollback"}});
    publish(client, "prod", request.clone()).await;
    client.post(&format!("{SET}/releases"), "{}").await.problem(409, "rollout-active");
    let read = |query: &'static str| async move { values(&client.get(&format!("{SET}{query}")).await.expect(200)) };
    assert_eq!(read("").await, json!({"a": "1"}));
    assert_eq!(read("?client=web-1&client_labels=zone:a").await, json!({"a": "2"}));
    assert_eq!(read("?client=web-2").await, json!({"a": "1"}));
    let session = client.session().await;
    let report = |name: &'static str, version: u64, status: &'static str| {
        let session = session.clone();
        async move {
            let body = json!({"session": session, "version": version, "status": status, "labels": {"zone": "a"}});
            client.put(&format!("{SET}/clients/{name}"), &body.to_string()).await
        }
    };
    report("web-1", 9, "applied").await.problem(404, "config-not-found");
    let first = report("web-1", 2, "applied").await.expect(201);
    let again = report("web-1", 2, "applied").await.expect(200);
    assert_eq!(first, again, "what is said again changes nothing");
    assert_eq!(read("?client=web-2").await, json!({"a": "2"}));
    assert_eq!(read("").await, json!({"a": "1"}));
    let rollout = client.get(&format!("{SET}/rollout")).await.expect(200);
    assert_eq!((&rollout["state"], &rollout["step"], &rollout["applied"]), (&json!("running"), &json!(2), &json!(1)));
    report("web-2", 2, "applied").await.expect(201);
    assert_eq!(read("").await, json!({"a": "2"}), "the label has moved");
    assert_eq!(client.get(&format!("{SET}/rollout")).await.expect(200)["state"], "completed");
    client.post(&format!("{SET}/rollout/pause"), "").await.problem(409, "rollout-ended");

    publish(
        client,
        "prod",
        json!({"items": {"a": {"value": "3"}}, "rollout": {"steps": steps, "on_failure": "rollback"}}),
    )
    .await;
    assert_eq!(client.post(&format!("{SET}/rollout/pause?version=3"), "").await.expect(200)["state"], "paused");
    client.post(&format!("{SET}/rollout/resume?version=2"), "").await.problem(412, "version-conflict");
    assert_eq!(client.post(&format!("{SET}/rollout/resume"), "").await.expect(200)["state"], "running");
    assert_eq!(read("?client=web-1&client_labels=zone:a").await, json!({"a": "3"}));
    report("web-1", 3, "failed").await.expect(200);
    assert_eq!(client.get(&format!("{SET}/rollout")).await.expect(200)["state"], "rolled_back");
    assert_eq!(read("?client=web-1&client_labels=zone:a").await, json!({"a": "2"}));

    let behind = client.get(&format!("{SET}/clients?version_not=3")).await.expect(200);
    assert_eq!((&behind["matching"], &behind["clients"][0]["client"]), (&json!(1), &json!("web-2")));
    assert_eq!(behind["counts"], json!({"2": {"applied": 1}, "3": {"failed": 1}}));
    client.delete(&format!("/v1/sessions/{session}")).await.expect(204);
    let nobody = client.get(&format!("{SET}/clients")).await.expect(200);
    assert_eq!(nobody["counts"], json!({}), "clients that are gone run nothing");
    member.stop().await;
}

#[tokio::test]
async fn a_secret_is_sealed_where_it_is_kept() {
    let member = Member::start().await;
    let client = member.client;
    let request = json!({"items": {"password": {"value": "hunter2", "secret": true}, "user": {"value": "ann"}}});
    publish(client, "prod", request).await;
    let all = model::RangeRequest::new(model::KeyRange::prefix("".into()));
    let kept = member.handle().range(&model::Identity::default(), all).await.expect("all keys");
    for kv in kept.kvs {
        assert!(!kv.value.windows(7).any(|window| window == b"hunter2"), "{:?}", kv.key);
    }
    let hidden = client.get(SET).await.expect(200);
    assert_eq!(
        hidden["items"]["password"],
        json!({"content_type": "text/plain; charset=utf-8", "secret": true, "layer": "prod"})
    );
    let shown = client.get(&format!("{SET}?secrets=reveal")).await;
    assert_eq!(shown.header("cache-control"), "no-store");
    assert_eq!(values(&shown.json()), json!({"password": "hunter2", "user": "ann"}));
    client.get(&format!("{SET}/items/password")).await.problem(403, "secret-hidden");
    assert_eq!(&*client.get(&format!("{SET}/items/password?secrets=reveal")).await.body, b"hunter2");
    let exported = client.get("/v1/configs:export").await.expect(200);
    let value = exported["sets"][0]["items"]["password"]["value"].as_str().expect("a text");
    let copied = client.call(Method::PUT, &format!("{SET}/items/other"), &[], value.to_owned()).await;
    copied.problem(409, "secret-unreadable");
    member.stop().await;
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let member = Member::start().await;
    let client = member.client;
    put_item(client, "prod", "a", "1").await;
    put_item(client, "prod", "b", "1").await;
    put_item(client, "test", "c", "1").await;
    client.put(&format!("{SET}/schema"), r#"{"type":"object"}"#).await.expect(204);
    let exported = client.get("/v1/configs:export?env=prod").await.expect(200);
    assert_eq!(exported["sets"].as_array().map(Vec::len), Some(1));
    put_item(client, "prod", "a", "2").await;
    put_item(client, "prod", "d", "1").await;
    let import = |query: &'static str| {
        let body = exported.to_string();
        async move { client.post(&format!("/v1/configs:import?{query}"), &body).await.expect(200) }
    };
    let dry = import("mode=replace&dry_run=true").await;
    let changes = json!([{"op": "replace", "path": "/a", "value": "1"}, {"op": "remove", "path": "/d"}]);
    assert_eq!((&dry["sets"][0]["changes"], &dry["sets"][0]["edited"]), (&changes, &Value::Null));
    let merged = import("mode=merge").await;
    assert_eq!(merged["sets"][0]["edited"]["replaced"], 1);
    assert_eq!(&*client.get(&format!("{SET}/items/a")).await.body, b"1");
    assert_eq!(client.get(&format!("{SET}/items/d")).await.status, 200);
    import("mode=replace").await;
    client.get(&format!("{SET}/items/d")).await.problem(404, "config-not-found");
    assert_eq!(client.get("/v1/configs:export?env=prod").await.expect(200), exported);
    member.stop().await;
}

#[tokio::test]
async fn flags_are_evaluated_as_openfeature_asks() {
    let member = Member::start().await;
    let client = member.client;
    let flag = |on: &str| json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": on});
    let items = json!({"items": {"checkout": {"value": flag("on")}, "pool": {"value": 7}}});
    publish(client, "prod", items).await;
    let flags = format!("{SET}/ofrep/v1/evaluate/flags");
    let context = r#"{"context":{"targetingKey":"web-1","zone":"a"}}"#;
    let one = client.post(&format!("{flags}/checkout"), context).await.expect(200);
    assert_eq!(one, json!({"key": "checkout", "value": true, "variant": "on", "reason": "STATIC"}));
    assert_eq!(client.post(&format!("{flags}/none"), context).await.expect(404)["errorCode"], "FLAG_NOT_FOUND");
    assert_eq!(client.post(&format!("{flags}/pool"), context).await.expect(400)["errorCode"], "PARSE_ERROR");
    let all = client.post(&flags, context).await;
    assert_eq!(all.expect(200)["flags"], json!([one]));
    let json = ("content-type", "application/json");
    let known = [json, ("if-none-match", all.header("etag"))];
    assert_eq!(client.call(Method::POST, &flags, &known, context).await.status, 304);
    let steps = json!([{"selector": {"zone": "a"}, "min_acks": 1}]);
    let request = json!({"items": {"checkout": {"value": flag("off")}}, "rollout": {"steps": steps}});
    publish(client, "prod", request).await;
    assert_eq!(client.post(&format!("{flags}/checkout"), context).await.expect(200)["value"], false);
    assert_eq!(client.post(&format!("{flags}/checkout"), "").await.expect(200)["value"], true);
    member.stop().await;
}
