//! Many seeds, on as many threads as there are cores: runs share nothing.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::run::{self, Report};

/// Failures after which no more seeds are run: of a mistake made on purpose, one is all that is wanted.
const FAILURES_MAX: usize = if cfg!(seeded_bugs) { 1 } else { 5 };

/// Real time in which every run ends, many times over. In a run that does not, some task asks again and again without waiting, so that
/// virtual time stands still.
const RUN_MAX: Duration = Duration::from_secs(120);

/// What came of many runs.
pub(crate) struct Campaign {
    pub(crate) failures: Vec<Report>,
    runs: u64,
    simulated: Duration,
    took: Duration,
    threads: usize,
    answered: usize,
    requests: usize,
}

/// Runs all seeds, or until enough have failed.
pub(crate) fn run(seeds: Range<u64>) -> Campaign {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let empty = Campaign {
        failures: Vec::new(),
        runs: 0,
        simulated: Duration::ZERO,
        took: Duration::ZERO,
        threads,
        answered: 0,
        requests: 0,
    };
    let campaign = Mutex::new(empty);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || campaign.lock().failures.len() >= FAILURES_MAX {
                        return;
                    }
                    let report = ending(seed, || run::run(seed, false));
                    campaign.lock().take(report);
                }
            });
        }
    });
    let mut campaign = campaign.into_inner();
    campaign.took = began.elapsed();
    campaign.failures.sort_by_key(|report| report.seed);
    campaign
}

/// Does what does not take [`RUN_MAX`], or ends the process: a thread that never waits can be ended in no other way.
fn ending<T>(seed: u64, run: impl FnOnce() -> T) -> T {
    let (ended, end) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if end.recv_timeout(RUN_MAX) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("seed {seed} does not end: a task runs without waiting; see where: make sim SEED={seed}");
            std::process::exit(1);
        }
    });
    let result = run();
    drop(ended);
    result
}

impl Campaign {
    fn take(&mut self, report: Report) {
        self.runs += 1;
        self.simulated += report.simulated;
        self.answered += report.answered.0;
        self.requests += report.answered.1;
        if self.runs.is_multiple_of(100) {
            eprintln!("{} seeds", self.runs);
        }
        if let Some(violation) = report.violations.first() {
            eprintln!("seed {}: {violation}", report.seed);
            self.failures.push(report);
        }
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in &self.failures {
            for line in &report.tail {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "\nseed {} breaks promises:", report.seed)?;
            for violation in report.violations.iter().take(10) {
                writeln!(f, "  {violation}")?;
            }
            let seed = report.seed;
            writeln!(f, "run it again, with its whole trace: make sim SEED={seed}\n")?;
        }
        let (simulated, took) = (self.simulated.as_secs_f64(), self.took.as_secs_f64());
        write!(
            f,
            "{} seeds, {} failed; {} of {} requests answered; {simulated:.0} s simulated in {took:.0} s on {} threads: {:.0} times real \
             time a thread",
            self.runs,
            self.failures.len(),
            self.answered,
            self.requests,
            self.threads,
            simulated / took / self.threads as f64,
        )
    }
}
