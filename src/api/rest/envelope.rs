//! What every answer has, around all routes: `Request-Id`, `Revision`, and problems written out as documents.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use model::Revision;

use super::Rest;
use super::problem::{self, Kind, Problem};

/// Revision of the store when the answer was made.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("revision");

/// Names the request, in the answer and in what it logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Source of request ids: the start of the process, by a random number, and a counter.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds {
    start: u32,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    /// Ids that no other start of any process gives out, as far as 32 random bits reach.
    pub(crate) fn new() -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        let start = u32::try_from(random >> 32).expect("half of it");
        Self { start, next: Arc::new(AtomicU64::new(1)) }
    }

    fn next(&self) -> RequestId {
        RequestId { start: self.start, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

/// Names one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId {
    start: u32,
    number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.start, self.number)
    }
}

/// Answers a request, with all that every answer has.
pub(crate) async fn seal(State(rest): State<Rest>, mut request: Request, next: Next) -> Response {
    let id = rest.request_ids.next();
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let revision = problem.as_ref().and_then(Problem::revision).unwrap_or_else(|| rest.handle.revision());
    if let Some(problem) = problem {
        write_out(problem, id, revision, &mut response);
    }
    let headers = response.headers_mut();
    headers.entry(REVISION).or_insert_with(|| revision.get().into());
    headers.insert(REQUEST_ID, header(id));
    response
}

fn write_out(problem: Problem, id: RequestId, revision: Revision, response: &mut Response) {
    if problem.kind() == Kind::Internal {
        tracing::error!(request_id = %id, detail = problem.detail(), "a request failed");
    }
    let is_unauthenticated = problem.kind() == Kind::Unauthenticated;
    let headers = response.headers_mut();
    if is_unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(delay) = problem.delay() {
        // The header counts whole seconds; the document says it in milliseconds.
        headers.insert(RETRY_AFTER, delay.as_secs().max(1).into());
    }
    let document = problem.into_document(id.to_string(), revision);
    let json = serde_json::to_vec(&document).expect("a document of texts and numbers is always JSON");
    *response.body_mut() = Body::from(json);
}

fn header(id: RequestId) -> HeaderValue {
    HeaderValue::try_from(id.to_string()).expect("hexadecimal digits are a header value")
}

/// No route has this path.
pub(crate) async fn not_found(request: Request) -> Problem {
    Problem::new(Kind::NotFound, format!("there is nothing at {}", path(&request)))
}

/// The route does not have this method. The router adds `Allow`.
pub(crate) async fn method_not_allowed(request: Request) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{} is not a method of {}", request.method(), path(&request)))
}

/// The path as the client sent it, for people to read: cut where it is long.
fn path(request: &Request) -> String {
    const SHOWN_CHARS: usize = 200;
    let original = request.extensions().get::<axum::extract::OriginalUri>();
    let path = original.map_or_else(|| request.uri().path(), |uri| uri.path());
    path.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn request_ids_differ() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let ids: BTreeSet<String> = (0..100).flat_map(|_| [one.next().to_string(), other.next().to_string()]).collect();
        assert_eq!(ids.len(), 200);
    }
}
