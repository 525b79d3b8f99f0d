//! Claims: taking a lock, waiting for it, looking at one's place, giving it up.
//!
//! A claim is one session's place in one lock's line, so asking again for the same is safe: same place, same token, nothing
//! written. A client that hangs up while it waits gives the place back, if its request made it.

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{Identity, Revision};
use node::{Claim, ClaimOutcome, ReleaseOutcome};

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::claim::ClaimDocument;
use super::claim_events;
use super::claim_request::{Answering, CheckedClaim, ClaimRequest, WAIT_MAX};
use super::conditions::Tags;
use super::duration::Span;
use super::frames::Framing;
use super::holder::Holder;
use super::names::{Lock, SessionId};
use super::path::{OfClaim, OfNewClaim};
use super::problem::{Facts, Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::sessions::{Session, SessionRecord};

/// When to come back for a place that was kept: at once, with a wait; who polls without one shall not do it faster.
pub(crate) const QUEUED_RETRY_AFTER_S: &str = "1";

/// Takes a lock, or a place in its line. `session` is `new` to open a session in the same step. Asking again is safe.
#[utoipa::path(
    put,
    path = "/locks/{name}/claims/{session}",
    operation_id = "claimLock",
    tag = "locks",
    params(
        ("name" = String, Path, description = "The lock; a slash in a name is written %2F", example = "orders"),
        ("session" = String, Path, description = "A session that is open, or `new`", example = "new"),
    ),
    request_body = ClaimRequest,
    responses(
        (status = 201, description = "Held, by this request", body = ClaimDocument, headers(("Location" = String, description = "The claim"), ("ETag" = String, description = "The fencing token"))),
        (status = 200, description = "Held already, under the same token. For a stream (`Accept: text/event-stream` or \
            `application/x-ndjson`): the events `queued`, `granted`, `lost`, each with the claim; hanging up gives back a place \
            that the request made, held or not", content(
            (ClaimDocument = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 202, description = "Still queued when the wait ended; the place is kept", body = ClaimDocument),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`lock-held`, `lock-wait-timeout` or `claim-lost`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 429, description = "`queue-full`, or `too-many-requests`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn claim(
    State(rest): State<Rest>,
    caller: Caller,
    OfNewClaim { lock, session }: OfNewClaim,
    query: Query,
    headers: HeaderMap,
    Json(request): Json<ClaimRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    if let Some(framing) = Framing::accepted(&headers) {
        let checked = request.check(&lock, session, Answering::Streaming)?;
        return claim_events::stream(rest, caller, lock, checked, framing).await;
    }
    let CheckedClaim { request, opens } = request.check(&lock, session, Answering::Once)?;
    let outcome = rest.unless_stopping(rest.handle.claim(caller.identity(), request)).await?;
    answer(&rest, &caller, &lock, outcome.map_err(Problem::of_write)?, opens).await
}

/// The answer to a claim that was decided.
async fn answer(
    rest: &Rest,
    caller: &Identity,
    lock: &Lock,
    outcome: ClaimOutcome,
    opens: Option<(i64, SessionRecord)>,
) -> Result<Response, Problem> {
    let (status, claim) = match outcome {
        ClaimOutcome::Held { claim, is_new: true } => (StatusCode::CREATED, claim),
        ClaimOutcome::Held { claim, is_new: false } => (StatusCode::OK, claim),
        ClaimOutcome::Queued { claim } => (StatusCode::ACCEPTED, claim),
        refused => return Err(refusal(rest, caller, lock, refused).await),
    };
    let opened = opens.map(|opens| opened_session(rest, &claim, opens));
    let document = ClaimDocument::of(rest, caller, lock, &claim, opened).await;
    let location = lock.claim_url(SessionId::of(claim.lease));
    Ok(if claim.ahead == 0 {
        let etag = format!("\"{}\"", claim.token);
        reply(status, claim.revision, [(LOCATION, location), (ETAG, etag)], &document)
    } else {
        let retry = QUEUED_RETRY_AFTER_S.to_owned();
        reply(status, claim.revision, [(LOCATION, location), (RETRY_AFTER, retry)], &document)
    })
}

/// The session that was opened with `claim`.
pub(crate) fn opened_session(rest: &Rest, claim: &Claim, (ttl, record): (i64, SessionRecord)) -> Session {
    let granted = ttl.max(rest.handle.config().lease_ttl_min());
    Session::new(rest, SessionId::of(claim.lease), granted, record)
}

/// Why there is no claim.
pub(crate) async fn refusal(rest: &Rest, caller: &Identity, lock: &Lock, outcome: ClaimOutcome) -> Problem {
    let (kind, detail, holder) = match outcome {
        ClaimOutcome::Busy { holder } => (Kind::LockHeld, "another session holds the lock", Some(holder)),
        ClaimOutcome::WaitTimeout { holder } => {
            (Kind::LockWaitTimeout, "the lock did not become free while the request waited", holder)
        }
        ClaimOutcome::QueueFull { holder } => {
            (Kind::QueueFull, "as many claims wait as the request accepts", Some(holder))
        }
        ClaimOutcome::SessionNotFound => (Kind::SessionNotFound, "there is no such session", None),
        ClaimOutcome::Lost => (Kind::ClaimLost, "the session ended, or the claim was released from elsewhere", None),
        ClaimOutcome::Held { .. } | ClaimOutcome::Queued { .. } => {
            unreachable!("a claim that was made is not refused")
        }
    };
    let holder = match holder {
        Some(kv) => Some(Holder::of(rest, caller, lock, &kv).await),
        None => None,
    };
    Problem::new(kind, format!("{}: {detail}", lock.name)).with(Facts { holder, ..Facts::default() })
}

/// A session's claim as it stands; with `wait`, as soon as it does not wait any more.
#[utoipa::path(
    get,
    path = "/locks/{name}/claims/{session}",
    operation_id = "getClaim",
    tag = "locks",
    params(
        ("name" = String, Path, description = "The lock", example = "orders"),
        ("session" = String, Path, description = "The session"),
        ("wait" = Option<String>, Query, description = "How long to wait for the claim to hold: up to `10m`", example = "30s"),
        ("state_not" = Option<String>, Query, description = "With `wait`: `queued`, which is also what is meant without it"),
    ),
    responses(
        (status = 200, description = "Held or queued", body = ClaimDocument),
        (status = 404, description = "`claim-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    mut query: Query,
) -> Result<Response, Problem> {
    let wait = query.text("wait")?.map(|text| Span::parse(&text)).transpose();
    let wait = wait.map_err(|malformed| Problem::invalid(format!("wait: {malformed}")))?;
    query.choice("state_not", &[("queued", ())])?;
    query.finish()?;
    let (prefix, lease) = (lock.prefix(), session.lease());
    let found = match wait {
        Some(span) => {
            let wait = span.within("wait", std::time::Duration::ZERO, WAIT_MAX)?;
            rest.unless_stopping(rest.handle.claim_wait(&caller, prefix, lease, wait)).await?
        }
        None => rest.handle.claim_state(&caller, prefix, lease).await,
    };
    let claim = found
        .map_err(Problem::of_read)?
        .ok_or_else(|| Problem::new(Kind::ClaimNotFound, format!("session {session} has no claim on {}", lock.name)))?;
    let document = ClaimDocument::of(&rest, &caller, &lock, &claim, None).await;
    if claim.ahead > 0 {
        return Ok(reply(StatusCode::OK, claim.revision, [], &document));
    }
    Ok(reply(StatusCode::OK, claim.revision, [(ETAG, format!("\"{}\"", claim.token))], &document))
}

/// Gives a claim up, held or waiting. With `If-Match` only that of this token, so that a repeated release cannot hit a newer
/// claim. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/locks/{name}/claims/{session}",
    operation_id = "releaseClaim",
    tag = "locks",
    params(
        ("name" = String, Path, description = "The lock", example = "orders"),
        ("session" = String, Path, description = "The session"),
        ("If-Match" = Option<String>, Header, description = "The fencing token in quotes", example = "\"1842\""),
    ),
    responses(
        (status = 204, description = "There is no such claim any more"),
        (status = 412, description = "`fencing-token-stale`: the session's claim is a newer one, and stays",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn release(
    State(rest): State<Rest>,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let token = match Tags::parse_one(&headers, &IF_MATCH)? {
        Some(Tags::Listed(tokens)) => tokens.first().copied(),
        Some(Tags::Any) | None => None,
    };
    let key = recipes::contender_key(&lock.prefix(), session.lease());
    match rest.handle.release(caller.0, key, token).await.map_err(Problem::of_write)? {
        ReleaseOutcome::Released { .. } | ReleaseOutcome::NotHeld => Ok(StatusCode::NO_CONTENT.into_response()),
        ReleaseOutcome::Stale { current } => Err(stale(&lock, current)),
    }
}

fn stale(lock: &Lock, current: Revision) -> Problem {
    let detail = format!("{}: the session's claim has another token; it was left alone", lock.name);
    let facts = Facts { current_token: Some(current.get()), ..Facts::default() };
    Problem::new(Kind::FencingTokenStale, detail).with(facts)
}
