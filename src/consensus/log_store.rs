//! The log as openraft drives it: the newest entries in memory, all of them in the WAL, one writer thread between.
//!
//! Votes, entries and commit marks go through the one queue of that thread, so that they reach the disk in the order in which they
//! were made. What openraft is told, and when:
//!
//! | call | returns | durable |
//! |---|---|---|
//! | `save_vote` | after the fdatasync | on return |
//! | `append` | at once, the entries readable | when the callback fires; one fdatasync for all that queued meanwhile |
//! | `save_committed` | at once | with the next group; a lost one is learnt again |
//! | `truncate_after` | at once | by the entries that replace what was cut |
//! | `purge` | at once | before a segment is deleted, and only behind a durable state |
//!
//! An error of the disk is a fault: it is reported, openraft gets it too, and nothing is tried again.

use std::io;
use std::sync::Arc;

use model::LogIndex;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::completions::Completions;
use crate::execution::Execution;
use crate::fault::FaultReport;
use crate::format::{encode_payload, encode_stored_membership};
use crate::log_reader::{LogReader, LogView};
use crate::log_writer::LogWriter;
use crate::maintenance::Flushed;
use crate::owner::Owner;
use crate::snapshot::Durable;
use crate::tail::{Tail, next};
use crate::types::{Entry, RaftLogId, TypeConfig, Vote, log_id, model_log_id};
use crate::{Error, OpenedLog};

/// The log store.
pub(crate) struct LogStore {
    view: Arc<LogView>,
    writer: Arc<LogWriter>,
    completions: Completions,
    flushed: watch::Receiver<Flushed>,
    /// The newest state that the log knows to be durable, or on its way to be: one that came from a peer may be ahead of the log.
    installing: Option<RaftLogId>,
}

/// Tells the log of states that become durable other than by applying it.
#[derive(Clone)]
pub(crate) struct LogMarks {
    writer: Arc<LogWriter>,
}

impl LogMarks {
    /// Notes, durably, that the state is about to be that of `durable`, which the log may not reach.
    ///
    /// # Errors
    ///
    /// What the log's writer met; it has been reported.
    pub(crate) async fn installing(&self, durable: &Durable) -> Result<(), io::Error> {
        let (marked, outcome) = oneshot::channel();
        self.writer.save_snapshot(durable.mark(), Box::new(move |result| drop(marked.send(result))));
        match outcome.await {
            Ok(result) => result.map_err(io::Error::other),
            Err(_dropped) => Err(io::Error::other(wal::Error::Stopped)),
        }
    }
}

impl Durable {
    pub(crate) fn mark(&self) -> wal::Snapshot {
        wal::Snapshot { log_id: to_wal(self.last), data: encode_stored_membership(&self.membership) }
    }
}

impl LogStore {
    /// Takes over an opened log, or makes it if there was none.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignData`] when it is another member's; [`Error::Log`]; [`Error::Thread`].
    pub(crate) fn new(
        opened: OpenedLog,
        identity: Owner,
        flushed: watch::Receiver<Flushed>,
        fault: FaultReport,
    ) -> Result<(Self, LogThread), Error> {
        let execution = opened.execution();
        let (log, recovered) = opened.of(identity)?;
        if let Some(torn) = recovered.torn {
            tracing::warn!(?torn, "removed an interrupted write from the end of the log");
        }
        let tail = Tail::new(recovered.purged.map(from_wal), recovered.last.map(from_wal));
        let view = Arc::new(LogView {
            tail: Mutex::new(tail),
            state: Mutex::new(recovered.state),
            disk: log.reader(),
            execution: execution.clone(),
            fault,
        });
        let on_fault = {
            let view = view.clone();
            Box::new(move |error| view.fault.report(Error::Log(error)))
        };
        let writer = Arc::new(execution.write_log(log, on_fault)?);
        let thread = LogThread { writer: writer.clone(), execution };
        let installing = recovered.snapshot.map(|mark| from_wal(mark.log_id));
        Ok((Self { view, writer, completions: Completions::new(), flushed, installing }, thread))
    }

    /// Whether nothing was ever appended or voted: the first start of a member.
    pub(crate) fn is_empty(&self) -> bool {
        self.view.tail.lock().last().is_none() && self.view.state.lock().voted_for.is_none()
    }

    /// Holds the state against the log. A state that came from a peer is the one that may be ahead: the log begins behind it then.
    ///
    /// # Errors
    ///
    /// [`Error::StateAheadOfLog`], [`Error::LogBehindState`] or [`Error::StateConflictsWithLog`]: a directory was exchanged, restored
    /// alone or lost. Going on would apply entries twice, or never.
    pub(crate) fn reconcile(&self, applied: Option<RaftLogId>) -> Result<(), Error> {
        let mut tail = self.view.tail.lock();
        check_reach(tail.first(), applied)?;
        let Some(applied) = applied else { return Ok(()) };
        match self.view.disk.log_id(applied.index).map(from_wal) {
            Some(found) if found == applied => Ok(()),
            // The process ended before the log was told. What it holds there was never committed.
            Some(_) | None if self.installing == Some(applied) => {
                tail.purge(applied);
                self.writer.purge(to_wal(applied), Box::new(drop));
                Ok(())
            }
            None => Err(Error::StateAheadOfLog { applied: model_log_id(applied), last: tail.last().map(model_log_id) }),
            Some(found) => {
                Err(Error::StateConflictsWithLog { applied: model_log_id(applied), found: model_log_id(found) })
            }
        }
    }

    pub(crate) fn marks(&self) -> LogMarks {
        LogMarks { writer: self.writer.clone() }
    }

    pub(crate) fn completions(&self) -> Completions {
        self.completions.clone()
    }

    /// Changes what is remembered beside the entries, and returns it as it is now.
    fn update_state(&self, change: impl FnOnce(&mut wal::State)) -> wal::State {
        let mut state = self.view.state.lock();
        change(&mut state);
        *state
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let tail = self.view.tail.lock();
        Ok(LogState { last_purged_log_id: tail.purged(), last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader::new(self.view.clone())
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let state = self.update_state(|state| {
            state.term = vote.leader_id().term;
            state.voted_for = Some(vote.leader_id().voted_for);
            state.is_vote_committed = vote.is_committed();
        });
        #[cfg(seeded_bugs)]
        if model::seeded_bug("vote that is not saved") {
            return Ok(());
        }
        let (saved, outcome) = oneshot::channel();
        let done = Box::new(move |result| drop(saved.send(result)));
        self.writer.save_state(state, Some(done));
        match outcome.await {
            Ok(result) => result.map_err(io::Error::other),
            Err(_dropped) => Err(io::Error::other(wal::Error::Stopped)),
        }
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> Result<(), io::Error> {
        #[cfg(seeded_bugs)]
        let committed = if model::seeded_bug("commit mark of what is not committed") {
            self.view.tail.lock().last()
        } else {
            committed
        };
        let state = self.update_state(|state| state.commit = committed.map(to_wal));
        self.writer.save_state(state, None);
        Ok(())
    }

    /// What the WAL recovered; it never lies beyond the last entry.
    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        Ok(self.view.state.lock().commit.map(from_wal))
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries = entries.into_iter();
        let mut records = Vec::with_capacity(entries.size_hint().0);
        let last = {
            let mut tail = self.view.tail.lock();
            for entry in entries {
                let RaftLogId { leader_id, index } = entry.log_id;
                records.push(wal::Entry { term: leader_id.term, index, payload: encode_payload(&entry.payload) });
                tail.push(entry);
            }
            tail.evict(|id| self.view.is_on_disk(id));
            tail.last()
        };
        let Some(last) = last.filter(|_| !records.is_empty()) else {
            flushed.io_completed(Ok(()));
            return Ok(());
        };
        #[cfg(seeded_bugs)]
        if model::seeded_bug("acknowledgement before fsync") {
            self.writer.append(records, Box::new(drop));
            flushed.io_completed(Ok(()));
            return Ok(());
        }
        let (view, completions) = (self.view.clone(), self.completions.clone());
        let number = completions.begin(last, flushed);
        let done = move |result: Result<(), Arc<wal::Error>>| match result {
            Ok(()) => completions.succeed(number, |id| view.is_on_disk(id)),
            Err(error) => completions.fail(&error),
        };
        self.writer.append(records, Box::new(done));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> Result<(), io::Error> {
        #[cfg(seeded_bugs)]
        if model::seeded_bug("truncation that is forgotten") {
            return Ok(());
        }
        self.view.tail.lock().truncate_after(last);
        Ok(())
    }

    async fn purge(&mut self, upto: RaftLogId) -> Result<(), io::Error> {
        let snapshot = {
            let flushed = self.flushed.borrow();
            let durable = flushed.durable.as_ref().filter(|durable| durable.last.index >= upto.index);
            let durable =
                durable.ok_or_else(|| io::Error::other(format!("purge to {upto} before the state is on disk")))?;
            durable.mark()
        };
        self.view.tail.lock().purge(upto);
        // Nobody waits: segments go when both marks are on disk, and a failure reaches the fault callback.
        self.writer.save_snapshot(snapshot, Box::new(drop));
        self.writer.purge(to_wal(upto), Box::new(drop));
        Ok(())
    }
}

/// The writer's thread, to be ended.
pub(crate) struct LogThread {
    writer: Arc<LogWriter>,
    execution: Execution,
}

impl LogThread {
    /// Writes what is queued, syncs, and ends the thread.
    ///
    /// # Errors
    ///
    /// [`Error::Log`].
    pub(crate) async fn stop(self) -> Result<(), Error> {
        let (ended, outcome) = oneshot::channel();
        self.writer.shutdown(Box::new(move |result| drop(ended.send(result))));
        let result = outcome.await.unwrap_or_else(|_dropped| Err(Arc::new(wal::Error::Stopped)));
        // Dropping the last handle joins the thread, which has nothing left to do.
        let _ = self.execution.blocking(move || drop(self.writer)).await;
        result.map_err(Error::Log)
    }
}

/// Whether a state whose last entry is `applied` leaves no gap before `first`, the first entry of the log.
///
/// # Errors
///
/// [`Error::LogBehindState`].
pub(crate) fn check_reach(first: u64, applied: Option<RaftLogId>) -> Result<(), Error> {
    if next(applied) < first {
        return Err(Error::LogBehindState { applied: applied.map(model_log_id), first: LogIndex::new(first) });
    }
    Ok(())
}

pub(crate) fn from_wal(id: wal::LogId) -> RaftLogId {
    log_id(id.term, id.index)
}

fn to_wal(id: RaftLogId) -> wal::LogId {
    wal::LogId { term: id.leader_id.term, index: id.index }
}
