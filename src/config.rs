//! Command line and environment: etcd's flags and `ETCD_*` variables, checked into what a member is started with.
//!
//! A flag beats its variable, and both beat the file. What etcd knows and this version does not act on is in [`crate::compat`].

mod address;
mod certificates;
mod cluster;
mod duration;
mod file;
mod port;
mod secrets;
mod upkeep;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::Offer;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use model::Limits;
use node::AutoCompaction;

use certificates::TlsFlags;
use cluster::check_peer_url;
use duration::parse_duration;
use port::PortFlags;
use secrets::SecretFlags;
use upkeep::UpkeepFlags;

pub(crate) use address::{Listen, Url};
pub(crate) use cluster::parse_members;
pub(crate) use file::with_file;

use crate::auth_flags::AuthFlags;
use crate::snapshot::{ImportTask, SnapshotTask};

/// Agreement for services: locks, elections, configuration, over the etcd v3 API and plain HTTP.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

impl Cli {
    /// The flags of a member, when one is to be run.
    pub(crate) fn server_flags(&self) -> Option<&ServerFlags> {
        match &self.task {
            Some(Task::Server(flags)) => Some(flags),
            Some(
                Task::Wal { .. }
                | Task::Snapshot { .. }
                | Task::Import { .. }
                | Task::Completion { .. }
                | Task::Man { .. },
            ) => None,
            None => Some(&self.server),
        }
    }
}

/// What to do; without a word, serve.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run a member: what happens without a subcommand as well.
    Server(Box<ServerFlags>),
    /// Look into a write-ahead log.
    Wal {
        #[command(subcommand)]
        task: WalTask,
    },
    /// Look into a snapshot that was saved, or make a member of a new cluster from it.
    Snapshot {
        #[command(subcommand)]
        task: SnapshotTask,
    },
    /// Make a member of a new cluster from another program's data.
    Import {
        #[command(subcommand)]
        task: ImportTask,
    },
    /// Print a script for completing commands.
    Completion {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Write a manual page for every command.
    Man {
        /// The folder that the pages are written into; it is made.
        dir: PathBuf,
    },
}

/// What to do with a write-ahead log.
#[derive(Debug, Subcommand)]
pub(crate) enum WalTask {
    /// Print every record, up to the first damage.
    Dump {
        /// The `wal` folder of a data directory.
        dir: PathBuf,
    },
}

/// How auto-compaction counts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CompactionMode {
    /// By age.
    Periodic,
    /// By number of revisions.
    Revision,
}

/// Whether the cluster exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClusterState {
    /// It is made now.
    New,
    /// This member joins it.
    Existing,
}

impl From<ClusterState> for node::ClusterState {
    fn from(state: ClusterState) -> Self {
        match state {
            ClusterState::New => Self::New,
            ClusterState::Existing => Self::Existing,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Console,
    /// One JSON object a line.
    Json,
}

/// Flags of a member, each with etcd's name, variable and default.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerFlags {
    /// Human-readable name of this member
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    name: String,
    /// Where everything is kept [default: NAME.quorate]
    #[arg(long, env = "ETCD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// A file of etcd's form with settings that neither flags nor the environment say
    #[arg(long, env = "ETCD_CONFIG_FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Addresses to serve clients on: gRPC, JSON, REST, docs and metrics, all on one port
    #[arg(long, env = "ETCD_LISTEN_CLIENT_URLS", value_delimiter = ',', default_value = "http://localhost:2379")]
    listen_client_urls: Vec<String>,
    /// Addresses to serve HTTP alone on; those of --listen-client-urls then serve gRPC alone
    #[arg(long, env = "ETCD_LISTEN_CLIENT_HTTP_URLS", value_delimiter = ',')]
    listen_client_http_urls: Vec<String>,
    /// Addresses to serve metrics and health alone on
    #[arg(long, env = "ETCD_LISTEN_METRICS_URLS", value_delimiter = ',')]
    listen_metrics_urls: Vec<String>,
    /// Addresses that clients are told [default: those listened on]
    #[arg(long, env = "ETCD_ADVERTISE_CLIENT_URLS", value_delimiter = ',')]
    advertise_client_urls: Vec<String>,
    /// Addresses to serve the other members on [default: http://localhost:2380, which a cluster of one can do without]
    #[arg(long, env = "ETCD_LISTEN_PEER_URLS", value_delimiter = ',')]
    listen_peer_urls: Vec<String>,
    /// Addresses that peers are told; this member's identity is made of them
    #[arg(
        long,
        env = "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        value_delimiter = ',',
        default_value = "http://localhost:2380"
    )]
    initial_advertise_peer_urls: Vec<String>,
    /// Members of the cluster, NAME=URL,..., this one among them; only looked at by a first start [default: this member]
    #[arg(long, env = "ETCD_INITIAL_CLUSTER")]
    initial_cluster: Option<String>,
    /// Whether the cluster is made now or exists already
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_STATE", value_enum, default_value = "new")]
    initial_cluster_state: ClusterState,
    /// Keeps clusters of the same addresses apart
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_TOKEN", default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// Milliseconds between heartbeats
    #[arg(long, env = "ETCD_HEARTBEAT_INTERVAL", default_value_t = 100)]
    heartbeat_interval: u64,
    /// Milliseconds without a heartbeat before an election; at least five heartbeats
    #[arg(long, env = "ETCD_ELECTION_TIMEOUT", default_value_t = 1000)]
    election_timeout: u64,
    /// Applied entries after which the state is written out at the latest, and the log behind it may go
    #[arg(long, env = "ETCD_SNAPSHOT_COUNT", default_value_t = 100_000)]
    snapshot_count: u64,
    /// Log entries that are kept behind that: a member that misses more is sent the state
    #[arg(
        long,
        alias = "experimental-snapshot-catchup-entries",
        env = "ETCD_SNAPSHOT_CATCHUP_ENTRIES",
        default_value_t = node::CATCH_UP_ENTRIES
    )]
    snapshot_catchup_entries: u64,
    #[command(flatten)]
    tls: TlsFlags,
    /// Refuse changes of the membership that could cost the quorum
    #[arg(
        long,
        env = "ETCD_STRICT_RECONFIG_CHECK",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    strict_reconfig_check: bool,
    /// Members that may follow without a vote at a time
    #[arg(long, alias = "experimental-max-learners", env = "ETCD_MAX_LEARNERS", default_value_t = 1)]
    max_learners: usize,
    /// Most operations in a branch of a transaction
    #[arg(long, env = "ETCD_MAX_TXN_OPS", default_value_t = 128)]
    max_txn_ops: usize,
    /// Largest proposal in bytes
    #[arg(long, env = "ETCD_MAX_REQUEST_BYTES", default_value_t = 1_572_864)]
    max_request_bytes: usize,
    #[command(flatten)]
    port: PortFlags,
    /// How history is forgotten without being asked
    #[arg(long, env = "ETCD_AUTO_COMPACTION_MODE", value_enum, default_value = "periodic")]
    auto_compaction_mode: CompactionMode,
    /// What is kept: a duration (a bare number is hours) or a number of revisions; 0 is everything
    #[arg(long, env = "ETCD_AUTO_COMPACTION_RETENTION", default_value = "0")]
    auto_compaction_retention: String,
    /// How often a quiet watcher that asked for it hears how far it is
    #[arg(
        long,
        alias = "experimental-watch-progress-notify-interval",
        env = "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL",
        default_value = "10m"
    )]
    watch_progress_notify_interval: String,
    #[command(flatten)]
    upkeep: UpkeepFlags,
    #[command(flatten)]
    secrets: SecretFlags,
    #[command(flatten)]
    auth: AuthFlags,
    /// debug, info, warn or error
    #[arg(long, env = "ETCD_LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, env = "ETCD_LOG_FORMAT", value_enum, default_value = "console")]
    log_format: LogFormat,
    /// Where log lines go: stderr, stdout, discard, or files to add to
    #[arg(long, env = "ETCD_LOG_OUTPUTS", value_delimiter = ',', default_value = "default")]
    log_outputs: Vec<String>,
}

/// All that is needed to run a member, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) node: node::Config,
    pub(crate) listen: Vec<Listen>,
    /// For those of `listen` where TLS is spoken.
    pub(crate) client_tls: Option<tls::Server>,
    pub(crate) api: api::Options,
    pub(crate) log_level: String,
    pub(crate) log_format: LogFormat,
    pub(crate) log_outputs: Vec<String>,
}

impl ServerFlags {
    /// Checks the flags against each other.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag, what is wrong with it, and what it takes.
    pub(crate) fn settings(&self) -> Result<Settings> {
        ensure!(!self.name.is_empty() && !self.name.contains(['=', ',']), "--name must be set and hold no '=' or ','");
        ensure!(
            self.election_timeout >= 5 * self.heartbeat_interval && self.election_timeout <= 50_000,
            "--election-timeout ({} ms) must be at least five times --heartbeat-interval ({} ms) and at most 50000",
            self.election_timeout,
            self.heartbeat_interval
        );
        ensure!(self.heartbeat_interval > 0, "--heartbeat-interval must be above 0");
        ensure!(self.snapshot_count > 0, "--snapshot-count must be above 0");
        ensure!(self.snapshot_catchup_entries > 0, "--snapshot-catchup-entries must be above 0");
        ensure!(self.max_txn_ops > 0, "--max-txn-ops must be above 0");
        ensure!(self.max_request_bytes > 0, "--max-request-bytes must be above 0");
        let listen = self.listen()?;
        for url in &self.advertise_client_urls {
            Url::parse(url).with_context(|| format!("--advertise-client-urls: {url:?}"))?;
        }
        let data_dir = self.data_dir.clone().unwrap_or_else(|| format!("{}.quorate", self.name).into());
        let peer_tls = self.tls.peer(&data_dir, self.peer_urls())?;
        for url in self.peer_urls() {
            check_peer_url(url, peer_tls.is_some())?;
        }
        let client_tls = self.tls.client(&data_dir, self.served_urls())?;
        ensure!(
            client_tls.is_some() == listen.iter().any(|listen| listen.is_tls),
            "URLs of clients with https:// need --cert-file and --key-file, or --auto-tls; and the other way round"
        );
        Ok(Settings {
            node: node::Config {
                name: self.name.clone(),
                data_dir,
                initial_cluster: self.initial_cluster(peer_tls.is_some())?,
                peer_urls: self.initial_advertise_peer_urls.clone(),
                peer_listen: self.peer_listen(),
                peer_tls,
                client_urls: self.client_urls().to_vec(),
                heartbeat_interval: Duration::from_millis(self.heartbeat_interval),
                election_timeout: Duration::from_millis(self.election_timeout),
                snapshot_count: self.snapshot_count,
                catch_up_entries: self.snapshot_catchup_entries,
                request_bytes_max: self.max_request_bytes,
                limits: Limits { txn_ops_max: self.max_txn_ops },
                auto_compaction: self.auto_compaction()?,
                watch_progress_interval: parse_duration(&self.watch_progress_notify_interval)
                    .context("--watch-progress-notify-interval")?
                    .max(Duration::from_millis(100)),
                strict_reconfig_check: self.strict_reconfig_check,
                learners_max: self.max_learners,
                upkeep: self.upkeep.upkeep()?,
                auth: self.auth.auth()?,
            },
            listen,
            client_tls,
            api: api::Options { config_secret_key: self.secrets.key()?, ..self.port.options(self.max_request_bytes)? },
            log_level: self.log_level.clone(),
            log_format: self.log_format,
            log_outputs: self.log_outputs.clone(),
        })
    }

    fn client_urls(&self) -> &[String] {
        if self.advertise_client_urls.is_empty() { &self.listen_client_urls } else { &self.advertise_client_urls }
    }

    fn peer_urls(&self) -> impl Iterator<Item = &String> + Clone {
        self.listen_peer_urls.iter().chain(&self.initial_advertise_peer_urls)
    }

    /// All URLs at which clients are served.
    fn served_urls(&self) -> impl Iterator<Item = &String> + Clone {
        let http = self.listen_client_http_urls.iter().chain(&self.listen_metrics_urls);
        self.listen_client_urls.iter().chain(http).chain(&self.advertise_client_urls)
    }

    fn listen(&self) -> Result<Vec<Listen>> {
        let offer = if self.listen_client_http_urls.is_empty() { Offer::Everything } else { Offer::Grpc };
        let mut listen = Vec::new();
        for (flag, urls, offer) in [
            ("--listen-client-urls", &self.listen_client_urls, offer),
            ("--listen-client-http-urls", &self.listen_client_http_urls, Offer::Http),
            ("--listen-metrics-urls", &self.listen_metrics_urls, Offer::Observation),
        ] {
            for url in urls {
                listen.push(Listen::parse(url, offer).with_context(|| format!("{flag}: {url:?}"))?);
            }
        }
        Ok(listen)
    }

    fn auto_compaction(&self) -> Result<AutoCompaction> {
        let retention = self.auto_compaction_retention.as_str();
        let number = retention.parse::<u32>().ok();
        if number == Some(0) {
            return Ok(AutoCompaction::Off);
        }
        match self.auto_compaction_mode {
            CompactionMode::Revision => {
                let keep = number.with_context(|| {
                    format!("--auto-compaction-retention {retention:?} is not a number of revisions")
                })?;
                Ok(AutoCompaction::Revisions(keep.into()))
            }
            CompactionMode::Periodic => match number {
                Some(hours) => Ok(AutoCompaction::Periodic(Duration::from_secs(u64::from(hours) * 3600))),
                None => {
                    let period = parse_duration(retention).context("--auto-compaction-retention")?;
                    ensure!(period > Duration::ZERO, "--auto-compaction-retention must be above 0, or \"0\" for none");
                    Ok(AutoCompaction::Periodic(period))
                }
            },
        }
    }
}

/// Whether a variable of the environment is one that a flag reads.
pub(crate) fn is_known_variable(variable: &str) -> bool {
    let server = Cli::command();
    server.get_arguments().any(|flag| flag.get_env().is_some_and(|env| env == variable))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
