//! The start of a member: open the log, hold the state against it, replay, and take part.
//!
//! The order of refusals: settings that contradict each other, a log of another owner, a state that does not fit the log. Nothing is
//! written to a directory that is refused, but that a torn end of its log is mended.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use openraft::errors::{InitializeError, RaftError};
use state::{Machine, Place};
use tokio::sync::{mpsc, watch};
use transport::{Dialer, Peer};

use crate::admission::Admission;
use crate::contact::Contact;
use crate::fault::{FaultReport, OnFault};
use crate::forward::{FORWARD_INBOX, ForwardTask};
use crate::handle::{Handle, Shared};
use crate::intake::Intake;
use crate::leadership::{Freshness, LeadershipTask};
use crate::log_store::{LogStore, LogThread};
use crate::machine::{self, ApplySink, FlushBounds, StateMachine};
use crate::maintenance::{Flushed, Maintenance, MaintenanceTask};
use crate::metered::Metered;
use crate::meters::Meters;
use crate::network::Network;
use crate::owner::Owner;
use crate::peers::Peers;
use crate::pending::Pending;
use crate::read_index::{READ_INBOX, ReadIndexTask};
use crate::removal::RemovalTask;
use crate::renewals::{RENEWAL_INBOX, RenewalTask};
use crate::roster::Roster;
use crate::service::Service;
use crate::snapshot::{self, Durable};
use crate::tail::next;
use crate::tasks::Tasks;
use crate::types::{MemberInfo, Raft, raft_log_id};
use crate::watermark::Watermark;
use crate::{Config, Error, Leadership, OpenedLog};

/// What a member is made of, besides its settings.
pub struct Parts {
    /// The state machine, as it was when the process last ended.
    pub machine: Machine,
    /// Where its store lives, and where one that a peer sends is built.
    pub place: Arc<dyn Place>,
    /// The log.
    pub log: OpenedLog,
    /// Opens connections to the other members.
    pub dialer: Arc<dyn Dialer>,
    /// Receives every batch, replayed ones included.
    pub sink: Box<dyn ApplySink>,
    /// Called at most once, and must end the process.
    pub on_fault: OnFault,
}

/// A member that runs.
pub struct Started {
    /// For the floors above.
    pub handle: Handle,
    /// What runs; to be shut down.
    pub tasks: Tasks,
    /// For the other members: what a listener has to serve. Until it does, this member hears nothing.
    pub peer: Arc<dyn Peer>,
}

/// Starts the consensus of this member on the runtime of the caller, and returns when everything committed before is applied again.
///
/// The first start makes the log and creates the cluster that `config` describes, or waits for the leader of the one that it joins;
/// every later one checks that the log is this member's.
///
/// # Errors
///
/// [`Error`]: nothing runs then. Only [`Error::Config`] is for the operator to mend in the settings; the rest is about the data.
pub async fn start(config: Config, parts: Parts) -> Result<Started, Error> {
    let Parts { machine, place, log, dialer, sink, on_fault } = parts;
    let raft_config = Arc::new(config.raft()?);
    let fault = FaultReport::new(on_fault);
    let identity = Owner { cluster: config.cluster, member: config.member };
    if log.owner()?.is_none() && !config.members.is_empty() && !config.members.contains_key(&config.member) {
        return Err(not_a_member());
    }
    let intake = Intake::new(place, log.execution());
    let meters = Meters::new();
    let Storage { log, thread, machine, maintenance, flushed, watermark } =
        Storage::new(&config, identity, log, machine, sink, &meters, &fault)?;
    let peers = Peers::new(identity, machine.roster(), dialer, meters.clone(), fault.clone());
    let (roster, pending, blank_term) = (machine.roster(), machine.pending(), machine.blank_term());

    // Before openraft: replaying may fill the machine's memory, and then waits for a flush.
    let admission = Admission::new(config.proposals_max, config.proposal_bytes_max);
    let mut tasks = Tasks::new(admission.clone(), thread, fault.clone());
    let maintained = maintenance.ended();
    tasks.spawn("the state's maintenance", maintenance.run());

    let is_new = log.is_empty();
    let network = Network { peers: peers.clone(), idle: 2 * config.election_timeout };
    let raft = match Raft::new(config.member.get(), raft_config, network, log, machine).await {
        Ok(raft) => raft,
        Err(fatal) => return Err(Error::Stopped(fatal.to_string())),
    };
    tasks.own(raft.clone());
    if let Err(error) = begin(&raft, &config, is_new).await {
        let _ = tasks.shutdown().await;
        return Err(error);
    }

    let contact = Contact::new();
    let freshness = Freshness {
        member: config.member,
        roster: roster.clone(),
        data: raft.data_metrics(),
        contact: contact.clone(),
        lease: config.lease(),
        silence: config.election_timeout,
    };
    tasks.spawn("the snapshot trigger", snapshot::trigger(raft.clone(), flushed));
    let task = RemovalTask { peers: peers.clone(), member: config.member, newest: roster.subscribe(), fault };
    tasks.spawn_until_stopping("the watch of the membership", task.run());
    let applied =
        Applied { roster: roster.clone(), pending, blank_term, maintained, watermark, meters: meters.clone() };
    let handle = serve(&config, &mut tasks, Core { raft, peers, admission, freshness }, applied);
    tasks.started(handle.clone());
    let service = Arc::new(Service { identity, handle: handle.clone(), contact, intake });
    let peer = Arc::new(Metered::serving(service, meters, roster));
    Ok(Started { handle, tasks, peer })
}

/// The adapters that openraft is given, and what stays with us of them.
struct Storage {
    log: LogStore,
    thread: LogThread,
    machine: StateMachine,
    maintenance: MaintenanceTask,
    flushed: watch::Receiver<Flushed>,
    watermark: Arc<Watermark>,
}

impl Storage {
    fn new(
        config: &Config,
        identity: Owner,
        log: OpenedLog,
        machine: Machine,
        sink: Box<dyn ApplySink>,
        meters: &Meters,
        fault: &FaultReport,
    ) -> Result<Self, Error> {
        let applied = machine.applied().0.map(raft_log_id);
        let (flushed_sender, flushed) = watch::channel(Flushed { count: 0, durable: durable(&machine)? });
        let execution = log.execution();
        let (log, thread) = LogStore::new(log, identity, flushed.clone(), fault.clone())?;
        log.reconcile(applied)?;
        let watermark = Arc::new(Watermark::new(next(applied)));
        let (worker, maintenance) =
            Maintenance::new(flushed_sender, log.completions(), execution.clone(), meters.clone(), fault.clone());
        let machine = StateMachine::new(machine::Parts {
            machine,
            sink,
            bounds: FlushBounds { entries: config.snapshot_count, bytes: config.snapshot_bytes },
            maintenance: worker,
            marks: log.marks(),
            watermark: watermark.clone(),
            execution,
            meters: meters.clone(),
            fault: fault.clone(),
        })?;
        Ok(Self { log, thread, machine, maintenance, flushed, watermark })
    }
}

/// What decides.
struct Core {
    raft: Raft,
    peers: Peers,
    admission: Arc<Admission>,
    freshness: Freshness,
}

/// What the apply worker tells.
struct Applied {
    roster: Roster,
    pending: Pending,
    blank_term: watch::Receiver<u64>,
    maintained: watch::Receiver<u64>,
    watermark: Arc<Watermark>,
    meters: Meters,
}

/// Spawns what answers callers, and returns the way to it.
fn serve(config: &Config, tasks: &mut Tasks, core: Core, applied: Applied) -> Handle {
    let Core { raft, peers, admission, freshness } = core;
    let Applied { roster, pending, blank_term, maintained, watermark, meters } = applied;
    let (leadership_sender, leadership) = watch::channel(Leadership::None);
    let task = LeadershipTask {
        metrics: raft.server_metrics(),
        blank_term: blank_term.clone(),
        freshness: freshness.clone(),
        leadership: leadership_sender,
        tick: config.heartbeat,
    };
    tasks.spawn("the watch of the leadership", task.run());
    let (reads, inbox) = mpsc::channel(READ_INBOX);
    let task = ReadIndexTask { raft: raft.clone(), peers: peers.clone(), inbox, leadership: leadership.clone() };
    tasks.spawn_until_stopping("the read-index loop", task.run());
    let (forwards, inbox) = mpsc::channel(FORWARD_INBOX);
    let task = ForwardTask { peers: peers.clone(), inbox };
    tasks.spawn_until_stopping("the forwarding of proposals", task.run());
    let (renewals, inbox) = mpsc::channel(RENEWAL_INBOX);
    let task = RenewalTask { peers: peers.clone(), inbox };
    tasks.spawn_until_stopping("the forwarding of keepalives", task.run());
    Handle::new(Shared {
        member: config.member,
        roster,
        peers,
        heartbeat: config.heartbeat,
        reconfiguration: config.reconfiguration,
        admission,
        pending,
        forwards,
        renewals,
        reads,
        leadership,
        freshness,
        blank_term,
        maintained,
        watermark,
        lease_authority: OnceLock::new(),
        hash_source: OnceLock::new(),
        meters,
        server: raft.server_metrics(),
        data: raft.data_metrics(),
        raft,
    })
}

pub(crate) fn not_a_member() -> Error {
    Error::Config("this member is not among the initial members".to_owned())
}

/// What an opened machine holds is on disk.
fn durable(machine: &Machine) -> Result<Option<Durable>, Error> {
    let (last, membership) = machine.applied();
    let membership = crate::format::decode_stored_membership(membership)?;
    Ok(last.map(|last| Durable { last: raft_log_id(last), membership }))
}

/// Creates the cluster at the very first start, as every one of its first members does, unless this one joins. At a later one, a member
/// that is its cluster's only voter stands for election at once, instead of at openraft's next tick.
async fn begin(raft: &Raft, config: &Config, is_new: bool) -> Result<(), Error> {
    if is_new && config.members.is_empty() {
        return Ok(());
    }
    if is_new {
        let members: BTreeMap<u64, MemberInfo> =
            config.members.iter().map(|(member, info)| (member.get(), info.clone())).collect();
        return match raft.initialize(members).await {
            // Another member may have been faster, with the same members.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
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
