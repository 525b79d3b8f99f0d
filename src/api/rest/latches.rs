//! Countdown latches: a number that parties count down, and others wait until nothing remains. Open latches stay open.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::{KeyRange, Revision};
use recipes::sync::{CountDown, DropLatch, LATCH_COUNT_MAX, LatchOutcome, SetLatch, SyncCommand, SyncOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::names::check_name;
use super::path::OfName;
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::{Folder, Resource};
use super::waiting;

/// A latch to be set up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"count": 3}))]
pub(crate) struct LatchRequest {
    /// What it begins with: 1 to 65536.
    pub(crate) count: Option<u32>,
}

/// A party that counts down.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"by": "worker-7"}))]
pub(crate) struct CountDownRequest {
    /// Who counts: a party that has a name counts once, however often it says so. Without one every request counts.
    pub(crate) by: Option<String>,
}

/// A latch as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatchState {
    /// Its name.
    #[schema(examples("start"))]
    pub(crate) latch: String,
    /// What remains; 0 for good once it is open.
    pub(crate) remaining: u64,
    /// What it began with.
    pub(crate) count: u64,
    /// Whether this request counted; only in the answer to one that would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counted: Option<bool>,
    /// What this shows.
    pub(crate) revision: i64,
}

fn key(latch: &Resource) -> Bytes {
    latch.etcd_name().into()
}

async fn run(rest: &Rest, caller: Caller, command: SyncCommand) -> Result<(Revision, LatchOutcome), Problem> {
    match rest.handle.synchronise(caller.0, command).await.map_err(Problem::of_write)? {
        (revision, SyncOutcome::Latch(outcome)) => Ok((revision, outcome)),
        (_, other) => unreachable!("a latch was answered by {other:?}"),
    }
}

fn missing(name: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("there is no latch {name}"))
}

/// Sets a latch up. Doing it twice is safe; what it began with cannot be changed.
#[utoipa::path(
    put,
    path = "/latches/{name}",
    operation_id = "setLatch",
    tag = "latches",
    params(("name" = String, Path, description = "The latch; a slash in a name is written %2F", example = "start")),
    request_body = LatchRequest,
    responses(
        (status = 201, description = "Set up", body = LatchState),
        (status = 200, description = "It was there", body = LatchState),
        (status = 409, description = "`barrier-mismatch`: it began with another count", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    Json(request): Json<LatchRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let latch = Folder::Latches.named(of)?;
    let count = request.count.filter(|count| (1..=LATCH_COUNT_MAX).contains(count));
    let count = count.ok_or_else(|| Problem::invalid(format!("count must be between 1 and {LATCH_COUNT_MAX}")))?;
    let command = SyncCommand::SetLatch(SetLatch { key: key(&latch), parties: latch.meta(), count });
    match run(&rest, caller, command).await? {
        (revision, LatchOutcome::Standing { remaining, count, is_changed }) => {
            let status = if is_changed { StatusCode::CREATED } else { StatusCode::OK };
            let revision_number = revision.get();
            let state = LatchState { latch: latch.name, remaining, count, counted: None, revision: revision_number };
            Ok(reply(status, revision, [], &state))
        }
        (_, LatchOutcome::Mismatch { count }) => {
            Err(Problem::new(Kind::BarrierMismatch, format!("{}: it began with {count}", latch.name)))
        }
        (_, LatchOutcome::Missing) => unreachable!("a latch that is set up is there"),
    }
}

/// Counts a latch down by one. A party that has a name counts once.
#[utoipa::path(
    post,
    path = "/latches/{name}/count-downs",
    operation_id = "countDown",
    tag = "latches",
    params(("name" = String, Path, description = "The latch", example = "start")),
    request_body = CountDownRequest,
    responses(
        (status = 200, description = "What remains", body = LatchState),
        (status = 404, description = "`not-found`: there is no such latch", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn count_down(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    Json(request): Json<CountDownRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let latch = Folder::Latches.named(of)?;
    request.by.as_deref().map_or(Ok(()), check_name)?;
    let by = request.by.map(Bytes::from);
    let command = SyncCommand::CountDown(CountDown { key: key(&latch), parties: latch.meta(), by });
    match run(&rest, caller, command).await? {
        (revision, LatchOutcome::Standing { remaining, count, is_changed }) => {
            let counted = Some(is_changed);
            let state = LatchState { latch: latch.name, remaining, count, counted, revision: revision.get() };
            Ok(reply(StatusCode::OK, revision, [], &state))
        }
        (_, LatchOutcome::Missing) => Err(missing(&latch.name)),
        (_, LatchOutcome::Mismatch { .. }) => unreachable!("who counts down does not say what it began with"),
    }
}

/// A latch as it stands; with `wait`, as soon as nothing remains.
#[utoipa::path(
    get,
    path = "/latches/{name}",
    operation_id = "getLatch",
    tag = "latches",
    params(
        ("name" = String, Path, description = "The latch", example = "start"),
        ("wait" = Option<String>, Query, description = "How long to wait until nothing remains: up to `10m`", example = "30s"),
    ),
    responses(
        (status = 200, description = "What remains", body = LatchState),
        (status = 404, description = "`not-found`: there is no such latch, or not any more", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    mut query: Query,
) -> Result<Response, Problem> {
    let wait = waiting::in_query(&mut query)?;
    query.finish()?;
    let latch = Folder::Latches.named(of)?;
    let mut seen = (None, rest.handle.revision());
    let open = rest.handle.wait_until(&caller, KeyRange::Single(key(&latch)), wait, |keys| {
        seen = (keys.first_created().and_then(|kv| recipes::sync::remaining(&kv.value)), keys.revision());
        seen.0.is_none_or(|(remaining, _)| remaining == 0).then_some(())
    });
    rest.unless_stopping(open).await?.map_err(Problem::of_read)?;
    let (Some((remaining, count)), revision) = seen else { return Err(missing(&latch.name)) };
    let state = LatchState { latch: latch.name, remaining, count, counted: None, revision: revision.get() };
    Ok(reply(StatusCode::OK, revision, [], &state))
}

/// Takes a latch away; who waits for it is told that there is none. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/latches/{name}",
    operation_id = "dropLatch",
    tag = "latches",
    params(("name" = String, Path, description = "The latch", example = "start")),
    responses((status = 204, description = "There is no such latch any more"))
)]
pub(crate) async fn drop_latch(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let latch = Folder::Latches.named(of)?;
    let command = SyncCommand::DropLatch(DropLatch { key: key(&latch), parties: latch.meta() });
    run(&rest, caller, command).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
