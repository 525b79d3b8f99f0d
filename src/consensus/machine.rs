//! The state machine as openraft drives it: committed entries in groups go in, answers and changes come out.
//!
//! Owned by openraft's apply worker, which is the one owner of [`state::Machine`]. In this order for each group: the machine applies
//! it, the watermark rises, who proposed is answered, the batch goes to the [`ApplySink`]. Whoever has an answer can therefore read
//! what it says.

use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use model::AppliedBatch;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use parking_lot::Mutex;
use state::Machine;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::execution::Execution;
use crate::fault::FaultReport;
use crate::format::{decode_stored_membership, encode_stored_membership};
use crate::log_store::LogMarks;
use crate::maintenance::{Flushed, Maintenance};
use crate::meters::Meters;
use crate::pending::Pending;
use crate::roster::Roster;
use crate::snapshot::{self, Durable, SnapshotBuilder, SnapshotData};
use crate::types::{Entry, Payload, RaftLogId, StoredMembership, TypeConfig, model_log_id, raft_log_id};
use crate::watermark::Watermark;
use crate::{Committed, Error};

/// Entries of one group: large enough to share the machine's work, small enough that answers do not wait long.
const GROUP_ENTRIES_MAX: usize = 512;

/// Bytes of commands after which a group is closed.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Receives what each group changed, in log order and without a gap.
pub trait ApplySink: Send {
    /// Called on the apply worker, which waits: it must hand over and return, never block.
    fn applied(&mut self, batch: Arc<AppliedBatch>);

    /// The state was replaced by a newer one from another member: what came between is not told, and must be looked at. Must not
    /// block either.
    fn replaced(&mut self);
}

/// When the state is flushed although its memory is not full: the log must not grow without bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushBounds {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// The adapter.
pub(crate) struct StateMachine {
    /// Never locked: the mutex makes shareable, as openraft demands, what is reached through `&mut` only.
    owned: Mutex<Owned>,
    membership: StoredMembership,
    roster: Roster,
    pending: Pending,
    marks: LogMarks,
    watermark: Arc<Watermark>,
    blank_term: watch::Sender<u64>,
    maintenance: Maintenance,
    execution: Execution,
    bounds: FlushBounds,
    unflushed_entries: u64,
    unflushed_bytes: u64,
    meters: Meters,
    fault: FaultReport,
}

struct Owned {
    machine: Machine,
    sink: Box<dyn ApplySink>,
}

/// Who waits for the answer to an entry.
enum Waiter {
    /// Nobody on this member.
    Nobody,
    /// Who proposed it to this member as leader.
    Here(ApplyResponder<TypeConfig>),
    /// Who had the leader propose it.
    Forwarded(model::LogId, oneshot::Sender<Committed>),
}

/// Entries that are applied together.
#[derive(Default)]
struct Group {
    entries: Vec<state::Entry>,
    answers: Vec<Waiter>,
    bytes: usize,
    last: Option<RaftLogId>,
    blank_term: Option<u64>,
    membership: Option<StoredMembership>,
}

impl Group {
    fn push(&mut self, (entry, answer): (Entry, Option<ApplyResponder<TypeConfig>>), pending: &Pending) {
        let id = entry.log_id;
        let mut waiter = answer.map_or(Waiter::Nobody, Waiter::Here);
        let payload = match entry.payload {
            Payload::Blank => {
                self.blank_term = Some(id.leader_id.term);
                state::Payload::Blank
            }
            Payload::Normal(command) => {
                self.bytes += command.0.len();
                if let Some(forwarded) = pending.take(&command.0) {
                    waiter = Waiter::Forwarded(model_log_id(id), forwarded);
                }
                state::Payload::Command(command.0)
            }
            Payload::Membership(membership) => {
                let stored = StoredMembership::new(Some(id), membership);
                let encoded = encode_stored_membership(&stored);
                self.membership = Some(stored);
                state::Payload::Membership(encoded)
            }
        };
        self.entries.push(state::Entry { log_id: model_log_id(id), payload });
        self.answers.push(waiter);
        self.last = Some(id);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= GROUP_ENTRIES_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}

/// What an adapter is made of.
pub(crate) struct Parts {
    pub(crate) machine: Machine,
    pub(crate) sink: Box<dyn ApplySink>,
    pub(crate) bounds: FlushBounds,
    pub(crate) maintenance: Maintenance,
    pub(crate) marks: LogMarks,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) execution: Execution,
    pub(crate) meters: Meters,
    pub(crate) fault: FaultReport,
}

impl StateMachine {
    /// Takes over a machine that was opened.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the membership that it kept cannot be read.
    pub(crate) fn new(parts: Parts) -> Result<Self, Error> {
        let membership = decode_stored_membership(parts.machine.applied().1)?;
        let roster = Roster::new(membership.clone());
        Ok(Self {
            owned: Mutex::new(Owned { machine: parts.machine, sink: parts.sink }),
            membership,
            roster,
            pending: Pending::default(),
            marks: parts.marks,
            watermark: parts.watermark,
            blank_term: watch::Sender::new(0),
            maintenance: parts.maintenance,
            execution: parts.execution,
            bounds: parts.bounds,
            unflushed_entries: 0,
            unflushed_bytes: 0,
            meters: parts.meters,
            fault: parts.fault,
        })
    }

    /// Who belongs to the cluster, as of what was applied.
    pub(crate) fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Proposals that other members carry into the log.
    pub(crate) fn pending(&self) -> Pending {
        self.pending.clone()
    }

    /// Greatest term whose blank entry was applied.
    pub(crate) fn blank_term(&self) -> watch::Receiver<u64> {
        self.blank_term.subscribe()
    }

    async fn apply_group(&mut self, group: Group) -> Result<(), io::Error> {
        let Some(last) = group.last else { return Ok(()) };
        let count = group.entries.len();
        let owned = self.owned.get_mut();
        let begun = Instant::now();
        let applied = owned.machine.apply(group.entries).map_err(|fault| failed(&self.fault, fault))?;
        self.meters.applied(begun.elapsed());
        assert_eq!(applied.replies.len(), count, "one reply for each entry");

        if let Some(membership) = group.membership {
            self.roster.set(membership.clone());
            self.membership = membership;
        }
        self.watermark.advance(last.index + 1);
        for (waiter, reply) in group.answers.into_iter().zip(applied.replies) {
            match waiter {
                Waiter::Nobody => {}
                Waiter::Here(answer) => answer.send(reply),
                // Who gave up is not missed.
                Waiter::Forwarded(log_id, waiting) => drop(waiting.send(Committed { log_id, reply })),
            }
        }
        owned.sink.applied(Arc::new(applied.batch));
        // Last: who hears that this member leads finds everything of earlier terms told.
        if let Some(term) = group.blank_term {
            self.blank_term.send_replace(term);
        }

        self.unflushed_entries += count as u64;
        self.unflushed_bytes += group.bytes as u64;
        self.maintain(last).await;
        Ok(())
    }
}

impl StateMachine {
    /// Starts what the state needs done in the background. Waits only when the machine's memory is full and the flush that will
    /// relieve it is still under way: that is the back-pressure on proposals.
    async fn maintain(&mut self, last: RaftLogId) {
        let machine = &mut self.owned.get_mut().machine;
        if self.maintenance.is_flushing() {
            if machine.is_full() {
                self.maintenance.settle().await;
            }
        } else {
            let is_due = self.unflushed_entries >= self.bounds.entries || self.unflushed_bytes >= self.bounds.bytes;
            let job = if is_due { Some(machine.start_flush()) } else { machine.take_flush() };
            if let Some(job) = job {
                self.hand_over(job, last);
            }
        }
        let machine = &mut self.owned.get_mut().machine;
        self.maintenance.cleanup(|| machine.take_cleanup());
    }

    fn hand_over(&mut self, job: state::FlushJob, last: RaftLogId) {
        self.unflushed_entries = 0;
        self.unflushed_bytes = 0;
        self.maintenance.flush(job, Durable { last, membership: self.membership.clone() });
    }

    /// Starts a flush of all that is applied, unless one is under way or nothing is new. Returns what to wait for.
    pub(crate) fn flush(&mut self) -> (watch::Receiver<Flushed>, u64) {
        let last = self.owned.get_mut().machine.applied().0.map(raft_log_id);
        if let Some(last) = last
            && !self.maintenance.is_flushing()
            && self.maintenance.durable().is_none_or(|durable| durable.last < last)
        {
            let job = self.owned.get_mut().machine.start_flush();
            self.hand_over(job, last);
        }
        self.maintenance.progress()
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, StoredMembership), io::Error> {
        let applied = self.owned.get_mut().machine.applied().0.map(raft_log_id);
        Ok((applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let mut group = Group::default();
        while let Some(entry) = entries.try_next().await? {
            group.push(entry, &self.pending);
            if group.is_full() {
                self.apply_group(std::mem::take(&mut group)).await?;
            }
        }
        self.apply_group(group).await
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<SnapshotBuilder> {
        if self.maintenance.durable().is_none() {
            self.flush();
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let (flushed, started) = self.maintenance.progress();
        SnapshotBuilder { flushed, started }
    }

    /// The log is told first, so that a start that finds the new state knows where it came from.
    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData::Imported(imported) = snapshot else {
            return Err(io::Error::other("a snapshot that did not come from a peer"));
        };
        let last = meta.last_log_id.ok_or_else(|| io::Error::other("a snapshot of nothing"))?;
        let durable = Durable { last, membership: meta.last_membership.clone() };
        self.maintenance.settle().await;
        self.marks.installing(&durable).await?;
        let owned = self.owned.get_mut();
        owned.machine.install(*imported).map_err(|fault| failed(&self.fault, fault))?;
        self.maintenance.replaced(durable.clone());
        self.membership = durable.membership.clone();
        self.roster.set(durable.membership);
        (self.unflushed_entries, self.unflushed_bytes) = (0, 0);
        self.watermark.advance(last.index + 1);
        owned.sink.replaced();
        tracing::info!(%last, "installed a snapshot");
        Ok(())
    }

    /// The store as it is now, which may be newer than what openraft knows of.
    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        let export = self.owned.get_mut().machine.export().map_err(|fault| failed(&self.fault, fault))?;
        snapshot::of_export(export, self.execution.clone()).map_err(io::Error::other)
    }
}

fn failed(fault: &FaultReport, cause: state::Fault) -> io::Error {
    let error = io::Error::other(cause.to_string());
    fault.report(Error::State(cause));
    error
}
