//! What came of claiming a lock or opening a session, as a client is told it.

use bytes::Bytes;
use model::{KeyValue, LeaseId, Revision};

pub use recipes::ReleaseOutcome;

/// A place in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its key.
    pub key: Bytes,
    /// Its create revision: the fencing token, once it holds.
    pub token: Revision,
    /// The session.
    pub lease: LeaseId,
    /// Value of its key.
    pub value: Bytes,
    /// How many are before it, the holder included; 0 when it holds.
    pub ahead: usize,
    /// Who holds, if that is another.
    pub holder: Option<KeyValue>,
    /// Revision of the store when this was seen.
    pub revision: Revision,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// It holds.
    Held {
        /// The claim.
        claim: Claim,
        /// Whether this request made the claim.
        is_new: bool,
    },
    /// It waits; the place is kept.
    Queued {
        /// The claim.
        claim: Claim,
    },
    /// Another holds, and the request would not stand in line. Nothing was written.
    Busy {
        /// Who.
        holder: KeyValue,
    },
    /// The wait ended, the place was given back.
    WaitTimeout {
        /// Who held when the wait began.
        holder: Option<KeyValue>,
    },
    /// The line is as long as the request would accept. Nothing was written.
    QueueFull {
        /// Who holds.
        holder: KeyValue,
    },
    /// No such session. Nothing was written.
    SessionNotFound,
    /// The claim went away while it waited: its session ended, or it was released from elsewhere.
    Lost,
}

/// A session that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its lease.
    pub lease: LeaseId,
    /// Seconds to live without a sign of life.
    pub ttl: i64,
    /// Revision of the store.
    pub revision: Revision,
    /// Whether this request opened it.
    pub is_new: bool,
}

impl Claim {
    pub(crate) fn new(kv: KeyValue, ahead: usize, holder: Option<KeyValue>, revision: Revision) -> Self {
        Self { key: kv.key, token: kv.create_revision, lease: kv.lease, value: kv.value, ahead, holder, revision }
    }
}
