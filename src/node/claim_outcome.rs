//! What came of claiming something or opening a session, as a client is told it.

use bytes::Bytes;
use model::{KeyValue, LeaseId, Revision};
use recipes::{Claimed, Place, Standing};

pub use recipes::{AmendOutcome, GiveUpOutcome, LimitOutcome, ReleaseOutcome, TellOutcome};

/// A claim: a place in line, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Key of its record; its only key, unless the record is one apart.
    pub record: Bytes,
    /// Its places.
    pub places: Vec<Place>,
    /// Its first key.
    pub key: Bytes,
    /// Create revision of that: the fencing token, once it holds.
    pub token: Revision,
    /// The session.
    pub lease: LeaseId,
    /// Value of its record.
    pub value: Bytes,
    /// Whether it holds, and if not, how many are before it.
    pub standing: Standing,
    /// Who is first in the line that it waits in.
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
    /// Others hold, and the request would not stand in line. Nothing was written.
    Busy {
        /// Who is first in the line.
        holder: Option<KeyValue>,
    },
    /// The wait ended, the place was given back.
    WaitTimeout {
        /// Who was first in the line when the wait began.
        holder: Option<KeyValue>,
    },
    /// The line is as long as the request would accept. Nothing was written.
    QueueFull {
        /// Who is first in the line.
        holder: Option<KeyValue>,
    },
    /// No such session. Nothing was written.
    SessionNotFound,
    /// The claim went away while it waited: its session ended, or it was released from elsewhere.
    Lost,
    /// The session has another claim there: in another mode, for other permits, or on one of the lines. Nothing was written.
    OtherClaim,
    /// The session's claim is in pieces, because somebody deleted one of its keys. Nothing was written.
    Broken,
    /// The semaphore has not so many permits. Nothing was written.
    LimitExceeded {
        /// How many it has.
        limit: u32,
    },
    /// There is no such semaphore. Nothing was written.
    NoSemaphore,
    /// The session holds the claim under as many names as it may. Nothing was written.
    TooManyHolds,
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
    pub(crate) fn new(record: Bytes, places: Vec<Place>, claimed: Claimed, revision: Revision) -> Self {
        let Claimed { key, token, lease, value, standing, holder } = claimed;
        Self { record, places, key, token, lease, value, standing, holder, revision }
    }

    /// Whether it holds.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.standing == Standing::Granted
    }

    /// How many are before it, those that hold included; 0 when it holds.
    #[must_use]
    pub const fn ahead(&self) -> usize {
        match self.standing {
            Standing::Granted => 0,
            Standing::Queued { ahead } => ahead,
        }
    }

    /// The same claim, seen to hold at `revision`.
    pub(crate) fn granted(self, revision: Revision) -> Self {
        Self { standing: Standing::Granted, holder: None, revision, ..self }
    }
}
