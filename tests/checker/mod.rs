//! Checks what clients saw of a cluster against what it promises: pure functions of a history.
//!
//! A [`History`] is what clients recorded: requests and answers with the instants of both, watches with every delivery, leases,
//! locks. [`check`] holds it against five promises, each in a file of its own, and returns every breach:
//!
//! - [`serial`]: every answer is what a replay of the store's log gives at the answer's revision, and revisions respect real
//!   time: strict serializability, in O(n log n), because revisions give the order away;
//! - [`linear`]: each key alone is linearizable by its values, whatever the revisions say: a second opinion;
//! - [`watching`]: events in order, once, all of them, and none older than asked for;
//! - [`leases`]: a lease lives for its time after each acknowledged renewal, ends with its keys, and stays dead;
//! - [`locks`]: tokens rise, a holder's key is the oldest when it is told so, and believed intervals are disjoint.
//!
//! The log is what watchers of the whole store saw; that every acknowledged write is in it is part of the check. Neither clocks
//! nor tasks are known here: real processes and the simulation use the same functions.

pub(crate) mod history;
pub(crate) mod leases;
pub(crate) mod linear;
pub(crate) mod locks;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod serial;
pub(crate) mod watching;

use std::fmt;

use history::History;
use log::Log;

/// A promise that a history breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which check found it.
    pub(crate) check: &'static str,
    /// What was seen, and what should have been.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// Every breach in a history; none is the proof wanted.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let (log, mut violations) = Log::of(&history.watches);
    let replay = serial::check(history, &log, &mut violations);
    linear::check(history, &mut violations);
    watching::check(history, &log, &mut violations);
    leases::check(history, &log, &replay, &mut violations);
    locks::check(history, &log, &mut violations);
    violations
}
