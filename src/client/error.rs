//! What can go wrong, sorted by what a caller may conclude: whether the request may have happened.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};

/// Why a request was not answered as wished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client's settings cannot be used; nothing was sent.
    #[error("{0}")]
    Config(String),
    /// A member answered with an error.
    #[error("{message}")]
    Answer {
        /// gRPC's code.
        code: Code,
        /// The text, which is part of etcd's API.
        message: String,
    },
    /// The connection was lost after a write was sent.
    #[error("the connection was lost, and whether the request happened is unknown: {0}")]
    Interrupted(String),
    /// Nobody answered in time.
    #[error("no answer within {waited:?}{}", reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
    TimedOut {
        /// How long was waited.
        waited: Duration,
        /// Why the last attempt failed, if it did.
        reason: Option<String>,
        /// Whether an attempt was under way.
        is_sent: bool,
    },
    /// A watch wants events that were compacted away. What is missing has to be read anew.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The first revision that can still be watched.
        compact_revision: i64,
    },
    /// The server ended a watch.
    #[error("{0}")]
    WatchCanceled(String),
    /// A lease is gone: it expired or was revoked, or nobody could say otherwise within its time.
    #[error("etcdserver: requested lease not found")]
    LeaseExpired,
    /// A claim's key is gone: the session behind it ended, or someone deleted it.
    #[error("the session is expired: the claim's key is gone")]
    ClaimLost,
}

impl Error {
    /// Whether a write that failed so may have happened all the same. To know, read.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Interrupted(_) => true,
            Self::TimedOut { is_sent, .. } => *is_sent,
            Self::Answer { code, .. } => matches!(
                code,
                Code::Unavailable | Code::Unknown | Code::Internal | Code::DeadlineExceeded | Code::Cancelled
            ),
            Self::Config(_)
            | Self::Compacted { .. }
            | Self::WatchCanceled(_)
            | Self::LeaseExpired
            | Self::ClaimLost => false,
        }
    }

    /// The code of a member's answer.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        if let Self::Answer { code, .. } = self { Some(*code) } else { None }
    }

    pub(crate) fn answer(status: &Status) -> Self {
        Self::Answer { code: status.code(), message: status.message().to_owned() }
    }
}

/// How one attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection could be made: no member has seen the request.
    NeverSent(String),
    /// The connection was lost under way.
    Lost(String),
    /// A member said so.
    Answer(Status),
}

impl Failure {
    pub(crate) fn of(status: Status) -> Self {
        let Some(source) = status.source() else { return Self::Answer(status) };
        let mut cause = Some(source);
        let mut is_sent = true;
        let mut reason = source.to_string();
        while let Some(error) = cause {
            is_sent &= !error.is::<ConnectError>();
            reason = error.to_string();
            cause = error.source();
        }
        if is_sent { Self::Lost(reason) } else { Self::NeverSent(reason) }
    }

    /// Whether another member, or this one a little later, may do better, for a request that may happen twice.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NeverSent(_) | Self::Lost(_) => true,
            Self::Answer(status) => status.code() == Code::Unavailable,
        }
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NeverSent(reason) | Self::Lost(reason) => reason.clone(),
            Self::Answer(status) => status.message().to_owned(),
        }
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NeverSent(reason) | Self::Lost(reason) => Error::Interrupted(reason),
            Self::Answer(status) => Error::answer(&status),
        }
    }
}
