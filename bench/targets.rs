//! The figures that Quorate is to reach, and whether a run reached them.

use crate::results::Results;
use crate::sample::Metric;
use crate::servers::ServerKind;

/// One figure that Quorate is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Name of the scenario.
    pub(crate) scenario: &'static str,
    /// Which of its figures.
    pub(crate) metric: Metric,
    /// Against whose.
    pub(crate) against: Against,
    /// How good it must be.
    pub(crate) bound: Bound,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The same figure of etcd, in the same run.
    Etcd,
    /// The same figure of the floor (group fsync, one worker), in the same run.
    Floor,
    /// Nothing: the figure itself counts.
    Itself,
}

/// The bound of a figure or ratio; it is itself within.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
}

/// Whether a target was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes.
    Reached,
    /// No.
    Missed,
    /// A figure is missing.
    NotMeasured,
}

const fn target(scenario: &'static str, metric: Metric, against: Against, bound: Bound) -> Target {
    Target { scenario, metric, against, bound }
}

/// The targets of runs with so many members.
pub(crate) fn of(members: usize) -> &'static [Target] {
    if members == 1 { &ALONE } else { &CLUSTER }
}

/// Of a cluster, against one of as many members of etcd's.
const CLUSTER: [Target; 3] = {
    use Against::Etcd;
    use Bound::{AtLeast, AtMost};
    use Metric::{ServerCpu, Throughput};
    [
        target("put-256", Throughput, Etcd, AtLeast(2.0)),
        target("put-256", ServerCpu, Etcd, AtMost(0.5)),
        target("get-64", Throughput, Etcd, AtLeast(4.0)),
    ]
};

/// Of a single member.
const ALONE: [Target; 18] = {
    use Against::{Etcd, Floor, Itself};
    use Bound::{AtLeast, AtMost};
    use Metric::{BytesPerWatcher, P50, RestartAfterKill, RestartAfterStop, Rss, ServerCpu, Throughput};
    [
        target("put-64", Throughput, Etcd, AtLeast(1.5)),
        target("put-256", Throughput, Etcd, AtLeast(1.5)),
        target("put-64", ServerCpu, Etcd, AtMost(0.7)),
        target("put-256", ServerCpu, Etcd, AtMost(0.7)),
        target("put-64", Throughput, Floor, AtLeast(0.75)),
        target("put-256", Throughput, Floor, AtLeast(0.75)),
        target("get-64", Throughput, Etcd, AtLeast(4.0)),
        target("get-64", ServerCpu, Etcd, AtMost(0.25)),
        target("get-serializable-64", Throughput, Etcd, AtLeast(4.0)),
        target("get-serializable-64", ServerCpu, Etcd, AtMost(0.25)),
        target("range-100", Throughput, Etcd, AtLeast(3.0)),
        target("hot-lock", Throughput, Etcd, AtLeast(10.0)),
        target("hot-lock", P50, Itself, AtMost(3_000.0)),
        target("watch-fan-out", Throughput, Etcd, AtLeast(2.0)),
        target("watchers-10k", BytesPerWatcher, Itself, AtMost(1_536.0)),
        target("keys-1m", Rss, Etcd, AtMost(1.0 / 3.0)),
        target("keys-1m", RestartAfterKill, Itself, AtMost(1.0)),
        target("keys-1m", RestartAfterStop, Itself, AtMost(1.0)),
    ]
};

impl Bound {
    fn admits(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl Target {
    /// The ratio or figure that was measured, if it was.
    pub(crate) fn measured(&self, results: &Results) -> Option<f64> {
        let scenario = results.scenario(self.scenario)?;
        match self.against {
            Against::Etcd => scenario.ratio(ServerKind::Quorate, ServerKind::Etcd, self.metric),
            Against::Floor => scenario.ratio(ServerKind::Quorate, ServerKind::FLOOR, self.metric),
            Against::Itself => scenario.figure(ServerKind::Quorate, self.metric),
        }
    }

    /// Judges what was measured.
    pub(crate) fn verdict(&self, results: &Results) -> Verdict {
        match self.measured(results) {
            None => Verdict::NotMeasured,
            Some(value) if self.bound.admits(value) => Verdict::Reached,
            Some(_) => Verdict::Missed,
        }
    }

    /// `value` in the unit of this target.
    pub(crate) fn show(&self, value: f64) -> String {
        match self.against {
            Against::Etcd => format!("{value:.2} × etcd"),
            Against::Floor => format!("{value:.2} × floor"),
            Against::Itself => self.metric.show(value),
        }
    }

    /// The bound as text.
    pub(crate) fn show_bound(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound) => format!("≥ {}", self.show(bound)),
            Bound::AtMost(bound) => format!("≤ {}", self.show(bound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Scenario;

    #[test]
    fn every_target_names_a_scenario() {
        for target in ALONE.iter().chain(&CLUSTER) {
            assert!(
                Scenario::ALL.iter().any(|scenario| scenario.to_string() == target.scenario),
                "{} is no scenario",
                target.scenario
            );
        }
    }

    #[test]
    fn a_bound_admits_itself() {
        assert!(Bound::AtLeast(1.5).admits(1.5) && !Bound::AtLeast(1.5).admits(1.4));
        assert!(Bound::AtMost(0.7).admits(0.7) && !Bound::AtMost(0.7).admits(0.8));
    }
}
