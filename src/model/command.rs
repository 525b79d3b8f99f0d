//! What travels in a log entry: a command, who proposed it, and everything that may not be decided while applying it.

use bytes::Bytes;

use crate::{AlarmChange, AuthCommand, DeleteRequest, LeaseId, PutRequest, Revision, TxnRequest};

/// A change of the replicated state. A changed behaviour arrives as a new variant, never as a new meaning of an old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write a key.
    Put(PutRequest),
    /// Delete keys.
    Delete(DeleteRequest),
    /// A transaction.
    Txn(TxnRequest),
    /// Forget what was superseded at or before this revision.
    Compact {
        /// The revision that stays readable.
        revision: Revision,
    },
    /// Create a lease; the proposer chose id and TTL.
    LeaseGrant {
        /// Non-zero.
        id: LeaseId,
        /// Seconds to live.
        ttl: i64,
    },
    /// End a lease: all its keys are deleted in one revision.
    LeaseRevoke {
        /// Which.
        id: LeaseId,
    },
    /// Note how long leases still have to live, for the next leader's clock.
    LeaseCheckpoint(Vec<LeaseCheckpoint>),
    /// A coordination recipe, in the encoding of the `recipes` crate.
    Recipe(Bytes),
    /// Raise or end an alarm.
    Alarm(AlarmChange),
    /// Note that the cluster is to go back to an older version, or that it is not.
    Downgrade {
        /// The version, as text; none ends it.
        target: Option<Bytes>,
    },
    /// A change of users, roles, or of whether they matter.
    Auth(AuthCommand),
}

/// Remaining life of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseCheckpoint {
    /// Which.
    pub id: LeaseId,
    /// Seconds left; zero means the full TTL.
    pub remaining: i64,
}

/// On whose behalf a command is applied. Authenticity was checked at the edge; permission is checked when applied. The default is
/// a client that did not say who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name; empty without authentication.
    pub user: String,
    /// Revision of the auth store when the user was authenticated; 0 without authentication.
    pub auth_revision: u64,
}

/// What [`Identity::cluster`] has in the place of a revision, which no auth store reaches.
const OF_THE_CLUSTER: u64 = u64::MAX;

impl Identity {
    /// The cluster itself, which may do everything: whoever ends leases that ran out, compacts by the clock, or gives back what a
    /// client left behind. No client gets it.
    #[must_use]
    pub const fn cluster() -> Self {
        Self { user: String::new(), auth_revision: OF_THE_CLUSTER }
    }

    /// Whether it is the cluster itself.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.user.is_empty() && self.auth_revision == OF_THE_CLUSTER
    }
}

/// A command as proposed: all that a member needs to apply it without asking a clock or a die.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Names the proposal among those of its proposer.
    pub id: u64,
    /// The proposer's wall clock in milliseconds since 1970: for records that people read, never for a decision.
    pub proposed_at_ms: u64,
    /// On whose behalf.
    pub identity: Identity,
    /// What to do.
    pub command: Command,
}
