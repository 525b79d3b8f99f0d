//! Items of a draft, one at a time: their bytes as they were put, under the media type that they were put with.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{KeyRange, Revision};
use recipes::config::{Condition, EditDraft, EditOutcome, Expect};
use serde::Serialize;
use utoipa::ToSchema;

use super::draft::{self, DraftItem, read_together};
use super::item::{Item, ItemMeta, check_content_type};
use super::secret::is_sealed;
use super::set::OfItem;
use crate::rest::Rest;
use crate::rest::body;
use crate::rest::caller::Caller;
use crate::rest::conditions::{Tags, etag};
use crate::rest::envelope::REVISION;
use crate::rest::problem::{Facts, Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;

/// An item that was written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"key": "pool.size", "mod_revision": 18423, "created": true}))]
pub(crate) struct WrittenItem {
    /// Its key.
    pub(crate) key: String,
    /// The revision of the write; also its ETag.
    pub(crate) mod_revision: i64,
    /// Whether there was no such item before.
    pub(crate) created: bool,
}

/// Whether `secrets` asks for secrets in the clear.
pub(crate) fn reveals_secrets(query: &mut Query) -> Result<bool, Problem> {
    Ok(query.choice("secrets", &[("hide", false), ("reveal", true)])?.unwrap_or(false))
}

/// An item of a draft, as it was put.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/items/{*key}",
    operation_id = "getConfigItem",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("key" = String, Path, description = "The item: everything behind, slashes included", example = "pool.size"),
        ("secrets" = Option<String>, Query, description = "`reveal` to get a secret in the clear, `hide` is the default"),
        ("If-None-Match" = Option<String>, Header, description = "The item's ETag: 304 if it is that still"),
    ),
    responses(
        (status = 200, description = "Its bytes, with the media type that they were put with",
            content((Vec<u8> = "application/octet-stream")), headers(("ETag" = String, description = "`mod_revision` in quotes"))),
        (status = 304, description = "It has not changed"),
        (status = 403, description = "`secret-hidden`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfItem { set, key }: OfItem,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reveals = reveals_secrets(&mut query)?;
    query.finish()?;
    let unless = Tags::parse(&headers, &IF_NONE_MATCH)?;
    let keys = ["items/", "meta/"].map(|folder| KeyRange::Single(set.key(&format!("{folder}{key}"))));
    let (revision, [mut item, meta]) = read_together(&rest, &caller, keys, Revision::ZERO).await?;
    let Some(item) = item.pop() else {
        return Err(Problem::new(Kind::ConfigNotFound, format!("there is no item {key}")).seen_at(revision));
    };
    let DraftItem { item, mod_revision, .. } = DraftItem::of(item, meta.first());
    if item.is_secret() && !reveals {
        return Err(Problem::new(Kind::SecretHidden, format!("{key} is a secret; ask with secrets=reveal")));
    }
    let is_known = unless.is_some_and(|tags| tags.matches(mod_revision));
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { raw(rest.vault.open(&set, &key, &item)?) };
    let headers = response.headers_mut();
    headers.insert(REVISION, revision.get().into());
    headers.insert(ETAG, etag(mod_revision));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(if item.is_secret() { "no-store" } else { "no-cache" }));
    Ok(response)
}

/// The bytes. Whatever somebody stored there, a browser shall not run it.
fn raw(item: Item) -> Response {
    let content_type = item.content_type.and_then(|text| HeaderValue::try_from(text).ok());
    let headers = [
        (CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"))),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    ];
    (headers, Body::from(item.value)).into_response()
}

/// Puts an item of a draft: the body is its value, byte by byte, and `Content-Type` is kept with it. Clients see it with the next
/// release.
#[utoipa::path(
    put,
    path = "/configs/{app}/{env}/items/{*key}",
    operation_id = "putConfigItem",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("key" = String, Path, description = "The item: everything behind, slashes included", example = "pool.size"),
        ("secret" = Option<bool>, Query, description = "`true`: encrypt it at rest"),
        ("If-Match" = Option<String>, Header, description = "The item's ETag: only if it is that still; `*`: only if it exists"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no such item"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The value, of any media type"),
    responses(
        (status = 201, description = "Created", body = WrittenItem),
        (status = 200, description = "Replaced", body = WrittenItem),
        (status = 409, description = "`secret-unreadable`: this member has no key to seal it with", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(rest): State<Rest>,
    caller: Caller,
    OfItem { set, key }: OfItem,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let is_secret = query.choice("secret", &[("true", true), ("false", false)])?.unwrap_or(false);
    query.finish()?;
    let conditions = expectations(&headers, &format!("items/{key}"), &[IF_MATCH, IF_NONE_MATCH])?;
    let content_type = content_type(&headers)?;
    let value = body::read(body, rest.handle.config().request_bytes_max, Kind::ValueTooLarge).await?;
    let item = rest.kept(&set, &key, Item { value, content_type }, is_secret)?;
    let meta = rest.written_by(&caller);
    let edit =
        EditDraft { set: set.prefix(), writes: draft::put(&key, &item, &meta).into(), conditions, guards: vec![] };
    let (revision, outcome) = rest.handle.edit_draft(caller.identity(), edit).await.map_err(Problem::of_write)?;
    let before = conflict_of(outcome, revision)?;
    let created = before.first().is_none_or(|before| *before == Revision::ZERO);
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let location = (LOCATION, set.item_url(&key));
    let written = WrittenItem { key, mod_revision: revision.get(), created };
    Ok(reply(status, revision, [(ETAG, format!("\"{revision}\"")), location], &written))
}

/// Deletes an item of a draft. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/configs/{app}/{env}/items/{*key}",
    operation_id = "deleteConfigItem",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("key" = String, Path, description = "The item: everything behind, slashes included", example = "pool.size"),
        ("If-Match" = Option<String>, Header, description = "The item's ETag: only if it is that still; `*`: only if it exists"),
    ),
    responses(
        (status = 204, description = "There is no such item any more"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    OfItem { set, key }: OfItem,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let conditions = expectations(&headers, &format!("items/{key}"), &[IF_MATCH, IF_NONE_MATCH])?;
    let edit = EditDraft { set: set.prefix(), writes: draft::delete(&key).into(), conditions, guards: vec![] };
    let (revision, outcome) = rest.handle.edit_draft(caller.identity(), edit).await.map_err(Problem::of_write)?;
    conflict_of(outcome, revision)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(REVISION, revision.get().into());
    Ok(response)
}

impl Rest {
    /// The item as it shall be kept: sealed, if it is to be a secret.
    pub(crate) fn kept(
        &self,
        set: &super::set::ConfigSet,
        key: &str,
        item: Item,
        is_secret: bool,
    ) -> Result<Item, Problem> {
        if is_secret {
            return self.vault.seal(set, key, item);
        }
        if is_sealed(&item.value) {
            // Nobody could read it, unless it was sealed for this very item, as an export has it.
            self.vault.open(set, key, &item)?;
        }
        Ok(item)
    }

    /// What is noted of a write that `caller` makes now.
    pub(crate) fn written_by(&self, caller: &Caller) -> ItemMeta {
        ItemMeta { content_type: None, author: caller.user.clone(), at_ms: self.handle.wall_clock_ms() }
    }
}

fn content_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::invalid("Content-Type is no text"))?;
    check_content_type(text)?;
    Ok(Some(text.to_owned()))
}

/// What the headers say that a key, relative to the set, must be like.
pub(crate) fn expectations(headers: &HeaderMap, key: &str, names: &[HeaderName]) -> Result<Vec<Condition>, Problem> {
    let mut conditions = Vec::new();
    for name in names {
        let expect = match (Tags::parse(headers, name)?, *name == IF_MATCH) {
            (None, _) => continue,
            (Some(Tags::Any), true) => Expect::Present,
            (Some(Tags::Any), false) => Expect::Absent,
            (Some(Tags::Listed(tags)), true) => Expect::WrittenAt(tags),
            (Some(Tags::Listed(tags)), false) => Expect::NotWrittenAt(tags),
        };
        conditions.push(Condition { key: key.to_owned().into(), expect });
    }
    Ok(conditions)
}

/// When the keys that were written had been written before; or why nothing was.
pub(crate) fn conflict_of(outcome: EditOutcome, revision: Revision) -> Result<Vec<Revision>, Problem> {
    match outcome {
        EditOutcome::Edited { before } => Ok(before),
        EditOutcome::Conflict { key, current } => {
            let key = String::from_utf8_lossy(&key).into_owned();
            let detail = match current {
                Revision::ZERO => format!("{key} does not exist"),
                current => format!("{key} was last written at revision {current}"),
            };
            let facts = Facts { current_revision: Some(current.get()), ..Facts::default() };
            Err(Problem::new(Kind::VersionConflict, detail).seen_at(revision).with(facts))
        }
        EditOutcome::Fenced { current, .. } => Err(fenced(current)),
    }
}

/// Why a write under a claim did not happen.
pub(crate) fn fenced(current: Option<Revision>) -> Problem {
    let facts = Facts { current_token: current.map(Revision::get), ..Facts::default() };
    Problem::new(Kind::FencingTokenStale, "the claim that the write was guarded by does not stand any more").with(facts)
}
