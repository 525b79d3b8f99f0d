//! Log lines, and where they go.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// Libraries that say what only their own developers want to know; openraft warns of every call that a silent member does not answer.
const QUIET: &str = "openraft=error,fjall=warn,lsm_tree=warn";

/// How much is said; can be changed while it is.
pub(crate) struct Level(Box<dyn Fn(EnvFilter) -> Result<()> + Send + Sync>);

impl Level {
    /// From now on `level`.
    ///
    /// # Errors
    ///
    /// When `level` is neither a level nor a filter.
    pub(crate) fn set(&self, level: &str) -> Result<()> {
        (self.0)(filter(level)?)
    }
}

/// Starts logging. `level` is a level or a filter such as `info,watch=debug`; a filter may raise what is quiet otherwise. `outputs`
/// are names of etcd's or files.
///
/// # Errors
///
/// When `level` is neither, or an output cannot be had.
pub(crate) fn start(level: &str, format: LogFormat, outputs: &[String]) -> Result<Level> {
    let outputs = Outputs::open(outputs)?;
    let with_colours = outputs.is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(outputs);
    match format {
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Ok(Level(Box::new(move |filter| Ok(handle.reload(filter)?))))
        }
        LogFormat::Console => {
            let lines = lines.with_ansi(with_colours).with_target(false).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Ok(Level(Box::new(move |filter| Ok(handle.reload(filter)?))))
        }
    }
}

fn filter(level: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(format!("{QUIET},{level}")).with_context(|| format!("--log-level {level:?}"))
}

/// Where each line goes, all of them.
#[derive(Debug)]
struct Outputs(Vec<Output>);

#[derive(Debug)]
enum Output {
    Stderr,
    Stdout,
    File(File),
}

impl Outputs {
    fn open(names: &[String]) -> Result<Self> {
        let mut outputs = Vec::new();
        for name in names {
            match name.as_str() {
                "default" | "stderr" => outputs.push(Output::Stderr),
                "stdout" => outputs.push(Output::Stdout),
                "discard" => {}
                "systemd/journal" => bail!("--log-outputs systemd/journal: systemd takes what goes to stderr"),
                path => {
                    let file = OpenOptions::new().create(true).append(true).open(path);
                    outputs.push(Output::File(file.with_context(|| format!("--log-outputs: cannot open {path}"))?));
                }
            }
        }
        Ok(Self(outputs))
    }

    fn is_terminal(&self) -> bool {
        self.0.iter().all(|output| match output {
            Output::Stderr => io::stderr().is_terminal(),
            Output::Stdout => io::stdout().is_terminal(),
            Output::File(_) => false,
        })
    }
}

impl<'a> MakeWriter<'a> for Outputs {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// A line is written in one call to each output; one that takes none does not keep the others from it.
impl Write for &Outputs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for output in &self.0 {
            let _ = match output {
                Output::Stderr => io::stderr().write_all(line),
                Output::Stdout => io::stdout().write_all(line),
                Output::File(file) => {
                    let mut file = file;
                    file.write_all(line)
                }
            };
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
