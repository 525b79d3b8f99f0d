//! Double barriers: parties begin together when all are there, and end together when all have left.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use model::{KeyRange, Revision};
use node::{LeftRound, Met};
use recipes::sync::{Enter, EnterOutcome, Leave};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::claims::QUEUED_RETRY_AFTER_S;
use super::duration::Span;
use super::holder::session_of;
use super::path::{OfMember, OfName};
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::{Folder, Resource};
use super::waiting;

/// A party that enters.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"count": 3, "wait": "30s"}))]
pub(crate) struct EnterRequest {
    /// How many parties make the round ready: at least 1, and the same for all of a round.
    pub(crate) count: Option<u32>,
    /// How long to wait for the others: up to `10m`. Default `0s`. The party stays after that.
    #[schema(value_type = Option<String>, examples("30s"))]
    pub(crate) wait: Option<Span>,
}

/// How a party's round stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartyState {
    /// The barrier.
    #[schema(examples("stage"))]
    pub(crate) barrier: String,
    /// How far the round is.
    pub(crate) state: Phase,
    /// The round: name it when leaving.
    #[schema(examples(1))]
    pub(crate) generation: u64,
    /// How many parties are there; absent once that does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<usize>,
    /// What this shows.
    pub(crate) revision: i64,
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Nobody is there.
    Idle,
    /// Not all are there yet.
    Entering,
    /// All are there, or some have left already.
    Ready,
    /// This party has left, others have not.
    Leaving,
}

/// A double barrier as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoubleBarrierState {
    /// Its name.
    #[schema(examples("stage"))]
    pub(crate) barrier: String,
    /// How far the present round is.
    pub(crate) state: Phase,
    /// The present round, counted from 1; 0 before the first.
    pub(crate) generation: u64,
    /// How many parties make the present round ready.
    pub(crate) count: u64,
    /// Sessions of the parties that are there, as they came.
    pub(crate) members: Vec<String>,
    /// What this shows.
    pub(crate) revision: i64,
}

fn record(barrier: &Resource) -> bytes::Bytes {
    let meta = barrier.meta();
    meta.slice(..meta.len() - 1)
}

/// Enters a round, and waits until all are there. Asking again is safe.
#[utoipa::path(
    put,
    path = "/double-barriers/{name}/members/{session}",
    operation_id = "enterDoubleBarrier",
    tag = "barriers",
    params(
        ("name" = String, Path, description = "The barrier; a slash in a name is written %2F", example = "stage"),
        ("session" = String, Path, description = "A session that is open"),
    ),
    request_body = EnterRequest,
    responses(
        (status = 200, description = "All are there", body = PartyState),
        (status = 202, description = "Not all were there when the wait ended; the party stays", body = PartyState),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`barrier-full`, `barrier-mismatch` or `claim-lost`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn enter(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
    Json(request): Json<EnterRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let barrier = Folder::DoubleBarriers.named(of)?;
    let count = request.count.filter(|count| *count > 0).ok_or_else(|| Problem::invalid("count must be at least 1"))?;
    let wait = waiting::in_body(request.wait)?;
    let party = recipes::Session::Existing(session.lease());
    let enter = Enter { prefix: barrier.prefix(), record: record(&barrier), session: party, count };
    let entered = rest.unless_stopping(rest.handle.enter(caller.0, enter, wait)).await?;
    let (revision, met) = entered.map_err(Problem::of_write)?;
    let name = &barrier.name;
    match met {
        Met::Decided(EnterOutcome::Ready { generation, .. }) => {
            Ok(reply(StatusCode::OK, revision, [], &state(name, Phase::Ready, generation, None, revision)))
        }
        Met::Decided(EnterOutcome::Entering { generation, present, .. }) => {
            let document = state(name, Phase::Entering, generation, Some(present), revision);
            let retry = QUEUED_RETRY_AFTER_S.to_owned();
            Ok(reply(StatusCode::ACCEPTED, revision, [(RETRY_AFTER, retry)], &document))
        }
        Met::Decided(EnterOutcome::Full { generation }) => Err(Problem::new(
            Kind::BarrierFull,
            format!("{name}: all parties of round {generation} are there; it ends when all have left"),
        )),
        Met::Decided(EnterOutcome::Mismatch { count }) => {
            Err(Problem::new(Kind::BarrierMismatch, format!("{name}: the others wait for {count} parties")))
        }
        Met::Decided(EnterOutcome::Absent(why)) => Err(waiting::absent(session, why)),
        Met::Lost => Err(lost(name)),
    }
}

/// Says that a party is gone.
pub(crate) fn lost(name: &str) -> Problem {
    Problem::new(Kind::ClaimLost, format!("{name}: the session ended while it waited, or its key was deleted"))
}

fn state(name: &str, phase: Phase, generation: u64, present: Option<usize>, revision: Revision) -> PartyState {
    PartyState { barrier: name.to_owned(), state: phase, generation, present, revision: revision.get() }
}

/// Leaves a round, and waits until all have left. Doing it twice is safe. Leaving before all were there is withdrawing.
#[utoipa::path(
    delete,
    path = "/double-barriers/{name}/members/{session}",
    operation_id = "leaveDoubleBarrier",
    tag = "barriers",
    params(
        ("name" = String, Path, description = "The barrier", example = "stage"),
        ("session" = String, Path, description = "The session"),
        ("generation" = Option<i64>, Query, description = "The round that is left; one that is over was left by all"),
        ("wait" = Option<String>, Query, description = "How long to wait for the others: up to `10m`", example = "30s"),
    ),
    responses(
        (status = 204, description = "All have left, or the party withdrew"),
        (status = 202, description = "Others had not left when the wait ended", body = PartyState),
    )
)]
pub(crate) async fn leave(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    mut query: Query,
) -> Result<Response, Problem> {
    let generation = query.positive("generation")?.map(i64::cast_unsigned);
    let wait = waiting::in_query(&mut query)?;
    query.finish()?;
    let barrier = Folder::DoubleBarriers.named(of)?;
    let (prefix, lease) = (barrier.prefix(), session.lease());
    let leave = Leave { prefix, record: record(&barrier), lease, generation };
    let left = rest.unless_stopping(rest.handle.leave(caller.0, leave, wait)).await?;
    let LeftRound { generation, remaining, revision } = left.map_err(Problem::of_write)?;
    if remaining == 0 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let document = state(&barrier.name, Phase::Leaving, generation, Some(remaining), revision);
    Ok(reply(StatusCode::ACCEPTED, revision, [(RETRY_AFTER, QUEUED_RETRY_AFTER_S.to_owned())], &document))
}

/// A double barrier as it stands.
#[utoipa::path(
    get,
    path = "/double-barriers/{name}",
    operation_id = "getDoubleBarrier",
    tag = "barriers",
    params(("name" = String, Path, description = "The barrier", example = "stage")),
    responses((status = 200, description = "With or without parties", body = DoubleBarrierState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let barrier = Folder::DoubleBarriers.named(of)?;
    let round = rest.handle.round(&caller, record(&barrier)).await.map_err(Problem::of_read)?;
    let range = KeyRange::prefix(barrier.prefix());
    let keys = rest.handle.keys(&caller, range).await.map_err(Problem::of_read)?;
    let (waiters, ready) = (barrier.etcd_name() + "/waiters/", barrier.etcd_name() + "/ready");
    let mut parties: Vec<_> = keys.iter().filter(|kv| kv.key.starts_with(waiters.as_bytes())).collect();
    parties.sort_by_key(|kv| kv.create_revision);
    let phase = match (parties.is_empty(), keys.get(ready.as_bytes())) {
        (true, _) => Phase::Idle,
        (false, None) => Phase::Entering,
        (false, Some(_)) => Phase::Ready,
    };
    let state = DoubleBarrierState {
        state: phase,
        generation: round.generation,
        count: round.count,
        members: parties.into_iter().map(session_of).collect(),
        revision: keys.revision().get(),
        barrier: barrier.name,
    };
    Ok(reply(StatusCode::OK, keys.revision(), [], &state))
}
