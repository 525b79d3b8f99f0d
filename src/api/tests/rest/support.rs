//! A member with its client port on a free port of the loopback, and a plain client of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use api::{Options, SecretKey, Server};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::Limits;
use node::{AutoCompaction, ClusterState, Config, Handle, InitialCluster, Node, PeerListen};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch as latest;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

/// What every test waits at most for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const EPOCH: &str = "cdf818194e3a8c32";

/// Makes that identity.
const PEER_URL: &str = "http://localhost:2380";

/// How the port is served: with a key for secrets.
fn options() -> Options {
    Options { config_secret_key: Some(SecretKey::new([7; 32])), ..Options::default() }
}

/// A running member; its data go with it.
pub(crate) struct Member {
    pub(crate) client: Client,
    node: Node,
    stop: latest::Sender<bool>,
    serving: JoinHandle<()>,
    _data: TempDir,
}

impl Member {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let config = Config {
            name: "default".to_owned(),
            data_dir: data.path().join("member"),
            initial_cluster: InitialCluster {
                members: BTreeMap::from([("default".to_owned(), vec![PEER_URL.to_owned()])]),
                token: "etcd-cluster".to_owned(),
                state: ClusterState::New,
            },
            peer_urls: vec![PEER_URL.to_owned()],
            peer_listen: PeerListen::At(vec!["http://127.0.0.1:0".to_owned()]),
            peer_tls: None,
            client_urls: vec!["http://localhost:2379".to_owned()],
            heartbeat_interval: Duration::from_millis(100),
            election_timeout: Duration::from_millis(1000),
            snapshot_count: 10_000,
            catch_up_entries: node::CATCH_UP_ENTRIES,
            request_bytes_max: 1_572_864,
            limits: Limits::default(),
            auto_compaction: AutoCompaction::Off,
            watch_progress_interval: Duration::from_secs(600),
            strict_reconfig_check: true,
            learners_max: 1,
            upkeep: node::Upkeep::default(),
            auth: node::AuthConfig { bcrypt_cost: "4".parse().expect("a cost"), ..Default::default() },
        };
        let node = Node::start(config).await.expect("a member");
        node.announced().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = Client { address: listener.local_addr().expect("an address") };
        let (stop, stopping) = latest::channel(false);
        let serving = tokio::spawn(Server::new(node.handle(), options()).run(listener, stopping));
        Self { client, node, stop, serving, _data: data }
    }

    /// The way to the member that does not lead over HTTP.
    pub(crate) fn handle(&self) -> Handle {
        self.node.handle()
    }

    pub(crate) fn begin_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends the port, then the member.
    pub(crate) async fn stop(self) {
        self.begin_to_stop();
        timeout(PATIENCE, self.serving).await.expect("the port ends").expect("without a panic");
        self.node.stop().await.expect("the member ends well");
    }
}

/// A client that opens a connection for every request, and hangs up when it is dropped.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    address: SocketAddr,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The document, if the status is as expected.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem's document, if it is one of that kind and complete.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("request-id"));
        assert_eq!(problem["revision"].to_string(), self.header("revision"));
        problem
    }
}

impl Client {
    pub(crate) async fn get(self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "").await
    }

    pub(crate) async fn delete(self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], "").await
    }

    /// Sends a document.
    pub(crate) async fn put(self, path: &str, document: &str) -> Answer {
        self.call(Method::PUT, path, &[("content-type", "application/json")], document.to_owned()).await
    }

    /// Sends a document.
    pub(crate) async fn post(self, path: &str, document: &str) -> Answer {
        self.call(Method::POST, path, &[("content-type", "application/json")], document.to_owned()).await
    }

    pub(crate) async fn call(
        self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut connections = JoinSet::new();
        let response = self.send(&mut connections, method, path, headers, body.into()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = timeout(PATIENCE, response.into_body().collect()).await.expect("the body ends").expect("whole");
        let answer = Answer { status, headers, body: body.to_bytes() };
        assert!(!answer.header("request-id").is_empty() && !answer.header("revision").is_empty(), "{answer:?}");
        answer
    }

    /// Opens a stream of events.
    pub(crate) async fn events(self, method: Method, path: &str, headers: &[(&str, &str)]) -> Events {
        let mut connections = JoinSet::new();
        let response = self.send(&mut connections, method, path, headers, Bytes::new()).await;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let headers = response.headers().clone();
        Events { headers, body: response.into_body(), buffer: BytesMut::new(), _connections: connections }
    }

    /// Follows keys.
    pub(crate) async fn watch(self, query: &str, headers: &[(&str, &str)]) -> Events {
        self.events(Method::GET, &format!("/v1/watch?{query}"), headers).await
    }

    /// A connection without a protocol.
    pub(crate) async fn connect(self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// The connection lives in `connections`, and so as long as its owner.
    async fn send(
        self,
        connections: &mut JoinSet<()>,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Incoming> {
        let stream = self.connect().await;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        connections.spawn(async move {
            // How a connection ends shows in its requests.
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path).header("host", "member");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        timeout(PATIENCE, sender.send_request(request)).await.expect("an answer comes").expect("an answer")
    }

    /// Opens a session that outlives the test; returns its id.
    pub(crate) async fn session(self) -> String {
        let opened = self.post("/v1/sessions", r#"{"ttl":"5m"}"#).await.expect(201);
        opened["id"].as_str().expect("a text").to_owned()
    }

    /// Returns when so many wait for the lock.
    pub(crate) async fn until_waiting(self, lock: &str, waiting: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.get(&format!("/v1/locks/{lock}")).await.expect(200);
            if state["waiting"] == waiting {
                return;
            }
            assert!(Instant::now() < deadline, "{waiting} shall wait, but: {state}");
        }
    }

    /// Returns when nobody holds the lock.
    pub(crate) async fn until_free(self, lock: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.get(&format!("/v1/locks/{lock}")).await.expect(200)["state"] != "free" {
            assert!(Instant::now() < deadline, "the lock shall become free");
        }
    }
}

/// A stream of events.
pub(crate) struct Events {
    pub(crate) headers: HeaderMap,
    body: Incoming,
    buffer: BytesMut,
    _connections: JoinSet<()>,
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    /// Empty if it has none.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    /// The next event, comments and the like left out.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            let block = self.block("\n\n").await.expect("the stream goes on");
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                lines.collect::<Vec<_>>().join("\n")
            };
            if !field("event").is_empty() {
                let data = serde_json::from_str(&field("data")).expect("JSON");
                return Event { id: field("id"), name: field("event"), data };
            }
        }
    }

    /// The next event, which must have this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Event {
        let event = self.next().await;
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> String {
        self.block("\n").await.expect("the stream goes on")
    }

    /// Whether the stream is at its end.
    pub(crate) async fn is_over(&mut self) -> bool {
        self.block("\n\n").await.is_none()
    }

    /// What comes before the next `end`; `None` when nothing does.
    async fn block(&mut self, end: &str) -> Option<String> {
        loop {
            let found = self.buffer.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = found {
                let block = self.buffer.split_to(at + end.len());
                return Some(String::from_utf8(block[..at].to_vec()).expect("text"));
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("something comes")?;
            self.buffer.extend_from_slice(frame.ok()?.data_ref()?);
        }
    }
}

/// Waits for what another task does.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    timeout(PATIENCE, task).await.expect("the task ends").expect("without a panic")
}
