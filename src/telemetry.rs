//! Log lines, on stderr.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Libraries that say what only their own developers want to know; openraft warns of every call that a silent member does not answer.
const QUIET: &str = "openraft=error,fjall=warn,lsm_tree=warn";

/// Starts logging. `level` is a level or a filter such as `info,watch=debug`; a filter may raise what is quiet otherwise.
///
/// # Errors
///
/// When `level` is neither.
pub(crate) fn start(level: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).with_context(|| format!("--log-level {level:?}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Console => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
    }
    Ok(())
}
