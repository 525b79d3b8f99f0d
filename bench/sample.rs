//! What a run yields: named figures, or the reason why there are none.
//!
//! Owns the list of figures with their units, the failure type of this crate, and the medians over rounds. A server
//! that does not offer a scenario is an outcome like any other: it is reported, and never ends the run.

use std::collections::BTreeMap;

use serde::Serialize;

/// A figure that a scenario can yield. The name in `results.json` is the variant in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Operations per second; for watches, events delivered per second; for the hot lock, hand-offs per second.
    Throughput,
    /// Median latency, µs.
    P50,
    /// 99th percentile of latency, µs.
    P99,
    /// CPU time of the server, user and system, per operation, µs.
    ServerCpu,
    /// CPU time of the load generator, % of the one core that it can use. Near 100 it, and not the server, is the limit.
    ClientBusy,
    /// Resident memory of the server when the load ended, KiB.
    Rss,
    /// Highest resident memory of the server since it started, KiB.
    PeakRss,
    /// Operations that were refused or failed while the load ran.
    Errors,
    /// Median of a whole turn of one contender of the hot lock (queue, hold, release), µs.
    TurnP50,
    /// Growth of the server's resident memory per watcher, bytes.
    BytesPerWatcher,
    /// Time to load the keys of the bulk scenario, s.
    LoadTime,
    /// Time from the start of the process after kill -9 until a linearizable get answers, s.
    RestartAfterKill,
    /// The same after a graceful stop, s.
    RestartAfterStop,
    /// Time from SIGTERM until the process is gone, s.
    StopTime,
    /// Resident memory when the first get after kill -9 was answered, KiB.
    RestartedRss,
}

impl Metric {
    /// Every figure, in the order of the reports.
    pub(crate) const ALL: [Self; 15] = [
        Self::Throughput,
        Self::P50,
        Self::P99,
        Self::ServerCpu,
        Self::ClientBusy,
        Self::Rss,
        Self::PeakRss,
        Self::Errors,
        Self::TurnP50,
        Self::BytesPerWatcher,
        Self::LoadTime,
        Self::RestartAfterKill,
        Self::RestartAfterStop,
        Self::StopTime,
        Self::RestartedRss,
    ];

    /// The heading of the figure in a table, with the unit that [`Metric::show`] prints.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Throughput => "ops/s",
            Self::P50 => "p50, ms",
            Self::P99 => "p99, ms",
            Self::ServerCpu => "server CPU, µs/op",
            Self::ClientBusy => "load generator busy, %",
            Self::Rss => "RSS, MiB",
            Self::PeakRss => "peak RSS, MiB",
            Self::Errors => "errors",
            Self::TurnP50 => "turn p50, ms",
            Self::BytesPerWatcher => "bytes per watcher",
            Self::LoadTime => "load, s",
            Self::RestartAfterKill => "restart after kill -9, s",
            Self::RestartAfterStop => "restart after SIGTERM, s",
            Self::StopTime => "stop, s",
            Self::RestartedRss => "RSS after restart, MiB",
        }
    }

    /// `value` as text, in the unit of the heading.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Throughput | Self::ClientBusy | Self::Errors | Self::BytesPerWatcher => format!("{value:.0}"),
            Self::ServerCpu => format!("{value:.1}"),
            Self::P50 | Self::P99 | Self::TurnP50 => format!("{:.3}", value / 1_000.0),
            Self::Rss | Self::PeakRss | Self::RestartedRss => format!("{:.0}", value / 1_024.0),
            Self::LoadTime | Self::RestartAfterKill | Self::RestartAfterStop | Self::StopTime => format!("{value:.2}"),
        }
    }
}

/// The figures of one run of one scenario against one server.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// The figures, in the units of [`Metric`].
    pub(crate) figures: BTreeMap<Metric, f64>,
    /// What a reader must know to compare the figures, such as the API that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Sample {
    /// Adds or replaces one figure.
    pub(crate) fn set(&mut self, metric: Metric, value: f64) {
        self.figures.insert(metric, value);
    }

    /// Figure by figure, the median over `samples` of those that have it; the note of the first sample.
    pub(crate) fn median_of(samples: &[&Self]) -> Self {
        let mut figures = BTreeMap::new();
        for metric in Metric::ALL {
            let values = samples.iter().filter_map(|sample| sample.figures.get(&metric).copied()).collect();
            if let Some(median) = median(values) {
                figures.insert(metric, median);
            }
        }
        Self { figures, note: samples.first().and_then(|sample| sample.note.clone()) }
    }
}

/// The middle value; with an even number of values, the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// How one run of one scenario against one server ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It ran to its end.
    Measured(Sample),
    /// The server does not have what the scenario needs.
    NotOffered(String),
    /// The server did not start, did not answer, or answered wrongly.
    Failed(String),
}

impl From<Result<Sample, Failure>> for Outcome {
    fn from(result: Result<Sample, Failure>) -> Self {
        match result {
            Ok(sample) => Self::Measured(sample),
            Err(Failure::NotOffered(reason)) => Self::NotOffered(reason),
            Err(Failure::Broken(reason)) => Self::Failed(reason),
        }
    }
}

/// Why a run yields no figures.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server answered that it does not have this.
    #[error("not offered: {0}")]
    NotOffered(String),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// A failure with a text of our own.
    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken(reason.into())
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        let reason = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            tonic::Code::Unimplemented => Self::NotOffered(reason),
            _ => Self::Broken(reason),
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(format!("connection: {error}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(format!("input or output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn medians_are_taken_figure_by_figure() {
        let mut fast = Sample::default();
        fast.set(Metric::Throughput, 30.0);
        let mut slow = Sample::default();
        slow.set(Metric::Throughput, 10.0);
        slow.set(Metric::P99, 7.0);
        let median = Sample::median_of(&[&fast, &slow]);
        assert_eq!(median.figures[&Metric::Throughput], 20.0);
        assert_eq!(median.figures[&Metric::P99], 7.0);
        assert_eq!(median.figures.len(), 2);
    }

    #[test]
    fn every_metric_is_listed_once_and_in_order() {
        assert!(Metric::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_unimplemented_call_is_not_a_failure_of_the_server() {
        assert!(matches!(Failure::from(tonic::Status::unimplemented("no")), Failure::NotOffered(_)));
        assert!(matches!(Failure::from(tonic::Status::unavailable("no")), Failure::Broken(_)));
    }
}
