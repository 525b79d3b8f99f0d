//! What a member is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use model::{ClusterId, Limits, MemberId};

/// Settings of one member.
#[derive(Clone, Debug)]
pub struct Config {
    /// Human-readable name.
    pub name: String,
    /// Where everything is kept; created if it does not exist.
    pub data_dir: PathBuf,
    /// Identity of the cluster.
    pub cluster_id: ClusterId,
    /// Identity of this member.
    pub member_id: MemberId,
    /// Where peers reach this member.
    pub peer_urls: Vec<String>,
    /// Where clients reach this member.
    pub client_urls: Vec<String>,
    /// How often the leader says that it is there.
    pub heartbeat_interval: Duration,
    /// etcd's election timeout; also the grace that a new leader gives every lease.
    pub election_timeout: Duration,
    /// Applied entries between snapshots.
    pub snapshot_count: u64,
    /// Largest proposal in bytes.
    pub request_bytes_max: usize,
    /// Bounds of a transaction.
    pub limits: Limits,
    /// When history is forgotten without being asked.
    pub auto_compaction: AutoCompaction,
    /// How often a quiet watcher that asked for it hears how far it is.
    pub watch_progress_interval: Duration,
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
