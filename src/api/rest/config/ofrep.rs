//! The OpenFeature Remote Evaluation Protocol: every OpenFeature SDK with a provider for it reads flags here.
//!
//! Which set is meant is a matter of the base URL, `…/v1/configs/{app}/{env}`. Flags are items of the configuration that the client
//! gets: its `targetingKey` is the client that rollouts know. See `flag.rs` for what a flag is.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::Revision;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::flag::{Evaluated, NotEvaluated, evaluate, is_flag};
use super::layers::{Asked, Client, Pointers, check_labels};
use super::release_read::Effective;
use super::set::{ConfigSet, OfItem, OfSet, check_client};
use crate::rest::Rest;
use crate::rest::body::Json;
use crate::rest::caller::Caller;
use crate::rest::problem::Problem;
use crate::rest::query::Query;

/// For whom flags are evaluated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"context": {"targetingKey": "web-1", "zone": "a"}}))]
pub(crate) struct EvaluationRequest {
    /// `targetingKey` and whatever else is known; texts are the client's labels.
    #[serde(default)]
    #[schema(value_type = serde_json::Map<String, Value>)]
    pub(crate) context: Map<String, Value>,
}

/// Flags that were evaluated together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"flags": [{"key": "new-checkout", "value": true, "variant": "on", "reason": "STATIC"}]}))]
pub(crate) struct BulkEvaluation {
    /// All flags, by key.
    pub(crate) flags: Vec<EvaluatedFlag>,
}

/// What a flag came to, or why it came to nothing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum EvaluatedFlag {
    /// It came to this.
    Evaluated(Evaluated),
    /// It came to nothing.
    NotEvaluated(NotEvaluated),
}

impl EvaluationRequest {
    /// The client that the context is of.
    fn client(&self) -> Result<Option<Client>, Problem> {
        let Some(Value::String(name)) = self.context.get("targetingKey") else { return Ok(None) };
        check_client(name)?;
        let texts = self.context.iter().filter(|(name, _)| *name != "targetingKey");
        let labels = texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        check_labels(&labels)?;
        Ok(Some(Client { name: name.clone(), labels }))
    }
}

/// The configuration of whoever asks.
async fn configuration(
    rest: &Rest,
    caller: &Caller,
    set: ConfigSet,
    request: &EvaluationRequest,
) -> Result<Effective, Problem> {
    let asked = Asked { client: request.client()?, ..Asked::of(set, &mut Query::default())? };
    let (_, pointers) = Pointers::read(rest, caller, &asked, Revision::ZERO).await?;
    Effective::read(rest, caller, &asked, pointers.versions(&asked)).await
}

/// Evaluates a flag (OpenFeature Remote Evaluation Protocol).
#[utoipa::path(
    post,
    path = "/configs/{app}/{env}/ofrep/v1/evaluate/flags/{*key}",
    operation_id = "evaluateFlag",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("key" = String, Path, description = "The flag", example = "new-checkout"),
    ),
    request_body = EvaluationRequest,
    responses(
        (status = 200, description = "What it came to", body = Evaluated),
        (status = 400, description = "It came to nothing", body = NotEvaluated),
        (status = 404, description = "There is no such flag", body = NotEvaluated),
    )
)]
pub(crate) async fn evaluate_one(
    State(rest): State<Rest>,
    caller: Caller,
    OfItem { set, key }: OfItem,
    query: Query,
    Json(request): Json<EvaluationRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let effective = configuration(&rest, &caller, set, &request).await?;
    let Some((_, item)) = effective.items().get(key.as_str()).copied() else {
        let missing = NotEvaluated {
            key,
            error_code: "FLAG_NOT_FOUND",
            error_details: "there is no such flag in the configuration of this client".to_owned(),
        };
        return Ok((StatusCode::NOT_FOUND, JsonBody(missing)).into_response());
    };
    Ok(match evaluate(&key, item) {
        Ok(evaluated) => JsonBody(evaluated).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, JsonBody(error)).into_response(),
    })
}

/// Evaluates all flags (OpenFeature Remote Evaluation Protocol).
#[utoipa::path(
    post,
    path = "/configs/{app}/{env}/ofrep/v1/evaluate/flags",
    operation_id = "evaluateFlags",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the flags that are known"),
    ),
    request_body = EvaluationRequest,
    responses(
        (status = 200, description = "What each came to", body = BulkEvaluation,
            headers(("ETag" = String, description = "Names these answers"))),
        (status = 304, description = "They are what is known"),
    )
)]
pub(crate) async fn evaluate_all(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
    headers: HeaderMap,
    Json(request): Json<EvaluationRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let effective = configuration(&rest, &caller, set, &request).await?;
    let flags = effective.items().into_iter().filter(|(_, (_, item))| is_flag(item));
    let flags = flags.map(|(key, (_, item))| match evaluate(key, item) {
        Ok(evaluated) => EvaluatedFlag::Evaluated(evaluated),
        Err(error) => EvaluatedFlag::NotEvaluated(error),
    });
    let body = serde_json::to_vec(&BulkEvaluation { flags: flags.collect() }).expect("flags are JSON");
    // The answers themselves are what the tag is of: two releases that answer alike are one to the client.
    let digest = Sha256::digest(&body);
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let tag = format!("\"{number:016x}\"");
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::try_from(tag).expect("hexadecimal digits are a header value"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
