//! What is wrong with a command that could not be carried out in any state.

use bytes::Bytes;
use model::PutRequest;
use thiserror::Error;

/// Longest life of a session in seconds: that of any lease.
pub const TTL_SECONDS_MAX: i64 = 9_000_000_000;

/// Why a command is refused, whatever the state. Found at the edge, to save the log entry, and again when applied, so that no
/// entry can write a key that the recipes do not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// An empty prefix would make every key of the store a contender.
    #[error("the prefix is empty")]
    EmptyPrefix,
    /// A key has at least one byte.
    #[error("the key is empty")]
    EmptyKey,
    /// The key, or the prefix with the session's name added, is longer than the store takes.
    #[error("the key is too long")]
    KeyTooLong,
    /// Zero means "no lease", and a negative number has no name that etcd clients agree on.
    #[error("a session id is between 1 and 2^63-1")]
    LeaseOutOfRange,
    /// The TTL must be from 1 to [`TTL_SECONDS_MAX`] seconds.
    #[error("a session lives for 1 to 9000000000 seconds")]
    TtlOutOfRange,
    /// A count of parties is at least 1, and bounded where they are keys of one recipe.
    #[error("a count is between 1 and what the recipe allows")]
    CountOutOfRange,
    /// A session record below the prefix would itself contend, and in the same revision as the claim.
    #[error("the session record lies below the prefix contended for")]
    RecordContends,
    /// A claim has 1 to 64 places.
    #[error("a claim is on 1 to 64 lines")]
    PlacesOutOfRange,
    /// A claim is on each line at most once, and on none that is part of another.
    #[error("a line is claimed twice, or is part of another")]
    PlaceTwice,
    /// Nobody waits for nothing.
    #[error("a claim on a semaphore asks for at least one permit")]
    NoPermits,
    /// A record apart belongs to a claim on several lines or on a read-write lock, and to those only; no two records are one key.
    #[error("the record of the claim is missing, or not where it belongs")]
    RecordMisplaced,
    /// The name of a hold is UTF-8 of at most 128 bytes.
    #[error("the name of a hold has at most 128 bytes of UTF-8")]
    HoldName,
    /// What a claim says about itself is JSON.
    #[error("what a claim says about itself must be JSON")]
    Meta,
    /// A name is one part of a path: not empty, without a slash; and of a draft only its own keys can be written.
    #[error("a key that is not one of those that the command may write")]
    BadName,
    /// More parts than a command may have.
    #[error("the command has too many parts")]
    TooMany,
    /// One command writes each key once.
    #[error("a key is written twice")]
    WrittenTwice,
    /// A plan has 1 to 64 steps; each a percentage from 1 to 100 or 1 to 64 labels, and at least one acknowledgement.
    #[error(
        "a rollout has 1 to 64 steps, each of 1 to 100 percent or of 1 to 64 labels, and of at least one acknowledgement"
    )]
    BadPlan,
}

pub(crate) fn check_key(key: &Bytes) -> Result<(), Invalid> {
    if key.is_empty() {
        return Err(Invalid::EmptyKey);
    }
    PutRequest { key: key.clone(), ..PutRequest::default() }.check().map_err(|_| Invalid::KeyTooLong)
}
