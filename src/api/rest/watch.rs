//! Following keys over a stream of events, without a gap between what is there and what changes.
//!
//! The client says what it follows and, if it has been here before, how far it came. What it hears is in `follower.rs`.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use model::KeyRange;

use super::Rest;
use super::caller::Caller;
use super::envelope::RequestId;
use super::follower::{Follower, Wish};
use super::frames::{Framing, respond};
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use super::resume::Since;
use super::value::Wanted;

/// Follows a key, or all keys of a prefix: first what there is, then every change, one event for each revision.
///
/// Events: `snapshot` (the keys at a revision, when no cursor is given), `change` (all changes of one revision), `progress`
/// (nothing happened up to here), `reset` (the cursor cannot be used: a snapshot in its place, and why), `goaway` (the server
/// stops; connect again). What is too big for one event comes in several named `part`, without an id; the event that has the
/// id completes them. The id is a cursor: give the last one in `Last-Event-ID` or `cursor`, and nothing is missed or told
/// twice.
#[utoipa::path(
    get,
    path = "/watch",
    operation_id = "watchKeys",
    tag = "watch",
    params(
        ("prefix" = Option<String>, Query, description = "Follow all keys that begin so; empty for all", example = "app/"),
        ("key" = Option<String>, Query, description = "Follow this key; instead of `prefix`"),
        ("cursor" = Option<String>, Query, description = "The id of the last event that was heard; a list of keys has one too"),
        ("encoding" = Option<String>, Query, description = "`auto`, `base64` or `json`"),
        ("Last-Event-ID" = Option<String>, Header, description = "As `cursor`, before which it goes"),
    ),
    responses(
        (status = 200, description = "Events without end: server-sent events, or lines of JSON (`{event, id, data}`) with \
            `Accept: application/x-ndjson`", content(
            (String = "text/event-stream"),
            (String = "application/x-ndjson"),
        )),
        (status = 413, description = "`snapshot-too-large`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn watch(
    State(rest): State<Rest>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let range = range(&mut query)?;
    let wanted = Wanted::of(&mut query)?;
    let since = Since::asked(&headers, &mut query)?;
    query.finish()?;
    let wish = Wish { caller, range, wanted, request_id: request_id.to_string() };
    let framing = Framing::accepted(&headers).unwrap_or(Framing::EventStream);
    let follower = rest.unless_stopping(Follower::open(rest.clone(), wish, since)).await??;
    Ok(respond(framing, follower))
}

fn range(query: &mut Query) -> Result<KeyRange, Problem> {
    match (query.bytes("prefix"), query.bytes("key")) {
        (Some(prefix), None) => Ok(KeyRange::prefix(prefix)),
        (None, Some(key)) if key.is_empty() => Err(Problem::invalid("the key is empty")),
        (None, Some(key)) => Ok(KeyRange::Single(key)),
        (None, None) | (Some(_), Some(_)) => Err(Problem::invalid("give either \"prefix\" or \"key\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_followed() {
        let range = |query: &str| range(&mut Query::parse(query).unwrap());
        assert_eq!(range("key=a").unwrap(), KeyRange::Single("a".into()));
        assert_eq!(range("prefix=a").unwrap(), KeyRange::prefix("a".into()));
        assert_eq!(range("prefix=").unwrap(), KeyRange::prefix("".into()));
        for query in ["", "key=", "key=a&prefix=a"] {
            assert!(range(query).is_err(), "{query}");
        }
    }
}
