//! The start and the end of a member: what is built in which order, and stopped in the reverse one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consensus::{LogPlace, PeerInfo, Tasks};
use state::{FjallPlace, Machine};
use thiserror::Error;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use watch::Hub;

use crate::compactor::Compactor;
use crate::config::{AutoCompaction, Config};
use crate::handle::{Handle, Inner};
use crate::history::StateHistory;
use crate::ids::{IdSource, wall_clock_ms};
use crate::inbox::facts;
use crate::keeper::keeper;
use crate::measures::Measures;
use crate::proposer::Proposer;
use crate::sink::Fan;
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
    /// A task ended that should not.
    #[error("the {0} ended unexpectedly")]
    Task(&'static str),
}

/// A running member.
pub struct Node {
    handle: Handle,
    consensus: Tasks,
    stop: latest::Sender<bool>,
    tasks: JoinSet<&'static str>,
    faults: mpsc::Receiver<consensus::Error>,
}

impl Node {
    /// Starts a member on the caller's runtime; returns when all that was committed before is applied again.
    ///
    /// # Errors
    ///
    /// [`Failure`]; nothing runs then, and a directory that was refused was not written to.
    pub async fn start(config: Config) -> Result<Self, Failure> {
        prepare(&config.data_dir)?;
        let machine = open_store(&config.data_dir.join("state")).await?;
        let reader = machine.reader();
        let (stop, stopping) = latest::channel(false);
        let (hub_handle, hub) = Hub::new(StateHistory(reader.clone()), config.watch_progress_interval);
        let (to_waiters, waiter_facts) = facts();
        let (to_keeper, keeper_facts) = facts();
        let measures = Arc::new(Measures::default());
        let sink = Fan::new(hub_handle.clone(), Arc::clone(&measures), to_waiters, to_keeper);
        let (report, faults) = mpsc::channel(1);
        let on_fault = Arc::new(move |fault| drop(report.try_send(fault)));
        let log = LogPlace::on_disk(config.data_dir.join("wal")).observed_by(Arc::clone(&measures) as _);
        let (consensus, consensus_tasks) =
            consensus::start(consensus_config(&config), machine, log, Box::new(sink), on_fault).await?;

        let ids = IdSource::new(config.member_id, wall_clock_ms());
        let timeout = config.request_timeout();
        let proposer =
            Arc::new(Proposer::new(consensus.clone(), ids, Arc::clone(&measures), config.request_bytes_max, timeout));
        let (waiters_handle, waiters) = waiters(reader.clone(), waiter_facts);
        let (keeper_handle, keeper) = keeper(
            reader.clone(),
            Arc::clone(&proposer),
            Arc::clone(&measures),
            keeper_facts,
            consensus.leadership(),
            config.election_timeout,
        );
        let compactor = Compactor {
            mode: config.auto_compaction,
            reader: reader.clone(),
            proposer: Arc::clone(&proposer),
            leadership: consensus.leadership(),
        };
        let mut tasks = JoinSet::new();
        spawn(&mut tasks, "watch hub", hub.run(stopping.clone()));
        spawn(&mut tasks, "recipe waiters", waiters.run(stopping.clone()));
        spawn(&mut tasks, "lease keeper", keeper.run(stopping.clone()));
        if compactor.mode != AutoCompaction::Off {
            spawn(&mut tasks, "compactor", compactor.run(stopping.clone()));
        }
        let handle = Handle::new(Inner {
            config,
            consensus,
            proposer,
            reader,
            hub: hub_handle,
            measures,
            keeper: keeper_handle,
            waiters: waiters_handle,
            stopping,
        });
        Ok(Self { handle, consensus: consensus_tasks, stop, tasks, faults })
    }

    /// The way to the member.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
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
        self.consensus.shutdown().await?;
        while self.tasks.join_next().await.is_some() {}
        Ok(())
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("handle", &self.handle).finish_non_exhaustive()
    }
}

fn spawn(tasks: &mut JoinSet<&'static str>, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        name
    });
}

fn consensus_config(config: &Config) -> consensus::Config {
    let members = BTreeMap::from([(config.member_id, PeerInfo { peer_urls: config.peer_urls.clone() })]);
    consensus::Config {
        heartbeat: config.heartbeat_interval,
        election_timeout: config.election_timeout,
        snapshot_count: config.snapshot_count,
        ..consensus::Config::new(config.cluster_id, config.member_id, members)
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

async fn open_store(path: &Path) -> Result<Machine, Failure> {
    let at = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let place = FjallPlace::at(&at)?;
        Machine::open(Arc::new(place), state::Options::default())
    });
    let opened = opened.await.map_err(|_| Failure::Task("opening of the store"))?;
    opened.map_err(|source| Failure::Store { path: path.to_owned(), source })
}
