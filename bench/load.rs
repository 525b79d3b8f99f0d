//! The closed-loop driver: so many clients, each sending its next operation when the last one is answered.
//!
//! Guarantees that warm-up is not counted, that throughput counts what was answered inside the window, and that CPU time
//! is that of the same window. A client whose operation fails pauses and goes on: errors are counted, not hidden, and do
//! not end a run unless nothing succeeds.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::process::Usage;
use crate::sample::{Failure, Metric, Sample};

/// Pause of a client after a failed operation: failures must not become a load of their own.
const ERROR_PAUSE: Duration = Duration::from_millis(5);
/// How long operations may take to end after the window; what is left then is given up and counted as an error.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// Longest latency that is told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(60);

/// What one client does again and again.
pub(crate) trait Operation: Send + 'static {
    /// Does it once, and checks the answer.
    ///
    /// # Errors
    /// The server does not offer it, refused it, or answered wrongly.
    fn call(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// When operations are sent, and which of them count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Time before counting starts.
    pub(crate) warm_up: Duration,
    /// Time that counts.
    pub(crate) duration: Duration,
}

/// Latencies that many tasks record.
#[derive(Clone)]
pub(crate) struct Latencies {
    // All tasks share one thread: the lock is never waited for.
    histogram: Arc<Mutex<Histogram<u64>>>,
}

impl Latencies {
    /// No latencies yet.
    pub(crate) fn new() -> Self {
        let limit = nanos(LATENCY_MAX);
        let histogram = Histogram::new_with_bounds(1_000, limit, 3).expect("the bounds are constant and valid");
        Self { histogram: Arc::new(Mutex::new(histogram)) }
    }

    /// Records one latency; longer ones than the limit count as the limit.
    pub(crate) fn record(&self, latency: Duration) {
        self.histogram.lock().saturating_record(nanos(latency));
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.lock().len()
    }

    /// The latency that a share of `quantile` (0 to 1) does not exceed, µs.
    pub(crate) fn micros_at(&self, quantile: f64) -> f64 {
        self.histogram.lock().value_at_quantile(quantile) as f64 / 1_000.0
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the driver measured.
pub(crate) struct Load {
    latencies: Latencies,
    errors: u64,
    duration: Duration,
    server_cpu_per_s: f64,
    client_cpu_per_s: f64,
    usage: Usage,
}

impl Load {
    /// Latencies of whole operations.
    pub(crate) fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// The figures, counting each operation as `weight` of the scenario's own unit and taking the latencies from
    /// `latencies`.
    pub(crate) fn sample(&self, weight: f64, latencies: &Latencies) -> Sample {
        let throughput = self.latencies.count() as f64 / self.duration.as_secs_f64() * weight;
        let mut sample = Sample::default();
        sample.set(Metric::Throughput, throughput);
        sample.set(Metric::P50, latencies.micros_at(0.5));
        sample.set(Metric::P99, latencies.micros_at(0.99));
        sample.set(Metric::ServerCpu, self.server_cpu_per_s * 1e6 / throughput);
        sample.set(Metric::ClientBusy, self.client_cpu_per_s * 100.0);
        sample.set(Metric::Rss, self.usage.rss_kib as f64);
        sample.set(Metric::PeakRss, self.usage.peak_rss_kib as f64);
        sample.set(Metric::Errors, self.errors as f64);
        sample
    }

    /// The figures of plain operations.
    pub(crate) fn plain_sample(&self) -> Sample {
        self.sample(1.0, &self.latencies)
    }
}

/// Runs `clients` for one window, against the server whose process `usage` reads.
///
/// # Errors
/// The server does not offer the operation, no operation succeeded, or the process ended.
pub(crate) async fn drive<O: Operation>(
    clients: Vec<O>,
    usage: impl Fn() -> Result<Usage, Failure>,
    window: Window,
) -> Result<Load, Failure> {
    let begin = Instant::now() + window.warm_up;
    let tally = Arc::new(Tally {
        begin,
        end: begin + window.duration,
        latencies: Latencies::new(),
        errors: Mutex::new(Errors::default()),
    });
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(run_client(client, Arc::clone(&tally)));
    }
    let cpu = tokio::select! {
        cpu = cpu_of_window(&usage, &tally) => cpu?,
        failure = first_failure(&mut running) => return Err(failure),
    };
    let usage = usage()?;
    drain(&mut running, &tally).await;

    let errors = tally.errors.lock().clone();
    match errors.first {
        Some(first) if tally.latencies.count() == 0 => Err(Failure::broken(first)),
        None if tally.latencies.count() == 0 => Err(Failure::broken("no operation ended inside the window")),
        _ => Ok(Load {
            latencies: tally.latencies.clone(),
            errors: errors.count,
            duration: window.duration,
            server_cpu_per_s: cpu.server,
            client_cpu_per_s: cpu.client,
            usage,
        }),
    }
}

/// What the clients of one run write to.
struct Tally {
    begin: Instant,
    end: Instant,
    latencies: Latencies,
    errors: Mutex<Errors>,
}

#[derive(Clone, Default)]
struct Errors {
    count: u64,
    first: Option<String>,
}

impl Tally {
    fn fail(&self, reason: String) {
        let mut errors = self.errors.lock();
        errors.count += 1;
        errors.first.get_or_insert(reason);
    }
}

/// One client until the window ends; an error means that going on makes no sense.
async fn run_client<O: Operation>(mut client: O, tally: Arc<Tally>) -> Result<(), Failure> {
    loop {
        let started = Instant::now();
        if started >= tally.end {
            return Ok(());
        }
        match client.call().await {
            Ok(()) => {
                let ended = Instant::now();
                if (tally.begin..tally.end).contains(&ended) {
                    tally.latencies.record(ended - started);
                }
            }
            Err(Failure::NotOffered(reason)) => return Err(Failure::NotOffered(reason)),
            Err(Failure::Broken(reason)) => {
                tally.fail(reason);
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// Returns when a client gives up; never, when they all end well.
async fn first_failure(running: &mut JoinSet<Result<(), Failure>>) -> Failure {
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return failure,
            Err(error) => return Failure::broken(format!("a client of the load ended: {error}")),
        }
    }
    std::future::pending().await
}

/// Lets operations that are under way end; gives up those that do not.
async fn drain(running: &mut JoinSet<Result<(), Failure>>, tally: &Tally) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_LIMIT, all).await.is_err() {
        tally.fail(format!("{} clients still waited {DRAIN_LIMIT:?} after the end", running.len()));
    }
    running.shutdown().await;
}

/// CPU seconds per second.
struct CpuRates {
    server: f64,
    client: f64,
}

/// Measures CPU time between the begin and the end of the window, by the moments at which it was really read.
async fn cpu_of_window(server: impl Fn() -> Result<Usage, Failure>, tally: &Tally) -> Result<CpuRates, Failure> {
    tokio::time::sleep_until(tally.begin.into()).await;
    let (begin, server_before, client_before) = (Instant::now(), server()?, own_usage()?);
    tokio::time::sleep_until(tally.end.into()).await;
    let (elapsed, server_after, client_after) = (begin.elapsed().as_secs_f64(), server()?, own_usage()?);
    Ok(CpuRates {
        server: server_after.cpu.saturating_sub(server_before.cpu).as_secs_f64() / elapsed,
        client: client_after.cpu.saturating_sub(client_before.cpu).as_secs_f64() / elapsed,
    })
}

fn own_usage() -> Result<Usage, Failure> {
    Usage::of(std::process::id())
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
