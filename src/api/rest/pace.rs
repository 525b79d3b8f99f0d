//! How many requests of one address are answered.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;

use super::problem::{Kind, Problem};
use crate::admission::Allowance;

/// When to try again: the bound is one for a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Refuses what is above the address's pace, but nothing that keeps a session alive or gives something back.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    let is_refused = !is_never_refused(request.method(), request.uri().path())
        && request.extensions().get::<Allowance>().is_some_and(|allowance| !allowance.has_one_more());
    if is_refused {
        let detail = "this address has asked more than it may in a second";
        return Problem::new(Kind::TooManyRequests, detail).retry_after(RETRY_AFTER).into_response();
    }
    next.run(request).await
}

fn is_never_refused(method: &Method, path: &str) -> bool {
    let gives_back = *method == Method::DELETE && (path.contains("/claims/") || path.contains("/sessions/"));
    gives_back || path.ends_with("/keepalive")
}
