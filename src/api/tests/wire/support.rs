//! A member with its client port on a free port of the loopback, and clients of it.

use std::net::SocketAddr;
use std::time::Duration;

use api::{Offer, Options, Port, Server};
use model::Limits;
use node::{AutoCompaction, Config, Node, Upkeep};
use proto::etcdserverpb::PutRequest;
use proto::etcdserverpb::cluster_client::ClusterClient;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::watch_client::WatchClient;
use tempfile::TempDir;
use tls::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch as latest;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// What every test waits at most for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const CLUSTER_ID: u64 = 0xcdf8_1819_4e3a_8c32;
pub(crate) const MEMBER_ID: u64 = 0x8e9e_05c5_2164_694d;

/// Makes these ids.
const PEER_URL: &str = "http://localhost:2380";

/// A running member; its data go with it.
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    node: Node,
    stop: latest::Sender<bool>,
    server: Server,
    serving: JoinHandle<()>,
    _data: TempDir,
}

impl Member {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        Self::start_as(options, Upkeep::default()).await
    }

    pub(crate) async fn start_looking_after(upkeep: Upkeep) -> Self {
        Self::start_as(Options::default(), upkeep).await
    }

    /// One of two, of which the other never starts.
    pub(crate) async fn start_without_quorum() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut config = config(&data, Upkeep::default());
        config.initial_cluster.members.insert("other".to_owned(), vec!["http://127.0.0.1:1".to_owned()]);
        let node = Node::start(config).await.expect("a member");
        Self::serve(node, Options::default(), data).await
    }

    async fn start_as(options: Options, upkeep: Upkeep) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let config = config(&data, upkeep);
        let node = Node::start(config).await.expect("a member");
        node.announced().await;
        node.handle().wait_for_leader(Instant::now() + PATIENCE).await.expect("a leader");
        Self::serve(node, options, data).await
    }

    async fn serve(node: Node, options: Options, data: TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopping) = latest::channel(false);
        let server = Server::new(node.handle(), options);
        let serving = tokio::spawn(server.clone().run(listener, stopping));
        Self { address, node, stop, server, serving, _data: data }
    }

    /// Serves at another port as well, and says where.
    pub(crate) async fn serve_at(&self, tls: Option<Acceptor>, offer: Offer) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(self.server.clone().run_at(Port { listener, tls, offer }, self.stop.subscribe()));
        address
    }

    /// Ends the port, then the member.
    pub(crate) async fn stop(self) {
        self.begin_to_stop();
        tokio::time::timeout(PATIENCE, self.serving).await.expect("the port ends").expect("without a panic");
        self.node.stop().await.expect("the member ends well");
    }

    pub(crate) fn begin_to_stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("an address");
        endpoint.connect().await.expect("a connection")
    }

    pub(crate) async fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel().await)
    }

    pub(crate) async fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel().await)
    }

    pub(crate) async fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel().await)
    }

    pub(crate) async fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel().await)
    }

    pub(crate) async fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel().await)
    }

    /// A connection without a protocol.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// The whole answer to one HTTP/1 request, head and body.
    pub(crate) async fn http(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!("{request}\r\nhost: member\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request");
        read_to_end(stream).await
    }
}

fn config(data: &TempDir, upkeep: Upkeep) -> Config {
    Config {
        name: "default".to_owned(),
        data_dir: data.path().join("member"),
        initial_cluster: node::InitialCluster {
            members: std::collections::BTreeMap::from([("default".to_owned(), vec![PEER_URL.to_owned()])]),
            token: "etcd-cluster".to_owned(),
            state: node::ClusterState::New,
        },
        peer_urls: vec![PEER_URL.to_owned()],
        peer_listen: node::PeerListen::At(vec!["http://127.0.0.1:0".to_owned()]),
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
        upkeep,
        auth: node::AuthConfig { bcrypt_cost: "4".parse().expect("a cost"), ..Default::default() },
    }
}

/// Everything that comes until the peer closes.
pub(crate) async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the end comes");
    // Being cut off is an end as well.
    let _ = end;
    String::from_utf8(answer).expect("text")
}

pub(crate) fn put(key: &'static str, value: &'static str) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), ..Default::default() }
}

/// Code and text of a refusal.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, text: &str) {
    let status = answer.expect_err("a refusal");
    assert_eq!((status.code(), status.message()), (code, text));
}
