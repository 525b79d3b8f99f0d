//! The port: what an expansion may read and write inside one revision.
//!
//! The state machine implements it over its keys and leases; the crate's `testing` module over ordered maps.
//!
//! Expansions read first and write last, so an implementation may answer a read after a write of the same command either way.
//! All writes of one command carry the same revision and become visible together. A command that writes no key uses up no
//! revision.

use bytes::Bytes;
use model::{KeyValue, LeaseId, Revision};

use crate::Queue;

/// What a command may read and write while it is applied.
pub trait Ledger {
    /// Why the command cannot go on, which is never an outcome of the recipe: a local failure, such as of the disk, which ends the node;
    /// or that its user may not touch a key, which ends the command as if it had not been.
    type Fault;

    /// The revision that this command's writes carry: higher than that of every key there is.
    fn revision(&self) -> Revision;

    /// The key as it is now.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, Self::Fault>;

    /// Every key that begins with `prefix`, by create revision: exactly those, whoever wrote them and in whatever way.
    ///
    /// The order is derived from the keys. An implementation keeps it between commands or builds it anew, as it likes; what it
    /// keeps of `prefix` it copies, because the bytes may be a slice of a whole log entry.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn contenders(&mut self, prefix: &Bytes) -> Result<&Queue, Self::Fault>;

    /// The TTL in seconds that a lease was granted with; `None` when there is no such lease.
    fn lease_ttl(&self, id: LeaseId) -> Option<i64>;

    /// Writes a key and attaches it to `lease`, which exists or is granted by this command.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn put(&mut self, key: Bytes, value: Bytes, lease: LeaseId) -> Result<(), Self::Fault>;

    /// Deletes a key, which exists.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn delete(&mut self, key: &Bytes) -> Result<(), Self::Fault>;

    /// Grants a lease, of an id that is not in use, for `ttl` seconds.
    fn grant_lease(&mut self, id: LeaseId, ttl: i64);

    /// Every key that begins with `prefix`, in byte order.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn range(&self, prefix: &Bytes) -> Result<Vec<KeyValue>, Self::Fault>;
}
