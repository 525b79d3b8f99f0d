//! Lines in which more than one can hold: read-write locks and semaphores, and the limits of those.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use model::{Identity, KeyRange, RangeRequest, Revision};
use recipes::{Place, SemaphoreLimit, sharers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::claim::Standing;
use super::holder::Waiter;
use super::locks::{by_creation, last_seen, page_after};
use super::names::{Lock, Sort};
use super::page::Page;
use super::path::OfLock;
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;

/// A read-write lock or a semaphore as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineState {
    /// Its name.
    #[schema(examples("workers"))]
    pub(crate) name: String,
    /// Its namespace.
    #[schema(examples("default"))]
    pub(crate) namespace: String,
    /// How many permits a semaphore has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples(3))]
    pub(crate) limit: Option<u32>,
    /// How many claims hold.
    #[schema(examples(1))]
    pub(crate) holding: usize,
    /// How many wait.
    #[schema(examples(0))]
    pub(crate) waiting: usize,
    /// All claims, first come first: those that hold, then those that wait; a page of them.
    pub(crate) claims: Vec<LineClaim>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
    /// What the keys of the claims begin with; of a read-write lock, what etcd's clients lock.
    #[schema(examples("/default/rwlocks/catalog"))]
    pub(crate) etcd_prefix: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// A claim in such a line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineClaim {
    /// Whether it holds.
    pub(crate) state: Standing,
    /// The claim.
    #[serde(flatten)]
    pub(crate) claim: Waiter,
}

/// The limit of a semaphore.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"limit": 3}))]
pub(crate) struct LimitRequest {
    /// How many permits there are; with 0 nobody gets any.
    pub(crate) limit: Option<u32>,
}

/// A semaphore's limit, as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitState {
    /// The semaphore.
    #[schema(examples("workers"))]
    pub(crate) semaphore: String,
    /// How many permits there are.
    #[schema(examples(3))]
    pub(crate) limit: u32,
    /// How many there were before; absent if it had no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<u32>,
    /// What this shows.
    pub(crate) revision: i64,
}

/// A read-write lock as it stands.
#[utoipa::path(
    get,
    path = "/rw-locks/{rw_lock}",
    operation_id = "getRwLock",
    tag = "rw-locks",
    params(
        ("rw_lock" = String, Path, description = "Its name; a slash in it is written %2F", example = "catalog"),
        ("limit" = Option<i64>, Query, description = "Most claims of the page: 1 to 1000", example = 100),
        ("page_token" = Option<String>, Query, description = "From `next_page_token` of the page before"),
    ),
    responses((status = 200, description = "Held or not", body = LineState))
)]
pub(crate) async fn show_rw_lock(
    State(rest): State<Rest>,
    caller: Caller,
    OfLock(lock): OfLock,
    query: Query,
) -> Result<Response, Problem> {
    let place = Place::Writer { prefix: lock.prefix() };
    show(&rest, &caller, &lock, &place, query).await
}

/// A semaphore as it stands.
#[utoipa::path(
    get,
    path = "/semaphores/{semaphore}",
    operation_id = "getSemaphore",
    tag = "semaphores",
    params(
        ("semaphore" = String, Path, description = "Its name; a slash in it is written %2F", example = "workers"),
        ("limit" = Option<i64>, Query, description = "Most claims of the page: 1 to 1000", example = 100),
        ("page_token" = Option<String>, Query, description = "From `next_page_token` of the page before"),
    ),
    responses(
        (status = 200, description = "It has a limit", body = LineState),
        (status = 404, description = "`semaphore-not-found`: it was never given a limit", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_semaphore(
    State(rest): State<Rest>,
    caller: Caller,
    OfLock(lock): OfLock,
    query: Query,
) -> Result<Response, Problem> {
    let place = Place::Permits { prefix: lock.prefix(), limit: lock.limit_key(), permits: 1 };
    show(&rest, &caller, &lock, &place, query).await
}

async fn show(
    rest: &Rest,
    caller: &Identity,
    lock: &Lock,
    place: &Place,
    mut query: Query,
) -> Result<Response, Problem> {
    let prefix = lock.prefix();
    let page = Page::of(&mut query, &prefix)?;
    query.finish()?;
    let range = by_creation(&prefix).at(page.revision()).with_limit(page.limit);
    let range = match &page.from {
        Some(from) => RangeRequest { min_create_revision: last_seen(from).next(), ..range },
        None => range,
    };
    let read = rest.handle.range(caller, range).await.map_err(|error| page.problem(error))?;
    let revision = page.from.as_ref().map_or(read.revision, |from| from.revision);
    let census = rest.handle.census(caller, place, revision).await.map_err(|error| page.problem(error))?;
    let limit = match lock.sort {
        Sort::Semaphore => Some(limit_of(rest, caller, lock, revision).await?),
        Sort::Lock | Sort::RwLock | Sort::LockSet => None,
    };
    let last = read.kvs.last().filter(|_| read.more).map(|kv| kv.create_revision);
    let state = |created| if created <= census.last_holder { Standing::Held } else { Standing::Queued };
    let places = read.kvs.iter().filter(|kv| !kv.key.starts_with(&sharers(&prefix)));
    let claims = places.map(|kv| LineClaim { state: state(kv.create_revision), claim: Waiter::of(lock.sort, kv) });
    let document = LineState {
        claims: claims.collect(),
        limit,
        holding: census.counts.holders,
        waiting: census.counts.waiting(),
        next_page_token: last.map(|last| page_after(revision, &prefix, last).token()),
        etcd_prefix: String::from_utf8_lossy(&prefix[..prefix.len() - 1]).into_owned(),
        revision: revision.get(),
        namespace: lock.namespace.as_str().to_owned(),
        name: lock.name.clone(),
    };
    Ok(reply(StatusCode::OK, read.revision, [], &document))
}

async fn limit_of(rest: &Rest, caller: &Identity, lock: &Lock, revision: Revision) -> Result<u32, Problem> {
    let range = RangeRequest::new(KeyRange::Single(lock.limit_key())).at(revision);
    let read = rest.handle.range(caller, range).await.map_err(Problem::of_read)?;
    let limit = read.kvs.first().map(|kv: &model::KeyValue| SemaphoreLimit::read(&kv.value).limit);
    limit.ok_or_else(|| {
        Problem::new(Kind::SemaphoreNotFound, format!("{}: the semaphore was never given a limit", lock.name))
    })
}

/// Gives a semaphore its limit. When that is lower than what is in use, nobody loses a permit: new ones wait until it has
/// drained.
#[utoipa::path(
    put,
    path = "/semaphores/{semaphore}",
    operation_id = "setSemaphoreLimit",
    tag = "semaphores",
    params(("semaphore" = String, Path, description = "Its name; a slash in it is written %2F", example = "workers")),
    request_body = LimitRequest,
    responses(
        (status = 201, description = "It had none before", body = LimitState),
        (status = 200, description = "It has this limit now", body = LimitState),
    )
)]
pub(crate) async fn set_limit(
    State(rest): State<Rest>,
    caller: Caller,
    OfLock(lock): OfLock,
    query: Query,
    Json(request): Json<LimitRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let limit = request.limit.ok_or_else(|| Problem::invalid("limit is missing: how many permits there shall be"))?;
    let (prefix, key): (Bytes, Bytes) = (lock.prefix(), lock.limit_key());
    let set = rest.handle.set_limit(caller.0, prefix, key, limit).await;
    let (revision, outcome) = set.map_err(Problem::of_write)?;
    let status = if outcome.previous.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let document = LimitState { semaphore: lock.name, limit, previous: outcome.previous, revision: revision.get() };
    Ok(reply(status, revision, [], &document))
}
