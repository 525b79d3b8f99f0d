//! The tasks of the consensus and their end. Each is awaited by [`Tasks::shutdown`]; one that ends before it is a fault.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::admission::Admission;
use crate::fault::FaultReport;
use crate::handle::Handle;
use crate::log_store::LogThread;
use crate::runtime;
use crate::snapshot;
use crate::types::Raft;

/// Time that a shutdown gives proposals under way and the last flush, together. What is not flushed then is replayed from the log.
const GRACE: Duration = Duration::from_secs(3);

/// Time for handing the leadership over, of that.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Where in its life a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Running,
    Stopping,
}

/// Everything that runs. Dropping it ends nothing; call [`Tasks::shutdown`].
pub struct Tasks {
    raft: Option<Raft>,
    handle: Option<Handle>,
    admission: Arc<Admission>,
    log: LogThread,
    phase: watch::Sender<Phase>,
    fault: FaultReport,
    running: Vec<JoinHandle<()>>,
}

impl Tasks {
    pub(crate) fn new(admission: Arc<Admission>, log: LogThread, fault: FaultReport) -> Self {
        Self {
            raft: None,
            handle: None,
            admission,
            log,
            phase: watch::Sender::new(Phase::Starting),
            fault,
            running: Vec::new(),
        }
    }

    /// Makes openraft one of the tasks.
    pub(crate) fn own(&mut self, raft: Raft) {
        self.raft = Some(raft);
    }

    /// From here on a task that ends is a fault; before, its end is part of a start that fails.
    pub(crate) fn started(&mut self, handle: Handle) {
        self.handle = Some(handle);
        self.phase.send_replace(Phase::Running);
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Runs a task that must not end before the shutdown.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (phase, fault) = (self.phase(), self.fault.clone());
        self.running.push(runtime::spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            if ended.is_err() {
                fault.report(Error::Stopped(format!("{name} panicked")));
            } else if *phase.borrow() == Phase::Running {
                fault.report(Error::Stopped(format!("{name} ended")));
            }
        }));
    }

    /// Runs a task until the shutdown, at whatever point it waits then. By itself it must not end either.
    pub(crate) fn spawn_until_stopping(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let mut phase = self.phase();
        self.spawn(name, async move {
            tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
                () = task => {}
            }
        });
    }

    /// Stops in reverse: a leader hands over, so that the cluster goes on without an election; then no new proposals, those under way are answered, the state is flushed so that the next start has nothing to
    /// replay, then openraft, the tasks and the log's thread end. Takes at most about three seconds; nothing runs afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] when the log's last words could not be written. Acknowledged entries are safe regardless.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let deadline = Instant::now() + GRACE;
        if let Some(handle) = self.handle.take() {
            handle.hand_over(Instant::now() + HAND_OVER).await;
        }
        let _ = timeout_at(deadline, self.admission.drained()).await;
        if let Some(raft) = &self.raft
            && timeout_at(deadline, snapshot::flush(raft)).await.is_err()
        {
            tracing::warn!("the state was not flushed in time; the next start replays the log");
        }
        self.phase.send_replace(Phase::Stopping);
        if let Some(raft) = self.raft {
            // An error says that the core panicked, which the leadership task has reported.
            let _ = raft.shutdown().await;
        }
        for task in self.running {
            let _ = task.await;
        }
        self.log.stop().await
    }
}
