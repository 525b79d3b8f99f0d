//! Ports with TLS, and ports that serve parts: who gets what, and certificates that change under open streams.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ::tls::{Acceptor, Callers, Client, Connector, Policy, Server, ServerName, Trust, self_signed};
use api::{Names, Offer, Options};
use hyper_util::rt::TokioIo;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Member, PATIENCE, put};

/// Serves with the certificate in `folder`, made if there is none.
fn acceptor(folder: &Path) -> Acceptor {
    let made = self_signed(folder, &["localhost".to_owned()], 1).expect("a certificate");
    let policy = Policy::default();
    let protocols = &["h2", "http/1.1"];
    let server = Server { cert: made.cert, key: made.key, callers: Callers::Anyone, policy, protocols };
    Acceptor::new(server).expect("its files")
}

fn connector(protocols: &'static [&'static str]) -> Connector {
    let client = Client { identity: None, trust: Trust::AnyServer, policy: Policy::default(), protocols };
    Connector::new(client).expect("nothing to read")
}

async fn connect(address: SocketAddr, protocols: &'static [&'static str]) -> ::tls::ClientStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    connector(protocols).connect(name, stream).await.expect("a handshake")
}

/// gRPC over TLS.
async fn channel(address: SocketAddr) -> Channel {
    let connect =
        tower::service_fn(move |_| async move { std::io::Result::Ok(TokioIo::new(connect(address, &["h2"]).await)) });
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await.expect("a channel")
}

/// The answer to a request over HTTP/1.
async fn get(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: member\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an end");
    read.expect("an answer");
    answer
}

async fn next(stream: &mut Streaming<WatchResponse>) -> WatchResponse {
    let next = tokio::time::timeout(PATIENCE, stream.message()).await.expect("a response in time");
    next.expect("no error").expect("not the end")
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_under_tls_and_no_name_is_asked_for() {
    let hosts = Names::of(&["elsewhere".to_owned()]);
    let member = Member::start_with(Options { hosts, ..Options::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let address = member.serve_at(Some(acceptor(folder.path())), Offer::Everything).await;
    let mut plain = connect(address, &["http/1.1"]).await;
    assert_eq!(plain.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = get(&mut plain, "/version").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let secured = connect(address, &["h2", "http/1.1"]).await;
    assert_eq!(secured.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut kv = KvClient::new(channel(address).await);
    kv.put(put("k", "v")).await.expect("a put");
    member.stop().await;
}

#[tokio::test]
async fn large_answers_come_whole_through_tls() {
    let member = Member::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let address = member.serve_at(Some(acceptor(folder.path())), Offer::Everything).await;
    let mut kv = KvClient::new(channel(address).await).max_decoding_message_size(usize::MAX);
    for key in ["k1", "k2", "k3"] {
        let value = vec![7; 1_000_000].into();
        kv.put(proto::etcdserverpb::PutRequest { key: key.into(), value, ..Default::default() }).await.expect("a put");
    }
    let all = proto::etcdserverpb::RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
    let range = tokio::time::timeout(PATIENCE, kv.range(all)).await.expect("in time").expect("a range").into_inner();
    assert!(range.kvs.len() == 3 && range.kvs.iter().all(|kv| kv.value.len() == 1_000_000));
    member.stop().await;
}

#[tokio::test]
async fn certificates_change_under_an_open_watch() {
    let member = Member::start().await;
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let address = member.serve_at(Some(acceptor(first.path())), Offer::Everything).await;
    let shown = |stream: &::tls::ClientStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
    };
    let before = shown(&connect(address, &["h2"]).await);
    let create = RequestUnion::CreateRequest(WatchCreateRequest { key: "k".into(), ..Default::default() });
    let requests = futures::StreamExt::chain(
        tokio_stream::once(WatchRequest { request_union: Some(create) }),
        tokio_stream::pending(),
    );
    let mut watch = WatchClient::new(channel(address).await).watch(requests).await.expect("a stream").into_inner();
    assert!(next(&mut watch).await.created);

    self_signed(second.path(), &["localhost".to_owned()], 2).expect("another certificate");
    for file in ["cert.pem", "key.pem"] {
        fs::rename(second.path().join(file), first.path().join(file)).expect("in place");
    }
    let (begun, mut attempts) = (Instant::now(), 0);
    while shown(&connect(address, &["h2"]).await) == before {
        attempts += 1;
        // Both, because a busy machine may take long for one.
        assert!(begun.elapsed() < PATIENCE || attempts < 100, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    member.kv().await.put(put("k", "v")).await.expect("a put");
    assert_eq!(next(&mut watch).await.events.len(), 1, "the stream went on");
    member.stop().await;
}

#[tokio::test]
async fn who_does_not_speak_tls_or_does_not_go_on_is_closed() {
    let head_deadline = Duration::from_millis(100);
    let member = Member::start_with(Options { head_deadline, ..Options::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let address = member.serve_at(Some(acceptor(folder.path())), Offer::Everything).await;
    for (beginning, waits) in [(&b""[..], true), (b"\x16\x03\x01", true), (b"GET / HTTP/1.1\r\n\r\n", false)] {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(beginning).await.expect("a beginning");
        let mut answer = Vec::new();
        let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the end comes");
        assert!(!answer.starts_with(b"HTTP"), "{end:?} {answer:?}");
        assert!(!waits || begun.elapsed() >= head_deadline, "{beginning:?} was not waited for");
    }
    let mut kv = KvClient::new(channel(address).await);
    kv.put(put("k", "v")).await.expect("others are served");
    member.stop().await;
}

#[tokio::test]
async fn ports_that_serve_parts_serve_no_more() {
    let member = Member::start().await;
    let parts = [Offer::Grpc, Offer::Http, Offer::Observation];
    let mut found = Vec::new();
    for offer in parts {
        let address = member.serve_at(None, offer).await;
        let mut statuses = Vec::new();
        for path in ["/metrics", "/health"] {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            statuses.push(get(&mut stream, path).await.split(' ').nth(1).expect("a status").to_owned());
        }
        let channel = Endpoint::from_shared(format!("http://{address}")).expect("an address").connect().await;
        let has_grpc = KvClient::new(channel.expect("a connection")).put(put("k", "v")).await.is_ok();
        found.push((offer, statuses, has_grpc));
    }
    let has = |place: usize, path: usize| found[place].1[path] != "404";
    assert!(!has(0, 0) && !has(0, 1) && found[0].2, "{found:?}");
    assert!(has(1, 0) && has(1, 1) && !found[1].2, "{found:?}");
    assert!(has(2, 0) && has(2, 1) && !found[2].2, "{found:?}");
    let mut stream = TcpStream::connect(member.serve_at(None, Offer::Grpc).await).await.expect("a connection");
    assert!(get(&mut stream, "/version").await.contains("--listen-client-http-urls"));
    member.stop().await;
}
