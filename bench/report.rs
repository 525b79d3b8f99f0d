//! `REPORT.md`: ratios first, then the targets, then what they were computed from.
//!
//! All figures are medians over the rounds. What was not offered or failed is listed, never left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::results::{Results, ScenarioResults};
use crate::sample::{Metric, Outcome};
use crate::servers::ServerKind;
use crate::targets::{self, Verdict};

/// What a figure that was not measured looks like.
const ABSENT: &str = "–";
/// The columns of the table that all scenarios share.
const COMMON: [Metric; 8] = [
    Metric::Throughput,
    Metric::P50,
    Metric::P99,
    Metric::ServerCpu,
    Metric::ClientBusy,
    Metric::Rss,
    Metric::PeakRss,
    Metric::Errors,
];

/// Writes the report.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(results: &Results, path: &Path) -> anyhow::Result<()> {
    Ok(fs::write(path, render(results))?)
}

/// The report as text.
pub(crate) fn render(results: &Results) -> String {
    let mut text =
        String::from("# Quorate beside etcd\n\nWritten by `bench`; what the figures mean is in README.md.\n");
    let sections = [
        ("Ratios: Quorate ÷ etcd", ratios(results)),
        ("Targets", targets(results)),
        ("Figures", figures(results)),
        ("Figures of single scenarios", special_figures(results)),
        ("Not offered, or failed", gaps(results)),
        ("Machine and settings", machine(results)),
    ];
    for (heading, body) in sections.iter().filter(|(_, body)| !body.is_empty()) {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "\n## {heading}\n\n{body}");
    }
    text
}

fn ratios(results: &Results) -> String {
    let columns = [Metric::Throughput, Metric::P50, Metric::P99, Metric::ServerCpu, Metric::Rss];
    let mut table = row(&["", "throughput", "p50", "p99", "server CPU per op", "RSS", "throughput ÷ floor"]);
    table += &rule(7);
    for scenario in &results.scenarios {
        let mut cells = vec![scenario.name.clone()];
        for metric in columns {
            cells.push(times(scenario.ratio(ServerKind::Quorate, ServerKind::Etcd, metric)));
        }
        cells.push(times(scenario.ratio(ServerKind::Quorate, ServerKind::FLOOR, Metric::Throughput)));
        table += &row(&cells);
    }
    table
}

fn targets(results: &Results) -> String {
    let mut table = row(&["scenario", "figure", "target", "measured", ""]) + &rule(5);
    for target in targets::of(results.settings.members) {
        let measured = target.measured(results).map_or_else(|| ABSENT.to_owned(), |value| target.show(value));
        let verdict = match target.verdict(results) {
            Verdict::Reached => "reached",
            Verdict::Missed => "**missed**",
            Verdict::NotMeasured => "not measured",
        };
        table += &row(&[target.scenario, target.metric.heading(), &target.show_bound(), &measured, verdict]);
    }
    table
}

fn figures(results: &Results) -> String {
    let mut heading = vec!["scenario", "server"];
    heading.extend(COMMON.map(Metric::heading));
    heading.push("");
    let mut table = row(&heading) + &rule(heading.len());
    for scenario in &results.scenarios {
        for server in &scenario.servers {
            let Some(sample) = server.median() else { continue };
            let mut cells = vec![scenario.name.clone(), server.server.to_string()];
            cells.extend(COMMON.map(|metric| shown(metric, sample.figures.get(&metric).copied())));
            cells.push(sample.note.unwrap_or_default());
            table += &row(&cells);
        }
    }
    table
}

fn special_figures(results: &Results) -> String {
    let mut rows = String::new();
    for scenario in &results.scenarios {
        for metric in Metric::ALL.into_iter().filter(|metric| !COMMON.contains(metric)) {
            rows += &special_row(scenario, metric);
        }
    }
    if rows.is_empty() {
        return rows;
    }
    row(&["scenario", "figure", "etcd", "Quorate", "Quorate ÷ etcd"]) + &rule(5) + &rows
}

fn special_row(scenario: &ScenarioResults, metric: Metric) -> String {
    let (etcd, quorate) = (scenario.figure(ServerKind::Etcd, metric), scenario.figure(ServerKind::Quorate, metric));
    if etcd.is_none() && quorate.is_none() {
        return String::new();
    }
    let ratio = times(scenario.ratio(ServerKind::Quorate, ServerKind::Etcd, metric));
    row(&[scenario.name.clone(), metric.heading().to_owned(), shown(metric, etcd), shown(metric, quorate), ratio])
}

fn gaps(results: &Results) -> String {
    let mut list = String::new();
    for scenario in &results.scenarios {
        for server in &scenario.servers {
            // The same reason in every round is said once.
            let reasons: BTreeSet<String> = server.rounds.iter().filter_map(reason).collect();
            for reason in reasons {
                let _ = writeln!(list, "- {}, {}: {reason}", scenario.name, server.server);
            }
        }
    }
    list
}

/// Why a turn has no figures, if it has none.
fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Measured(_) => None,
        Outcome::NotOffered(reason) => Some(format!("not offered: {reason}")),
        Outcome::Failed(reason) => Some(format!("failed: {reason}")),
    }
}

fn machine(results: &Results) -> String {
    let (machine, settings) = (&results.machine, &results.settings);
    let mut list = format!(
        "- {} cores, {}, {} MiB of memory, Linux {}\n- write of 320 B and fdatasync: p50 {:.0} µs, p99 {:.0} µs\n\
         - load average before the run: {:.2}\n\
         - {} member(s) each; {} rounds of {} s after {} s of warm-up; {} keys; at most {} HTTP/2 connections; seed {}\n",
        machine.cores,
        machine.processor,
        machine.memory_mib,
        machine.kernel,
        machine.fsync_p50_us,
        machine.fsync_p99_us,
        machine.load_average,
        settings.members,
        settings.rounds,
        settings.duration_s,
        settings.warm_up_s,
        settings.keys,
        settings.connections,
        settings.seed,
    );
    for (server, version) in &results.versions {
        let _ = writeln!(list, "- {server}: {version}");
    }
    list
}

fn row<S: AsRef<str>>(cells: &[S]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        let _ = write!(line, " {} |", cell.as_ref());
    }
    line + "\n"
}

fn rule(columns: usize) -> String {
    format!("|{}\n", "---|".repeat(columns))
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| ABSENT.to_owned(), |ratio| format!("{ratio:.2}"))
}

fn shown(metric: Metric, value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| metric.show(value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::machine::Machine;
    use crate::results::{ServerResults, Settings};
    use crate::sample::Sample;

    fn measured(throughput: f64, cpu: f64) -> Outcome {
        let mut sample = Sample::default();
        sample.set(Metric::Throughput, throughput);
        sample.set(Metric::ServerCpu, cpu);
        Outcome::Measured(sample)
    }

    fn results(quorate: Vec<Outcome>) -> Results {
        let etcd = vec![measured(10_000.0, 60.0), measured(12_000.0, 50.0), measured(2_000.0, 90.0)];
        let servers = vec![
            ServerResults { server: ServerKind::Etcd, rounds: etcd },
            ServerResults { server: ServerKind::Quorate, rounds: quorate },
        ];
        Results {
            machine: Machine {
                cores: 2,
                processor: "some".to_owned(),
                kernel: "6".to_owned(),
                memory_mib: 1,
                load_average: 0.0,
                fsync_p50_us: 1.0,
                fsync_p99_us: 2.0,
            },
            settings: Settings {
                members: 1,
                rounds: 3,
                duration_s: 1.0,
                warm_up_s: 0.0,
                connections: 8,
                keys: 10,
                bulk_keys: 10,
                seed: 1,
            },
            versions: BTreeMap::new(),
            scenarios: vec![ScenarioResults { name: "put-64".to_owned(), about: "puts", servers }],
        }
    }

    #[test]
    fn ratios_are_ratios_of_medians_and_targets_are_judged_by_them() {
        let text = render(&results(vec![measured(20_000.0, 45.0)]));
        assert!(text.contains("| put-64 | 2.00 | – | – | 0.75 | – | – |"), "{text}");
        assert!(text.contains("| put-64 | ops/s | ≥ 1.50 × etcd | 2.00 × etcd | reached |"), "{text}");
        assert!(text.contains("| put-64 | server CPU, µs/op | ≤ 0.70 × etcd | 0.75 × etcd | **missed** |"), "{text}");
        assert!(text.contains("| put-256 | ops/s | ≥ 1.50 × etcd | – | not measured |"), "{text}");
    }

    #[test]
    fn a_server_that_does_not_answer_is_listed() {
        let text =
            render(&results(vec![Outcome::NotOffered("later".to_owned()), Outcome::NotOffered("later".to_owned())]));
        assert_eq!(text.matches("- put-64, quorate: not offered: later").count(), 1, "{text}");
        assert!(text.contains("| put-64 | – | – | – | – | – | – |"), "{text}");
    }
}
