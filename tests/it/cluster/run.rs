//! A scenario: a cluster under load, what is done to it, and the verdict.

use std::process::ExitStatus;
use std::time::Duration;

use crate::checker;
use crate::checker::history::{History, Instant, Op, Outcome};

use super::load::Load;
use super::members::{Cluster, PATIENCE};

/// How long after twice its time a lease may live when the leader never changed, in microseconds.
const LEASE_SLACK: Instant = 3_000_000;

/// A cluster under load.
pub(crate) struct Run {
    pub(crate) cluster: Cluster,
    load: Load,
    name: &'static str,
    /// The term when the load began.
    term: u64,
}

impl Run {
    /// Starts a cluster with spare members, and all clients.
    pub(crate) async fn start(name: &'static str, size: usize, spare: usize, flags: &[&str]) -> Self {
        let cluster = Cluster::start(size, spare, flags).await;
        Self::of(name, cluster).await
    }

    /// Starts all clients on a cluster that runs, and waits until they are served.
    pub(crate) async fn of(name: &'static str, cluster: Cluster) -> Self {
        let load = Load::start(cluster.client_urls(), 20_261_124);
        let term = term(&cluster).await;
        let run = Self { cluster, load, name, term };
        run.progress(30).await;
        run
    }

    /// The time of the history.
    pub(crate) fn now(&self) -> Instant {
        self.load.now()
    }

    /// Waits until so many more probes have been answered: the cluster serves.
    pub(crate) async fn progress(&self, writes: u64) {
        if tokio::time::timeout(PATIENCE, self.load.progress(writes)).await.is_err() {
            panic!("{}: no {writes} writes within {PATIENCE:?}\n{}", self.name, self.cluster.said());
        }
    }

    /// Lets a fault last.
    pub(crate) async fn last(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Writes a lot at once, as fast as the cluster takes it.
    pub(crate) async fn flood(&mut self, writes: u64) {
        if tokio::time::timeout(2 * PATIENCE, self.load.flood(writes)).await.is_err() {
            panic!("{}: no {writes} writes within {:?}\n{}", self.name, 2 * PATIENCE, self.cluster.said());
        }
    }

    /// Writes until a member ends by itself; returns how.
    pub(crate) async fn flood_until_ended(&mut self, number: usize) -> ExitStatus {
        for _ in 0..40 {
            if self.cluster.members[number].has_ended() {
                return self.cluster.members[number].ended().await;
            }
            self.load.flood_large().await;
        }
        panic!("{}: member {number} goes on\n{}", self.name, self.cluster.said());
    }

    /// Waits until a member has applied what another has now.
    pub(crate) async fn caught_up(&self, member: usize, other: usize) {
        let cluster = &self.cluster;
        let goal = cluster.until("a member's status", async || cluster.status(other).await).await.raft_applied_index;
        let there = async || cluster.status(member).await.filter(|status| status.raft_applied_index >= goal);
        cluster.until("a member that has caught up", there).await;
    }

    /// Ends the load, waits until all members agree, and checks the history.
    pub(crate) async fn finish(self) -> History {
        self.cluster.leader().await;
        self.progress(30).await;
        let Self { cluster, load, name, term: first } = self;
        let mut history = tokio::time::timeout(PATIENCE, load.finish()).await.unwrap_or_else(|_| {
            panic!("{name}: the clients did not end within {PATIENCE:?}\n{}", cluster.said());
        });
        cluster.agree().await;
        // A new leader gives leases some of their time again; how much is looked at elsewhere.
        history.lease_slack = (term(&cluster).await == first).then_some(LEASE_SLACK);
        let violations = checker::check(&history);
        println!("{name}: {}", summary(&history));
        let said: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{name}: {} violations:\n{}", violations.len(), said.join("\n"));
        assert!(answered(&history) > 500, "{name}: only {} requests were answered", answered(&history));
        history
    }
}

/// The term that the leader is in.
async fn term(cluster: &Cluster) -> u64 {
    let leader = cluster.leader().await;
    cluster.until("a leader's status", async || cluster.status(leader).await).await.raft_term
}

/// Times between an instant and the return of the first answered write that was called after it.
pub(crate) fn gaps(history: &History, since: &[Instant]) -> Vec<Duration> {
    let gap = |since: &Instant| {
        let writes = history.records.iter().filter(|record| record.called >= *since && is_answered_put(record));
        Duration::from_micros(writes.map(|record| record.returned - since).min().unwrap_or(u64::MAX))
    };
    since.iter().map(gap).collect()
}

/// The longest time between two answered writes, of those that came back between two instants.
pub(crate) fn longest_gap(history: &History, from: Instant, to: Instant) -> Duration {
    let mut answers: Vec<Instant> =
        history.records.iter().filter(|record| is_answered_put(record)).map(|record| record.returned).collect();
    answers.retain(|at| (from..=to).contains(at));
    answers.sort_unstable();
    let longest = answers.windows(2).map(|pair| pair[1] - pair[0]).max();
    Duration::from_micros(longest.unwrap_or(u64::MAX))
}

/// Says what the gaps were, and fails if one was longer than anything that could be called service.
pub(crate) fn report(what: &str, mut gaps: Vec<Duration>, bound: Duration) {
    gaps.sort_unstable();
    let at = |percent: usize| gaps[(gaps.len() * percent / 100).min(gaps.len() - 1)];
    println!("{what}: write gap p50 {:?}, p99 {:?} of {}", at(50), at(99), gaps.len());
    assert!(at(100) <= bound, "{what}: a write gap of {:?}", at(100));
}

fn is_answered_put(record: &checker::history::Record) -> bool {
    matches!(record.outcome, Outcome::Answered(_)) && matches!(record.request.then[..], [Op::Put { .. }])
}

fn answered(history: &History) -> usize {
    history.records.iter().filter(|record| matches!(record.outcome, Outcome::Answered(_))).count()
}

fn summary(history: &History) -> String {
    let unknown = history.records.iter().filter(|record| record.outcome == Outcome::Unknown).count();
    let events: usize =
        history.watches.iter().flat_map(|watch| &watch.deliveries).map(|delivery| delivery.events.len()).sum();
    format!(
        "{} requests answered, {unknown} of unknown outcome, {events} events watched, {} lease calls, {} holds of locks",
        answered(history),
        history.leases.len(),
        history.holds.len()
    )
}
