//! The server: parse, build, spawn, drain.

mod banner;
mod compat;
mod config;
mod runtime;
mod snapshot;
mod telemetry;
mod upkeep;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};

use crate::config::{Cli, Settings, Task, WalTask};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorate: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes, but for those that it has named already.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run() -> Result<()> {
    let sorted = compat::sort_arguments(std::env::args_os())?;
    let matches = Cli::command().get_matches_from(sorted.arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.task {
        Some(Task::Wal { task: WalTask::Dump { dir } }) => dump(&dir),
        Some(Task::Snapshot { task }) => snapshot::run(&task),
        Some(Task::Server(flags)) => serve(&flags.settings()?, sorted.warnings),
        None => serve(&cli.server.settings()?, sorted.warnings),
    }
}

fn serve(settings: &Settings, mut warnings: Vec<String>) -> Result<()> {
    warnings.extend(compat::check_environment(std::env::vars(), config::is_known_variable)?);
    telemetry::start(&settings.log_level, settings.log_format)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    runtime::serve(settings)
}

/// Prints a log as far as it is sound. The place of the first damage is the error.
fn dump(dir: &Path) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let dumped = wal::dump(&wal::RealFs, dir, &mut out);
    out.flush()?;
    Ok(dumped?)
}
