//! What is asked when a lock is claimed: for whom, how patiently, and what becomes of the place after that.

use std::time::Duration;

use bytes::Bytes;
use model::LeaseId;

/// For whom a lock is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRequest {
    /// A session that is open.
    Existing(LeaseId),
    /// One that is opened together with the claim, or not at all.
    New {
        /// Seconds; raised to the least that outlives an election.
        ttl: i64,
        /// What the key of its record begins with; the session's id in hexadecimal follows.
        record_prefix: Bytes,
        /// Value of its record.
        record: Bytes,
    },
}

/// What to do when another holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePolicy {
    /// Give up.
    TryOnly,
    /// Stand in line, unless `waiting_max` are waiting already.
    Enqueue {
        /// Most that may wait, this claim included; `None` is no bound.
        waiting_max: Option<u32>,
    },
}

/// What becomes of the place when the wait ends without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// It stays: the client comes back for it.
    Keep,
    /// It is given back.
    Leave,
}

/// A claim to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// What the keys of all contenders begin with, slash included.
    pub prefix: Bytes,
    /// For whom.
    pub session: SessionRequest,
    /// Value of the claim's key.
    pub value: Bytes,
    /// What to do when another holds.
    pub queue: QueuePolicy,
    /// How long to wait in line.
    pub wait: Duration,
    /// What becomes of the place after that.
    pub on_timeout: OnTimeout,
}
