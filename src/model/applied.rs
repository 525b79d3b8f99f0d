//! What applying a group of log entries changed: the one thing that flows upward, to watchers, waiters and the lease keeper.

use std::sync::Arc;

use crate::{Event, LeaseId, LogId, LogIndex, Revision, TokenDigest};

/// All changes of one revision, in the order of the operations. Shared, never copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision.
    pub revision: Revision,
    /// At least one event.
    pub events: Arc<[Event]>,
}

/// A change of the set of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// A lease was created.
    Granted {
        /// Which.
        id: LeaseId,
        /// Seconds to live.
        ttl: i64,
    },
    /// A lease ended, and its keys with it.
    Revoked {
        /// Which.
        id: LeaseId,
    },
    /// The remaining life of a lease was noted.
    Checkpointed {
        /// Which.
        id: LeaseId,
        /// Seconds left; zero means the full TTL.
        remaining: i64,
    },
}

/// A change of who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthChange {
    /// A user got a token.
    TokenGranted {
        /// Who.
        user: String,
        /// The token, but for its index.
        token: TokenDigest,
        /// Place of the entry that granted it, which is part of the token.
        index: LogIndex,
    },
    /// All tokens of a user are worth nothing any more.
    TokensRevoked {
        /// Who.
        user: String,
    },
    /// All tokens are worth nothing any more.
    AllTokensRevoked,
}

/// One group of entries, applied. Batches come in log order and miss no revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedBatch {
    /// The last entry of the group.
    pub applied: LogId,
    /// Revision of the store after the group.
    pub revision: Revision,
    /// Compact revision after the group; zero if never compacted.
    pub compact_revision: Revision,
    /// One for each revision made by the group, in order.
    pub changes: Vec<Change>,
    /// Changes of leases, in order.
    pub leases: Vec<LeaseChange>,
    /// Changes of tokens, in order.
    pub auth: Vec<AuthChange>,
}
