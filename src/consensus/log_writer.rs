//! Who writes the log: a thread of its own, or within a simulation a task that takes as long as the simulation says.
//!
//! Both commit what has queued as one group, through the same [`wal::Committer`].

use std::io;

use tokio::sync::mpsc;

use crate::execution::SyncDelay;
use crate::runtime;

/// Takes requests and settles them in order.
#[derive(Debug)]
pub(crate) enum LogWriter {
    Thread(wal::Writer),
    Task(mpsc::Sender<wal::Request>),
}

impl LogWriter {
    /// Writes on a thread.
    ///
    /// # Errors
    ///
    /// The system's, if it has no thread to give.
    pub(crate) fn thread(log: wal::Log, on_fault: wal::OnFault) -> io::Result<Self> {
        wal::Writer::spawn(log, on_fault).map(Self::Thread)
    }

    /// Writes in a task of the present runtime, which must be a simulation's.
    pub(crate) fn task(log: wal::Log, on_fault: wal::OnFault, delay: SyncDelay) -> Self {
        let (sender, requests) = mpsc::channel(wal::QUEUE_LENGTH);
        runtime::spawn(run(wal::Committer::new(log, on_fault), requests, delay));
        Self::Task(sender)
    }

    pub(crate) fn append(&self, entries: Vec<wal::Entry>, done: wal::Done) {
        self.submit(wal::Request::Append { entries, done });
    }

    pub(crate) fn save_state(&self, state: wal::State, done: Option<wal::Done>) {
        self.submit(wal::Request::SaveState { state, done });
    }

    pub(crate) fn save_snapshot(&self, snapshot: wal::Snapshot, done: wal::Done) {
        self.submit(wal::Request::SaveSnapshot { snapshot, done });
    }

    pub(crate) fn purge(&self, upto: wal::LogId, done: wal::Done) {
        self.submit(wal::Request::Purge { upto, done });
    }

    pub(crate) fn shutdown(&self, done: wal::Done) {
        self.submit(wal::Request::Shutdown { done });
    }

    fn submit(&self, request: wal::Request) {
        match self {
            Self::Thread(writer) => writer.submit(request),
            // A task cannot wait here, and openraft never has so much under way. Whose request is dropped learns that it was.
            Self::Task(sender) => drop(sender.try_send(request)),
        }
    }
}

/// Commits until nobody can ask for anything any more.
async fn run(mut committer: wal::Committer, mut requests: mpsc::Receiver<wal::Request>, delay: SyncDelay) {
    let mut group = Vec::new();
    while requests.recv_many(&mut group, wal::QUEUE_LENGTH).await > 0 {
        if group.iter().any(is_waited_for) {
            delay().await;
        }
        committer.commit(&mut group);
    }
    committer.finish();
}

/// Whether somebody waits for the disk.
fn is_waited_for(request: &wal::Request) -> bool {
    match request {
        wal::Request::SaveState { done, .. } => done.is_some(),
        wal::Request::Append { .. } | wal::Request::SaveSnapshot { .. } | wal::Request::Shutdown { .. } => true,
        wal::Request::Purge { .. } => false,
    }
}
