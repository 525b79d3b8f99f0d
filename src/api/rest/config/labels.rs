//! Labels: names for releases. `live` is the one that clients follow if they name none.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{Identity, KeyRange, RangeRequest, Revision};
use recipes::config::{Expect, LabelOutcome, MoveLabel, number};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::draft::named;
use super::items::{expectations, fenced};
use super::publish::rollout_active;
use super::set::{ConfigSet, OfLabel, OfSet};
use crate::rest::Rest;
use crate::rest::body::Json;
use crate::rest::caller::Caller;
use crate::rest::envelope::REVISION;
use crate::rest::problem::{Facts, Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;

/// Where a label shall be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 42}))]
pub(crate) struct LabelRequest {
    /// The release that it shall name.
    pub(crate) version: u64,
}

/// A label.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"version": 42, "mod_revision": 18423}))]
pub(crate) struct LabelDocument {
    /// The release that it names.
    pub(crate) version: u64,
    /// When it was last moved; also its ETag.
    pub(crate) mod_revision: i64,
}

/// The labels of a set.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/labels",
    operation_id = "listConfigLabels",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
    ),
    responses((status = 200, description = "By their names", body = BTreeMap<String, LabelDocument>,
        example = json!({"live": {"version": 42, "mod_revision": 18423}})))
)]
pub(crate) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let read = RangeRequest::new(set.folder("labels/"));
    let read = rest.handle.range(&caller, read).await.map_err(Problem::of_read)?;
    let labels = named(&set, "labels/", read.kvs)?.into_iter().filter_map(|(label, kv)| {
        Some((label, LabelDocument { version: number(&kv.value)?, mod_revision: kv.mod_revision.get() }))
    });
    Ok(reply(StatusCode::OK, read.revision, [], &labels.collect::<BTreeMap<_, _>>()))
}

/// A label.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/labels/{label}",
    operation_id = "getConfigLabel",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("label" = String, Path, description = "The label", example = "live"),
    ),
    responses(
        (status = 200, description = "The release that it names", body = LabelDocument),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfLabel { set, label }: OfLabel,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let (revision, found) = read(&rest, &caller, &set, &label).await?;
    let found = found.ok_or_else(|| Problem::new(Kind::ConfigNotFound, format!("there is no label {label}")))?;
    let etag = (ETAG, format!("\"{}\"", found.mod_revision));
    Ok(reply(StatusCode::OK, revision, [etag], &found))
}

/// Has a label name a release: all that follow it see that release in one step. Doing it twice is safe.
#[utoipa::path(
    put,
    path = "/configs/{app}/{env}/labels/{label}",
    operation_id = "moveConfigLabel",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("label" = String, Path, description = "The label", example = "stable"),
        ("If-Match" = Option<String>, Header, description = "The label's ETag: only if it was not moved since"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no such label"),
    ),
    request_body = LabelRequest,
    responses(
        (status = 201, description = "There was no such label before", body = LabelDocument),
        (status = 200, description = "It names that release", body = LabelDocument),
        (status = 404, description = "`config-not-found`: there is no such release", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`rollout-active`: a release is being rolled out to where the label is",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(rest): State<Rest>,
    caller: Caller,
    OfLabel { set, label }: OfLabel,
    query: Query,
    headers: HeaderMap,
    Json(request): Json<LabelRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let expect = expectation(&headers)?;
    let version = Some(request.version);
    let is_new = shift(&rest, &caller, &set, label.clone(), version, expect).await?.0;
    let (revision, found) = read(&rest, &caller, &set, &label).await?;
    // Somebody may have moved it on since; what is answered is what there is.
    let found = found.ok_or_else(|| Problem::new(Kind::ConfigNotFound, format!("label {label} is gone again")))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(reply(status, revision, [(ETAG, format!("\"{}\"", found.mod_revision))], &found))
}

/// Takes a label away: those that follow it keep what they have, and hear of nothing new. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/configs/{app}/{env}/labels/{label}",
    operation_id = "deleteConfigLabel",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("label" = String, Path, description = "The label", example = "stable"),
        ("If-Match" = Option<String>, Header, description = "The label's ETag: only if it was not moved since"),
    ),
    responses(
        (status = 204, description = "There is no such label any more"),
        (status = 409, description = "`rollout-active`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    OfLabel { set, label }: OfLabel,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let expect = expectation(&headers)?;
    let (_, revision) = shift(&rest, &caller, &set, label, None, expect).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(REVISION, revision.get().into());
    Ok(response)
}

/// The release that a label names.
pub(crate) async fn version_of(
    rest: &Rest,
    caller: &Identity,
    set: &ConfigSet,
    label: &str,
) -> Result<Option<u64>, Problem> {
    Ok(read(rest, caller, set, label).await?.1.map(|label| label.version))
}

async fn read(
    rest: &Rest,
    caller: &Identity,
    set: &ConfigSet,
    label: &str,
) -> Result<(Revision, Option<LabelDocument>), Problem> {
    let request = RangeRequest::new(KeyRange::Single(set.key(&format!("labels/{label}"))));
    let read = rest.handle.range(caller, request).await.map_err(Problem::of_read)?;
    let found = read
        .kvs
        .first()
        .and_then(|kv| Some(LabelDocument { version: number(&kv.value)?, mod_revision: kv.mod_revision.get() }));
    Ok((read.revision, found))
}

fn expectation(headers: &HeaderMap) -> Result<Option<Expect>, Problem> {
    let mut conditions = expectations(headers, "", &[IF_MATCH, IF_NONE_MATCH])?;
    match conditions.len() {
        0 | 1 => Ok(conditions.pop().map(|condition| condition.expect)),
        _ => Err(Problem::invalid("give either If-Match or If-None-Match")),
    }
}

/// Moves a label: whether it is new, and the revision.
async fn shift(
    rest: &Rest,
    caller: &Caller,
    set: &ConfigSet,
    label: String,
    version: Option<u64>,
    expect: Option<Expect>,
) -> Result<(bool, Revision), Problem> {
    let shift = MoveLabel { set: set.prefix(), label: label.into(), version, expect, guards: Vec::new() };
    let (revision, outcome) = rest.handle.move_label(caller.identity(), shift).await.map_err(Problem::of_write)?;
    match outcome {
        LabelOutcome::Moved { is_new } => Ok((is_new, revision)),
        LabelOutcome::NoSuchRelease => {
            let detail = format!("there is no release {}", version.unwrap_or_default());
            Err(Problem::new(Kind::ConfigNotFound, detail).seen_at(revision))
        }
        LabelOutcome::Conflict { current } => {
            let facts = Facts { current_revision: Some(current.get()), ..Facts::default() };
            let detail = "the label is not where the request expects it";
            Err(Problem::new(Kind::VersionConflict, detail).seen_at(revision).with(facts))
        }
        LabelOutcome::RolloutActive { version } => Err(rollout_active(version)),
        LabelOutcome::Fenced { current, .. } => Err(fenced(current)),
    }
}
