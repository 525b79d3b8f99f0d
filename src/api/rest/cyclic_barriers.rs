//! Cyclic barriers: parties wait for each other, again and again, one generation after the other.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use model::{KeyRange, Revision};
use node::Met;
use recipes::sync::{Arrive, ArriveOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::claims::QUEUED_RETRY_AFTER_S;
use super::double_barriers::lost;
use super::duration::Span;
use super::holder::session_of;
use super::path::{OfMember, OfName};
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::{Folder, Resource};
use super::waiting;

/// A party that arrives.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"parties": 3, "wait": "30s"}))]
pub(crate) struct ArriveRequest {
    /// How many parties trip the barrier: at least 1, and the same for all of a generation.
    pub(crate) parties: Option<u32>,
    /// How long to wait for the others: up to `10m`. Default `0s`. The party stays after that.
    #[schema(value_type = Option<String>, examples("30s"))]
    pub(crate) wait: Option<Span>,
    /// The generation that is meant, so that a repeated request is not taken for an arrival at the next one. Default: the present one.
    pub(crate) generation: Option<u64>,
}

/// How a generation stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Arrival {
    /// The barrier.
    #[schema(examples("step"))]
    pub(crate) barrier: String,
    /// Whether all were there.
    pub(crate) state: ArrivalState,
    /// The generation.
    #[schema(examples(1))]
    pub(crate) generation: u64,
    /// How many have arrived, while not all have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arrived: Option<usize>,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Whether all were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ArrivalState {
    /// Not yet.
    Waiting,
    /// They were, and the generation is over.
    Tripped,
}

/// A cyclic barrier as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CyclicBarrierState {
    /// Its name.
    #[schema(examples("step"))]
    pub(crate) barrier: String,
    /// The present generation, counted from 1.
    pub(crate) generation: u64,
    /// Sessions of the parties that wait, as they came.
    pub(crate) waiting: Vec<String>,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Arrives, and waits until all have. Asking again is safe if it names the generation.
#[utoipa::path(
    put,
    path = "/cyclic-barriers/{name}/parties/{session}",
    operation_id = "arriveAtCyclicBarrier",
    tag = "barriers",
    params(
        ("name" = String, Path, description = "The barrier; a slash in a name is written %2F", example = "step"),
        ("session" = String, Path, description = "A session that is open"),
    ),
    request_body = ArriveRequest,
    responses(
        (status = 200, description = "All were there", body = Arrival),
        (status = 202, description = "Not all were there when the wait ended; the party stays", body = Arrival),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`barrier-mismatch`: of the number of parties, or a generation that has not begun; or \
            `claim-lost`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn arrive(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
    Json(request): Json<ArriveRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let barrier = Folder::CyclicBarriers.named(of)?;
    let parties = request.parties.filter(|count| *count > 0);
    let parties = parties.ok_or_else(|| Problem::invalid("parties must be at least 1"))?;
    let wait = waiting::in_body(request.wait)?;
    let party = recipes::Session::Existing(session.lease());
    let arrive = Arrive { prefix: barrier.prefix(), session: party, parties, generation: request.generation };
    let arrived = rest.unless_stopping(rest.handle.arrive(caller.0, arrive, wait)).await?;
    let (revision, met) = arrived.map_err(Problem::of_write)?;
    let name = &barrier.name;
    match met {
        Met::Decided(ArriveOutcome::Tripped { generation }) => {
            let document = arrival(name, ArrivalState::Tripped, generation, None, revision);
            Ok(reply(StatusCode::OK, revision, [], &document))
        }
        Met::Decided(ArriveOutcome::Waiting { generation, arrived, .. }) => {
            let document = arrival(name, ArrivalState::Waiting, generation, Some(arrived), revision);
            let retry = QUEUED_RETRY_AFTER_S.to_owned();
            Ok(reply(StatusCode::ACCEPTED, revision, [(RETRY_AFTER, retry)], &document))
        }
        Met::Decided(ArriveOutcome::Mismatch { parties }) => {
            Err(Problem::new(Kind::BarrierMismatch, format!("{name}: the others wait for {parties} parties")))
        }
        Met::Decided(ArriveOutcome::NotYet { generation }) => {
            Err(Problem::new(Kind::BarrierMismatch, format!("{name}: the present generation is {generation}")))
        }
        Met::Decided(ArriveOutcome::Absent(why)) => Err(waiting::absent(session, why)),
        Met::Lost => Err(lost(name)),
    }
}

fn arrival(name: &str, state: ArrivalState, generation: u64, arrived: Option<usize>, revision: Revision) -> Arrival {
    Arrival { barrier: name.to_owned(), state, generation, arrived, revision: revision.get() }
}

fn party_key(barrier: &Resource, lease: model::LeaseId) -> bytes::Bytes {
    recipes::contender_key((barrier.etcd_name() + "/parties/").as_bytes(), lease)
}

/// Withdraws a party that waits. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/cyclic-barriers/{name}/parties/{session}",
    operation_id = "withdrawFromCyclicBarrier",
    tag = "barriers",
    params(
        ("name" = String, Path, description = "The barrier", example = "step"),
        ("session" = String, Path, description = "The session"),
    ),
    responses((status = 204, description = "The session does not wait any more"))
)]
pub(crate) async fn withdraw(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let key = party_key(&Folder::CyclicBarriers.named(of)?, session.lease());
    rest.handle.release(caller.0, key, None).await.map_err(Problem::of_write)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A cyclic barrier as it stands.
#[utoipa::path(
    get,
    path = "/cyclic-barriers/{name}",
    operation_id = "getCyclicBarrier",
    tag = "barriers",
    params(("name" = String, Path, description = "The barrier", example = "step")),
    responses((status = 200, description = "With or without parties", body = CyclicBarrierState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let barrier = Folder::CyclicBarriers.named(of)?;
    let keys = rest.handle.keys(&caller, KeyRange::prefix(barrier.prefix())).await.map_err(Problem::of_read)?;
    let (parties, record) = (barrier.etcd_name() + "/parties/", barrier.etcd_name() + "/generation");
    let mut waiting: Vec<_> = keys.iter().filter(|kv| kv.key.starts_with(parties.as_bytes())).collect();
    waiting.sort_by_key(|kv| kv.create_revision);
    let state = CyclicBarrierState {
        generation: keys.get(record.as_bytes()).and_then(|kv| recipes::sync::generation(&kv.value)).unwrap_or(1),
        waiting: waiting.into_iter().map(session_of).collect(),
        revision: keys.revision().get(),
        barrier: barrier.name,
    };
    Ok(reply(StatusCode::OK, keys.revision(), [], &state))
}
