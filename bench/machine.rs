//! The machine that figures were measured on: without it they mean nothing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::load::Latencies;
use crate::sample::Failure;

/// Syncs that the latency of the disk is taken from.
const SYNCS: u64 = 500;
/// Bytes written before each sync: one put with what a log adds to it.
const RECORD_BYTES: usize = 320;

/// Facts about the machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Processor cores that this process may use.
    pub(crate) cores: usize,
    /// The processor's name for itself.
    pub(crate) processor: String,
    /// The kernel's version.
    pub(crate) kernel: String,
    /// Memory, MiB.
    pub(crate) memory_mib: u64,
    /// Load average over a minute before the run: above 0.3 or so, others were at work.
    pub(crate) load_average: f64,
    /// Median time of a write of 320 B and an fdatasync in the data directory, µs.
    pub(crate) fsync_p50_us: f64,
    /// 99th percentile of the same, µs.
    pub(crate) fsync_p99_us: f64,
}

impl Machine {
    /// Gathers the facts; measures the disk below `data_root`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn measure(data_root: &Path) -> Result<Self, Failure> {
        let syncs = time_syncs(data_root)?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| unknown(), trimmed),
            memory_mib: field("/proc/meminfo", "MemTotal").as_deref().and_then(first_number::<u64>).unwrap_or_default()
                / 1_024,
            load_average: fs::read_to_string("/proc/loadavg")
                .ok()
                .as_deref()
                .and_then(first_number)
                .unwrap_or_default(),
            fsync_p50_us: syncs.micros_at(0.5),
            fsync_p99_us: syncs.micros_at(0.99),
        })
    }
}

/// Times appends, each made durable, to a file of no special preparation.
fn time_syncs(data_root: &Path) -> io::Result<Latencies> {
    fs::create_dir_all(data_root)?;
    let directory = tempfile::tempdir_in(data_root)?;
    let file = File::create(directory.path().join("sync"))?;
    let latencies = Latencies::new();
    for number in 0..SYNCS {
        let begun = Instant::now();
        file.write_all_at(&[7; RECORD_BYTES], number * RECORD_BYTES as u64)?;
        file.sync_data()?;
        latencies.record(begun.elapsed());
    }
    Ok(latencies)
}

/// The value of the first line `name : value` of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| trimmed(value.to_owned()))
}

fn first_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split_whitespace().next()?.parse().ok()
}

fn trimmed(text: String) -> String {
    text.trim().to_owned()
}

fn unknown() -> String {
    "unknown".to_owned()
}
