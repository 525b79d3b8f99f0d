//! The start of a member: open the log, hold the state against it, replay, and take part.
//!
//! The order of refusals: settings that contradict each other, a log of another owner, a state that does not fit the log. Nothing is
//! written to a directory that is refused, but that a torn end of its log is mended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use openraft::errors::{InitializeError, RaftError};
use state::Machine;
use tokio::sync::{mpsc, watch};

use crate::admission::Admission;
use crate::fault::{FaultReport, OnFault};
use crate::handle::{Handle, Shared};
use crate::identity::Identity;
use crate::leadership::LeadershipTask;
use crate::log_store::LogStore;
use crate::machine::{ApplySink, FlushBounds, StateMachine};
use crate::maintenance::{Flushed, Maintenance};
use crate::network::NoPeers;
use crate::read_index::{READ_INBOX, ReadIndexTask};
use crate::snapshot::{self, Durable};
use crate::tail::next;
use crate::tasks::Tasks;
use crate::types::{PeerInfo, Raft, raft_log_id};
use crate::watermark::Watermark;
use crate::{Config, Error, Leadership};

/// Where the log is kept.
#[derive(Clone, Debug)]
pub struct LogPlace {
    /// The file system; tests put a failing one here.
    pub fs: Arc<dyn wal::Fs>,
    /// The log's directory; made if absent.
    pub dir: PathBuf,
    /// How it is kept.
    pub options: wal::Options,
}

impl LogPlace {
    /// A directory of this machine, kept as usual.
    #[must_use]
    pub fn on_disk(dir: impl Into<PathBuf>) -> Self {
        Self { fs: Arc::new(wal::RealFs), dir: dir.into(), options: wal::Options::default() }
    }

    /// The same, with somebody who is told of writes and syncs.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn wal::Observer>) -> Self {
        self.options.observer = observer;
        self
    }

    pub(crate) fn is_taken(&self) -> Result<bool, Error> {
        wal::Log::exists(&*self.fs, &self.dir).map_err(|error| Error::Log(Arc::new(error)))
    }
}

/// Starts the consensus of this member on the runtime of the caller, and returns when everything committed before is applied again.
///
/// The first start makes the log and creates the cluster that `config` describes; every later one checks that the log is this
/// member's. `sink` receives every batch, replayed ones included. `on_fault` is called at most once, and must end the process.
///
/// # Errors
///
/// [`Error`]: nothing runs then. Only [`Error::Config`] is for the operator to mend in the settings; the rest is about the data.
pub async fn start(
    config: Config,
    machine: Machine,
    log: LogPlace,
    sink: Box<dyn ApplySink>,
    on_fault: OnFault,
) -> Result<(Handle, Tasks), Error> {
    let raft_config = Arc::new(config.raft()?);
    let fault = FaultReport::new(on_fault);
    let identity = Identity { cluster: config.cluster, member: config.member };

    if !config.members.contains_key(&config.member) && !log.is_taken()? {
        return Err(not_a_member());
    }
    let applied = machine.applied().0.map(raft_log_id);
    let (flushed_sender, flushed) = watch::channel(Flushed { count: 0, durable: durable(&machine)? });
    let (log, thread) = LogStore::open(&log, identity, flushed.clone(), fault.clone())?;
    log.check(applied)?;

    let watermark = Arc::new(Watermark::new(next(applied)));
    let (maintenance, maintenance_task) = Maintenance::new(flushed_sender, log.completions(), fault.clone());
    let bounds = FlushBounds { entries: config.snapshot_count, bytes: config.snapshot_bytes };
    let machine = StateMachine::new(machine, sink, bounds, maintenance, watermark.clone(), fault.clone())?;
    let blank_term = machine.blank_term();

    // Before openraft: replaying may fill the machine's memory, and then waits for a flush.
    let admission = Admission::new(config.proposals_max, config.proposal_bytes_max);
    let mut tasks = Tasks::new(admission.clone(), thread, fault);
    tasks.spawn("the state's maintenance", maintenance_task.run());

    let is_new = log.is_empty();
    let raft = match Raft::new(config.member.get(), raft_config, NoPeers, log, machine).await {
        Ok(raft) => raft,
        Err(fatal) => return Err(Error::Stopped(fatal.to_string())),
    };
    tasks.own(raft.clone());
    if let Err(error) = begin(&raft, &config, is_new).await {
        let _ = tasks.shutdown().await;
        return Err(error);
    }

    tasks.started();
    let (leadership_sender, leadership) = watch::channel(Leadership::None);
    let (reads, inbox) = mpsc::channel(READ_INBOX);
    let task = LeadershipTask {
        member: config.member,
        metrics: raft.server_metrics(),
        blank_term,
        leadership: leadership_sender,
    };
    tasks.spawn("the watch of the leadership", task.run());
    let task = ReadIndexTask { raft: raft.clone(), inbox, leadership: leadership.clone(), phase: tasks.phase() };
    tasks.spawn("the read-index loop", task.run());
    tasks.spawn("the snapshot trigger", snapshot::trigger(raft.clone(), flushed));

    let (server, data) = (raft.server_metrics(), raft.data_metrics());
    Ok((Handle::new(Shared { raft, admission, reads, leadership, watermark, server, data }), tasks))
}

fn not_a_member() -> Error {
    Error::Config("this member is not among the initial members".to_owned())
}

/// What an opened machine holds is on disk.
fn durable(machine: &Machine) -> Result<Option<Durable>, Error> {
    let (last, membership) = machine.applied();
    let membership = crate::format::decode_stored_membership(membership)?;
    Ok(last.map(|last| Durable { last: raft_log_id(last), membership }))
}

/// Creates the cluster at the very first start. At a later one, a member that is its cluster's only voter stands for election at
/// once, instead of at openraft's next tick.
async fn begin(raft: &Raft, config: &Config, is_new: bool) -> Result<(), Error> {
    if is_new {
        let members: BTreeMap<u64, PeerInfo> =
            config.members.iter().map(|(member, info)| (member.get(), info.clone())).collect();
        return match raft.initialize(members).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotInMembers(_))) => Err(not_a_member()),
            Err(error) => Err(Error::Stopped(error.to_string())),
        };
    }
    // Asked of the core, since its metrics say nothing before it ran once.
    let voters = raft.with_raft_state(|state| state.membership_state.effective().voter_ids().collect::<Vec<_>>()).await;
    let is_sole_voter = voters.map_err(|fatal| Error::Stopped(fatal.to_string()))? == [config.member.get()];
    if is_sole_voter {
        raft.trigger().elect(false).await.map_err(|fatal| Error::Stopped(fatal.to_string()))?;
    }
    Ok(())
}
