//! Coming back to a stream: from which cursor, or why that cannot be; the same for everything that can be followed.

use axum::http::{HeaderMap, HeaderName};
use model::Revision;
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{Cursor, Epoch};
use super::problem::Problem;
use super::query::Query;

/// What a browser's event source says when it connects again.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where a follower begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// With what there is.
    Now,
    /// After everything that it heard before.
    Cursor(Cursor),
    /// After something that is no cursor of ours.
    Unknown(String),
}

/// Why a cursor cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResetReason {
    /// The history after it is no longer kept.
    Compacted,
    /// It is of another history.
    Epoch,
    /// The store has not come so far.
    Future,
    /// It is not a cursor.
    Unknown,
}

/// The whole state shall be told, and why if not because it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    /// Why, and the cursor that was given.
    pub(crate) reason: Option<(ResetReason, String)>,
}

/// Nothing happened up to here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// How far.
    pub(crate) revision: i64,
}

impl Since {
    /// What a client says that it has heard: in a header, before which a parameter does not count.
    pub(crate) fn asked(headers: &HeaderMap, query: &mut Query) -> Result<Self, Problem> {
        let parameter = query.text("cursor")?;
        let header = headers.get(LAST_EVENT_ID).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self::of(header.or(parameter).filter(|cursor| !cursor.is_empty())))
    }

    fn of(cursor: Option<String>) -> Self {
        match cursor {
            None => Self::Now,
            Some(text) => Cursor::parse(&text).map_or_else(|| Self::Unknown(text), Self::Cursor),
        }
    }

    /// The cursor to go on from in the history `epoch`, which has come to `now`; or why there is none. Whether history reaches
    /// back to it the store will say.
    pub(crate) fn check(self, epoch: Epoch, now: Revision) -> Result<Cursor, Restart> {
        let unusable = |reason, from: String| Err(Restart { reason: Some((reason, from)) });
        match self {
            Self::Now => Err(Restart { reason: None }),
            Self::Unknown(text) => unusable(ResetReason::Unknown, text.chars().take(64).collect()),
            Self::Cursor(cursor) if cursor.epoch != epoch => unusable(ResetReason::Epoch, cursor.to_string()),
            Self::Cursor(cursor) if cursor.revision > now => unusable(ResetReason::Future, cursor.to_string()),
            Self::Cursor(cursor) => Ok(cursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ClusterId;

    use super::*;

    #[test]
    fn t28_a_cursor_that_is_not_of_this_history_is_never_used() {
        let epoch = Epoch::of(ClusterId::new(7));
        let check = |text: &str| Since::of(Some(text.to_owned())).check(epoch, Revision::new(9));
        let reason = |text: &str| check(text).unwrap_err().reason.unwrap().0;
        assert_eq!(check("7.9").unwrap().revision, Revision::new(9));
        assert_eq!(reason("7.10"), ResetReason::Future);
        assert_eq!(reason("8.9"), ResetReason::Epoch);
        assert_eq!(reason("9"), ResetReason::Unknown);
        assert_eq!(reason("7.0"), ResetReason::Unknown);
        assert_eq!(Since::of(None).check(epoch, Revision::new(9)), Err(Restart { reason: None }));
    }
}
