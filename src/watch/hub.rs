//! The task that owns all watchers: it waits for batches, streams, reads and the clock, and gives each its turn.

use std::future::pending;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use model::AppliedBatch;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::{JoinError, JoinHandle, spawn_blocking, yield_now};
use tokio::time::{MissedTickBehavior, interval};

use crate::counters::Counters;
use crate::doorbell::Doorbell;
use crate::engine::Engine;
use crate::handle::HubHandle;
use crate::history::{History, HistoryError};
use crate::scan::{Missed, Scanned};

/// Batches that wait for the hub. What comes beyond is read from the history when these are done.
const BATCHES_MAX: usize = 1024;

/// Batches that are taken before streams have a turn.
const BATCHES_PER_TURN: usize = 64;

/// Shortest progress interval (etcd's figure).
const PROGRESS_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The hub, not running yet.
pub struct Hub {
    engine: Engine,
    history: Arc<dyn History>,
    batches: mpsc::Receiver<Arc<AppliedBatch>>,
    doorbell: Arc<Doorbell>,
    progress_interval: Duration,
    reads: Reads,
    /// One at a time: what it is for is decided when the last one is done.
    reading: Option<JoinHandle<Result<Read, HistoryError>>>,
}

/// Where the history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// On threads that may block.
    OnThreads,
    /// On the hub's own thread: for simulations, which have only one.
    Inline,
}

/// What was read from the history.
enum Read {
    Missed(Missed),
    Scanned(Scanned),
}

impl Hub {
    /// A hub that fans out what comes after the present revision of `history`. Watchers that want it are told every
    /// `progress_interval` (100 ms at least) how far they are.
    #[must_use]
    pub fn new(history: impl History, progress_interval: Duration, reads: Reads) -> (HubHandle, Self) {
        let history: Arc<dyn History> = Arc::new(history);
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let (counters, doorbell) = (Arc::<Counters>::default(), Arc::<Doorbell>::default());
        let engine = Engine::new(Arc::clone(&history), Arc::clone(&counters), Arc::clone(&doorbell));
        let handle = HubHandle { batches: sender, doorbell: Arc::clone(&doorbell), counters };
        let progress_interval = progress_interval.max(PROGRESS_INTERVAL_MIN);
        (handle, Self { engine, history, batches, doorbell, progress_interval, reads, reading: None })
    }

    /// Runs until `stop` changes or all handles are gone. Then every stream ends once it was read to its end, also when this
    /// future is dropped. An end before that means that the history is broken, which was logged: the member cannot go on.
    ///
    /// # Panics
    ///
    /// When the history panics.
    pub async fn run(mut self, stop: latest::Receiver<bool>) {
        if let Err(error) = self.run_until(stop).await {
            tracing::error!(%error, "the watch hub cannot go on");
        }
        if let Some(reading) = self.reading.take() {
            // Its result is of no use any more; only let it end before its owner does.
            _ = reading.await;
        }
    }

    async fn run_until(&mut self, mut stop: latest::Receiver<bool>) -> Result<(), HistoryError> {
        let mut ticks = interval(self.progress_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut batches = Vec::with_capacity(BATCHES_PER_TURN);
        loop {
            self.engine.take_turn();
            self.look_for_missed();
            self.start_reading();
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                read = outcome(&mut self.reading) => self.take_read(read)?,
                // Until what was missed is here, what came after it waits.
                count = self.batches.recv_many(&mut batches, BATCHES_PER_TURN), if self.engine.missing_from().is_none() => {
                    if count == 0 {
                        return Ok(());
                    }
                    for batch in batches.drain(..) {
                        self.engine.take_batch(&batch);
                    }
                }
                () = self.doorbell.wait() => {}
                _ = ticks.tick() => self.engine.tick(),
                () = yield_now(), if self.engine.is_busy() => {}
            }
        }
    }

    /// Batches that still wait are closer than the history, so the history is asked when none do.
    fn look_for_missed(&mut self) {
        if self.batches.is_empty() && self.doorbell.take_missed() {
            self.engine.look_for_missed();
        }
    }

    /// Changes missed come before scans: all live watchers wait for them.
    fn start_reading(&mut self) {
        if self.reading.is_some() {
            return;
        }
        let history = Arc::clone(&self.history);
        if let Some(from) = self.engine.missing_from() {
            self.read(move || Missed::read(history.as_ref(), from).map(Read::Missed));
        } else if let Some(scan) = self.engine.next_scan() {
            self.read(move || scan.run(history.as_ref()).map(Read::Scanned));
        }
    }

    fn read(&mut self, read: impl FnOnce() -> Result<Read, HistoryError> + Send + 'static) {
        self.reading = Some(match self.reads {
            Reads::OnThreads => spawn_blocking(read),
            Reads::Inline => tokio::spawn(async move { read() }),
        });
    }

    fn take_read(&mut self, read: Result<Result<Read, HistoryError>, JoinError>) -> Result<(), HistoryError> {
        self.reading = None;
        match read {
            Ok(Ok(Read::Missed(missed))) => self.engine.take_missed(missed),
            Ok(Ok(Read::Scanned(scanned))) => self.engine.finish_scan(scanned),
            Ok(Err(error)) => return Err(error),
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down, and this task with it.
            Err(error) => return Err(HistoryError::Fault(error.to_string())),
        }
        Ok(())
    }
}

async fn outcome<T>(reading: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
