//! What a member is told at its start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use model::Limits;
pub use transport::Tls as PeerTls;

use crate::auth_config::AuthConfig;

/// Settings of one member.
#[derive(Clone, Debug)]
pub struct Config {
    /// Human-readable name.
    pub name: String,
    /// Where everything is kept; created if it does not exist.
    pub data_dir: PathBuf,
    /// How the cluster is made or joined at the first start; ignored at every later one.
    pub initial_cluster: InitialCluster,
    /// Where peers are told to reach this member.
    pub peer_urls: Vec<String>,
    /// Where peers are listened for.
    pub peer_listen: PeerListen,
    /// Certificates for peer URLs with `https://`.
    pub peer_tls: Option<PeerTls>,
    /// Where clients reach this member.
    pub client_urls: Vec<String>,
    /// How often the leader says that it is there.
    pub heartbeat_interval: Duration,
    /// etcd's election timeout; also the grace that a new leader gives every lease.
    pub election_timeout: Duration,
    /// Applied entries between snapshots.
    pub snapshot_count: u64,
    /// Log entries kept behind a snapshot, so that a member that was away briefly needs none.
    pub catch_up_entries: u64,
    /// Largest proposal in bytes.
    pub request_bytes_max: usize,
    /// Bounds of a transaction.
    pub limits: Limits,
    /// When history is forgotten without being asked.
    pub auto_compaction: AutoCompaction,
    /// How often a quiet watcher that asked for it hears how far it is.
    pub watch_progress_interval: Duration,
    /// Whether changes of the membership that could cost the quorum are refused.
    pub strict_reconfig_check: bool,
    /// Learners that there may be at a time.
    pub learners_max: usize,
    /// What the member looks after by itself.
    pub upkeep: Upkeep,
    /// How users prove who they are.
    pub auth: AuthConfig,
}

/// What a member looks after by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Bytes of live keys and values beyond which nothing is admitted that takes more; none for no bound.
    pub quota_bytes: Option<u64>,
    /// Whether the alarm that a quota raised ends once there is space again.
    pub frees_quota_alarm: bool,
    /// How often the leader compares the data of all members, if at all.
    pub corrupt_check_interval: Option<Duration>,
    /// Whether the member compares its data with the others' before it serves.
    pub checks_at_start: bool,
}

/// etcd's quota where none is set, in bytes.
pub const QUOTA_BYTES: u64 = 2 << 30;

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            quota_bytes: Some(QUOTA_BYTES),
            frees_quota_alarm: true,
            corrupt_check_interval: None,
            checks_at_start: false,
        }
    }
}

/// The members that a cluster begins with, or that are asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialCluster {
    /// Peer URLs by name, this member's own among them.
    pub members: BTreeMap<String, Vec<String>>,
    /// Keeps clusters of the same addresses apart.
    pub token: String,
    /// Whether it is made now.
    pub state: ClusterState,
}

/// Whether a cluster exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// It is made now, by its first members together.
    New,
    /// This member was added to it.
    Existing,
}

/// Where peers are listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerListen {
    /// There, or the member does not start.
    At(Vec<String>),
    /// There, unless somebody else is: a cluster of one needs no peers until it grows.
    IfFree(Vec<String>),
}

/// When history is forgotten without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Never.
    Off,
    /// Keep what is younger than this.
    Periodic(Duration),
    /// Keep this many revisions.
    Revisions(i64),
}

impl Config {
    /// How long a request may wait: etcd's five seconds and two election timeouts.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election_timeout
    }

    /// Shortest TTL of a lease in seconds: one and a half election timeouts, rounded up, so that a lease outlives the
    /// choice of a new leader.
    #[must_use]
    pub fn lease_ttl_min(&self) -> i64 {
        let millis = i64::try_from(self.election_timeout.as_millis()).unwrap_or(i64::MAX / 4);
        (millis * 3 / 2 + 999) / 1000
    }
}
