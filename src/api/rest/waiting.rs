//! How long a request may wait, in a body or in the query; and sessions that others wait with.

use std::time::Duration;

use recipes::sync::Absent;

use super::claim_request::WAIT_MAX;
use super::duration::Span;
use super::names::SessionId;
use super::problem::{Kind, Problem};
use super::query::Query;

/// What a body says of waiting: nothing is no wait.
pub(crate) fn in_body(wait: Option<Span>) -> Result<Duration, Problem> {
    wait.map_or(Ok(Duration::ZERO), |span| span.within("wait", Duration::ZERO, WAIT_MAX))
}

/// What the parameter `wait` says.
pub(crate) fn in_query(query: &mut Query) -> Result<Duration, Problem> {
    let span = query.text("wait")?.map(|text| Span::parse(&text)).transpose();
    in_body(span.map_err(|malformed| Problem::invalid(format!("wait: {malformed}")))?)
}

/// Why a session cannot take part.
pub(crate) fn absent(session: SessionId, why: Absent) -> Problem {
    match why {
        Absent::Expired => super::sessions::not_found(session),
        Absent::Conflict => Problem::new(Kind::SessionConflict, format!("session {session} exists and is another")),
    }
}
