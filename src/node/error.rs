//! Why a request has no answer, in the three kinds that are never mixed: rejected, unavailable, fault.

use model::Rejection;
use recipes::Invalid;
use state::ReadError;
use thiserror::Error;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A deterministic "no": repeating the request gives the same answer until the state changes.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// A recipe that makes no sense in any state.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// A password that bcrypt would cut off. Choose a shorter one.
    #[error("bcrypt: password length exceeds 72 bytes")]
    PasswordTooLong,
    /// This member only checks tokens. Authenticate at one that has the key to sign with.
    #[error("auth: token signing attempted with verify-only key")]
    VerifyOnly,
    /// Local and temporary; says whether a write may have happened.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    /// The member cannot go on (disk error, corruption); it is about to stop.
    #[error("etcdserver: server stopped")]
    Fault,
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Rejected(rejection) => rejection.into(),
            ReadError::Fault(fault) => {
                tracing::error!(%fault, "the store cannot be read");
                Self::Fault
            }
        }
    }
}

/// Why this member cannot answer now. The texts are etcd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// No leader is known. Nothing happened; try again, or another member.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// Leadership moved while the request waited. A write may have happened.
    #[error("etcdserver: leader changed")]
    LeaderChanged,
    /// No answer in time. A write may have happened.
    #[error("etcdserver: request timed out")]
    Timeout,
    /// More is waiting than this member admits. Nothing happened; slow down.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// The member is stopping. A write that was under way may have happened.
    #[error("etcdserver: server stopped")]
    Stopped,
}

impl Unavailable {
    /// Whether a write that failed so may have happened, or may still happen.
    #[must_use]
    pub const fn outcome_unknown(self) -> bool {
        match self {
            Self::LeaderChanged | Self::Timeout | Self::Stopped => true,
            Self::NoLeader | Self::TooManyRequests => false,
        }
    }
}
