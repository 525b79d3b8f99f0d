//! A machine with what surrounds it in a node: its storage, its log, and somebody who runs its jobs.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use model::{
    Change, Command, DeleteRequest, Identity, KeyRange, LeaseId, LogId, LogIndex, Op, Proposal, PutRequest,
    RangeRequest, Rejection, Revision, Term, TxnRequest,
};
use tempfile::TempDir;

use crate::{
    Applied, Entry, Fault, FjallPlace, Import, Imported, Machine, MemoryPlace, Options, Outcome, Payload, Place,
    Reader, Reply, Storage,
};

/// So that tests on disk find a directory that goes with them.
pub(super) struct Disk(Option<TempDir>);

pub(super) struct Rig {
    pub(super) machine: Option<Machine>,
    pub(super) place: Arc<dyn Place>,
    disk: Disk,
    log: Vec<Entry>,
}

/// Small enough that a few writes are worth a flush.
const OPTIONS: Options = Options { flush_bytes: 4 * 1024 };

impl Rig {
    pub(super) fn in_memory() -> Self {
        Self::over(Arc::new(MemoryPlace::new()), Disk(None))
    }

    pub(super) fn on_disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = FjallPlace::at(directory.path().join("state")).unwrap();
        Self::over(Arc::new(place), Disk(Some(directory)))
    }

    /// One of each kind.
    pub(super) fn both() -> [Self; 2] {
        [Self::in_memory(), Self::on_disk()]
    }

    fn over(place: Arc<dyn Place>, disk: Disk) -> Self {
        let machine = Machine::open(Arc::clone(&place), OPTIONS).unwrap();
        Self { machine: Some(machine), place, disk, log: Vec::new() }
    }

    /// Over a storage in which there may be something already.
    pub(super) fn on(storage: Arc<dyn Storage>) -> Self {
        Self::over(Arc::new(MemoryPlace::over(storage)), Disk(None))
    }

    /// Applies what the machine has not of a log that another one has applied.
    pub(super) fn replay(&mut self, commands: &[Command]) {
        self.log = (0..).zip(commands).map(|(index, command)| entry(index, command.clone())).collect();
        self.crash();
    }

    /// Where the place is.
    pub(super) fn path(&self) -> PathBuf {
        self.disk.0.as_ref().unwrap().path().join("state")
    }

    /// Where the current store is.
    fn store_path(&self) -> PathBuf {
        self.path().join(std::fs::read_to_string(self.path().join("current")).unwrap().trim())
    }

    /// Files that hold what was flushed.
    pub(super) fn tables(&self) -> Vec<PathBuf> {
        let tables = (1..=3).map(|shelf| self.store_path().join(format!("keyspaces/{shelf}/tables")));
        tables.flat_map(|tables| std::fs::read_dir(tables).unwrap()).map(|file| file.unwrap().path()).collect()
    }

    pub(super) fn close(&mut self) {
        self.machine = None;
    }

    pub(super) fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().unwrap()
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.machine.as_ref().unwrap().shared().storage)
    }

    pub(super) fn reader(&self) -> Reader {
        self.machine.as_ref().unwrap().reader()
    }

    /// Applies commands as one group.
    pub(super) fn apply(&mut self, commands: impl IntoIterator<Item = Command>) -> Applied {
        let first = self.log.len() as u64;
        let entries: Vec<Entry> = (first..).zip(commands).map(|(index, command)| entry(index, command)).collect();
        self.log.extend(entries.clone());
        self.machine().apply(entries).unwrap()
    }

    /// Applies one command in a group of its own.
    pub(super) fn reply(&mut self, command: Command) -> Reply {
        self.apply([command]).replies.remove(0)
    }

    /// Applies one command of somebody's, in a group of its own.
    pub(super) fn reply_to(&mut self, identity: Identity, command: Command) -> Reply {
        let entry = entry_of(self.log.len() as u64, identity, command);
        self.log.push(entry.clone());
        self.machine().apply(vec![entry]).unwrap().replies.remove(0)
    }

    pub(super) fn ok(&mut self, command: Command) -> Outcome {
        self.reply(command).result.unwrap()
    }

    pub(super) fn refused(&mut self, command: Command) -> Rejection {
        self.reply(command).result.unwrap_err()
    }

    /// Puts a key without a lease and returns the revision.
    pub(super) fn put(&mut self, key: &str, value: &str) -> Revision {
        self.reply(put(key, value)).revision
    }

    pub(super) fn flush(&mut self) {
        self.machine().start_flush().run().unwrap();
    }

    pub(super) fn clean(&mut self) {
        if let Some(job) = self.machine().take_cleanup() {
            while job.run().unwrap() {}
        }
    }

    /// Loses all memory, and starts again from what the storage holds and the log. Both are what a real node has left.
    pub(super) fn crash(&mut self) {
        self.restart();
        self.replay_at_most(usize::MAX);
    }

    /// Applies the next entries of the log that the machine has not applied yet.
    pub(super) fn replay_at_most(&mut self, count: usize) {
        let next = self.machine().applied().0.map_or(0, |applied| applied.index.get() + 1);
        let lost = self.log.iter().skip(usize::try_from(next).unwrap()).take(count).cloned().collect::<Vec<_>>();
        if !lost.is_empty() {
            self.machine().apply(lost).unwrap();
        }
    }

    /// Applies what another one has applied and this one has not.
    pub(super) fn catch_up(&mut self, other: &Self) {
        self.log = other.log.clone();
        self.replay_at_most(usize::MAX);
    }

    /// Takes the state of another one over, as last flushed there.
    pub(super) fn take_over(&mut self, other: &Self) {
        let imported = self.import(other.reader().export().unwrap().pieces(300));
        self.machine().install(imported).unwrap();
    }

    /// Takes pieces in, many small groups of them.
    pub(super) fn import(&self, pieces: impl Iterator<Item = Result<Bytes, Fault>>) -> Imported {
        let mut import = Import::new(&self.place).unwrap().in_groups_of(1_000);
        pieces.for_each(|piece| import.write(piece.unwrap()).unwrap());
        import.finish().unwrap()
    }

    /// As [`Self::crash`], without the replay.
    pub(super) fn restart(&mut self) {
        self.machine = None;
        self.machine = Some(Machine::open(Arc::clone(&self.place), OPTIONS).unwrap());
    }

    /// How many records with this tag the storage holds.
    pub(super) fn stored(&self, tag: u8) -> usize {
        self.storage().view().range(Bound::Included(&[tag]), Bound::Excluded(&[tag + 1])).count()
    }

    /// Everything that a client could see, for comparisons.
    pub(super) fn everything(&self) -> (u32, u32, Vec<Change>) {
        let reader = self.reader();
        let changes = without_previous(reader.changes(reader.compact_revision(), usize::MAX).unwrap());
        (reader.hash_kv(Revision::ZERO).unwrap().hash, reader.hash().unwrap(), changes)
    }
}

/// Changes as history keeps them.
pub(super) fn without_previous(changes: Vec<Change>) -> Vec<Change> {
    let strip = |change: Change| {
        let events = change.events.iter().map(|event| model::Event { previous: None, ..event.clone() });
        Change { revision: change.revision, events: events.collect() }
    };
    changes.into_iter().map(strip).collect()
}

pub(super) fn entry(index: u64, command: Command) -> Entry {
    entry_of(index, Identity::default(), command)
}

pub(super) fn entry_of(index: u64, identity: Identity, command: Command) -> Entry {
    let proposal = Proposal { id: index, proposed_at_ms: 0, identity, command };
    Entry { log_id: log_id(index), payload: Payload::Command(proposal.encode()) }
}

pub(super) fn log_id(index: u64) -> LogId {
    LogId { term: Term::new(1), index: LogIndex::new(index) }
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn put_request(key: &str, value: &str) -> PutRequest {
    PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() }
}

pub(super) fn put(key: &str, value: &str) -> Command {
    Command::Put(put_request(key, value))
}

pub(super) fn put_leased(key: &str, lease: i64) -> Command {
    Command::Put(PutRequest { lease: LeaseId::new(lease), ..put_request(key, "leased") })
}

pub(super) fn grant(lease: i64) -> Command {
    Command::LeaseGrant { id: LeaseId::new(lease), ttl: 10 }
}

pub(super) fn revoke(lease: i64) -> Command {
    Command::LeaseRevoke { id: LeaseId::new(lease) }
}

pub(super) fn compact(revision: i64) -> Command {
    Command::Compact { revision: Revision::new(revision) }
}

pub(super) fn span(start: &str, end: &str) -> KeyRange {
    KeyRange::from_wire(bytes(start), bytes(end))
}

pub(super) fn delete_request(start: &str, end: &str) -> DeleteRequest {
    DeleteRequest { range: span(start, end), prev_kv: true }
}

pub(super) fn delete(start: &str, end: &str) -> Command {
    Command::Delete(delete_request(start, end))
}

pub(super) fn read(start: &str, end: &str) -> RangeRequest {
    RangeRequest::new(span(start, end))
}

pub(super) fn txn(success: Vec<Op>) -> TxnRequest {
    TxnRequest { success, ..TxnRequest::default() }
}
