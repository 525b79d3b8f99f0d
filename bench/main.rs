//! Side-by-side load: etcd, Quorate and the floor under the same load, on the same machine, one after the other.
//!
//! Owns the command line. Everything runs on one thread: the load generator shares the machine with the server that it
//! measures. `README.md` says what the scenarios and the figures mean.

mod connection;
mod floor;
mod keys;
mod load;
mod machine;
mod process;
mod progress;
mod report;
mod results;
mod runner;
mod sample;
mod scenarios;
mod servers;
mod targets;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use regex::Regex;
use tokio::signal::unix::{SignalKind, signal};

use crate::keys::KeySpace;
use crate::load::Window;
use crate::results::Settings;
use crate::runner::Run;
use crate::scenarios::{Plan, Scenario};
use crate::servers::{Programs, ServerKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs etcd, Quorate and the floor under the same load and compares them.
#[derive(Debug, clap::Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists the scenarios.
    List,
    /// Serves as the floor.
    #[command(hide = true)]
    Floor(floor::Options),
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// Regular expression for the whole name of a scenario, such as `put-.*|cas`; may be given several times
    #[arg(long = "scenario", value_name = "REGEX")]
    scenarios: Vec<String>,
    /// Servers, in turn: etcd, quorate, floor, floor-2w, floor-null, floor-null-2w
    #[arg(long, value_delimiter = ',', default_value = "etcd,quorate,floor")]
    servers: Vec<String>,
    /// Turns of each server; the report shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds of load that count, in each turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=120))]
    duration: u16,
    /// One round, one second, fewer keys: shows that everything works, not how fast
    #[arg(long)]
    quick: bool,
    /// HTTP/2 connections that the clients of a scenario share
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Members of etcd and of Quorate; clients are spread over all, and processor time is the sum
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=7))]
    members: u16,
    /// Seed of keys, values and choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The etcd binary
    #[arg(long, default_value = "/usr/bin/etcd")]
    etcd: PathBuf,
    /// The Quorate binary [default: target/release/quorate of this workspace]
    #[arg(long)]
    quorate: Option<PathBuf>,
    /// Directory for the servers' data, on a real disk; what a run writes there it removes [default: target/bench of
    /// this workspace]
    #[arg(long)]
    data_root: Option<PathBuf>,
    /// Directory for results.json and REPORT.md [default: bench/ of this workspace]
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        None => run(&arguments.run),
        Some(Command::Floor(options)) => floor::run(options),
        Some(Command::List) => {
            for scenario in Scenario::ALL {
                println!("{:<20} {}", scenario.to_string(), scenario.about());
            }
            Ok(())
        }
    }
}

fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    let (run, own) = (arguments.to_run()?, Path::new(env!("CARGO_MANIFEST_DIR")));
    let out = arguments.out.clone().unwrap_or_else(|| own.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Leaving by return drops the server that is running, which ends it and removes its data.
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = run.execute(&out) => outcome,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("given up"),
            _ = terminate.recv() => anyhow::bail!("given up"),
        }
    })?;
    println!("{}", out.join("REPORT.md").display());
    Ok(())
}

impl RunArguments {
    fn to_run(&self) -> anyhow::Result<Run> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let settings = self.settings();
        let plan = Plan {
            window: Window {
                warm_up: Duration::from_secs_f64(settings.warm_up_s),
                duration: Duration::from_secs_f64(settings.duration_s),
            },
            connections: settings.connections,
            keys: KeySpace::new(settings.keys, settings.seed),
            bulk_keys: settings.bulk_keys,
            seed: settings.seed,
        };
        let programs = Programs {
            etcd: self.etcd.clone(),
            quorate: self.quorate.clone().unwrap_or_else(|| workspace.join("target/release/quorate")),
            data_root: self.data_root.clone().unwrap_or_else(|| workspace.join("target/bench")),
            members: self.members.into(),
        };
        let (scenarios, servers) = (chosen_scenarios(&self.scenarios)?, chosen_servers(&self.servers)?);
        Ok(Run { scenarios, servers, plan, settings, programs })
    }

    fn settings(&self) -> Settings {
        let (rounds, duration_s, warm_up_s, keys, bulk_keys) = if self.quick {
            (1, 1.0, 0.3, 10_000, 100_000)
        } else {
            (self.rounds.into(), f64::from(self.duration), 1.0, 100_000, 1_000_000)
        };
        let (connections, seed, members) = (self.connections.into(), self.seed, self.members.into());
        Settings { members, rounds, duration_s, warm_up_s, connections, keys, bulk_keys, seed }
    }
}

/// The scenarios that a pattern matches as a whole; all, if there is no pattern.
fn chosen_scenarios(patterns: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let mut chosen = Vec::new();
    for pattern in patterns {
        let regex = Regex::new(&format!("^(?:{pattern})$")).context("--scenario is no regular expression")?;
        let before = chosen.len();
        chosen.extend(Scenario::ALL.into_iter().filter(|scenario| regex.is_match(&scenario.to_string())));
        anyhow::ensure!(chosen.len() > before, "no scenario is called {pattern}; `bench list` lists them");
    }
    Ok(if patterns.is_empty() { Scenario::ALL.to_vec() } else { chosen })
}

fn chosen_servers(names: &[String]) -> anyhow::Result<Vec<ServerKind>> {
    names
        .iter()
        .map(|name| ServerKind::named(name).with_context(|| format!("there is no server called {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        chosen_scenarios(&patterns).unwrap().iter().map(Scenario::to_string).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn patterns_match_whole_names() {
        assert_eq!(names(&["put-.*"]), ["put-1", "put-64", "put-256"]);
        assert_eq!(names(&["hot-lock", "cas"]), ["hot-lock", "cas"]);
        assert_eq!(names(&[]).len(), Scenario::ALL.len());
        assert!(chosen_scenarios(&["put".to_owned()]).is_err());
        assert!(chosen_scenarios(&["(".to_owned()]).is_err());
    }

    #[test]
    fn every_server_has_a_name_of_its_own() {
        for (name, kind) in ServerKind::ALL {
            assert_eq!(ServerKind::named(name), Some(kind));
            assert_eq!(kind.to_string(), name);
        }
        assert!(chosen_servers(&["etcd".to_owned(), "zookeeper".to_owned()]).is_err());
    }
}
