//! Signs of life of many sessions in one request.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::names::SessionId;
use super::path::OfNamespace;
use super::problem::Problem;
use super::query::Query;
use super::reply::reply;

/// Most sessions of one request.
const SESSIONS_MAX: usize = 1000;

/// Sessions that shall live on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ids": ["694d805f7877a227", "694d805f7877a228"]}))]
pub(crate) struct KeepaliveRequest {
    /// Their ids: at most 1000.
    #[serde(default)]
    pub(crate) ids: Vec<String>,
}

/// How each of them fares.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeepaliveResults {
    /// In the order of the request.
    pub(crate) results: Vec<KeepaliveResult>,
}

/// How one of them fares.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeepaliveResult {
    /// The session.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) id: String,
    /// Whether it lives.
    pub(crate) state: Vitality,
    /// How long it lives from when the request was made; only of one that lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples(10000))]
    pub(crate) ttl_ms: Option<u64>,
}

/// Whether a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Vitality {
    /// For its whole TTL again.
    Alive,
    /// It is gone, and all its claims with it.
    NotFound,
    /// It could not be renewed now; try again.
    Unknown,
}

/// A sign of life of many sessions; each has a result of its own.
#[utoipa::path(
    post,
    path = "/sessions:keepalive",
    operation_id = "keepSessionsAlive",
    tag = "sessions",
    request_body = KeepaliveRequest,
    responses((status = 200, description = "A result for each", body = KeepaliveResults))
)]
pub(crate) async fn keep_alive(
    State(rest): State<Rest>,
    _: Caller,
    _: OfNamespace,
    query: Query,
    Json(request): Json<KeepaliveRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    if request.ids.len() > SESSIONS_MAX {
        return Err(Problem::invalid(format!("ids may name at most {SESSIONS_MAX} sessions")));
    }
    let ids: Vec<SessionId> = request.ids.iter().map(|id| SessionId::parse(id)).collect::<Result<_, _>>()?;
    let results = join_all(ids.into_iter().map(|id| keep_one_alive(&rest, id))).await;
    Ok(reply(StatusCode::OK, rest.handle.revision(), [], &KeepaliveResults { results }))
}

async fn keep_one_alive(rest: &Rest, id: SessionId) -> KeepaliveResult {
    let (state, ttl) = match rest.handle.lease_keep_alive(id.lease()).await {
        Ok(Some(ttl)) => (Vitality::Alive, u64::try_from(ttl).ok()),
        Ok(None) => (Vitality::NotFound, None),
        Err(_unavailable) => (Vitality::Unknown, None),
    };
    KeepaliveResult { id: id.to_string(), state, ttl_ms: ttl.map(|ttl| ttl.saturating_mul(1000)) }
}
