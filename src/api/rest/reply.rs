//! Answers that are documents, with the revision that they show.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::Revision;
use serde::Serialize;

use super::envelope::REVISION;

/// A document as of `revision`, with `headers` beside the usual ones: numbers and escaped paths, so all of them can be sent.
pub(crate) fn reply<const N: usize>(
    status: StatusCode,
    revision: Revision,
    headers: [(HeaderName, String); N],
    document: &impl Serialize,
) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name, HeaderValue::try_from(value).expect("digits and escaped paths are header values"));
    }
    map.insert(REVISION, revision.get().into());
    map.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    map.insert(VARY, HeaderValue::from_static("accept"));
    (status, map, Json(document)).into_response()
}

/// Says that what the client has is still so, at `revision`.
pub(crate) fn not_modified(revision: Revision, tag: String) -> Response {
    let mut map = HeaderMap::new();
    map.insert(ETAG, HeaderValue::try_from(tag).expect("digits in quotes are a header value"));
    map.insert(REVISION, revision.get().into());
    map.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    map.insert(VARY, HeaderValue::from_static("accept"));
    (StatusCode::NOT_MODIFIED, map).into_response()
}
