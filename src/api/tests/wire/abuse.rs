//! Clients that mean no good: floods and stalls of HTTP/2, and more than an address may have. Others are served meanwhile.

use std::num::NonZeroU32;
use std::time::Duration;

use api::Options;
use proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use crate::support::{Member, PATIENCE, assert_refused, put};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Why a peer is hung up on: it asks for too much.
const ENHANCE_YOUR_CALM: u8 = 0xb;

/// `:method GET`, `:scheme http`, `:path /`, each by its number in the table that HTTP/2 begins with.
const GET: &[u8] = &[0x82, 0x86, 0x84];

/// Far more than sockets of the loopback hold between them.
const FLOOD_BYTES: usize = 256 * 1024 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection that has said what every client says first, with `settings`.
async fn open(member: &Member, settings: &[u8]) -> TcpStream {
    let mut stream = member.connect().await;
    stream.write_all(PREFACE).await.expect("a preface");
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.expect("settings");
    stream
}

/// Reads to the end; whether the server said that this is too much before it hung up.
async fn was_told_to_calm(mut stream: TcpStream) -> bool {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the server hangs up");
    let mut rest = &read[..];
    while rest.len() >= 9 {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let payload = &rest[9..rest.len().min(9 + length)];
        if rest[3] == GOAWAY && payload.get(7) == Some(&ENHANCE_YOUR_CALM) {
            return true;
        }
        rest = &rest[rest.len().min(9 + length)..];
    }
    false
}

/// Whether others are served.
async fn assert_serves(member: &Member) {
    timeout(PATIENCE, async { member.kv().await.put(put("other", "v")).await }).await.expect("in time").expect("a put");
}

#[tokio::test]
async fn who_opens_streams_to_reset_them_is_hung_up_on() {
    let member = Member::start().await;
    let mut stream = open(&member, &[]).await;
    let burst: Vec<u8> = (0..500)
        .flat_map(|number| {
            let id = 2 * number + 1;
            let reset = frame(RST_STREAM, 0, id, &8_u32.to_be_bytes());
            [frame(HEADERS, END_HEADERS | END_STREAM, id, GET), reset].concat()
        })
        .collect();
    let _ = stream.write_all(&burst).await;
    assert!(was_told_to_calm(stream).await);
    assert_serves(&member).await;
    member.stop().await;
}

#[tokio::test]
async fn who_never_ends_its_headers_is_hung_up_on() {
    let member = Member::start().await;
    let mut stream = open(&member, &[]).await;
    stream.write_all(&frame(HEADERS, 0, 1, GET)).await.expect("a beginning");
    let more = frame(CONTINUATION, 0, 1, &[0; 16_000]);
    for _ in 0..1000 {
        if stream.write_all(&more).await.is_err() {
            break;
        }
    }
    assert!(was_told_to_calm(stream).await);
    assert_serves(&member).await;
    member.stop().await;
}

#[tokio::test]
async fn who_asks_without_listening_is_not_listened_to() {
    let member = Member::start().await;
    let ping = frame(PING, 0, 0, b"anybody?");
    let settings = frame(SETTINGS, 0, 0, &[]);
    for question in [ping, settings] {
        let mut stream = open(&member, &[]).await;
        let flood = question.repeat(8192);
        let mut sent = 0;
        // Answers that are not read fill the connection, and then nothing more is taken.
        while let Ok(written) = timeout(Duration::from_secs(1), stream.write_all(&flood)).await {
            if written.is_err() {
                break;
            }
            sent += flood.len();
            assert!(sent < FLOOD_BYTES, "the server takes questions for ever");
        }
        assert_serves(&member).await;
    }
    member.stop().await;
}

/// A literal header with a name of its own.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    [&[0, length(name)][..], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

#[tokio::test]
async fn who_takes_no_answer_holds_nobody_up() {
    let member = Member::start().await;
    let value = vec![7; 1_000_000].into();
    member.kv().await.put(PutRequest { key: "k".into(), value, ..Default::default() }).await.expect("a put");
    // The window of every stream is 0: answers cannot be sent.
    let mut stream = open(&member, &[0, 4, 0, 0, 0, 0]).await;
    let head = [
        &[0x83, 0x86][..],
        &literal(":path", "/etcdserverpb.KV/Range"),
        &literal("content-type", "application/grpc"),
        &literal("te", "trailers"),
    ]
    .concat();
    let message = [0, 0, 0, 0, 3, 0x0a, 1, b'k'];
    for number in 0..64 {
        let id = 2 * number + 1;
        stream.write_all(&frame(HEADERS, END_HEADERS, id, &head)).await.expect("a head");
        stream.write_all(&frame(0, END_STREAM, id, &message)).await.expect("a message");
    }
    let mut first = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut first)).await.expect("settings in time").expect("settings");
    assert_serves(&member).await;
    let begun = std::time::Instant::now();
    member.stop().await;
    assert!(begun.elapsed() < PATIENCE, "stopping is bounded");
}

#[tokio::test]
async fn an_address_has_as_many_connections_as_it_may() {
    let member = Member::start_with(Options { connections_per_address_max: 1, ..Options::default() }).await;
    let mut first = open(&member, &[]).await;
    first.read_exact(&mut [0; 9]).await.expect("the server's settings");
    let mut second = member.connect().await;
    let read = timeout(PATIENCE, second.read(&mut [0; 1])).await.expect("it is closed");
    assert!(!matches!(read, Ok(1)), "{read:?}");
    drop(first);
    member.stop().await;
}

#[tokio::test]
async fn an_address_asks_as_much_as_it_may_and_gives_back_all_it_has() {
    let requests_per_second = NonZeroU32::new(2);
    let member = Member::start_with(Options { requests_per_second, ..Options::default() }).await;
    let (mut kv, mut lease) = (member.kv().await, member.lease().await);
    lease.lease_grant(LeaseGrantRequest { id: 7, ttl: 60 }).await.expect("the first");
    let range = || RangeRequest { key: "k".into(), ..Default::default() };
    let mut refused = None;
    for _ in 0..100 {
        match kv.range(range()).await {
            Ok(_) => {}
            refusal => {
                refused = Some(refusal);
                break;
            }
        }
    }
    assert_refused(refused.expect("a refusal"), Code::ResourceExhausted, "etcdserver: too many requests");
    for path in ["/v3/kv/range", "/v1/kv/k"] {
        let mut answer = String::new();
        for _ in 0..100 {
            let method = if path.starts_with("/v3") { "POST" } else { "GET" };
            answer = member.http(&format!("{method} {path} HTTP/1.1\r\ncontent-length: 0")).await;
            if answer.starts_with("HTTP/1.1 429 ") {
                break;
            }
        }
        assert!(answer.starts_with("HTTP/1.1 429 "), "{path}: {answer}");
    }
    lease.lease_revoke(LeaseRevokeRequest { id: 7 }).await.expect("what gives back is never refused");
    let health = member.http("GET /health HTTP/1.1").await;
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    member.stop().await;
}
