//! A member alone, for tests of this crate that need a whole one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use model::Limits;
use tokio::time::Instant;

use crate::{AutoCompaction, ClusterState, Config, InitialCluster, Node, PeerListen, Upkeep};

pub(crate) const URL: &str = "http://127.0.0.1:1";

pub(crate) fn alone(name: &str, token: &str) -> InitialCluster {
    let members = BTreeMap::from([(name.to_owned(), vec![URL.to_owned()])]);
    InitialCluster { members, token: token.to_owned(), state: ClusterState::New }
}

/// Runs it, and returns when it leads.
pub(crate) async fn start(data_dir: PathBuf) -> Node {
    let node = Node::start(Config {
        name: "a".to_owned(),
        data_dir,
        initial_cluster: alone("a", "before"),
        peer_urls: vec![URL.to_owned()],
        peer_listen: PeerListen::At(vec!["http://127.0.0.1:0".to_owned()]),
        peer_tls: None,
        client_urls: vec!["http://127.0.0.1:2".to_owned()],
        heartbeat_interval: Duration::from_millis(20),
        election_timeout: Duration::from_millis(200),
        snapshot_count: 100_000,
        catch_up_entries: 5_000,
        request_bytes_max: 1 << 20,
        limits: Limits::default(),
        auto_compaction: AutoCompaction::Off,
        watch_progress_interval: Duration::from_secs(600),
        strict_reconfig_check: true,
        learners_max: 1,
        auth: crate::AuthConfig::default(),
        upkeep: Upkeep::default(),
    })
    .await
    .unwrap();
    node.announced().await;
    node.handle().wait_for_leader(Instant::now() + Duration::from_secs(10)).await.unwrap();
    node
}
