//! Releases: the history of a set, each with its items, and what differs between two of them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use model::{KeyRange, RangeRequest, Revision};
use recipes::config::{number, release_key, version_of_release};
use serde::Serialize;
use utoipa::ToSchema;

use super::diff::{JsonPatch, diff};
use super::draft::read_together;
use super::item::{ItemDocument, Items};
use super::release::Release;
use super::release_read::release_at;
use super::set::{OfRelease, OfSet, parse_version};
use crate::rest::Rest;
use crate::rest::caller::Caller;
use crate::rest::envelope::REVISION;
use crate::rest::problem::{Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;
use crate::rest::value::Wanted;

/// Releases of a list, unless the client says how many.
const LIMIT_DEFAULT: u64 = 20;

/// Most releases of a list.
const LIMIT_MAX: u64 = 100;

/// A release.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 42, "message": "larger pool", "author": "ann", "released_at_ms": 1764000000000_u64,
    "items": {"pool.size": {"value": "50", "encoding": "utf8", "content_type": "text/plain"}}, "has_schema": false
}))]
pub(crate) struct ReleaseDocument {
    /// The release.
    #[serde(flatten)]
    pub(crate) about: AboutRelease,
    /// All its items.
    pub(crate) items: BTreeMap<String, ItemDocument>,
}

/// What is known about a release beside its items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AboutRelease {
    /// Its number: one more than that of the release before it.
    pub(crate) version: u64,
    /// What it is for.
    pub(crate) message: String,
    /// Who made it, if that is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    /// When it was made, in milliseconds since 1970, by the clock of the member that was asked to.
    pub(crate) released_at_ms: u64,
    /// The release that it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollback_to: Option<u64>,
    /// Whether it was checked against a schema: `…/schema?version=`.
    pub(crate) has_schema: bool,
}

/// Releases, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "releases": [{"version": 42, "message": "larger pool", "released_at_ms": 1764000000000_u64, "has_schema": false,
        "item_count": 1, "labels": ["live"]}],
    "next_before": 42
}))]
pub(crate) struct ReleaseList {
    /// A page of them.
    pub(crate) releases: Vec<ListedRelease>,
    /// For the next page: `before=` this; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_before: Option<u64>,
}

/// A release of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedRelease {
    /// The release.
    #[serde(flatten)]
    pub(crate) about: AboutRelease,
    /// How many items it has.
    pub(crate) item_count: usize,
    /// The labels that name it.
    pub(crate) labels: Vec<String>,
}

impl AboutRelease {
    fn of(version: u64, release: &Release) -> Self {
        let about = &release.about;
        Self {
            version,
            message: about.message.clone(),
            author: about.author.clone(),
            released_at_ms: about.at_ms,
            rollback_to: about.rollback_to,
            has_schema: about.schema.is_some(),
        }
    }
}

impl ReleaseDocument {
    /// The release of that number.
    pub(crate) fn of(version: u64, release: &Release, wanted: Wanted) -> Self {
        let items = release.items.iter().map(|(key, item)| (key.clone(), item.document(wanted)));
        Self { about: AboutRelease::of(version, release), items: items.collect() }
    }
}

/// The history of a set: its releases, the newest first.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/releases",
    operation_id = "listConfigReleases",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("limit" = Option<i64>, Query, description = "Most releases of the page: 1 to 100, 20 by default", example = 20),
        ("before" = Option<i64>, Query, description = "Only releases of lower versions"),
    ),
    responses((status = 200, description = "A page of them", body = ReleaseList))
)]
pub(crate) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    mut query: Query,
) -> Result<Response, Problem> {
    let limit = query.positive("limit")?.map_or(LIMIT_DEFAULT, i64::unsigned_abs);
    let before = query.text("before")?.map(|text| parse_version(&text)).transpose()?;
    query.finish()?;
    if limit > LIMIT_MAX {
        return Err(Problem::invalid(format!("limit must be between 1 and {LIMIT_MAX}")));
    }
    let ranges = [KeyRange::Single(set.key("latest")), set.folder("labels/")];
    let (revision, [latest, labels]) = read_together(&rest, &caller, ranges, Revision::ZERO).await?;
    let latest = latest.first().and_then(|kv| number(&kv.value)).unwrap_or(0);
    // Numbers follow each other, so a page is a range of keys.
    let end = before.map_or(latest + 1, |before| before.min(latest + 1));
    let start = end.saturating_sub(limit).max(1);
    let range = KeyRange::from_wire(release_key(&set.prefix(), start), release_key(&set.prefix(), end));
    let read = RangeRequest { serializable: true, ..RangeRequest::new(range).at(revision) };
    let read = rest.handle.range(&caller, read).await.map_err(Problem::of_read)?;
    let releases = read.kvs.iter().rev().filter_map(|kv| {
        let (version, release) = (version_of_release(&kv.key)?, Release::read(&kv.value)?);
        let named = labels.iter().filter(|label| number(&label.value) == Some(version));
        let skip = set.key("labels/").len();
        let labels = named.map(|label| String::from_utf8_lossy(&label.key[skip..]).into_owned()).collect();
        Some(ListedRelease { about: AboutRelease::of(version, &release), item_count: release.items.len(), labels })
    });
    let document = ReleaseList { releases: releases.collect(), next_before: (start > 1).then_some(start) };
    Ok(reply(StatusCode::OK, revision, [], &document))
}

/// A release with its items.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/releases/{version}",
    operation_id = "getConfigRelease",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = i64, Path, description = "Its number", example = 1),
        ("encoding" = Option<String>, Query, description = "`auto`, `base64` or `json`"),
    ),
    responses(
        (status = 200, description = "The release", body = ReleaseDocument),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfRelease { set, version }: OfRelease,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&mut query)?;
    query.finish()?;
    let release = release_at(&rest, &caller, &set, version).await?;
    let document = ReleaseDocument::of(version, &release, wanted);
    Ok(reply(StatusCode::OK, rest.handle.revision(), [(ETAG, format!("\"{version}\""))], &document))
}

/// What differs between a release and another: the JSON Patch that makes this one of the other.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/releases/{version}/diff",
    operation_id = "diffConfigReleases",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = i64, Path, description = "The release", example = 2),
        ("against" = Option<i64>, Query, description = "The other one; unless given the one before"),
    ),
    responses(
        (status = 200, description = "A JSON Patch of the object of items", body = JsonPatch,
            content_type = "application/json-patch+json",
            example = json!([{"op": "replace", "path": "/pool.size", "value": "50"}])),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn compare(
    State(rest): State<Rest>,
    caller: Caller,
    OfRelease { set, version }: OfRelease,
    mut query: Query,
) -> Result<Response, Problem> {
    let against = query.text("against")?.map(|text| parse_version(&text)).transpose()?;
    query.finish()?;
    let release = release_at(&rest, &caller, &set, version).await?;
    let patch = match against.unwrap_or(version - 1) {
        // Before the first there was nothing.
        0 => diff(&Items::new(), &release.items),
        against => diff(&release_at(&rest, &caller, &set, against).await?.items, &release.items),
    };
    let json = serde_json::to_vec(&patch).expect("a patch is texts and JSON");
    let mut response = ([(CONTENT_TYPE, "application/json-patch+json")], json).into_response();
    response.headers_mut().insert(REVISION, rest.handle.revision().get().into());
    Ok(response)
}
