//! What goes into the machine and what comes out.

use bytes::Bytes;
use model::{AppliedBatch, DeleteResponse, LeaseId, LogId, PutResponse, Rejection, Revision, TxnResponse};

/// A committed log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub log_id: LogId,
    /// What it holds.
    pub payload: Payload,
}

/// What a log entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    Blank,
    /// An encoded [`model::Proposal`]. The state keeps slices of it, so the memory should not be a slice of much more.
    Command(Bytes),
    /// A new membership, opaque to the machine, which keeps the newest.
    Membership(Bytes),
}

/// What applying a group of entries came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// One for each entry, in order.
    pub replies: Vec<Reply>,
    /// What changed.
    pub batch: AppliedBatch,
}

/// The answer to one entry, the same on every member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The store's revision right after the entry.
    pub revision: Revision,
    /// What came of it.
    pub result: Result<Outcome, Rejection>,
}

/// What came of an entry that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of an entry without a command.
    Nothing,
    /// Of a put.
    Put(PutResponse),
    /// Of a delete.
    Delete(DeleteResponse),
    /// Of a transaction.
    Txn(TxnResponse),
    /// Of a compaction: agreed; what it drops goes later.
    Compacted,
    /// Of a grant.
    LeaseGranted {
        /// The lease.
        id: LeaseId,
        /// Its TTL in seconds.
        ttl: i64,
    },
    /// Of a revocation.
    LeaseRevoked,
    /// Of notes of remaining life.
    LeasesCheckpointed,
    /// Of a change of the alarms: the one that it is about, if there is or was one.
    Alarm(Option<model::Alarm>),
    /// Of a change of the version to go back to.
    Downgrade {
        /// What was noted before; if anything was, nothing else has been.
        before: Option<Bytes>,
    },
    /// Of a recipe.
    Recipe(recipes::Outcome),
    /// Of a change of the auth store.
    AuthChanged,
}
