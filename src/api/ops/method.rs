//! Routes that are for reading only, said the way etcd says it: HEAD is refused as well, and `Allow` names GET alone.

use axum::extract::FromRequestParts;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};

/// The request is a GET.
pub(crate) struct GetOnly;

type Refusal = (StatusCode, [(HeaderName, &'static str); 2], &'static str);

impl<S: Sync> FromRequestParts<S> for GetOnly {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        if parts.method == Method::GET {
            return Ok(Self);
        }
        let headers = [(ALLOW, "GET"), (CONTENT_TYPE, "text/plain; charset=utf-8")];
        Err((StatusCode::METHOD_NOT_ALLOWED, headers, "Method Not Allowed\n"))
    }
}
