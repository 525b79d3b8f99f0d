//! The same JSON requests to both gateways: the same status and the same document, but for what differs between any two servers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How long an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests in order; each builds on the state that those before it left. Texts of parsers are not compared: see [`comparable`].
pub(crate) const REQUESTS: &[(&str, &str)] = &[
    ("kv/range", ""),
    ("kv/range", "null"),
    ("kv/range", "nonsense"),
    ("kv/range", "[]"),
    ("kv/range", r#"{"key":"!!!"}"#),
    ("kv/range", r#"{"key":"Zm9v","limit":"many"}"#),
    ("kv/put", r#"{"key":"Zm9v","value":"YmFy"}"#),
    ("kv/put", r#"{"key":"Zm9v","value":"YmF6","prev_kv":true}"#),
    ("kv/put", r#"{"key":"Zm9vMg==","value":"","prevKv":true}"#),
    ("kv/put", r#"{"value":"YmFy"}"#),
    ("kv/put", r#"{"key":"Zm9v","lease":"77"}"#),
    ("kv/put", r#"{"key":"Zm9v","ignore_value":true,"value":"YQ=="}"#),
    ("kv/range", r#"{"key":"Zm9v"}"#),
    ("kv/range", r#"{"key":"Zm9v"} and more"#),
    ("kv/range", r#"{"key":"Zm9v","unknown":[{"a":1}],"keys_only":true}"#),
    ("kv/range", r#"{"key":"AA==","range_end":"AA==","sort_order":"DESCEND","sort_target":"MOD"}"#),
    ("kv/range", r#"{"key":"AA==","rangeEnd":"AA==","sortOrder":2,"sortTarget":3,"limit":1}"#),
    ("kv/range", r#"{"key":"AA==","range_end":"AA==","count_only":true}"#),
    ("kv/range", r#"{"key":"bm9uZQ=="}"#),
    ("kv/range", r#"{"key":"Zm9v","revision":"1000"}"#),
    ("kv/range", r#"{"key":"Zm9v","revision":2,"serializable":true}"#),
    (
        "kv/txn",
        r#"{"compare":[{"target":"VALUE","key":"Zm9v","value":"YmF6"}],
            "success":[{"request_range":{"key":"Zm9v"}},{"requestPut":{"key":"dA==","value":"dA=="}}],
            "failure":[{"request_delete_range":{"key":"Zm9v"}}]}"#,
    ),
    (
        "kv/txn",
        r#"{"compare":[{"target":"VERSION","result":"GREATER","key":"Zm9v","version":"9"}],
            "failure":[{"request_delete_range":{"key":"dA==","prev_kv":true}}]}"#,
    ),
    ("kv/txn", r#"{"success":[{"request_put":{"key":"YQ=="}},{"request_put":{"key":"YQ=="}}]}"#),
    ("kv/txn", r#"{"success":[{"request_txn":{"success":[{"request_range":{"key":"Zm9v"}}]}}]}"#),
    ("kv/deleterange", r#"{"key":"Zm9vMg==","prev_kv":true}"#),
    ("kv/deleterange", r#"{"key":"bm9uZQ=="}"#),
    ("lease/grant", r#"{"TTL":600,"ID":7}"#),
    ("lease/grant", r#"{"TTL":"600","ID":"7"}"#),
    ("lease/grant", r#"{"TTL":"9000000001"}"#),
    ("kv/put", r#"{"key":"bA==","value":"bA==","lease":7}"#),
    ("lease/timetolive", r#"{"ID":"9"}"#),
    ("kv/lease/timetolive", r#"{"ID":9,"keys":true}"#),
    ("lease/leases", "{}"),
    ("kv/lease/leases", ""),
    ("lease/keepalive", r#"{"ID":7}"#),
    ("lease/keepalive", r#"{"ID":"7"}{"ID":8}"#),
    ("lease/keepalive", ""),
    ("lease/revoke", r#"{"ID":"7"}"#),
    ("kv/lease/revoke", r#"{"ID":"7"}"#),
    ("kv/compaction", r#"{"revision":"3"}"#),
    ("kv/compaction", r#"{"revision":"3"}"#),
    ("kv/range", r#"{"key":"Zm9v","revision":"2"}"#),
    ("maintenance/defragment", "{}"),
    ("maintenance/transfer-leadership", r#"{"targetID":"12345"}"#),
    ("cluster/member/remove", r#"{"ID":"12345"}"#),
    ("kv/nothing", "{}"),
    ("kv/range/", "{}"),
];

/// Status and lines of the answer to `body` at `path`, without what differs between any two servers.
pub(crate) async fn answer(base: &str, path: &str, body: &str) -> String {
    let mut answer = String::new();
    let mut stream = open(base, path, body).await;
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an end").expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    // The gateway of etcd 3.4 answers a precondition that failed with 412; from 3.6 on it is 400.
    let status = head.split(' ').nth(1).map(|status| if status == "412" { "400" } else { status }).expect("a status");
    // For a path that it does not know, the gateway of etcd 3.4 has no document.
    if body.trim() == "Not Found" || body.contains(r#""message":"Not Found""#) {
        return status.to_owned();
    }
    let lines: Vec<String> = body.lines().filter(|line| !line.is_empty()).map(|line| comparable(path, line)).collect();
    format!("{status} {lines:?}")
}

/// The first `count` lines of the stream at `path`.
pub(crate) async fn lines(base: &str, path: &str, body: &str, count: usize) -> Vec<String> {
    let mut lines = BufReader::new(open(base, path, body).await).lines();
    let mut found = Vec::new();
    while found.len() < count {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line").expect("no error");
        let line = line.expect("the stream goes on");
        if line.starts_with('{') {
            found.push(comparable(path, &line));
        }
    }
    found
}

/// HTTP/1.0, so that the body comes as it is and its end is that of the connection.
async fn open(base: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).await.expect("a connection");
    let length = body.len();
    let request = format!("POST /v3/{path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("a request");
    stream
}

/// A document without identities and terms; of a mistake that a parser found, that it is one.
fn comparable(path: &str, line: &str) -> String {
    let mut document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {line}: {error}"));
    if let Some(header) = header(&mut document) {
        for name in ["cluster_id", "member_id", "raft_term"] {
            header.remove(name).unwrap_or_else(|| panic!("no {name} in the header of {path}"));
        }
    }
    if let Some(refusal) = document.as_object_mut().filter(|document| document.contains_key("code")) {
        refusal.remove("details");
        let text = refusal["message"].as_str().unwrap_or_default();
        if refusal["code"] == json!(3) && !text.starts_with("etcdserver: ") {
            return "a request that cannot be read".to_owned();
        }
    }
    document.to_string()
}

fn header(document: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    let message = if document.get("result").is_some() { &mut document["result"] } else { document };
    message.get_mut("header")?.as_object_mut()
}
