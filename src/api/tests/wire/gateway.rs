//! The JSON gateway over real connections: both prefixes, streams, errors, bounds, and who may ask.

use api::{Names, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Member, PATIENCE, put, read_to_end};

/// Sends `body` to `path`.
async fn send(member: &Member, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = member.connect().await;
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nhost: member\r\nconnection: close\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{request}{headers}\r\n{body}").as_bytes()).await.expect("a request");
    stream
}

/// The whole answer.
async fn post(member: &Member, path: &str, body: &str) -> String {
    read_to_end(send(member, path, "", body).await).await
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head and a body").1
}

/// Reads until `text` has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let count = tokio::time::timeout(PATIENCE, stream.read_buf(&mut read)).await.expect("it comes").expect("bytes");
        assert!(count > 0, "the stream ended without {text}: {}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).expect("text")
}

#[tokio::test]
async fn what_is_put_as_json_is_read_as_json_and_by_grpc() {
    let member = Member::start().await;
    let answer = post(&member, "/v3/kv/put", r#"{"key":"Zm9v","value":"YmFy"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for header in ["content-type: application/json", "grpc-metadata-content-type: application/grpc"] {
        assert!(answer.contains(&format!("\r\n{header}\r\n")), "{answer}");
    }
    assert!(body(&answer).contains(r#""revision":"2""#), "{answer}");
    for prefix in ["/v3", "/v3beta"] {
        let answer = post(&member, &format!("{prefix}/kv/range"), r#"{"key":"Zm9v"}"#).await;
        assert!(body(&answer).contains(r#""value":"YmFy""#), "{answer}");
    }
    member.kv().await.put(put("foo", "baz")).await.expect("a put");
    let answer = post(&member, "/v3/kv/range", r#"{"key":"Zm9v"}"#).await;
    assert!(body(&answer).contains(r#""value":"YmF6""#), "{answer}");
    member.stop().await;
}

#[tokio::test]
async fn refusals_have_etcds_shape_and_codes() {
    let member = Member::start().await;
    let refusal =
        |code: u32, text: &str| format!(r#"{{"error":"{text}","code":{code},"message":"{text}","details":[]}}"#);
    for (path, request, status, expected) in [
        ("/v3/kv/range", "", 400, refusal(3, "etcdserver: key is not provided")),
        ("/v3/kv/put", r#"{"key":"Zm9v","lease":"77"}"#, 404, refusal(5, "etcdserver: requested lease not found")),
        ("/v3/kv/nothing", "{}", 404, refusal(5, "Not Found")),
        ("/v3/kv/range/", "{}", 404, refusal(5, "Not Found")),
    ] {
        let answer = post(&member, path, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert_eq!(body(&answer), expected, "{path}");
    }
    let answer = post(&member, "/v3/kv/range", "nonsense").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && body(&answer).contains(r#""code":3"#), "{answer}");
    let answer = member.http("GET /v3/kv/range HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(body(&answer), refusal(12, "Method Not Allowed"));
    member.stop().await;
}

#[tokio::test]
async fn a_watch_goes_on_after_its_request_and_sees_what_comes() {
    let member = Member::start().await;
    let mut watch = send(&member, "/v3/watch", "", r#"{"create_request":{"key":"Zm9v"}}"#).await;
    let created = read_until(&mut watch, "}\n").await;
    assert!(created.contains(r#"{"result":{"header":{"#) && created.contains(r#""created":true"#), "{created}");
    member.kv().await.put(put("foo", "bar")).await.expect("a put");
    let event = read_until(&mut watch, "}\n").await;
    assert!(event.contains(r#""events":[{"kv":{"key":"Zm9v","#), "{event}");
    member.begin_to_stop();
    let end = read_to_end(watch).await;
    assert!(
        end.contains(r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: server stopped""#),
        "{end}"
    );
    member.stop().await;
}

#[tokio::test]
async fn keepalives_are_answered_line_by_line_and_end_with_their_requests() {
    let member = Member::start().await;
    post(&member, "/v3/lease/grant", r#"{"ID":7,"TTL":60}"#).await;
    let answer = post(&member, "/v3/lease/keepalive", r#"{"ID":7} {"ID":"8"}"#).await;
    let lines: Vec<_> = answer.lines().filter(|line| line.starts_with(r#"{"result""#)).collect();
    assert_eq!(lines.len(), 2, "{answer}");
    assert!(lines[0].ends_with(r#""ID":"7","TTL":"60"}}"#), "{answer}");
    assert!(lines[1].ends_with(r#""ID":"8"}}"#), "a lease that is not there has no TTL: {answer}");
    let answer = post(&member, "/v3/lease/keepalive", "nonsense").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    member.stop().await;
}

#[tokio::test]
async fn bodies_are_bounded_as_messages_are() {
    let member = Member::start_with(Options { message_bytes_max: 1000, ..Options::default() }).await;
    let put = |bytes: usize| format!(r#"{{"key":"Zm9v","value":"{}"}}"#, "A".repeat(bytes));
    let answer = post(&member, "/v3/kv/put", &put(1200)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "900 bytes as a message: {answer}");
    let answer = post(&member, "/v3/kv/put", &put(1600)).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(body(&answer).contains("grpc: received message larger than max (1208 vs. 1000)"), "{answer}");
    let answer = post(&member, "/v3/kv/put", &put(2400)).await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && body(&answer).contains("more than 2000 bytes"), "{answer}");
    member.stop().await;
}

#[tokio::test]
async fn methods_that_are_switched_off_are_not_there() {
    let member = Member::start_with(Options { serves_gateway: false, ..Options::default() }).await;
    let answer = post(&member, "/v3/kv/range", r#"{"key":"Zm9v"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    member.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_get_what_the_list_allows() {
    let member = Member::start().await;
    let answer = member.http("OPTIONS /v3/kv/range HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("access-control-allow-origin: *\r\n"), "{answer}");
    let answer = member.http("GET /v1/kv/foo HTTP/1.1").await;
    assert!(!answer.contains("access-control"), "nobody has opened the recipes: {answer}");
    member.stop().await;
    let origins = Names::of(&["https://site".to_owned()]);
    let member = Member::start_with(Options { origins, ..Options::default() }).await;
    let answer = member.http("GET /v1/kv/foo HTTP/1.1\r\norigin: https://site").await;
    assert!(answer.contains("access-control-allow-origin: https://site\r\n"), "{answer}");
    let answer = member.http("GET /v1/kv/foo HTTP/1.1\r\norigin: https://other").await;
    assert!(!answer.contains("access-control"), "{answer}");
    member.stop().await;
}

#[tokio::test]
async fn a_server_answers_to_its_names_only() {
    let hosts = Names::of(&["quorate.local".to_owned()]);
    let member = Member::start_with(Options { hosts, ..Options::default() }).await;
    let answer = member.http("GET /version HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("--host-whitelist"), "{answer}");
    member.kv().await.put(put("k", "v")).await.expect("gRPC is not asked for a name");
    member.stop().await;
}
