//! Keys over HTTP: bytes in, bytes out, conditions, pages.

use http::Method;
use model::{Identity, Revision};

use crate::support::{EPOCH, Member};

const KEY: &str = "/v1/kv/app/color";
const JSON: (&str, &str) = ("accept", "application/json");

#[tokio::test]
async fn stored_bytes_stay_bytes() {
    let member = Member::start().await;
    let client = member.client;
    let value: Vec<u8> = (0..=255).collect();
    let written = client.call(Method::PUT, "/v1/kv/%00%FFbin", &[], value.clone()).await;
    assert_eq!(written.expect(201)["key"], "AP9iaW4=");
    assert_eq!(written.json()["key_encoding"], "base64");
    let read = client.get("/v1/kv/%00%FFbin").await;
    assert_eq!(read.status, 200);
    assert_eq!(read.body, value);
    assert_eq!(read.header("content-type"), "application/octet-stream");
    assert_eq!(read.header("x-content-type-options"), "nosniff");
    assert_eq!(read.header("etag"), written.header("etag"));
    client.call(Method::PUT, "/v1/kv//rooted//twice", &[], "x").await.expect(201);
    assert_eq!(client.get("/v1/kv/%2Frooted%2F%2Ftwice").await.body, "x", "slashes are part of the key");
    member.stop().await;
}

#[tokio::test]
async fn a_document_says_when_and_by_what() {
    let member = Member::start().await;
    let client = member.client;
    let session = client.session().await;
    client.call(Method::PUT, KEY, &[], "blue").await.expect(201);
    let path = format!("{KEY}?session={session}");
    let second = client.call(Method::PUT, &path, &[], "{\"b\": 1}").await.expect(200);
    assert_eq!(second["created"], false);
    let document = client.call(Method::GET, KEY, &[JSON], "").await.expect(200);
    assert_eq!((&document["value"], &document["encoding"]), (&"{\"b\": 1}".into(), &"utf8".into()));
    assert_eq!((&document["version"], &document["mod_revision"]), (&2.into(), &second["mod_revision"]));
    assert_eq!(document["session"], session);
    let as_json = client.call(Method::GET, &format!("{KEY}?encoding=json"), &[JSON], "").await.expect(200);
    assert_eq!(as_json["value"], serde_json::json!({"b": 1}));
    let as_base64 = client.call(Method::GET, &format!("{KEY}?encoding=base64"), &[JSON], "").await.expect(200);
    assert_eq!(as_base64["value"], "eyJiIjogMX0=");
    let old = client.get(&format!("{KEY}?revision={}", document["create_revision"])).await;
    assert_eq!(old.body, "blue");
    client.delete(&format!("/v1/sessions/{session}")).await.expect(204);
    client.get(KEY).await.problem(404, "key-not-found");
    member.stop().await;
}

#[tokio::test]
async fn conditions_hold_or_nothing_is_written() {
    let member = Member::start().await;
    let client = member.client;
    let put = async |header: (&str, &str), value: &'static str| client.call(Method::PUT, KEY, &[header], value).await;
    put(("if-match", "*"), "0").await.problem(412, "version-conflict");
    let first = put(("if-none-match", "*"), "1").await;
    first.expect(201);
    let conflict = put(("if-none-match", "*"), "2").await.problem(412, "version-conflict");
    assert_eq!(conflict["current_revision"].to_string(), first.header("revision"));
    let second = put(("if-match", first.header("etag")), "2").await;
    second.expect(200);
    put(("if-match", first.header("etag")), "3").await.problem(412, "version-conflict");
    assert_eq!(client.get(KEY).await.body, "2");

    let known = client.call(Method::GET, KEY, &[("if-none-match", second.header("etag"))], "").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let unknown = client.call(Method::GET, KEY, &[("if-none-match", first.header("etag"))], "").await;
    assert_eq!(unknown.status, 200);

    let stale = client.call(Method::DELETE, KEY, &[("if-match", first.header("etag"))], "").await;
    stale.problem(412, "version-conflict");
    client.call(Method::DELETE, KEY, &[("if-match", second.header("etag"))], "").await.expect(204);
    let gone = client.call(Method::DELETE, KEY, &[("if-match", "*")], "").await.problem(412, "version-conflict");
    assert_eq!(gone["current_revision"], 0);
    client.delete(KEY).await.expect(204);
    member.stop().await;
}

#[tokio::test]
async fn a_list_is_a_snapshot_and_says_from_where_to_watch() {
    let member = Member::start().await;
    let client = member.client;
    for number in 0..5 {
        client.call(Method::PUT, &format!("/v1/kv/a/{number}"), &[], number.to_string()).await.expect(201);
    }
    client.call(Method::PUT, "/v1/kv/b", &[], "").await.expect(201);
    let first = client.get("/v1/kv?prefix=a/&limit=2").await.expect(200);
    let revision = first["revision"].as_i64().unwrap();
    assert_eq!(first["cursor"], format!("{EPOCH}.{revision}"));
    assert_eq!(first["remaining"], 5);
    client.delete("/v1/kv/a/3").await.expect(204);
    let (mut keys, mut page) = (Vec::new(), first);
    loop {
        keys.extend(page["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()));
        assert_eq!(page["revision"], revision);
        let Some(token) = page["next_page_token"].as_str().map(str::to_owned) else { break };
        page = client.get(&format!("/v1/kv?prefix=a/&limit=2&page_token={token}")).await.expect(200);
    }
    assert_eq!(keys, ["a/0", "a/1", "a/2", "a/3", "a/4"]);
    let all = client.get("/v1/kv?prefix=&limit=1000&consistency=stale").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
    member.stop().await;
}

#[tokio::test]
async fn what_was_compacted_is_gone() {
    let member = Member::start().await;
    let client = member.client;
    let first = client.call(Method::PUT, "/v1/kv/a", &[], "1").await.expect(201);
    let listed = client.call(Method::PUT, "/v1/kv/b", &[], "1").await.expect(201);
    let page = client.get("/v1/kv?prefix=&limit=1").await.expect(200);
    assert_eq!(page["revision"], listed["mod_revision"]);
    let last = client.call(Method::PUT, "/v1/kv/a", &[], "2").await.expect(200);
    let compact = Revision::new(last["mod_revision"].as_i64().unwrap());
    member.handle().compact(Identity::default(), compact, false).await.unwrap();
    client.get(&format!("/v1/kv/a?revision={}", first["mod_revision"])).await.problem(410, "revision-compacted");
    let token = page["next_page_token"].as_str().unwrap();
    client.get(&format!("/v1/kv?prefix=&limit=1&page_token={token}")).await.problem(410, "page-expired");
    member.stop().await;
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let member = Member::start().await;
    member.client.call(Method::PUT, KEY, &[], "blue").await.expect(201);
    let head = member.client.call(Method::HEAD, KEY, &[], "").await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "4"));
    member.stop().await;
}
