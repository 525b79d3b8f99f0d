//! The server: parse, build, spawn, drain.

mod auth_flags;
mod banner;
mod compat;
mod config;
mod invocation;
mod runtime;
mod snapshot;
mod telemetry;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches};

use crate::config::{Cli, Settings, Task, WalTask};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(arguments) = invocation::of_a_client(std::env::args_os()) {
        return ctl::main(arguments);
    }
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
    let (cli, warnings) = parse()?;
    match cli.task {
        Some(Task::Wal { task: WalTask::Dump { dir } }) => dump(&dir),
        Some(Task::Snapshot { task }) => snapshot::run(&task),
        Some(Task::Import { task }) => snapshot::import(&task),
        Some(Task::Completion { shell }) => invocation::print_completion(shell),
        Some(Task::Man { dir }) => invocation::write_man_pages(&dir),
        Some(Task::Server(flags)) => serve(&flags.settings()?, warnings),
        None => serve(&cli.server.settings()?, warnings),
    }
}

/// What the command line, the environment and a file of settings say together, and what to warn about.
fn parse() -> Result<(Cli, Vec<String>)> {
    let mut sorted = compat::sort_arguments(std::env::args_os())?;
    let matches = invocation::command().get_matches_from(&sorted.arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let Some(file) = cli.server_flags().and_then(|flags| flags.config_file.as_deref()) else {
        return Ok((cli, sorted.warnings));
    };
    let of_server = matches.subcommand_matches("server").unwrap_or(&matches);
    let (arguments, overridden) = config::with_file(sorted.arguments, of_server, file)?;
    let with_file = compat::sort_arguments(arguments).with_context(|| file.display().to_string())?;
    let matches = Cli::command().try_get_matches_from(with_file.arguments);
    let matches = matches.map_err(|error| anyhow::anyhow!("{}: {}", file.display(), error.render()))?;
    sorted.warnings.extend(with_file.warnings);
    sorted.warnings.extend(overridden);
    Ok((Cli::from_arg_matches(&matches)?, sorted.warnings))
}

fn serve(settings: &Settings, mut warnings: Vec<String>) -> Result<()> {
    warnings.extend(compat::check_environment(std::env::vars(), config::is_known_variable)?);
    let level = telemetry::start(&settings.log_level, settings.log_format, &settings.log_outputs)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    runtime::serve(settings, || reload(&level))
}

/// Reads the file of settings again, and takes from it what can be changed while a member runs: the log level. Files of TLS need no
/// word: they are looked at before each handshake.
fn reload(level: &telemetry::Level) {
    let reread = parse().and_then(|(cli, _)| {
        let flags = cli.server_flags().context("it does not serve any more")?;
        level.set(&flags.settings()?.log_level)
    });
    match reread {
        Ok(()) => {
            tracing::info!("the settings were read again; those other than the log level count from the next start on")
        }
        Err(error) => tracing::warn!(error = sentence(&error), "the settings were read again and changed nothing"),
    }
}

/// Prints a log as far as it is sound. The place of the first damage is the error.
fn dump(dir: &Path) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let dumped = wal::dump(&wal::RealFs, dir, &mut out);
    out.flush()?;
    Ok(dumped?)
}
