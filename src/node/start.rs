//! The start and the end of a member: what is built in which order, and stopped in the reverse one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consensus::{Execution, LogPlace, OpenedLog, Owner, Reconfiguration, Tasks};
use state::{FjallPlace, Machine, Place, Reader};
use thiserror::Error;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use transport::{Dialer, Listener, Network, Peer, Tls};
use watch::{Hub, HubHandle};

use crate::announcement::Announcement;
use crate::auth::{Authentication, Tokens};
use crate::bootstrap::{BootstrapError, Founding, found, found_before};
use crate::config::{Config, PeerListen};
use crate::corruption::{Comparison, KeyHashes};
use crate::handle::{Handle, Inner};
use crate::history::StateHistory;
use crate::ids::{IdSource, WallClock, wall_clock_ms};
use crate::inbox::{FactReceiver, facts};
use crate::jwt::JwtKeyError;
use crate::keeper::keeper;
use crate::measures::Measures;
use crate::passwords::Passwords;
use crate::proposer::Proposer;
use crate::queues::Turns;
use crate::simple_tokens::SimpleTokens;
use crate::sink::Fan;
use crate::upkeep;
use crate::waiters::waiters;

/// Why a member cannot start, or had to stop.
#[derive(Debug, Error)]
pub enum Failure {
    /// The data directory cannot be used.
    #[error("data directory {path}", path = path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data directory is that of an etcd.
    #[error("data directory {path} belongs to etcd; name another with --data-dir", path = path.display())]
    EtcdData {
        /// Which.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error("store {path}", path = path.display())]
    Store {
        /// Where.
        path: PathBuf,
        /// Why.
        source: state::Fault,
    },
    /// Log or consensus failed. Nothing that comes after can be trusted, so the process ends.
    #[error(transparent)]
    Consensus(#[from] consensus::Error),
    /// The member cannot be made, or cannot join.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The peer port cannot be listened on.
    #[error("--listen-peer-urls")]
    PeerPort(#[from] transport::SetupError),
    /// The peer port is taken, and the cluster has other members.
    #[error("no port to serve peers on, and the cluster has other members: set --listen-peer-urls")]
    NoPeerPort,
    /// The member's data are not those of the others. Compare them by HashKV; replace the member that differs from most.
    #[error("this member's data differ from those of others, and --initial-corrupt-check is set")]
    OtherData,
    /// Tokens cannot be made or checked.
    #[error("--auth-token")]
    AuthToken(#[from] JwtKeyError),
    /// A task ended that should not.
    #[error("the {0} ended unexpectedly")]
    Task(&'static str),
}

/// What a member runs on: the machine and the network, or what a simulation has in their place.
pub struct Environment {
    /// Where the log is kept.
    pub log: LogPlace,
    /// Where the state's store lives.
    pub place: Arc<dyn Place>,
    /// Opens connections to the other members.
    pub dialer: Arc<dyn Dialer>,
    /// Tells the time of day, for identities and records.
    pub wall_clock: WallClock,
}

/// A running member.
pub struct Node {
    handle: Handle,
    peer: Arc<dyn Peer>,
    consensus: Tasks,
    announced: latest::Receiver<bool>,
    stop: latest::Sender<bool>,
    /// Where peers are served, until the consensus has ended: a leader that hands over still needs them.
    peers_served: Option<PeersServed>,
    tasks: JoinSet<&'static str>,
    faults: mpsc::Receiver<consensus::Error>,
}

/// What a member has before it takes part.
struct Base {
    identity: Owner,
    execution: Execution,
    authentication: Authentication,
    reader: Reader,
    measures: Arc<Measures>,
    wall_clock: WallClock,
    hub: Hub,
    hub_handle: HubHandle,
}

struct PeersServed {
    stop: latest::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Node {
    /// Starts a member on the caller's runtime; returns when all that was committed before is applied again.
    ///
    /// # Errors
    ///
    /// [`Failure`]; nothing runs then, and a directory that was refused was not written to.
    pub async fn start(config: Config) -> Result<Self, Failure> {
        // The port first: one in use is said before anything is touched.
        let listener = listen(&config.peer_listen, config.peer_tls.as_ref()).await?;
        let network = match &config.peer_tls {
            Some(tls) => Network::with_tls(tls)?,
            None => Network::new(),
        };
        prepare(&config.data_dir)?;
        let path = config.data_dir.join("state");
        let place = FjallPlace::at(&path).map_err(|source| Failure::Store { path, source })?;
        let environment = Environment {
            log: LogPlace::on_disk(config.data_dir.join("wal")),
            place: Arc::new(place),
            dialer: Arc::new(network),
            wall_clock: Arc::new(wall_clock_ms),
        };
        let mut node = Self::start_in(config, environment).await?;
        match listener {
            Some(listener) => node.serve_peers(listener),
            None if node.handle.members().len() > 1 => {
                node.stop().await?;
                return Err(Failure::NoPeerPort);
            }
            None => {}
        }
        if node.handle.config().upkeep.checks_at_start && node.handle.differs_from_others().await {
            node.stop().await?;
            return Err(Failure::OtherData);
        }
        Ok(node)
    }

    /// Starts a member in an environment of the caller's, which has to serve [`Self::peer`] to the other members.
    ///
    /// # Errors
    ///
    /// [`Failure`]; nothing runs then.
    pub async fn start_in(config: Config, environment: Environment) -> Result<Self, Failure> {
        let Environment { log, place, dialer, wall_clock } = environment;
        let execution = log.execution.clone();
        let measures = Arc::new(Measures::default());
        let log = log.observed_by(Arc::clone(&measures) as _);
        let log = execution.blocking(move || log.open()).await??;
        let founding = match log.owner()? {
            Some(identity) => found_before(&config, identity),
            None => found(&config, &*dialer).await?,
        };
        let (log, machine) = open_store(&config.data_dir, log, Arc::clone(&place), &*dialer).await?;
        let reader = machine.reader();
        let (hub_handle, hub) =
            Hub::new(StateHistory(reader.clone()), config.watch_progress_interval, reads(&execution));
        let (to_waiters, waiter_facts) = facts();
        let (to_keeper, keeper_facts) = facts();
        let applied = machine.applied().0.unwrap_or_default().index;
        let simple = Arc::new(SimpleTokens::new(config.auth.simple_ttl, config.election_timeout, applied));
        let tokens = Tokens::new(&config.auth, Arc::clone(&simple))?;
        let passwords = Passwords::new(config.auth.bcrypt_cost, execution.clone());
        let authentication = Authentication { tokens, passwords };
        let sink = Fan::new(hub_handle.clone(), Arc::clone(&measures), to_waiters, to_keeper, simple);
        let (report, faults) = mpsc::channel(1);
        let parts = consensus::Parts {
            machine,
            place,
            log,
            dialer,
            sink: Box::new(sink),
            on_fault: Arc::new(move |fault| drop(report.try_send(fault))),
        };
        let identity = founding.identity;
        let started = consensus::start(consensus_config(&config, founding), parts).await?;
        let base = Base { identity, execution, authentication, reader, measures, wall_clock, hub, hub_handle };
        Ok(Self::assemble(config, base, started, waiter_facts, keeper_facts, faults))
    }

    /// Adds clocks and tasks to what decides.
    fn assemble(
        config: Config,
        base: Base,
        started: consensus::Started,
        waiter_facts: FactReceiver,
        keeper_facts: FactReceiver,
        faults: mpsc::Receiver<consensus::Error>,
    ) -> Self {
        let Base { identity, execution, authentication, reader, measures, wall_clock, hub, hub_handle } = base;
        let consensus::Started { handle: consensus, tasks: consensus_tasks, peer } = started;
        let (stop, stopping) = latest::channel(false);
        let ids = IdSource::new(identity.member, wall_clock());
        let timeout = config.request_timeout();
        let bytes_max = config.request_bytes_max;
        let proposer = Proposer::new(consensus.clone(), ids, wall_clock, Arc::clone(&measures), bytes_max, timeout);
        let proposer = Arc::new(proposer);
        let (waiters_handle, waiters) = waiters(reader.clone(), waiter_facts);
        let (keeper_handle, keeper) = keeper(
            reader.clone(),
            Arc::clone(&proposer),
            Arc::clone(&measures),
            keeper_facts,
            consensus.leadership(),
            config.election_timeout,
        );
        consensus.serve_leases(Arc::new(keeper_handle.clone()));
        let hashes = KeyHashes { reader: reader.clone(), execution: execution.clone() };
        consensus.serve_hashes(Arc::new(hashes.clone()));
        let comparison = Comparison { member: identity.member, hashes, consensus: consensus.clone() };
        let announcement = Announcement::new(&config, identity.member, consensus.clone());
        let announced = announcement.said();
        let mut tasks = JoinSet::new();
        spawn(&mut tasks, "watch hub", hub.run(stopping.clone()));
        spawn(&mut tasks, "recipe waiters", waiters.run(stopping.clone()));
        spawn(&mut tasks, "lease keeper", keeper.run(stopping.clone()));
        spawn(&mut tasks, "announcement", announcement.run(stopping.clone()));
        let handle = Handle::new(Inner {
            config,
            identity,
            execution,
            authentication,
            consensus,
            proposer,
            reader,
            hub: hub_handle,
            measures,
            keeper: keeper_handle,
            waiters: waiters_handle,
            turns: Turns::default(),
            defragment: Arc::default(),
            comparison,
            stopping,
        });
        upkeep::begin(&handle, &mut tasks);
        Self { handle, peer, consensus: consensus_tasks, announced, stop, peers_served: None, tasks, faults }
    }

    fn serve_peers(&mut self, listener: Listener) {
        for address in listener.addresses() {
            tracing::info!(%address, "serving peers");
        }
        let (stop, mut stopping) = latest::channel(false);
        let told = async move { drop(stopping.wait_for(|stop| *stop).await) };
        let task = tokio::spawn(listener.serve(Arc::clone(&self.peer), told));
        self.peers_served = Some(PeersServed { stop, task });
    }

    /// The member as its peers see it.
    #[must_use]
    pub fn peer(&self) -> Arc<dyn Peer> {
        Arc::clone(&self.peer)
    }

    /// The way to the member.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns when the cluster knows this member's name and addresses, as etcd's do before they serve clients. Without a quorum it
    /// takes until there is one.
    pub async fn announced(&self) {
        let _ = self.announced.clone().wait_for(|said| *said).await;
    }

    /// Returns when the member cannot go on: stop it then.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn failed(&mut self) -> Failure {
        tokio::select! {
            Some(fault) = self.faults.recv() => fault.into(),
            Some(ended) = self.tasks.join_next() => Failure::Task(ended.unwrap_or("task that panicked")),
        }
    }

    /// Says that the end is near: streams end, what is new is refused. [`Node::stop`] follows when they are gone.
    pub fn begin_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops the member: proposals under way are answered, the state is flushed, all tasks are awaited. Takes at most about
    /// three seconds.
    ///
    /// # Errors
    ///
    /// [`Failure`] when the log could not be closed. Acknowledged writes are safe regardless.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.begin_to_stop();
        let stopped = self.consensus.shutdown().await;
        if let Some(PeersServed { stop, task }) = self.peers_served {
            let _ = stop.send(true);
            let _ = task.await;
        }
        while self.tasks.join_next().await.is_some() {}
        Ok(stopped?)
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("handle", &self.handle).finish_non_exhaustive()
    }
}

pub(crate) fn spawn(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(async move {
        task.await;
        name
    });
}

/// Binds the peer port; none if it may be missing and is taken.
async fn listen(peer_listen: &PeerListen, tls: Option<&Tls>) -> Result<Option<Listener>, Failure> {
    let (PeerListen::At(urls) | PeerListen::IfFree(urls)) = peer_listen;
    let bound = match tls {
        Some(tls) => Listener::bind_with_tls(urls, tls).await,
        None => Listener::bind(urls).await,
    };
    match (bound, peer_listen) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), PeerListen::At(_)) => Err(error.into()),
        (Err(error), PeerListen::IfFree(_)) => {
            tracing::warn!(%error, "no peers are served: set --listen-peer-urls before this cluster is to grow");
            Ok(None)
        }
    }
}

fn reads(execution: &Execution) -> watch::Reads {
    match execution {
        Execution::Threads => watch::Reads::OnThreads,
        Execution::Inline(_) => watch::Reads::Inline,
    }
}

fn consensus_config(config: &Config, founding: Founding) -> consensus::Config {
    let Founding { identity, members } = founding;
    consensus::Config {
        heartbeat: config.heartbeat_interval,
        election_timeout: config.election_timeout,
        snapshot_count: config.snapshot_count,
        catch_up_entries: config.catch_up_entries,
        reconfiguration: Reconfiguration { strict: config.strict_reconfig_check, learners_max: config.learners_max },
        ..consensus::Config::new(identity.cluster, identity.member, members)
    }
}

/// Makes the data directory, for its owner alone.
fn prepare(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;

    if path.join("member").exists() {
        return Err(Failure::EtcdData { path: path.to_owned() });
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Failure::DataDir { path: path.to_owned(), source })
}

async fn open_store(
    data_dir: &Path,
    log: OpenedLog,
    place: Arc<dyn Place>,
    dialer: &dyn Dialer,
) -> Result<(OpenedLog, Machine), Failure> {
    let opened = consensus::open_state(log, place, dialer, state::Options::default()).await;
    opened.map_err(|error| match error {
        consensus::Error::State(source) => Failure::Store { path: data_dir.join("state"), source },
        other => other.into(),
    })
}
