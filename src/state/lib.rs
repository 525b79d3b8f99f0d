//! The deterministic MVCC machine and its storage.
//!
//! [`Machine`] turns committed log entries into a versioned map of keys with leases, [`Reader`] answers from it on any thread, and
//! [`FlushJob`] and [`CleanupJob`] move it to a [`Storage`] and reclaim what compaction dropped. The log of entries is the journal:
//! nothing is written on the way, what is in memory is made again from the entries after [`Machine::applied`]. A member that is too
//! far behind for the log takes in an [`Export`] of another one as an [`Import`].
//!
//! From the top down: the machine and its reader; who may do what; how a command is executed; how layers are read; how they reach the store; how a
//! store reaches another member; where stores live and what they are.
//!
//! Leaves to others: the order and durability of entries, expiry of leases, freshness of reads, and whether somebody is who they say; it decides what users may do.

mod machine;
mod outcome;
mod reader;

mod auth;
mod auth_change;
mod auth_record;
mod interval_set;
mod permission;

mod alarm;
mod downgrade;
mod draft;
mod facts;
mod hash;
mod history;
mod lease;
mod ledger;
mod page;
mod queues;
mod range;
mod txn;

mod layers;
mod overlay;
mod scan;
mod stored;

mod cleanup;
mod flush;
mod format;
mod resident;

mod export;
mod import;
mod piece;
mod rebuild;
mod survey;

mod fjall;
mod fjall_place;
mod memory;
mod place;
mod storage;

mod error;

pub use auth::{Auth, Rights, Role, User};
pub use cleanup::CleanupJob;
pub use error::{Fault, ReadError};
pub use export::Export;
pub use facts::{FACT_NAME_BYTES_MAX, Facts};
pub use fjall_place::FjallPlace;
pub use flush::FlushJob;
pub use hash::HashKv;
pub use import::{Import, Imported, RevisionBump};
pub use lease::LeaseInfo;
pub use machine::{Machine, Options};
pub use memory::{MemoryPlace, MemoryStorage};
pub use outcome::{Applied, Entry, Outcome, Payload, Reply};
pub use page::{Page, PageBounds};
pub use place::{Place, Staging};
pub use reader::{Reader, Sizes};
pub use rebuild::Rebuild;
pub use storage::{Edit, Entries, SHELVES, STORED_KEY_BYTES_MAX, Storage, View};
pub use survey::{Survey, Surveyed};

#[cfg(test)]
mod tests;
