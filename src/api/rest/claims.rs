//! Claims on locks of every sort: taking, waiting, looking at one's place, changing it, giving it up, asking for it.
//!
//! A claim is one session's place in a line, so asking again for the same is safe: same place, same token. A client that
//! hangs up while it waits gives the place back, if its request made it and no other was told of it. The routes are `claim_routes`.

use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{Identity, Revision};
use node::{Claim, ClaimOutcome, ClaimState, GiveUpOutcome};
use recipes::Extent;
use tokio::time::{Instant, timeout_at};

use super::Rest;
use super::caller::Caller;
use super::claim::{ClaimDocument, moved, standing_in};
use super::claim_events;
use super::claim_request::{Answering, CheckedClaim, ClaimRequest, WAIT_MAX};
use super::conditions::Tags;
use super::duration::Span;
use super::frames::Framing;
use super::holder::Holder;
use super::names::{Lock, SessionId};
use super::path::{OfClaim, OfNewClaim};
use super::problem::{Facts, Kind, Problem};
use super::query::Query;
use super::reply::{not_modified, reply};
use super::sessions::{Session, SessionRecord};

/// When to come back for a place that was kept: at once, with a wait; who polls without one shall not do it faster.
pub(crate) const QUEUED_RETRY_AFTER_S: &str = "1";

/// Makes a claim, or finds it.
pub(crate) async fn claim(
    rest: Rest,
    caller: Caller,
    OfNewClaim { lock, session }: OfNewClaim,
    headers: HeaderMap,
    request: ClaimRequest,
) -> Result<Response, Problem> {
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
    Ok(if claim.is_held() {
        reply(status, claim.revision, [(LOCATION, location), (ETAG, tag_of(&claim))], &document)
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
        ClaimOutcome::Busy { holder } => (Kind::LockHeld, "others hold, and the request would not wait", holder),
        ClaimOutcome::WaitTimeout { holder } => {
            (Kind::LockWaitTimeout, "the claim did not hold while the request waited", holder)
        }
        ClaimOutcome::QueueFull { holder } => (Kind::QueueFull, "as many claims wait as the request accepts", holder),
        ClaimOutcome::SessionNotFound => (Kind::SessionNotFound, "there is no such session", None),
        ClaimOutcome::Lost => (Kind::ClaimLost, "the session ended, or the claim was released from elsewhere", None),
        ClaimOutcome::OtherClaim => (Kind::ClaimConflict, "the session has another claim here; release it first", None),
        ClaimOutcome::Broken => {
            (Kind::ClaimLost, "somebody deleted one of the claim's keys; release it and claim anew", None)
        }
        ClaimOutcome::LimitExceeded { limit } => {
            let detail = format!("{}: the semaphore has {limit} permits", lock.name);
            return Problem::new(Kind::PermitsExceedLimit, detail);
        }
        ClaimOutcome::NoSemaphore => (Kind::SemaphoreNotFound, "the semaphore was never given a limit", None),
        ClaimOutcome::TooManyHolds => (Kind::InvalidRequest, "the session holds under as many names as it may", None),
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

/// The tag of a claim as it stands: of one that holds the token, of one that waits its place as well.
fn tag_of(claim: &Claim) -> String {
    if claim.is_held() { format!("\"{}\"", claim.token) } else { format!("\"{}-{}\"", claim.token, claim.ahead()) }
}

/// A claim as it stands; with a wait, when it holds or, with `If-None-Match`, when it stands otherwise than the client knows.
pub(crate) async fn show(
    rest: Rest,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = query.text("wait")?.map(|text| Span::parse(&text)).transpose();
    let wait = wait.map_err(|malformed| Problem::invalid(format!("wait: {malformed}")))?;
    query.choice("state_not", &[("queued", ())])?;
    query.finish()?;
    let wait = match wait {
        Some(span) => span.within("wait", std::time::Duration::ZERO, WAIT_MAX)?,
        None => std::time::Duration::ZERO,
    };
    let known = headers.get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    let (thing, lease) = (lock.claimable(), session.lease());
    let found = match known {
        Some(tag) => rest.unless_stopping(unlike(&rest, &caller, &lock, session, tag, wait)).await?,
        None if wait.is_zero() => rest.handle.claim_state(&caller, &thing, lease).await,
        None => rest.unless_stopping(rest.handle.claim_wait(&caller, &thing, lease, wait)).await?,
    };
    let claim = found.map_err(Problem::of_read)?.ok_or_else(|| not_found(&lock, session))?;
    let tag = tag_of(&claim);
    if known == Some(tag.as_str()) {
        return Ok(not_modified(claim.revision, tag));
    }
    let document = ClaimDocument::of(&rest, &caller, &lock, &claim, None).await;
    Ok(reply(StatusCode::OK, claim.revision, [(ETAG, tag)], &document))
}

/// The claim as soon as its tag is not this one, or as it stands at the end of the wait.
async fn unlike(
    rest: &Rest,
    caller: &Identity,
    lock: &Lock,
    session: SessionId,
    tag: &str,
    wait: std::time::Duration,
) -> Result<Option<Claim>, node::Error> {
    let deadline = Instant::now() + wait;
    let found = rest.handle.claim_state(caller, &lock.claimable(), session.lease()).await?;
    let Some(mut claim) = found else { return Ok(None) };
    if wait.is_zero() || tag_of(&claim) != tag {
        return Ok(Some(claim));
    }
    let mut stream = rest.handle.follow_claim(&claim).await?;
    while let Ok(Some(state)) = timeout_at(deadline, stream.next()).await {
        match standing_in(state) {
            None => return Ok(None),
            Some(standing) if standing != claim.standing => claim = moved(&claim, standing, rest.handle.revision()),
            Some(_) => {}
        }
        if tag_of(&claim) != tag || state == ClaimState::Granted {
            break;
        }
    }
    Ok(Some(claim))
}

/// Says that a session has no claim.
pub(crate) fn not_found(lock: &Lock, session: SessionId) -> Problem {
    Problem::new(Kind::ClaimNotFound, format!("session {session} has no claim on {}", lock.name))
}

/// The token in `If-Match`, if there is one.
pub(crate) fn token_in(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    Ok(match Tags::parse_one(headers, &IF_MATCH)? {
        Some(Tags::Listed(tokens)) => tokens.first().copied(),
        Some(Tags::Any) | None => None,
    })
}

/// Gives a claim up, or one hold of it.
pub(crate) async fn release(
    rest: Rest,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    hold: Option<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = token_in(&headers)?;
    let record = lock.claimable().record_key(session.lease());
    let extent = hold.map_or(Extent::Whole, |hold| Extent::Hold(hold.into()));
    match rest.handle.give_up(caller.0, record, token, extent).await.map_err(Problem::of_write)? {
        GiveUpOutcome::Gone { .. } | GiveUpOutcome::NotHeld | GiveUpOutcome::Stays { .. } => {
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        GiveUpOutcome::Stale { current } => Err(stale(&lock, current)),
    }
}

/// Says that a token is not that of the claim.
pub(crate) fn stale(lock: &Lock, current: Revision) -> Problem {
    let detail = format!("{}: the session's claim has another token; it was left alone", lock.name);
    let facts = Facts { current_token: Some(current.get()), ..Facts::default() };
    Problem::new(Kind::FencingTokenStale, detail).with(facts)
}
