//! Counters: numbers that are added to in one step, within bounds, without trying again.

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use model::{KeyRange, RangeRequest, Revision};
use recipes::sync::{CounterOutcome, Increment, SetCounter, SyncCommand, SyncOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::conditions::Tags;
use super::path::OfName;
use super::problem::{Facts, Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::Folder;

/// What to add. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"by": -1, "min": 0}))]
pub(crate) struct IncrementRequest {
    /// How much; may be negative. Default 1.
    pub(crate) by: Option<i64>,
    /// Least that may come of it.
    pub(crate) min: Option<i64>,
    /// Most that may come of it.
    pub(crate) max: Option<i64>,
}

/// A value to set.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": 100}))]
pub(crate) struct CounterRequest {
    /// The value.
    pub(crate) value: Option<i64>,
}

/// A counter as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CounterState {
    /// Its name.
    #[schema(examples("stock"))]
    pub(crate) counter: String,
    /// Its value; one that was never changed is 0.
    #[schema(examples(99))]
    pub(crate) value: i64,
    /// The revision of the last change, and its ETag; 0 if it was never changed.
    pub(crate) mod_revision: i64,
    /// What this shows.
    pub(crate) revision: i64,
}

fn answer(name: String, value: i64, mod_revision: Revision, revision: Revision) -> Response {
    let tag = format!("\"{mod_revision}\"");
    let state = CounterState { counter: name, value, mod_revision: mod_revision.get(), revision: revision.get() };
    reply(StatusCode::OK, revision, [(ETAG, tag)], &state)
}

async fn change(rest: &Rest, caller: Caller, name: String, command: SyncCommand) -> Result<Response, Problem> {
    let (revision, outcome) = rest.handle.synchronise(caller.0, command).await.map_err(Problem::of_write)?;
    let SyncOutcome::Counter(outcome) = outcome else { unreachable!("a counter was answered by {outcome:?}") };
    match outcome {
        CounterOutcome::Changed { value, counter } => Ok(answer(name, value, counter.mod_revision, revision)),
        CounterOutcome::OutOfBounds { value } => {
            let detail = format!("{name}: it is {value}, and the sum would be out of bounds");
            Err(Problem::new(Kind::CounterOutOfBounds, detail).seen_at(revision))
        }
        CounterOutcome::Conflict { current } => {
            let facts = Facts { current_revision: Some(current.get()), ..Facts::default() };
            let detail = format!("{name}: it was last changed at revision {current}");
            Err(Problem::new(Kind::VersionConflict, detail).seen_at(revision).with(facts))
        }
        CounterOutcome::NotANumber => Err(not_a_number(&name)),
    }
}

fn not_a_number(name: &str) -> Problem {
    Problem::new(Kind::NotANumber, format!("{name}: its key holds something else than a number"))
}

/// Adds to a counter, in one step: what would be out of bounds is refused and changes nothing.
#[utoipa::path(
    post,
    path = "/counters/{name}/increments",
    operation_id = "incrementCounter",
    tag = "counters",
    params(("name" = String, Path, description = "The counter; a slash in a name is written %2F", example = "stock")),
    request_body = IncrementRequest,
    responses(
        (status = 200, description = "Added", body = CounterState),
        (status = 409, description = "`counter-out-of-bounds` or `not-a-number`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn increment(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    Json(request): Json<IncrementRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let counter = Folder::Counters.named(of)?;
    let IncrementRequest { by, min, max } = request;
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(Problem::invalid("min is above max"));
    }
    let increment = Increment { key: counter.etcd_name().into(), by: by.unwrap_or(1), min, max };
    change(&rest, caller, counter.name, SyncCommand::Increment(increment)).await
}

/// Gives a counter a value: with `If-Match` only if it was last changed at that revision.
#[utoipa::path(
    put,
    path = "/counters/{name}",
    operation_id = "setCounter",
    tag = "counters",
    params(
        ("name" = String, Path, description = "The counter", example = "stock"),
        ("If-Match" = Option<String>, Header, description = "The counter's `mod_revision` in quotes", example = "\"1842\""),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it was never changed"),
    ),
    request_body = CounterRequest,
    responses(
        (status = 200, description = "Set", body = CounterState),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    headers: HeaderMap,
    Json(request): Json<CounterRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let counter = Folder::Counters.named(of)?;
    let value = request.value.ok_or_else(|| Problem::invalid("value is missing"))?;
    let expect = expected(&headers)?;
    let set = SetCounter { key: counter.etcd_name().into(), value, expect };
    change(&rest, caller, counter.name, SyncCommand::SetCounter(set)).await
}

/// The revision that a counter must be of, as the headers say; zero is that of one that was never changed.
fn expected(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    match (Tags::parse_one(headers, &IF_MATCH)?, Tags::parse_one(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (Some(Tags::Listed(tags)), None) => Ok(Some(tags[0])),
        (None, Some(Tags::Any)) => Ok(Some(Revision::ZERO)),
        _ => {
            Err(Problem::invalid("a counter is set with If-Match and a revision, or with If-None-Match: *, or neither"))
        }
    }
}

/// A counter as it stands. One that was never changed is 0.
#[utoipa::path(
    get,
    path = "/counters/{name}",
    operation_id = "getCounter",
    tag = "counters",
    params(("name" = String, Path, description = "The counter", example = "stock")),
    responses(
        (status = 200, description = "Its value", body = CounterState),
        (status = 409, description = "`not-a-number`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let counter = Folder::Counters.named(of)?;
    let key: Bytes = counter.etcd_name().into();
    let read = rest.handle.range(&caller, RangeRequest::new(KeyRange::Single(key))).await.map_err(Problem::of_read)?;
    let Some(kv) = read.kvs.first() else { return Ok(answer(counter.name, 0, Revision::ZERO, read.revision)) };
    let value = recipes::sync::number(&kv.value).ok_or_else(|| not_a_number(&counter.name))?;
    Ok(answer(counter.name, value, kv.mod_revision, read.revision))
}
