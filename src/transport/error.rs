//! Why a call between members has no answer.

use proto::quoratepb::Refusal;
use thiserror::Error;

/// A call that failed. Whether the other side acted on it is unknown unless said otherwise.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CallError {
    /// There is no connection: the call never left. Try again later.
    #[error("cannot reach the member: {0}")]
    Unreachable(String),
    /// The connection broke, or the other side failed, while the call was under way.
    #[error("the call was interrupted: {0}")]
    Interrupted(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The other side refused the header; it did nothing. Only [`Refusal::reason`] `REMOVED` is final.
    #[error("refused: {:?}", .0.reason())]
    Refused(Refusal),
    /// The other side is stopping or not ready yet; it did nothing.
    #[error("the member is not serving")]
    NotServing,
    /// The other side could not read the request; it did nothing. A mistake in one of the two programs.
    #[error("malformed request: {0}")]
    Malformed(String),
}

impl CallError {
    /// Whether the other side may have acted on the call, or may yet. If not, another one may be asked at once.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Self::Interrupted(_) | Self::Timeout => true,
            Self::Unreachable(_) | Self::Refused(_) | Self::NotServing | Self::Malformed(_) => false,
        }
    }
}
