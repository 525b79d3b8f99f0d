//! Watchers: who wants to hear of which changes, and how they do.
//!
//! The [`Hub`] is one task that owns all watchers. Applied batches come in through [`HubHandle::publish`], which never waits;
//! messages go out through a [`WatchStream`], one bounded queue for all watchers of a client's stream.
//!
//! Guarantees, for every watcher: events come in the order of their revisions, each once, none missing from its start on; all
//! events of one revision that it wants come in one message; after a [`WatchMessage::Progress`] nothing older follows. A watcher
//! that starts in the past is caught up at once, not when a timer goes off. A slow reader delays nobody else and costs a bounded
//! amount of memory: its watchers read the past again when there is room, or hear that it was compacted.
//!
//! Leaves to others: where the past is kept ([`History`], a port), permission, and the form of messages on the wire, which
//! includes their division ([`WatchEvents::iter`] goes event by event).

mod counters;
mod doorbell;
mod engine;
mod handle;
mod history;
mod hub;
mod interval;
mod matches;
mod message;
mod queue;
mod recent;
mod request;
mod scan;
mod slab;
mod stream;
mod watcher;

#[cfg(test)]
mod testing;

pub use counters::Counters;
pub use handle::HubHandle;
pub use history::{History, HistoryError};
pub use hub::{Hub, Reads};
pub use message::{Refusal, Selection, WatchEvents, WatchMessage};
pub use request::{Filters, WatchRequest};
pub use stream::WatchStream;
