//! Raft through openraft: the only crate that names it.
//!
//! **What it owns.** The replicated log (`log_store` over the `wal` crate), the one machine that applies it (`machine`), the tasks
//! around both. Above, a [`Handle`] proposes commands and confirms linearizable reads; every applied batch goes to an [`ApplySink`].
//!
//! **What it guarantees.** A reply is given after the entry is on the disks of a quorum and applied here. A confirmed read sees every
//! write answered before it. A refused proposal says whether it may have happened. After a crash the log is replayed to where it was.
//! openraft is configured in one place (`config`), because some of its defaults lose data.
//!
//! Every member takes proposals and linearizable reads; one that follows has its leader decide, and answers from its own state.
//!
//! **What it leaves to others.** What commands mean (`state`), watches, the life of leases ([`LeaseAuthority`]), the wire between
//! members (`transport`), ending the process when told of a fault.

mod config;
mod error;
mod execution;
mod fault;
mod opened_log;

mod start;
mod tasks;

mod admission;
mod handle;

mod forward;
mod pending;
mod propose;

mod leadership;
mod read_index;
mod watermark;

mod ask_leader;
mod key_hashes;
mod lease_authority;
mod renewals;

mod members;
mod reconfiguration;
mod removal;
mod roster;
mod transfer;

mod machine;
mod maintenance;
mod refetch;
mod restoration;
mod snapshot;

mod completions;
mod format;
mod log_reader;
mod log_store;
mod log_writer;
mod owner;
mod tail;

mod contact;
mod frames;
mod intake;
mod metered;
mod meters;
mod network;
mod peers;
mod service;

mod runtime;
mod types;

#[cfg(test)]
mod tests;

pub use config::{CATCH_UP_ENTRIES, Config};
pub use error::{Error, ProposeError, ReadIndexError};
pub use execution::{Execution, SyncDelay};
pub use fault::OnFault;
pub use handle::{Handle, RaftStatus};
pub use key_hashes::{HashSource, KeysHash};
pub use leadership::Leadership;
pub use lease_authority::{LeaseAuthority, LeaseLife, NotLeading};
pub use machine::ApplySink;
pub use members::{MemberChange, MembersError};
pub use meters::{PeerMeasured, RaftMeasured, TransfersMeasured};
pub use opened_log::{LogPlace, OpenedLog};
pub use owner::Owner;
pub use propose::{Committed, PROPOSAL_BYTES_MAX};
pub use reconfiguration::Reconfiguration;
pub use refetch::open_state;
pub use restoration::Restoration;
pub use roster::Member;
pub use runtime::SimLife;
pub use start::{Parts, Started, start};
pub use tasks::Tasks;
pub use transfer::TransferError;
pub use types::MemberInfo;
pub use wal::Observer as LogObserver;
