//! Barriers: one is held, others wait until it is released.
//!
//! A barrier is one key, exactly that of its name (T27), as in etcd's recipe; it has no owner and lasts until it is released.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::KeyRange;
use recipes::sync::{HoldBarrier, SyncCommand, SyncOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::path::OfName;
use super::problem::Problem;
use super::query::Query;
use super::reply::reply;
use super::resource::Folder;
use super::waiting;

/// A barrier as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BarrierState {
    /// Its name.
    #[schema(examples("migration"))]
    pub(crate) barrier: String,
    /// Whether it is held: who comes has to wait.
    pub(crate) held: bool,
    /// The revision since which it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<i64>,
    /// Its key.
    #[schema(examples("/default/barriers/migration"))]
    pub(crate) etcd_key: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Holds a barrier: who waits for it from now on waits until it is released. Doing it twice is safe.
#[utoipa::path(
    put,
    path = "/barriers/{name}",
    operation_id = "holdBarrier",
    tag = "barriers",
    params(("name" = String, Path, description = "The barrier; a slash in a name is written %2F", example = "migration")),
    responses(
        (status = 201, description = "Held, by this request", body = BarrierState),
        (status = 200, description = "Held already", body = BarrierState),
    )
)]
pub(crate) async fn hold(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let barrier = Folder::Barriers.named(of)?;
    let etcd_key = barrier.etcd_name();
    let command = SyncCommand::HoldBarrier(HoldBarrier { key: etcd_key.clone().into() });
    let (revision, outcome) = rest.handle.synchronise(caller.0, command).await.map_err(Problem::of_write)?;
    let SyncOutcome::Held { barrier: kv, is_new } = outcome else {
        unreachable!("holding a barrier was answered by {outcome:?}")
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let since = Some(kv.create_revision.get());
    let state = BarrierState { barrier: barrier.name, held: true, since, etcd_key, revision: revision.get() };
    Ok(reply(status, revision, [], &state))
}

/// A barrier as it stands; with `wait`, as soon as it is not held.
#[utoipa::path(
    get,
    path = "/barriers/{name}",
    operation_id = "getBarrier",
    tag = "barriers",
    params(
        ("name" = String, Path, description = "The barrier", example = "migration"),
        ("wait" = Option<String>, Query, description = "How long to wait for its release: up to `10m`", example = "30s"),
    ),
    responses((status = 200, description = "Held or not", body = BarrierState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    mut query: Query,
) -> Result<Response, Problem> {
    let wait = waiting::in_query(&mut query)?;
    query.finish()?;
    let barrier = Folder::Barriers.named(of)?;
    let etcd_key = barrier.etcd_name();
    let mut seen = (None, rest.handle.revision());
    let released = rest.handle.wait_until(&caller, KeyRange::Single(etcd_key.clone().into()), wait, |keys| {
        seen = (keys.first_created().map(|kv| kv.create_revision.get()), keys.revision());
        keys.is_empty().then_some(())
    });
    rest.unless_stopping(released).await?.map_err(Problem::of_read)?;
    let (since, revision) = seen;
    let state =
        BarrierState { barrier: barrier.name, held: since.is_some(), since, etcd_key, revision: revision.get() };
    Ok(reply(StatusCode::OK, revision, [], &state))
}

/// Releases a barrier: all who wait go on. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/barriers/{name}",
    operation_id = "releaseBarrier",
    tag = "barriers",
    params(("name" = String, Path, description = "The barrier", example = "migration")),
    responses((status = 204, description = "It is not held any more"))
)]
pub(crate) async fn release(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let key = Folder::Barriers.named(of)?.etcd_name().into();
    rest.handle.release(caller.0, key, None).await.map_err(Problem::of_write)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
