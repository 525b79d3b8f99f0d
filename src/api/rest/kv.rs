//! Keys, read one at a time: the stored bytes as they are, or a document that also says when and by what they were written.
//!
//! These are the store's own keys, those that etcd's clients see; no namespace is put before them.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{KeyRange, KeyValue, RangeRequest, Revision};

use super::Rest;
use super::caller::Caller;
use super::conditions::{Tags, accepts, etag};
use super::envelope::REVISION;
use super::path::OfKey;
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::value::{KeyDocument, Wanted};

/// How fresh a read must be, and as of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    serializable: bool,
    revision: Revision,
}

impl Freshness {
    /// What parameters `consistency` and `revision` ask for.
    pub(crate) fn of(query: &mut Query) -> Result<Self, Problem> {
        let choices = [("linearizable", false), ("stale", true)];
        let serializable = query.choice("consistency", &choices)?.unwrap_or(false);
        let revision = query.positive("revision")?.map_or(Revision::ZERO, Revision::new);
        Ok(Self { serializable, revision })
    }

    /// The revision asked for; zero is the latest.
    pub(crate) fn revision(self) -> Revision {
        self.revision
    }

    /// The read of `range` that is as fresh as asked for.
    pub(crate) fn read(self, range: KeyRange) -> RangeRequest {
        RangeRequest { serializable: self.serializable, ..RangeRequest::new(range).at(self.revision) }
    }
}

/// A key's value: its bytes as stored, or a document with `Accept: application/json`.
#[utoipa::path(
    get,
    path = "/kv/{*key}",
    operation_id = "getKey",
    tag = "kv",
    params(
        ("key" = String, Path, description = "The key: everything behind, slashes included; other bytes as %XX. A key that \
            begins with a slash: `%2F…`", example = "app/color"),
        ("consistency" = Option<String>, Query, description = "`linearizable`, which is the default, or `stale`"),
        ("revision" = Option<i64>, Query, description = "Read as of this revision"),
        ("encoding" = Option<String>, Query, description = "For a document: `auto`, `base64` or `json`"),
        ("If-None-Match" = Option<String>, Header, description = "`mod_revision` in quotes: 304 if it is that still"),
    ),
    responses(
        (status = 200, description = "The key exists", content(
            (KeyDocument = "application/json"),
            (Vec<u8> = "application/octet-stream"),
        ), headers(("ETag" = String, description = "`mod_revision` in quotes"))),
        (status = 304, description = "It has not changed"),
        (status = 404, description = "`key-not-found`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "`revision-compacted`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfKey(key): OfKey,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut query)?;
    let wanted = Wanted::of(&mut query)?;
    query.finish()?;
    let unless = Tags::parse(&headers, &IF_NONE_MATCH)?;
    let read = rest.handle.range(&caller, freshness.read(KeyRange::Single(key))).await.map_err(Problem::of_read)?;
    let Some(kv) = read.kvs.into_iter().next() else {
        return Err(Problem::new(Kind::KeyNotFound, "there is no such key").seen_at(read.revision));
    };
    let is_known = unless.is_some_and(|tags| tags.matches(kv.mod_revision));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if accepts(&headers, "application/json") {
        axum::Json(wanted.document(&kv)).into_response()
    } else {
        raw(&kv)
    };
    let headers = response.headers_mut();
    headers.insert(REVISION, read.revision.get().into());
    headers.insert(ETAG, etag(kv.mod_revision));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    // May be kept, but not used without asking: that is what the tag is for.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The bytes. Whatever somebody stored there, a browser shall not run it.
fn raw(kv: &KeyValue) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    ];
    (headers, Body::from(kv.value.clone())).into_response()
}
