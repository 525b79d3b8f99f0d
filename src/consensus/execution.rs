//! Where work runs that blocks: on threads, or within a simulation, which has one thread and its own time, right where it is asked for.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::Error;
use crate::log_writer::LogWriter;

/// Awaited before each group that a simulated log syncs: how long the disk takes.
pub type SyncDelay = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// How a member runs what blocks.
#[derive(Clone, Default)]
pub enum Execution {
    /// On threads.
    #[default]
    Threads,
    /// On the caller's thread, and the writer of the log as a task: for simulations.
    Inline(SyncDelay),
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads => "Threads",
            Self::Inline(_) => "Inline",
        })
    }
}

impl Execution {
    /// Runs a job that may block.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] when the job panicked, or the runtime is going down.
    pub async fn blocking<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        match self {
            Self::Threads => {
                let done = tokio::task::spawn_blocking(job).await;
                done.map_err(|error| Error::Stopped(format!("a job that blocks: {error}")))
            }
            Self::Inline(_) => Ok(job()),
        }
    }

    /// Starts the writer of `log`.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`].
    pub(crate) fn write_log(&self, log: wal::Log, on_fault: wal::OnFault) -> Result<LogWriter, Error> {
        match self {
            Self::Threads => LogWriter::thread(log, on_fault).map_err(Error::Thread),
            Self::Inline(delay) => Ok(LogWriter::task(log, on_fault, Arc::clone(delay))),
        }
    }
}
