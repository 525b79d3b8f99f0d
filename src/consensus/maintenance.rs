//! The state's work in the background: writing the newest part of the state to disk (a flush), and reclaiming what a compaction
//! superseded (a cleanup). Both block, so that they run on threads of their own, one at a time, while entries are applied.
//!
//! A flush begins only when the log is durable to the same entry. So the state on disk is never ahead of the log on disk, and a
//! start that finds it so knows that a directory was exchanged.

use std::time::Duration;

use state::{CleanupJob, FlushJob};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::Error;
use crate::completions::Completions;
use crate::execution::Execution;
use crate::fault::FaultReport;
use crate::meters::Meters;
use crate::snapshot::Durable;

/// Jobs of each kind that may wait for the one under way.
const JOBS_MAX: usize = 1;

/// Rest between two chunks of a cleanup, so that it takes a fraction of a core and of the disk (etcd's number).
const CLEANUP_PAUSE: Duration = Duration::from_millis(10);

/// What has been flushed.
#[derive(Clone, Debug)]
pub(crate) struct Flushed {
    /// Flushes that ended since the start.
    pub(crate) count: u64,
    /// The newest durable state; none before the first flush of a new member.
    pub(crate) durable: Option<Durable>,
}

struct Flush {
    job: FlushJob,
    durable: Durable,
}

/// The apply worker's side: hands over jobs and knows which are under way.
pub(crate) struct Maintenance {
    flushes: mpsc::Sender<Flush>,
    cleanups: mpsc::Sender<CleanupJob>,
    started: u64,
    flushed: watch::Sender<Flushed>,
}

/// The side that runs them.
pub(crate) struct MaintenanceTask {
    flushes: mpsc::Receiver<Flush>,
    cleanups: mpsc::Receiver<CleanupJob>,
    flushed: watch::Sender<Flushed>,
    /// Counts jobs that ended, for those who wait for what they do.
    ended: watch::Sender<u64>,
    log: Completions,
    execution: Execution,
    meters: Meters,
    fault: FaultReport,
}

impl Maintenance {
    /// Both sides. `flushed` begins with what the state held when it was opened.
    pub(crate) fn new(
        flushed: watch::Sender<Flushed>,
        log: Completions,
        execution: Execution,
        meters: Meters,
        fault: FaultReport,
    ) -> (Self, MaintenanceTask) {
        let (flushes, flush_inbox) = mpsc::channel(JOBS_MAX);
        let (cleanups, cleanup_inbox) = mpsc::channel(JOBS_MAX);
        let worker = Self { flushes, cleanups, started: 0, flushed: flushed.clone() };
        let task = MaintenanceTask {
            flushes: flush_inbox,
            cleanups: cleanup_inbox,
            flushed,
            ended: watch::Sender::new(0),
            log,
            execution,
            meters,
            fault,
        };
        (worker, task)
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.flushed.borrow().count < self.started
    }

    /// Hands over a flush; there must be none under way.
    pub(crate) fn flush(&mut self, job: FlushJob, durable: Durable) {
        assert!(!self.is_flushing(), "two flushes at a time");
        self.started += 1;
        // There is room, for none is under way. The task is gone after a fault only: that was reported, and the process is ending.
        let _ = self.flushes.try_send(Flush { job, durable });
    }

    /// Hands over a cleanup if there is one and room for it; otherwise the machine keeps it.
    pub(crate) fn cleanup(&self, take: impl FnOnce() -> Option<CleanupJob>) {
        if let Ok(room) = self.cleanups.try_reserve()
            && let Some(job) = take()
        {
            room.send(job);
        }
    }

    /// Returns when no flush is under way.
    pub(crate) async fn settle(&self) {
        let started = self.started;
        let _ = self.flushed.subscribe().wait_for(|flushed| flushed.count >= started).await;
    }

    /// The state was replaced by one that is durable. No flush may be under way.
    pub(crate) fn replaced(&self, durable: Durable) {
        assert!(!self.is_flushing(), "a flush of the state before");
        self.flushed.send_modify(|flushed| flushed.durable = Some(durable));
    }

    /// The newest state on disk.
    pub(crate) fn durable(&self) -> Option<Durable> {
        self.flushed.borrow().durable.clone()
    }

    /// What has been flushed, and how many flushes must have ended until all that were started have.
    pub(crate) fn progress(&self) -> (watch::Receiver<Flushed>, u64) {
        (self.flushed.subscribe(), self.started)
    }
}

impl MaintenanceTask {
    /// Changes whenever a job has ended.
    pub(crate) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Runs until the apply worker is gone, or to the first fault. Flushes go first: proposals may be waiting for one.
    pub(crate) async fn run(mut self) {
        let mut cleanup = None;
        // A flush may bring to the store what a compaction has dropped since the overlay was frozen. The machine would notice with
        // the next group, but on a quiet member there is none: so the last job is run again.
        let mut latest: Option<CleanupJob> = None;
        loop {
            let done = tokio::select! {
                biased;
                flush = self.flushes.recv() => match flush {
                    Some(flush) => {
                        let done = self.flush(flush).await;
                        cleanup = cleanup.or_else(|| latest.clone());
                        done
                    }
                    None => return,
                },
                Some(job) = self.cleanups.recv(), if cleanup.is_none() => {
                    latest = Some(job.clone());
                    cleanup = Some(job);
                    Ok(())
                }
                () = tokio::time::sleep(CLEANUP_PAUSE), if cleanup.is_some() => self.clean(&mut cleanup).await,
            };
            if let Err(error) = done {
                self.fault.report(error);
                return;
            }
        }
    }

    async fn flush(&self, Flush { job, durable }: Flush) -> Result<(), Error> {
        self.log.settled().await;
        let begun = Instant::now();
        self.execution.blocking(move || job.run()).await?.map_err(Error::State)?;
        self.meters.flushed(begun.elapsed());
        self.flushed.send_modify(|flushed| {
            flushed.count += 1;
            flushed.durable = Some(durable);
        });
        self.ended.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Reclaims one chunk; takes the cleanup away when that was the last.
    async fn clean(&self, cleanup: &mut Option<CleanupJob>) -> Result<(), Error> {
        let Some(job) = cleanup.take() else { return Ok(()) };
        let run = move || job.run().map(|has_more| (job, has_more));
        let (job, has_more) = self.execution.blocking(run).await?.map_err(Error::State)?;
        *cleanup = has_more.then_some(job);
        self.ended.send_modify(|count| *count += 1);
        Ok(())
    }
}
