//! The deterministic machine: a function of the state and the next log entry, and of nothing else.
//!
//! It owns the writing side of everything: revisions, leases, queues, overlays. It has no clock, no randomness, no thread; the jobs
//! that it hands out are run by its owner. Two machines fed the same entries give the same answers and the same hash, however
//! differently their flushes fall.
//!
//! A command is drafted against the state, then either dropped with its [`Rejection`] or committed; see `draft.rs`. A group of
//! entries becomes visible to readers at once, at its end.
//!
//! Memory is bounded by the owner: after each group it takes a flush if one is due, and when [`Machine::is_full`] while a flush is
//! under way it waits for that before it applies more.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use model::{
    AlarmChange, AppliedBatch, AuthChange, AuthCommand, Change, Command, Event, EventKind, Identity, LeaseChange,
    LeaseCheckpoint, LeaseId, LogId, Proposal, Rejection, Revision,
};

use crate::alarm::{self, Alarms};
use crate::auth::Auth;
use crate::cleanup::CleanupJob;
use crate::draft::{Draft, Written};
use crate::export::Export;
use crate::facts::FactBook;
use crate::flush::FlushJob;
use crate::format::Head;
use crate::import::Imported;
use crate::layers::{Layers, Shared, Sight};
use crate::ledger::Book;
use crate::outcome::{Applied, Entry, Outcome, Payload, Reply};
use crate::overlay::{Overlay, Seal};
use crate::permission::permit;
use crate::place::Place;
use crate::queues::Queues;
use crate::resident::Resident;
use crate::storage::Storage;
use crate::{Fault, ReadError, Reader, downgrade, txn};

/// Largest TTL of a lease in seconds (etcd's figure). Checked at the edge too; here so that no entry can get around it.
const LEASE_TTL_MAX: i64 = 9_000_000_000;

/// How the machine runs. Decides no outcome: members may differ.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of memory in the overlay after which a flush is due. At most twice as much is held: one overlay fills while the other
    /// is flushed.
    pub flush_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { flush_bytes: 32 * 1024 * 1024 }
    }
}

/// See the top of this file.
pub struct Machine {
    shared: Arc<Shared>,
    /// The same, where readers look for it.
    published: Arc<ArcSwap<Shared>>,
    head: Head,
    membership: Bytes,
    queues: Queues,
    facts: FactBook,
    /// Those among the facts.
    alarms: Alarms,
    auth: Arc<Auth>,
    options: Options,
}

/// What a group has changed so far.
struct Group {
    sight: Sight,
    changes: Vec<Change>,
    leases: Vec<LeaseChange>,
    auth: Vec<AuthChange>,
}

impl Machine {
    /// Takes up the current state of `place`, or begins an empty one. Takes as long as loading the leases; the number of keys does not
    /// matter. Feed it the entries after [`Machine::applied`] next.
    ///
    /// # Errors
    ///
    /// [`Fault::ForeignData`], [`Fault::UnknownFormat`], [`Fault::Damaged`], [`Fault::Storage`].
    pub fn open(place: Arc<dyn Place>, options: Options) -> Result<Self, Fault> {
        let storage = place.open()?;
        let resident = Resident::open(&*storage)?;
        Self::of(storage, resident, options)
    }

    /// Puts the state of another member in the place of one that cannot be opened or is of no use, durably, and takes it up.
    ///
    /// # Errors
    ///
    /// As [`Self::install`], but that any state may be replaced.
    pub fn open_imported(imported: Imported, options: Options) -> Result<Self, Fault> {
        let (storage, resident) = imported.publish()?;
        Self::of(storage, resident, options)
    }

    fn of(storage: Arc<dyn Storage>, resident: Resident, options: Options) -> Result<Self, Fault> {
        let Resident { head, membership, cursor, leases, facts } = resident;
        let alarms = Alarms::of(&facts)?;
        let (auth, facts) = (Arc::new(Auth::load(&facts)?), FactBook::new(facts));
        let readable = (Arc::clone(facts.facts()), Arc::clone(&auth));
        let shared = Arc::new(Shared::new(storage, &head, cursor, leases, readable));
        let published = Arc::new(ArcSwap::new(Arc::clone(&shared)));
        Ok(Self { shared, published, head, membership, queues: Queues::default(), facts, alarms, auth, options })
    }

    /// Puts the state of another member in the place of this one, durably, and lets readers see it. Reads that are under way end on
    /// the state that they began on; jobs that were handed out may still be run, and reach nothing that is seen. Readers are
    /// shown no changes in between: whoever follows them has to read anew.
    ///
    /// # Errors
    ///
    /// [`Fault::OutOfOrder`] when it is older than what is applied here, [`Fault::Superseded`] when another import was begun after
    /// it: nothing has changed. Any other: end the process; the next start finds one state or the other.
    pub fn install(&mut self, imported: Imported) -> Result<(), Fault> {
        if imported.applied().map(|id| id.index) < self.head.applied.map(|id| id.index) {
            let log_id = imported.applied().unwrap_or_default();
            return Err(Fault::OutOfOrder { log_id, applied: self.head.applied });
        }
        let (storage, Resident { head, membership, cursor, leases, facts }) = imported.publish()?;
        self.alarms = Alarms::of(&facts)?;
        (self.auth, self.facts) = (Arc::new(Auth::load(&facts)?), FactBook::new(facts));
        let readable = (Arc::clone(self.facts.facts()), Arc::clone(&self.auth));
        self.shared = Arc::new(Shared::new(storage, &head, cursor, leases, readable));
        (self.head, self.membership, self.queues) = (head, membership, Queues::default());
        self.published.store(Arc::clone(&self.shared));
        Ok(())
    }

    /// The state for another member, as of the last flush that is complete: see [`Export`].
    ///
    /// # Errors
    ///
    /// [`Fault`].
    pub fn export(&self) -> Result<Export, Fault> {
        Export::new(&*self.shared.storage)
    }

    /// A reader of this machine's state.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.published))
    }

    /// The facts, to be changed without a command.
    #[cfg(test)]
    pub(crate) fn facts_mut(&mut self) -> &mut FactBook {
        &mut self.facts
    }

    /// What a reader would find now.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The last entry applied, and the newest membership among those applied, empty if there was none.
    #[must_use]
    pub fn applied(&self) -> (Option<LogId>, Bytes) {
        (self.head.applied, self.membership.clone())
    }

    /// Applies a group of entries and makes it visible as a whole. Each must follow the one before, and the first the last one
    /// applied; the first entry of a log has index 0. Group what is at hand: making a group visible has a cost of its own.
    ///
    /// # Errors
    ///
    /// [`Fault`]: the machine is half-way through and must not be used again. [`Fault::OutOfOrder`] also for an empty group.
    pub fn apply(&mut self, entries: Vec<Entry>) -> Result<Applied, Fault> {
        // What readers may be denied already must not decide here: only the log does.
        let mut sight = Sight::at(&self.shared, self.head.revision);
        sight.compact_revision = self.head.compact_revision;
        let mut group =
            Group { sight, changes: Vec::with_capacity(entries.len()), leases: Vec::new(), auth: Vec::new() };
        let mut replies = Vec::with_capacity(entries.len());
        for Entry { log_id, payload } in entries {
            self.check_order(log_id)?;
            let result = match payload {
                Payload::Blank => Ok(Outcome::Nothing),
                Payload::Membership(membership) => {
                    self.membership = membership;
                    Ok(Outcome::Nothing)
                }
                Payload::Command(encoded) => self.execute(&mut group, log_id, encoded)?,
            };
            self.head.applied = Some(log_id);
            replies.push(Reply { revision: self.head.revision, result });
        }
        let applied = self.head.applied.ok_or(Fault::OutOfOrder { log_id: LogId::default(), applied: None })?;
        self.publish();
        let Head { revision, compact_revision, .. } = self.head;
        let Group { changes, leases, auth, .. } = group;
        Ok(Applied { replies, batch: AppliedBatch { applied, revision, compact_revision, changes, leases, auth } })
    }

    /// Shows readers the group that was applied.
    fn publish(&self) {
        // Whoever sees the group's revision must find its facts.
        if !Arc::ptr_eq(&self.shared.facts.load(), self.facts.facts()) {
            self.shared.facts.store(Arc::clone(self.facts.facts()));
            self.shared.auth.store(Arc::clone(&self.auth));
        }
        self.shared.publish(&self.head);
    }

    /// A gap would make this member differ from the others in silence, an entry applied twice as well.
    fn check_order(&self, log_id: LogId) -> Result<(), Fault> {
        let follows = match self.head.applied {
            Some(applied) => log_id.index.get() == applied.index.get() + 1 && log_id.term >= applied.term,
            None => log_id.index.get() == 0,
        };
        if follows { Ok(()) } else { Err(Fault::OutOfOrder { log_id, applied: self.head.applied }) }
    }

    fn execute(
        &mut self,
        group: &mut Group,
        log_id: LogId,
        encoded: Bytes,
    ) -> Result<Result<Outcome, Rejection>, Fault> {
        let malformed = |reason: String| Fault::MalformedEntry { log_id, reason };
        let proposal = Proposal::decode(encoded).map_err(|error| malformed(error.to_string()))?;
        let permitted = permit(&self.auth, &self.shared.leases, &proposal.identity, &proposal.command);
        if let Err(rejection) = permitted.and_then(|()| self.alarms.check(&proposal.command)) {
            return Ok(Err(rejection));
        }
        let outcome = match proposal.command {
            Command::Put(put) => self.draft(group, |draft, _| {
                draft.check_put(&put)?;
                draft.put(&put).map(Outcome::Put)
            }),
            Command::Delete(delete) => self.draft(group, |draft, _| draft.delete(&delete).map(Outcome::Delete)),
            Command::Txn(txn) => self.draft(group, |draft, _| txn::execute(draft, &txn).map(Outcome::Txn)),
            Command::Recipe(encoded) => {
                let recipe = recipes::Command::decode(encoded).map_err(|error| malformed(error.to_string()))?;
                self.recipe(group, &proposal.identity, &recipe)
            }
            Command::Compact { revision } => self.compact(group, revision).map_err(ReadError::from),
            Command::LeaseGrant { id, ttl } => self.grant(group, id, ttl).map_err(ReadError::from),
            Command::LeaseRevoke { id } => self.revoke(group, id),
            Command::LeaseCheckpoint(checkpoints) => Ok(self.checkpoint(group, &checkpoints)),
            Command::Alarm(change) => self.change_alarms(change).map_err(ReadError::from),
            Command::Downgrade { target } => {
                // A copy: the fact outlives the log entry that it came in.
                let target = target.map(|target| Bytes::copy_from_slice(&target));
                Ok(Outcome::Downgrade { before: downgrade::change(&mut self.facts, target) })
            }
            Command::Auth(command) => self.change_auth(group, log_id, command).map_err(ReadError::from),
        };
        match outcome {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(ReadError::Rejected(rejection)) => Ok(Err(rejection)),
            Err(ReadError::Fault(fault)) => Err(fault),
        }
    }

    /// Lets `command` write a draft and commits it unless it is refused.
    fn draft(
        &mut self,
        group: &mut Group,
        command: impl FnOnce(&mut Draft<'_>, &mut Queues) -> Result<Outcome, ReadError>,
    ) -> Result<Outcome, ReadError> {
        let mut draft = Draft::new(&group.sight, &self.shared.leases);
        let outcome = command(&mut draft, &mut self.queues)?;
        let Written { events, granted } = draft.finish();
        for (id, ttl) in granted {
            self.grant(group, id, ttl)?;
        }
        self.commit(group, events);
        Ok(outcome)
    }

    fn recipe(
        &mut self,
        group: &mut Group,
        identity: &Identity,
        recipe: &recipes::Command,
    ) -> Result<Outcome, ReadError> {
        let auth = Arc::clone(&self.auth);
        let rights = auth.rights(identity)?;
        let is_space_used_up = self.alarms.is_space_used_up();
        self.draft(group, |draft, queues| {
            let outcome = recipes::apply(recipe, &mut Book { draft, queues, rights }).map(Outcome::Recipe)?;
            if is_space_used_up && draft.takes_space() {
                return Err(Rejection::NoSpace.into());
            }
            Ok(outcome)
        })
    }

    fn change_auth(&mut self, group: &mut Group, log_id: LogId, command: AuthCommand) -> Result<Outcome, Rejection> {
        self.auth.check(&command)?;
        group.auth.extend(Arc::make_mut(&mut self.auth).execute(command, log_id.index, &mut self.facts));
        Ok(Outcome::AuthChanged)
    }

    /// Makes events part of the state, in one new revision.
    fn commit(&mut self, group: &mut Group, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let change = Change { revision: self.head.revision.next(), events: events.into() };
        if change.events.iter().any(concerns_lease) {
            let mut leases = self.shared.leases.write();
            change.events.iter().for_each(|event| leases.follow(event));
        }
        for event in &*change.events {
            self.queues.follow(event);
            self.head.live_bytes = self.head.live_bytes.wrapping_add_signed(growth(event));
        }
        group.sight.layers.active.add(&change);
        self.head.revision = change.revision;
        group.sight.revision = change.revision;
        group.changes.push(change);
    }

    fn compact(&mut self, group: &mut Group, revision: Revision) -> Result<Outcome, Rejection> {
        if revision > self.head.revision {
            return Err(Rejection::FutureRevision);
        }
        // The first compaction may name revision zero, which compacts nothing.
        let is_first = self.head.compact_revision == Revision::ZERO;
        if revision < self.head.compact_revision || (revision == self.head.compact_revision && !is_first) {
            return Err(Rejection::Compacted);
        }
        self.head.compact_revision = revision;
        group.sight.compact_revision = revision;
        Ok(Outcome::Compacted)
    }

    fn grant(&mut self, group: &mut Group, id: LeaseId, ttl: i64) -> Result<Outcome, Rejection> {
        if ttl > LEASE_TTL_MAX {
            return Err(Rejection::LeaseTtlTooLarge);
        }
        self.shared.leases.write().grant(id, ttl)?;
        group.leases.push(LeaseChange::Granted { id, ttl });
        Ok(Outcome::LeaseGranted { id, ttl })
    }

    fn revoke(&mut self, group: &mut Group, id: LeaseId) -> Result<Outcome, ReadError> {
        let keys = self.shared.leases.read().keys(id).ok_or(Rejection::LeaseNotFound)?;
        self.draft(group, |draft, _| {
            for key in keys {
                let victim = draft.get(&key)?.ok_or(Fault::Damaged("a lease has a key that does not exist"))?;
                draft.delete_live(victim);
            }
            Ok(Outcome::LeaseRevoked)
        })?;
        self.shared.leases.write().revoke(id);
        group.leases.push(LeaseChange::Revoked { id });
        Ok(Outcome::LeaseRevoked)
    }

    fn change_alarms(&mut self, change: AlarmChange) -> Result<Outcome, Fault> {
        let alarm = alarm::change(&mut self.facts, change)?;
        self.alarms = Alarms::of(self.facts.facts())?;
        Ok(Outcome::Alarm(alarm))
    }

    fn checkpoint(&mut self, group: &mut Group, checkpoints: &[LeaseCheckpoint]) -> Outcome {
        let mut leases = self.shared.leases.write();
        for LeaseCheckpoint { id, remaining } in checkpoints.iter().copied() {
            if leases.checkpoint(id, remaining) {
                group.leases.push(LeaseChange::Checkpointed { id, remaining });
            }
        }
        Outcome::LeasesCheckpointed
    }
}

impl Machine {
    /// Whether the overlay has reached its bound. While a flush is under way: wait for it before applying more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let overlay = self.shared.layers.load().active.bytes();
        overlay + self.shared.leases.read().unflushed_bytes() + self.facts.unflushed_bytes() >= self.options.flush_bytes
    }

    /// A flush, if the overlay has reached its bound and no earlier one is unfinished.
    pub fn take_flush(&mut self) -> Option<FlushJob> {
        let is_due = self.is_full() && self.shared.layers.load().frozen.is_none();
        is_due.then(|| self.start_flush())
    }

    /// A flush of all that is applied, whatever its size; if an earlier one is unfinished, that one again, which reaches less far.
    pub fn start_flush(&mut self) -> FlushJob {
        let layers = self.shared.layers.load_full();
        if let Some(frozen) = &layers.frozen {
            return FlushJob::new(Arc::clone(&self.shared), Arc::clone(frozen));
        }
        let frozen = Arc::clone(&layers.active);
        frozen.freeze(Seal {
            head: self.head,
            membership: self.membership.clone(),
            leases: self.shared.leases.write().take_unflushed(),
            facts: self.facts.take_unflushed(),
        });
        let active = Arc::new(Overlay::new(self.head.revision));
        self.shared.layers.store(Arc::new(Layers { active, frozen: Some(Arc::clone(&frozen)) }));
        FlushJob::new(Arc::clone(&self.shared), frozen)
    }

    /// A cleanup, if the store holds what a compaction has dropped.
    pub fn take_cleanup(&mut self) -> Option<CleanupJob> {
        self.shared.is_cleanup_due().then(|| CleanupJob::new(Arc::clone(&self.shared)))
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("head", &self.head).finish_non_exhaustive()
    }
}

fn concerns_lease(event: &Event) -> bool {
    event.kv.lease.is_some() || event.previous.as_ref().is_some_and(|previous| previous.lease.is_some())
}

/// By how many bytes an event makes the live keys and values grow.
fn growth(event: &Event) -> i64 {
    let size = |key: &Bytes, value: &Bytes| i64::try_from(key.len() + value.len()).unwrap_or(i64::MAX);
    let before = event.previous.as_ref().map_or(0, |previous| size(&event.kv.key, &previous.value));
    match event.kind {
        EventKind::Put => size(&event.kv.key, &event.kv.value) - before,
        EventKind::Delete => -before,
    }
}
