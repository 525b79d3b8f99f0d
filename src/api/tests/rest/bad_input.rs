//! What makes no sense is refused by name, and nothing panics.

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, Member};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

/// Method, path, headers, body, status, kind of problem.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, u16, &'static str);

const ROWS: &[Row] = &[
    // Paths.
    ("GET", "/v1", &[], "", 404, "not-found"),
    ("GET", "/v1/", &[], "", 404, "not-found"),
    ("GET", "/v1/nothing", &[], "", 404, "not-found"),
    ("GET", "/v1/locks", &[], "", 404, "not-found"),
    ("GET", "/v1/locks/", &[], "", 404, "not-found"),
    ("GET", "/v1/locks/a/b", &[], "", 404, "not-found"),
    ("GET", "/v1/locks/a/claims", &[], "", 404, "not-found"),
    ("GET", "/problems/nothing", &[], "", 404, "not-found"),
    ("GET", "/v1/locks/%FF", &[], "", 400, "invalid-request"),
    ("GET", "/v1/locks/a%0Ab", &[], "", 400, "invalid-request"),
    ("GET", "/v1/locks/%2E%2E", &[], "", 400, "invalid-request"),
    ("GET", "/v1/ns/_system/locks/a", &[], "", 400, "invalid-request"),
    ("GET", "/v1/ns/a%2Fb/locks/a", &[], "", 400, "invalid-request"),
    // Methods.
    ("POST", "/v1/locks/a", &[], "", 405, "method-not-allowed"),
    ("PATCH", "/v1/kv/a", &[], "", 405, "method-not-allowed"),
    ("DELETE", "/v1/watch", &[], "", 405, "method-not-allowed"),
    ("PUT", "/problems", &[], "", 405, "method-not-allowed"),
    ("GET", "/v1/sessions/1f/keepalive", &[], "", 405, "method-not-allowed"),
    // Sessions.
    ("GET", "/v1/sessions/0", &[], "", 400, "invalid-request"),
    ("GET", "/v1/sessions/1F", &[], "", 400, "invalid-request"),
    ("GET", "/v1/sessions/ffffffffffffffff", &[], "", 400, "invalid-request"),
    ("GET", "/v1/sessions/1f", &[], "", 404, "session-not-found"),
    ("POST", "/v1/sessions/1f/keepalive", &[], "", 404, "session-not-found"),
    ("POST", "/v1/sessions", FORM, "{}", 415, "unsupported-media-type"),
    ("POST", "/v1/sessions", &[], "{}", 415, "unsupported-media-type"),
    ("POST", "/v1/sessions", JSON, "{", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "[]", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "{\"ttl\":10}", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "{\"ttl\":\"10\"}", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "{\"ttl\":\"0s\"}", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "{\"ttl\":\"99999999h\"}", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "{\"tll\":\"10s\"}", 400, "invalid-request"),
    ("POST", "/v1/sessions", JSON, "{\"ttl\":\"1s\",\"ttl\":\"2s\"}", 400, "invalid-request"),
    ("POST", "/v1/sessions?dry_run=true", JSON, "{}", 400, "invalid-request"),
    ("GET", "/v1/sessions?limit=0", &[], "", 400, "invalid-request"),
    ("GET", "/v1/sessions?limit=1001", &[], "", 400, "invalid-request"),
    ("GET", "/v1/sessions?page_token=AAAA", &[], "", 400, "invalid-request"),
    // Claims.
    ("PUT", "/v1/locks/a/claims/1f", &[], "", 404, "session-not-found"),
    ("PUT", "/v1/locks/a/claims/NEW", &[], "", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"ttl\":\"10s\"}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"wait\":\"11m\"}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"wait\":30}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"mode\":\"shared\"}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"max_queue\":-1}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"max_queue\":4294967296}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"meta\":\"text\"}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/1f", JSON, "{\"on_timeout\":\"stay\"}", 400, "invalid-request"),
    ("PUT", "/v1/locks/a/claims/new", JSON, "{\"enqueue\":false,\"wait\":\"1s\"}", 400, "invalid-request"),
    ("GET", "/v1/locks/a/claims/new", &[], "", 400, "invalid-request"),
    ("GET", "/v1/locks/a/claims/1f", &[], "", 404, "claim-not-found"),
    ("GET", "/v1/locks/a/claims/1f?wait=soon", &[], "", 400, "invalid-request"),
    ("GET", "/v1/locks/a/claims/1f?state_not=held", &[], "", 400, "invalid-request"),
    ("DELETE", "/v1/locks/a/claims/1f", &[("if-match", "7")], "", 400, "invalid-request"),
    ("DELETE", "/v1/locks/a/claims/1f", &[("if-match", "\"7\", \"8\"")], "", 400, "invalid-request"),
    ("GET", "/v1/locks/a/tokens/0", &[], "", 400, "invalid-request"),
    ("GET", "/v1/locks/a/tokens/abc", &[], "", 400, "invalid-request"),
    ("GET", "/v1/locks/a/tokens/9223372036854775808", &[], "", 400, "invalid-request"),
    // Keys.
    ("GET", "/v1/kv", &[], "", 400, "invalid-request"),
    ("GET", "/v1/kv/", &[], "", 400, "invalid-request"),
    ("PUT", "/v1/kv/", &[], "x", 400, "invalid-request"),
    ("DELETE", "/v1/kv/", &[], "", 400, "invalid-request"),
    ("GET", "/v1/kv/none", &[], "", 404, "key-not-found"),
    ("GET", "/v1/kv/none?revision=1000000", &[], "", 400, "revision-in-future"),
    ("GET", "/v1/kv/none?revision=-1", &[], "", 400, "invalid-request"),
    ("GET", "/v1/kv/none?consistency=strong", &[], "", 400, "invalid-request"),
    ("GET", "/v1/kv/none?encoding=hex", &[], "", 400, "invalid-request"),
    ("GET", "/v1/kv?prefix=&prefix=a", &[], "", 400, "invalid-request"),
    ("GET", "/v1/kv?prefix=&sort=desc", &[], "", 400, "invalid-request"),
    ("PUT", "/v1/kv/a?session=1f", &[], "x", 404, "session-not-found"),
    ("PUT", "/v1/kv/a?session=zz", &[], "x", 400, "invalid-request"),
    ("PUT", "/v1/kv/a", &[("if-match", "\"1\", \"2\"")], "x", 400, "invalid-request"),
    ("PUT", "/v1/kv/a", &[("if-match", "W")], "x", 400, "invalid-request"),
    // Watches.
    ("GET", "/v1/watch", &[], "", 400, "invalid-request"),
    ("GET", "/v1/watch?key=", &[], "", 400, "invalid-request"),
    ("GET", "/v1/watch?key=a&prefix=a", &[], "", 400, "invalid-request"),
    ("GET", "/v1/watch?key=a&from=1", &[], "", 400, "invalid-request"),
];

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let member = Member::start().await;
    let revision = member.handle().revision();
    for (method, path, headers, body, status, code) in ROWS {
        let method: Method = method.parse().unwrap();
        let answer = member.client.call(method.clone(), path, headers, *body).await;
        assert!(answer.status == *status && !answer.body.is_empty(), "{method} {path} {body}: {answer:?}");
        answer.problem(*status, code);
        if *status == 405 {
            assert!(!answer.header("allow").is_empty(), "{method} {path} says what is allowed");
        }
    }
    assert_eq!(member.handle().revision(), revision, "none of it wrote anything");
    member.stop().await;
}

#[tokio::test]
async fn a_broken_document_is_told_where() {
    let member = Member::start().await;
    let problem = member.client.post("/v1/sessions", "{\n  \"ttl\": oops\n}").await.problem(400, "invalid-request");
    assert_eq!((&problem["line"], &problem["column"]), (&2.into(), &10.into()));
    let problem = member.client.post("/v1/sessions", "{\"colour\":1}").await.problem(400, "invalid-request");
    assert!(problem["detail"].as_str().unwrap().contains("colour"), "{problem}");
    member.stop().await;
}

#[tokio::test]
async fn allow_lists_what_there_is() {
    let member = Member::start().await;
    let allowed = async |path: &str| {
        let answer: Answer = member.client.call(Method::TRACE, path, &[], "").await;
        let allow = answer.header("allow").to_owned();
        let mut methods: Vec<String> = allow.split(',').map(|method| method.trim().to_owned()).collect();
        methods.sort();
        methods.join(" ")
    };
    assert_eq!(allowed("/v1/kv/a").await, "DELETE GET HEAD PUT");
    assert_eq!(allowed("/v1/locks/a/claims/1f").await, "DELETE GET HEAD PATCH PUT");
    assert_eq!(allowed("/v1/sessions").await, "GET HEAD POST");
    member.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let member = Member::start().await;
    let client = member.client;
    let put = async |path: &str, bytes: usize| client.call(Method::PUT, path, &[], vec![b'x'; bytes]).await;
    put("/v1/kv/a", 1_000_000).await.expect(201);
    put("/v1/kv/b", 1_572_865).await.problem(413, "value-too-large");
    put("/v1/kv/b", 1_572_864).await.problem(413, "value-too-large");
    put(&format!("/v1/kv/{}", "k".repeat(65_000)), 1).await.expect(201);
    put(&format!("/v1/kv/{}", "k".repeat(65_001)), 1).await.problem(413, "value-too-large");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
    client.post("/v1/sessions", &large).await.problem(413, "request-too-large");
    let name = "x".repeat(513);
    client.get(&format!("/v1/locks/{name}")).await.problem(400, "invalid-request");
    member.stop().await;
}

/// A body without a length is counted while it comes.
#[tokio::test]
async fn a_body_in_chunks_is_bounded_too() {
    let member = Member::start().await;
    let mut stream = member.client.connect().await;
    let head =
        "POST /v1/sessions HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    for _ in 0..3 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    member.stop().await;
}
