//! The listener: deadlines, bounds, both versions of HTTP on one port, and the end.

use std::time::{Duration, Instant};

use api::Options;
use proto::etcdserverpb::{PutRequest, RangeRequest, WatchCreateRequest, WatchRequest, watch_request::RequestUnion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::support::{Member, PATIENCE, assert_refused, put, read_to_end};

const DEADLINE: Duration = Duration::from_millis(100);

fn hasty() -> Options {
    Options { head_deadline: DEADLINE, ..Options::default() }
}

#[tokio::test]
async fn both_versions_of_http_share_the_port() {
    let member = Member::start().await;
    let answer = member.http("GET /version HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"etcdserver":"3.6.14","etcdcluster":"3.6.0","storage":"3.6.0"}"#), "{answer}");
    member.kv().await.put(put("k", "v")).await.expect("a put");
    member.stop().await;
}

#[tokio::test]
async fn grpc_without_its_content_type_is_not_found() {
    let member = Member::start().await;
    let answer = member.http("POST /etcdserverpb.KV/Range HTTP/1.1\r\ncontent-type: application/json").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let answer = member.http("POST /etcdserverpb.KV/Range HTTP/1.1\r\ncontent-type: application/grpc").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "gRPC needs HTTP/2: {answer}");
    member.stop().await;
}

#[tokio::test]
async fn who_does_not_say_what_it_wants_is_closed_at_the_deadline() {
    let member = Member::start_with(hasty()).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET /health HTTP/1.1\r\nhost"] {
        let begun = Instant::now();
        let mut stream = member.connect().await;
        stream.write_all(beginning.as_bytes()).await.expect("a beginning");
        let answer = read_to_end(stream).await;
        assert!(!answer.contains("200 OK"), "{beginning:?} was answered: {answer}");
        assert!(begun.elapsed() >= DEADLINE, "{beginning:?} was not waited for");
    }
    member.stop().await;
}

/// Frames of HTTP/2: nine bytes of head (length, kind, flags, stream), then what the length says.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0resting!";
const PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0resting!";

#[tokio::test]
async fn an_open_http2_connection_may_rest() {
    let member = Member::start_with(hasty()).await;
    let mut stream = member.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("a preface");
    stream.write_all(SETTINGS).await.expect("settings");
    tokio::time::sleep(DEADLINE * 4).await;
    stream.write_all(PING).await.expect("a ping");
    let mut received = Vec::new();
    while !received.ends_with(PONG) {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut received)).await.expect("bytes in time");
        assert!(read.expect("no error") > 0, "the connection was closed");
    }
    member.stop().await;
}

/// Whether a request over HTTP/1 is answered; the connection stays open.
async fn is_served(stream: &mut TcpStream) -> bool {
    if stream.write_all(b"GET /version HTTP/1.1\r\nhost: member\r\n\r\n").await.is_err() {
        return false;
    }
    let mut answer = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer or an end");
    read.is_ok_and(|count| answer[..count].starts_with(b"HTTP/1.1 200 OK"))
}

#[tokio::test]
async fn connections_above_the_cap_are_closed_until_one_is_free() {
    let member = Member::start_with(Options { connections_max: 1, ..Options::default() }).await;
    let mut first = member.connect().await;
    assert!(is_served(&mut first).await);
    let mut second = member.connect().await;
    assert!(!is_served(&mut second).await);
    assert!(is_served(&mut first).await, "the first is not disturbed");
    drop(first);
    let begun = Instant::now();
    while !is_served(&mut member.connect().await).await {
        assert!(begun.elapsed() < PATIENCE, "no place became free");
    }
    member.stop().await;
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_in_the_words_of_grpc_go() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let request = |bytes: usize| PutRequest { key: "k".into(), value: vec![0; bytes].into(), ..Default::default() };
    let text = "grpc: received message larger than max (2097161 vs. 2097152)";
    assert_refused(kv.put(request(2_097_153)).await, Code::ResourceExhausted, text);
    assert_refused(kv.put(request(1_572_864)).await, Code::InvalidArgument, "etcdserver: request is too large");
    kv.put(request(1_500_000)).await.expect("a large put");
    let range = kv.range(RangeRequest { key: "k".into(), ..Default::default() }).await.expect("a range");
    assert_eq!(range.into_inner().kvs[0].value.len(), 1_500_000);
    member.stop().await;
}

#[tokio::test]
async fn an_endless_list_of_headers_is_refused_and_the_connection_lives() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    let mut request = Request::new(put("k", "v"));
    let long = "x".repeat(20_000);
    request.metadata_mut().insert("long", MetadataValue::try_from(long).expect("a value"));
    kv.put(request).await.expect_err("it is too long");
    kv.put(put("k", "v")).await.expect("a put");
    member.stop().await;
}

#[tokio::test]
async fn stopping_ends_streams_and_idle_connections_at_once() {
    let member = Member::start().await;
    let mut idle = member.connect().await;
    assert!(is_served(&mut idle).await);
    let silent = member.connect().await;
    let create = RequestUnion::CreateRequest(WatchCreateRequest { key: "k".into(), ..Default::default() });
    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    requests.send(WatchRequest { request_union: Some(create) }).await.expect("room");
    let requests_to_come = ReceiverStream::new(receiver);
    let mut watch = member.watch().await;
    let mut responses = watch.watch(requests_to_come).await.expect("a stream").into_inner();
    assert!(responses.message().await.expect("a response").expect("not the end").created);

    let begun = Instant::now();
    member.begin_to_stop();
    assert_refused(responses.message().await, Code::Unavailable, "etcdserver: server stopped");
    assert_eq!(read_to_end(silent).await, "");
    assert_eq!(read_to_end(idle).await, "");
    let address = member.address;
    member.stop().await;
    assert!(begun.elapsed() < Options::default().drain_deadline, "something was waited for");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn stopping_is_bounded_when_a_request_never_ends() {
    let drain_deadline = Duration::from_millis(200);
    let member = Member::start_with(Options { drain_deadline, ..Options::default() }).await;
    let mut reflection = ServerReflectionClient::new(member.channel().await);
    let _open = reflection.server_reflection_info(tokio_stream::pending()).await.expect("a stream without an end");
    let begun = Instant::now();
    member.stop().await;
    assert!(begun.elapsed() >= drain_deadline, "the request was not given its time");
}
