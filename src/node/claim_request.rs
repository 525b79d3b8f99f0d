//! What is asked when something is claimed: for whom, where, how patiently, and what becomes of the place after that.

use std::time::Duration;

use bytes::Bytes;
use model::LeaseId;
use recipes::Place;

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
    /// Where: one place, or several that are taken together.
    pub places: Vec<Place>,
    /// What the key of the claim's record begins with, where that is one apart; the session's id in hexadecimal follows.
    pub records: Option<Bytes>,
    /// For whom.
    pub session: SessionRequest,
    /// The name of this hold; empty for the one without a name.
    pub hold: Bytes,
    /// What the claimant says about itself: JSON, or nothing.
    pub meta: Bytes,
    /// What to do when another holds.
    pub queue: QueuePolicy,
    /// How long to wait in line.
    pub wait: Duration,
    /// What becomes of the place after that.
    pub on_timeout: OnTimeout,
}

impl ClaimRequest {
    /// A claim on the mutex whose contenders' keys begin with `prefix`, slash included: it stands in line, does not wait here, and
    /// keeps its place.
    #[must_use]
    pub fn mutex(prefix: Bytes, session: SessionRequest) -> Self {
        Self {
            places: vec![Place::Mutex { prefix }],
            records: None,
            session,
            hold: Bytes::new(),
            meta: Bytes::new(),
            queue: QueuePolicy::Enqueue { waiting_max: None },
            wait: Duration::ZERO,
            on_timeout: OnTimeout::Keep,
        }
    }
}
