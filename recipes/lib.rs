//! Coordination recipes as deterministic expansions into ordinary keys.
//!
//! A recipe is one [`Command`] in one log entry. Applying it reads keys and leases through the [`Ledger`] port and expands to
//! plain puts and deletes in one revision: keys and leases stay the only truth, so whatever a recipe does, an etcd client can
//! see, wait for and join. Who holds a lock is never recorded; it is the contender with the lowest create revision, and that
//! revision is the fencing token.
//!
//! No clock, randomness, network or thread: times and ids are chosen by the proposer and travel in the command. Waiting is not
//! done here either; a contender that has to wait is told its place, and whoever serves it follows the applied changes.

mod ledger;
mod queue;

mod session;

mod mutex;

mod claim;
mod claim_record;
mod place;
mod semaphore;

mod amend;
mod give_up;
mod tell;

pub mod config;
mod election;
mod guard;
pub mod sync;

mod codec;
mod command;
mod invalid;
mod outcome;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use amend::{Amend, AmendOutcome, Amendment};
pub use claim::{Claim, ClaimOutcome, Claimed, HOLD_BYTES_MAX, HOLDS_MAX, PLACES_MAX};
pub use claim_record::{ClaimRecord, weight_of};
pub use codec::CodecError;
pub use command::{Command, apply};
pub use election::{About, Campaign, Proclaim, ProclaimOutcome};
pub use give_up::{Extent, GiveUp, GiveUpOutcome, Notice};
pub use guard::{GUARDS_MAX, Guard};
pub use invalid::{Invalid, TTL_SECONDS_MAX};
pub use ledger::Ledger;
pub use mutex::{Acquire, AcquireOutcome, Enqueue, Release, ReleaseOutcome, contender_key};
pub use outcome::Outcome;
pub use place::{Census, Lines, Place, Standing, readers, sharers, writers};
pub use queue::{Contender, Queue};
pub use semaphore::{LimitOutcome, SemaphoreLimit, SetLimit};
pub use session::{OpenSession, Session, SessionOutcome, SessionRecord};
pub use tell::{Tell, TellOutcome};
