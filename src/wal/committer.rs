//! Takes requests, commits them as groups, and completes them in order.
//!
//! Guarantees: every request's `done` is called exactly once, in the order of the requests; with `Ok` only after its group is written and,
//! where it must be, on disk. The first error is the last: it completes its whole group, the fault callback is told once, and all later
//! requests get the same error. Nothing is retried.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::log::Log;
use crate::record::{Entry, LogId, Snapshot, State};

/// Called when a request is settled, on the writer's thread; must return at once.
pub type Done = Box<dyn FnOnce(Result<(), Arc<Error>>) + Send>;

/// Called once, on the writer's thread, with the error that ended the log: the owner ends the process.
pub type OnFault = Box<dyn FnOnce(Arc<Error>) + Send>;

/// What may be asked of the log's writer.
pub enum Request {
    /// Append entries; done when they are on disk. See [`Log::append`].
    Append {
        /// In the order of their indexes.
        entries: Vec<Entry>,
        /// Called when settled.
        done: Done,
    },
    /// Save the state; done when it is on disk if its term or vote changed, when it is written otherwise. See [`Log::save_state`].
    SaveState {
        /// The whole state, not a part of it.
        state: State,
        /// Called when settled; none for a commit that nobody waits for.
        done: Option<Done>,
    },
    /// Mark a durable snapshot; done when the mark is on disk. See [`Log::save_snapshot`].
    SaveSnapshot {
        /// The mark.
        snapshot: Snapshot,
        /// Called when settled.
        done: Done,
    },
    /// Forget a prefix; done when that is written. Segments are deleted after the group. See [`Log::purge`].
    Purge {
        /// The last entry to forget.
        upto: LogId,
        /// Called when settled.
        done: Done,
    },
    /// Sync everything and stop; done when all is on disk. Later requests fail with [`Error::Stopped`].
    Shutdown {
        /// Called when settled.
        done: Done,
    },
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Append { entries, .. } => {
                f.debug_struct("Append").field("entries", &entries.len()).finish_non_exhaustive()
            }
            Request::SaveState { state, .. } => {
                f.debug_struct("SaveState").field("state", state).finish_non_exhaustive()
            }
            Request::SaveSnapshot { snapshot, .. } => {
                f.debug_struct("SaveSnapshot").field("snapshot", snapshot).finish_non_exhaustive()
            }
            Request::Purge { upto, .. } => f.debug_struct("Purge").field("upto", upto).finish_non_exhaustive(),
            Request::Shutdown { .. } => f.debug_struct("Shutdown").finish_non_exhaustive(),
        }
    }
}

impl Request {
    /// About how many bytes the request adds to a group.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Request::Append { entries, .. } => entries.iter().map(|entry| entry.payload.len()).sum(),
            Request::SaveSnapshot { snapshot, .. } => snapshot.data.len(),
            Request::SaveState { .. } | Request::Purge { .. } | Request::Shutdown { .. } => 0,
        }
    }

    /// Settles the request with an error.
    pub(crate) fn fail(self, error: &Arc<Error>) {
        match self {
            Request::SaveState { done: None, .. } => {}
            Request::Append { done, .. }
            | Request::SaveState { done: Some(done), .. }
            | Request::SaveSnapshot { done, .. }
            | Request::Purge { done, .. }
            | Request::Shutdown { done } => done(Err(Arc::clone(error))),
        }
    }
}

/// What a committer can still do.
enum Condition {
    Running { log: Box<Log>, on_fault: OnFault },
    Over(Arc<Error>),
}

/// Commits groups. [`Writer`](crate::Writer) runs one on a thread of its own; a simulation may run one as a task.
pub struct Committer {
    condition: Condition,
    settled: Vec<Done>,
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("is_running", &self.is_running()).finish_non_exhaustive()
    }
}

impl Committer {
    /// Commits to `log`; `on_fault` hears of the error that ends it.
    #[must_use]
    pub fn new(log: Log, on_fault: OnFault) -> Self {
        Self { condition: Condition::Running { log: Box::new(log), on_fault }, settled: Vec::new() }
    }

    /// Whether requests can still succeed: neither shut down nor failed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.condition, Condition::Running { .. })
    }

    /// Commits `requests`, emptying it, as one group, and settles all of them; then deletes the segments that this purged.
    pub fn commit(&mut self, requests: &mut Vec<Request>) {
        let mut requests = requests.drain(..);
        let Condition::Running { log, .. } = &mut self.condition else {
            return self.fail_all(requests);
        };
        let mut staged = Ok(true);
        for request in requests.by_ref() {
            staged = stage(log, request, &mut self.settled);
            if !matches!(staged, Ok(true)) {
                break;
            }
        }
        let outcome = match staged {
            Ok(true) => log.commit().map(|()| true),
            Ok(false) => log.flush().map(|()| false),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(true) => {
                settle(&mut self.settled, &Ok(()));
                let deleted = log.delete_purged();
                deleted.unwrap_or_else(|error| self.end_with_fault(error));
            }
            Ok(false) => {
                // The lock is given back first: who waits for the end may open the log anew.
                self.condition = Condition::Over(Arc::new(Error::Stopped));
                settle(&mut self.settled, &Ok(()));
            }
            Err(error) => self.end_with_fault(error),
        }
        self.fail_all(requests);
    }

    /// Syncs everything, without waiting for a shutdown to be asked for.
    pub fn finish(&mut self) {
        if let Condition::Running { log, .. } = &mut self.condition
            && let Err(error) = log.flush()
        {
            self.end_with_fault(error);
        }
    }

    /// Fails what is under way with `error`, and everything later.
    fn end_with_fault(&mut self, error: Error) {
        let error = Arc::new(error);
        let before = std::mem::replace(&mut self.condition, Condition::Over(Arc::clone(&error)));
        let Condition::Running { log, on_fault } = before else { return };
        // Before anyone hears of it: nothing is written any more, and the lock is free.
        drop(log);
        settle(&mut self.settled, &Err(Arc::clone(&error)));
        on_fault(error);
    }

    /// After the end: gives each request the error that ended the log.
    fn fail_all(&self, requests: impl Iterator<Item = Request>) {
        if let Condition::Over(error) = &self.condition {
            requests.for_each(|request| request.fail(error));
        }
    }
}

fn settle(settled: &mut Vec<Done>, outcome: &Result<(), Arc<Error>>) {
    settled.drain(..).for_each(|done| done(outcome.clone()));
}

/// Stages one request and keeps its callback, whether staging succeeds or not. `false` if it was the last one to be taken.
fn stage(log: &mut Log, request: Request, settled: &mut Vec<Done>) -> Result<bool, Error> {
    match request {
        Request::Append { entries, done } => {
            settled.push(done);
            entries.iter().try_for_each(|entry| log.append(entry))?;
        }
        Request::SaveState { state, done } => {
            settled.extend(done);
            log.save_state(state)?;
        }
        Request::SaveSnapshot { snapshot, done } => {
            settled.push(done);
            log.save_snapshot(snapshot)?;
        }
        Request::Purge { upto, done } => {
            settled.push(done);
            log.purge(upto)?;
        }
        Request::Shutdown { done } => {
            settled.push(done);
            return Ok(false);
        }
    }
    Ok(true)
}
