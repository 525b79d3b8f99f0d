//! The port to where stores live: one is current, another can be built beside it and put in its place at once.
//!
//! Contract, which `tests/places.rs` holds every implementation to:
//!
//! - Whatever happens, the current store is whole: the one before until [`Staging::publish`] has switched, the new one from then on.
//!   There is no moment between the two, not even for a process that is killed or a machine that loses its power.
//! - What was built and not published is never seen, and is gone at the next [`Place::open`].
//! - The store before stays as it is for those who have it: its views can be read, and what is still written to it reaches nobody.

use std::sync::Arc;

use crate::Fault;
use crate::storage::{Edit, Storage};

/// Where stores live.
pub trait Place: Send + Sync {
    /// The current store; an empty one if there was none. Gives up whatever was staged.
    ///
    /// # Errors
    ///
    /// [`Fault`]: it cannot be read or is not ours.
    fn open(&self) -> Result<Arc<dyn Storage>, Fault>;

    /// Begins a new, empty store. Gives up an earlier one that was not published.
    ///
    /// # Errors
    ///
    /// [`Fault`]: it cannot be created; the current store is as it was.
    fn stage(&self) -> Result<Box<dyn Staging>, Fault>;
}

/// A store that is being built. Dropped, it is gone.
pub trait Staging: Send {
    /// Writes a group in strictly ascending order of keys, as [`Storage::ingest`] does. Keys ascend from group to group too.
    ///
    /// # Errors
    ///
    /// [`Fault`]: this store cannot be used; the current one is as it was.
    fn ingest(&mut self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault>;

    /// Makes this store the current one, durably.
    ///
    /// # Errors
    ///
    /// [`Fault::Superseded`]: it was given up before, and nothing has changed. Any other: which of the two is current is unknown,
    /// and one of them is.
    fn publish(self: Box<Self>) -> Result<Arc<dyn Storage>, Fault>;
}
