//! Segmented write-ahead log of typed, CRC-chained records.
//!
//! **What it is.** A directory of preallocated segments that holds a member's identity, its entries, its term, vote and commit, and
//! the marks of its snapshots. It knows bytes and indexes; it does not know Raft, commands or an async runtime.
//!
//! **What it guarantees.** What was acknowledged is there after a crash. Records are read back in the order they were written, as a
//! prefix of what was written, or not at all: a torn end is cut off, any other damage is refused with file and offset (`tail` says
//! exactly which is which).
//!
//! **What it leaves to others.** Caching recent entries, deciding what to purge, ending the process when the disk fails.

mod error;
mod record;

mod fs;
mod observer;
mod real_fs;
mod sim_disk;
mod sim_fs;

mod format;
mod index;
mod opening;
mod scan;
mod segment;
mod tail;

mod appender;
mod log;
mod reader;
mod recovery;

mod committer;
mod dump;
mod writer;

#[cfg(test)]
mod tests;

pub use committer::{Committer, Done, OnFault, Request};
pub use dump::dump;
pub use error::Error;
pub use format::{MAX_BODY, MAX_PAYLOAD};
pub use fs::{Access, File, Fs, Lock};
pub use log::{Log, Options, Recovered, SEGMENT_BYTES};
pub use observer::Observer;
pub use reader::Reader;
pub use real_fs::RealFs;
pub use record::{Entry, LogId, Snapshot, State};
pub use recovery::TornTail;
pub use sim_fs::{Fault, SimFs, Survival};
pub use writer::{GROUP_BYTES, QUEUE_LENGTH, Writer};
