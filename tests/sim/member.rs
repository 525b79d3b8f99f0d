//! How one member is set up: its settings and what stands in for the world around it.

use std::sync::Arc;
use std::time::Duration;

use consensus::SimLife;
use model::Limits;
use node::{AutoCompaction, ClusterState, Config, Environment, Failure, InitialCluster, Node, PeerListen};
use state::MemoryPlace;

use crate::connection::{SimDialer, url};
use crate::disk::Disk;
use crate::network::{Network, Place};

/// Keeps this cluster's ids apart from another's, as an operator's token does.
const TOKEN: &str = "simulated";

/// When all clocks began, in milliseconds of the epoch.
const DAWN: u64 = 1_800_000_000_000;

/// A member's place, settings and disks: all but the process.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) disk: Disk,
    pub(crate) store: Arc<MemoryPlace>,
    /// How fast its clock runs, in thousandths of the true one.
    pub(crate) clock: u64,
    /// By how many milliseconds its time of day is late.
    pub(crate) late: u64,
    /// Applied entries after which the state is flushed and the log purged.
    pub(crate) snapshot_count: u64,
    /// The members that the cluster begins with, or those that are there when this one joins.
    pub(crate) members: Vec<Place>,
    /// Whether it makes the cluster or joins it.
    pub(crate) cluster: ClusterState,
}

impl Site {
    /// A duration of true time as this member's clock has it: by timers of other lengths, since all clocks here are one.
    fn by_its_clock(&self, millis: u64) -> Duration {
        Duration::from_millis(millis * 1000 / self.clock)
    }

    fn config(&self) -> Config {
        let members = self.members.iter().map(|place| (format!("m{place}"), vec![url(*place)]));
        let initial_cluster =
            InitialCluster { members: members.collect(), token: TOKEN.to_owned(), state: self.cluster };
        Config {
            name: format!("m{}", self.place),
            data_dir: "/member".into(),
            initial_cluster,
            peer_urls: vec![url(self.place)],
            peer_listen: PeerListen::At(Vec::new()),
            peer_tls: None,
            client_urls: vec![format!("http://m{}:2379", self.place)],
            heartbeat_interval: self.by_its_clock(100),
            election_timeout: self.by_its_clock(1000),
            snapshot_count: self.snapshot_count,
            catch_up_entries: self.snapshot_count / 2,
            request_bytes_max: 1 << 20,
            limits: Limits::default(),
            auto_compaction: AutoCompaction::Off,
            watch_progress_interval: Duration::from_secs(2),
            strict_reconfig_check: true,
            learners_max: 1,
            upkeep: node::Upkeep::default(),
            auth: node::AuthConfig::default(),
        }
    }
}

/// Starts a member.
///
/// # Errors
///
/// [`Failure`].
pub(crate) async fn start(site: &Site, network: Network, life: SimLife) -> Result<Node, Failure> {
    let (trace, late) = (network.trace.clone(), site.late);
    let environment = Environment {
        log: site.disk.log_place(),
        place: site.store.clone(),
        dialer: Arc::new(SimDialer { network, from: site.place, life }),
        wall_clock: Arc::new(move || DAWN + trace.now() / 1000 - late),
    };
    Node::start_in(site.config(), environment).await
}
