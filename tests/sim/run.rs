//! One run: a cluster, its clients and its nemesis for a while; then peace, and all of it must work again; then the checks.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use node::ClusterState;
use state::MemoryPlace;
use tokio::time::{Instant, sleep, timeout};

use crate::checker;
use crate::checker::history::{Op, Outcome, Request};
use crate::clients::{self, Crowd, Watchers, ask};
use crate::cluster::Cluster;
use crate::disk::Disk;
use crate::invariants::{self, Invariants};
use crate::member::Site;
use crate::nemesis::Nemesis;
use crate::panics;
use crate::recording::Recording;
use crate::rng::Rng;
use crate::trace::{Trace, trace, violation};

/// How long mischief lasts, in virtual time.
const MISCHIEF: Duration = Duration::from_secs(15);

/// How long nothing happens at the end: longer than any forgotten lease lives.
const QUIET: Duration = Duration::from_secs(12);

/// Within this time after the last fault, every member answers again.
const RECOVERY: Duration = Duration::from_secs(15);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// Hash and number of the lines of its trace.
    pub(crate) digest: (u64, u64),
    pub(crate) violations: Vec<String>,
    /// The last lines of the trace.
    pub(crate) tail: Vec<String>,
    /// Virtual time that passed.
    pub(crate) simulated: Duration,
    /// Requests that were answered, and all.
    pub(crate) answered: (usize, usize),
}

impl Report {
    /// Of a run that did not come to its end.
    fn broken(seed: u64) -> Self {
        Self {
            seed,
            digest: (0, 0),
            violations: vec!["the run panicked".to_owned()],
            tail: Vec::new(),
            simulated: Duration::ZERO,
            answered: (0, 0),
        }
    }
}

/// Runs `seed` on a runtime of its own.
pub(crate) fn run(seed: u64, is_printed: bool) -> Report {
    panics::watch();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // In which order the receivers of a channel wake is tokio's own chance.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let simulated = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed, is_printed))));
    let mut report = simulated.unwrap_or_else(|_noted| Report::broken(seed));
    report.violations.extend(panics::noted().into_iter().map(|panic| format!("panic: {panic}")));
    report
}

async fn simulate(seed: u64, is_printed: bool) -> Report {
    let began = Instant::now();
    let trace = Trace::new(is_printed);
    let cluster = found(seed, &trace);
    let invariants = Invariants::watch(&cluster);
    let recording = Recording::default();
    for place in cluster.places() {
        cluster.start(place);
    }
    let watchers = Watchers::spawn(&cluster);
    let until = Instant::now() + MISCHIEF;
    let crowd = Crowd { requesters: 4, leaseholders: 2, contenders: 2 };
    let mut crowd = clients::spawn(seed, crowd, &cluster, &recording, until);
    let newcomer = newcomer(seed, &cluster);
    let replacing = async {
        clients::replace(seed, newcomer, &cluster, &recording, until).await;
    };
    let mischief = Nemesis::new(seed, cluster.clone()).run(until);
    if timeout(MISCHIEF + RECOVERY, async { tokio::join!(mischief, replacing) }).await.is_err() {
        violation!(trace, "liveness", "the operator is not done {RECOVERY:?} after the last fault");
    }
    while let Some(ended) = crowd.join_next().await {
        ended.expect("clients do not panic");
    }
    recover(seed, &cluster, &recording, &watchers, &invariants).await;

    watchers.record(&recording);
    let history = recording.taken();
    for found in checker::check(&history) {
        violation!(trace, "history", "{found}");
    }
    let answered = history.records.iter().filter(|record| matches!(record.outcome, Outcome::Answered(_))).count();
    Report {
        seed,
        digest: trace.digest(),
        violations: trace.violations(),
        tail: trace.tail(),
        simulated: began.elapsed(),
        answered: (answered, history.records.len()),
    }
}

fn found(seed: u64, trace: &Trace) -> Cluster {
    let mut rng = Rng::for_part(seed, "plan");
    let size = rng.pick(&[1, 3, 3, 3, 3, 5]);
    let founders: Vec<_> = (1..=size).collect();
    let cluster = Cluster::new(seed, trace.clone());
    for place in &founders {
        cluster.add(Site {
            place: *place,
            disk: Disk::new(Rng::for_part(seed, &format!("disk {place}"))),
            store: MemoryPlace::new().into(),
            clock: rng.between(900, 1100),
            late: rng.between(0, 7_200_000),
            snapshot_count: rng.pick(&[20, 100, 100_000]),
            members: founders.clone(),
            cluster: ClusterState::New,
        });
    }
    trace!(trace, "seed {seed}: {size} members");
    cluster
}

/// A member that is to take the place of another, in some runs.
fn newcomer(seed: u64, cluster: &Cluster) -> Option<Site> {
    let mut rng = Rng::for_part(seed, "newcomer");
    let members = cluster.places();
    let place = members.len() as u64 + 1;
    (members.len() == 3 && rng.once_in(3)).then(|| Site {
        place,
        disk: Disk::new(Rng::for_part(seed, &format!("disk {place}"))),
        store: MemoryPlace::new().into(),
        clock: 1000,
        late: 0,
        snapshot_count: rng.pick(&[20, 100]),
        members: members.into_iter().chain([place]).collect(),
        cluster: ClusterState::Existing,
    })
}

/// Everything was mended: every member writes and reads again, and all come to hold the same.
async fn recover(seed: u64, cluster: &Cluster, recording: &Recording, watchers: &Watchers, invariants: &Invariants) {
    trace!(cluster.trace, "peace");
    let serving = async {
        for place in cluster.places() {
            let mut nth = 0;
            loop {
                nth += 1;
                // Who was on its way down when the mischief ended is brought back too.
                cluster.places().into_iter().for_each(|place| cluster.start(place));
                let op = Op::Put { key: format!("peace{place}"), value: format!("{place}-{nth}"), lease: 0 };
                let patience = Duration::from_secs(3);
                let outcome = ask(cluster, recording, "peace", place, Request::one(op), patience).await;
                if matches!(outcome, Outcome::Answered(_)) {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    if timeout(RECOVERY, serving).await.is_err() {
        violation!(cluster.trace, "liveness", "not every member serves {RECOVERY:?} after the last fault");
        return;
    }
    if timeout(RECOVERY, converged(cluster, watchers)).await.is_err() {
        let revisions: Vec<_> = cluster.processes().iter().map(|(place, p)| (*place, p.handle.revision())).collect();
        violation!(
            cluster.trace,
            "liveness",
            "members or watchers stay behind: {revisions:?}, {}",
            watchers.reached(cluster)
        );
        return;
    }
    invariants::no_deposing::look(seed, cluster, recording).await;
    sleep(QUIET).await;
    let last = Request::one(Op::List(String::new()));
    ask(cluster, recording, "peace", cluster.places()[0], last, Duration::from_secs(3)).await;
    if timeout(RECOVERY, converged(cluster, watchers)).await.is_err() {
        violation!(cluster.trace, "liveness", "watchers do not hear of the end of leases");
    }
    invariants::at_the_end(cluster, invariants).await;
}

async fn converged(cluster: &Cluster, watchers: &Watchers) {
    loop {
        let revisions: Vec<i64> = cluster.processes().iter().map(|(_, p)| p.handle.revision().get()).collect();
        let newest = revisions.iter().copied().max().unwrap_or(0);
        let is_whole = revisions.len() == cluster.places().len();
        if is_whole && revisions.iter().all(|revision| *revision == newest) && watchers.reached(cluster) >= newest {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
