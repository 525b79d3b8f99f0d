//! Raft through openraft: the only crate that names it.
//!
//! **What it owns.** The replicated log (`log_store` over the `wal` crate), the one machine that applies it (`machine`), the tasks
//! around both. Above, a [`Handle`] proposes commands and confirms linearizable reads; every applied batch goes to an [`ApplySink`].
//!
//! **What it guarantees.** A reply is given after the entry is on the disks of a quorum and applied here. A confirmed read sees every
//! write answered before it. A refused proposal says whether it may have happened. After a crash the log is replayed to where it was.
//! openraft is configured in one place (`config`), because some of its defaults lose data.
//!
//! **What it leaves to others.** What commands mean (`state`), watches and leases, forwarding to a leader, ending the process when
//! told of a fault. This member is its cluster's only one so far: the way to peers (`network`) reaches nobody.

mod config;
mod error;
mod fault;

mod start;
mod tasks;

mod admission;
mod handle;
mod leadership;
mod propose;
mod read_index;

mod machine;
mod maintenance;
mod snapshot;
mod watermark;

mod completions;
mod format;
mod identity;
mod log_reader;
mod log_store;
mod tail;

mod network;
mod types;

#[cfg(test)]
mod tests;

pub use config::{CATCH_UP_ENTRIES, Config};
pub use error::{Error, ProposeError, ReadIndexError};
pub use fault::OnFault;
pub use handle::{Handle, RaftStatus};
pub use leadership::Leadership;
pub use machine::ApplySink;
pub use propose::{Committed, PROPOSAL_BYTES_MAX};
pub use start::{LogPlace, start};
pub use tasks::Tasks;
pub use types::PeerInfo;
pub use wal::Observer as LogObserver;
