//! What happened, line by line with its virtual time, and a hash of it: two runs are the same if their hashes are.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lines kept for a report; the hash is of all.
const LINES_MAX: usize = 400;

/// The trace of one run. Clones write to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    began: Instant,
    written: Arc<Mutex<Written>>,
}

#[derive(Debug)]
struct Written {
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
    is_printed: bool,
    violations: Vec<String>,
}

impl Trace {
    /// Begins now. `is_printed`: each line goes to the standard error too.
    pub(crate) fn new(is_printed: bool) -> Self {
        let written = Written { hash: 0, lines: 0, last: VecDeque::new(), is_printed, violations: Vec::new() };
        Self { began: Instant::now(), written: Arc::new(Mutex::new(written)) }
    }

    /// Microseconds of virtual time since the beginning.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("a short run")
    }

    pub(crate) fn line(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.3} {what}", self.began.elapsed().as_secs_f64() * 1000.0);
        let mut written = self.written.lock();
        written.hash = line.bytes().fold(written.hash, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5)
        });
        written.lines += 1;
        if written.is_printed {
            eprintln!("{line}");
        }
        if written.last.len() == LINES_MAX {
            written.last.pop_front();
        }
        written.last.push_back(line);
    }

    /// Notes that something is wrong with the system under test.
    pub(crate) fn violation(&self, invariant: &str, what: fmt::Arguments<'_>) {
        self.line(format_args!("VIOLATION {invariant}: {what}"));
        self.written.lock().violations.push(format!("{invariant}: {what}"));
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.written.lock().violations.clone()
    }

    /// Hash and number of all lines.
    pub(crate) fn digest(&self) -> (u64, u64) {
        let written = self.written.lock();
        (written.hash, written.lines)
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.written.lock().last.iter().cloned().collect()
    }
}

/// Writes a line of the trace.
macro_rules! trace {
    ($trace:expr, $($what:tt)*) => { $trace.line(format_args!($($what)*)) };
}

/// Notes a violation of an invariant.
macro_rules! violation {
    ($trace:expr, $invariant:expr, $($what:tt)*) => { $trace.violation($invariant, format_args!($($what)*)) };
}

pub(crate) use {trace, violation};
