//! Bodies of requests: bounded in size and in time, and JSON only where JSON is meant.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::problem::{Facts, Kind, Problem};

/// Largest JSON body in bytes.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// How long a body may take to arrive.
const ARRIVAL_DEADLINE: Duration = Duration::from_secs(30);

/// Largest JSON body that carries values, in bytes: as many as fit into a log entry, and what surrounds them.
pub(crate) const LARGE_JSON_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A JSON body with known fields only. No body at all says nothing, which is what `T`'s default says.
pub(crate) struct Json<T, const BYTES_MAX: usize = JSON_BYTES_MAX>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Sync, const BYTES_MAX: usize> FromRequest<S> for Json<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body(), BYTES_MAX, Kind::RequestTooLarge).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                "the body must come with Content-Type: application/json",
            ));
        }
        parse(&bytes).map(Self)
    }
}

/// The whole body, if it has at most `bytes_max` bytes; else a problem of kind `too_large`.
pub(crate) async fn read(body: Body, bytes_max: usize, too_large: Kind) -> Result<Bytes, Problem> {
    let refusal = || Problem::new(too_large, format!("the body may have at most {bytes_max} bytes"));
    // What the client announces is enough to refuse it before it is sent.
    if HttpBody::size_hint(&body).lower() > bytes_max as u64 {
        return Err(refusal());
    }
    match tokio::time::timeout(ARRIVAL_DEADLINE, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refusal()),
        Ok(Err(error)) => Err(Problem::invalid(format!("the body could not be read: {error}"))),
        Err(_) => {
            let detail = format!("the body did not arrive within {} seconds", ARRIVAL_DEADLINE.as_secs());
            Err(Problem::new(Kind::RequestTimeout, detail))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let parsed = serde_json::from_slice(bytes).map_err(|error| {
        let facts = Facts { line: Some(error.line()), column: Some(error.column()), ..Facts::default() };
        Problem::invalid(format!("the body is not what is expected here: {error}")).with(facts)
    })?;
    // An array would be read as the fields in their order, which is nobody's business but ours.
    if bytes.trim_ascii_start().starts_with(b"{") {
        Ok(parsed)
    } else {
        Err(Problem::invalid("the body must be an object"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[serde(default)]
        number: u8,
    }

    async fn wish(content_type: &str, body: impl Into<Body>) -> Result<u8, Problem> {
        let request = Request::builder().header(CONTENT_TYPE, content_type).body(body.into()).unwrap();
        Json::<Wish>::from_request(request, &()).await.map(|Json(wish)| wish.number)
    }

    #[tokio::test]
    async fn json_is_read() {
        assert_eq!(wish("application/json", r#"{"number":7}"#).await.unwrap(), 7);
        assert_eq!(wish("Application/JSON; charset=utf-8", r#"{"number":7}"#).await.unwrap(), 7);
        assert_eq!(wish("text/plain", "").await.unwrap(), 0, "no body has no type");
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let kind = |problem: Problem| problem.kind();
        assert_eq!(
            wish("application/x-www-form-urlencoded", "{}").await.map_err(kind),
            Err(Kind::UnsupportedMediaType)
        );
        let large = format!("{{\"number\":{}1}}", " ".repeat(JSON_BYTES_MAX));
        assert_eq!(wish("application/json", large).await.map_err(kind), Err(Kind::RequestTooLarge));
        for body in ["{", "[]", "null", "{\"number\":\"7\"}", "{\"number\":256}", "{\"nubmer\":7}", "{} x", "\u{0}"] {
            assert_eq!(wish("application/json", body).await.map_err(kind), Err(Kind::InvalidRequest), "{body}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(wish("application/json", deep).await.map_err(kind), Err(Kind::InvalidRequest));
    }

    #[tokio::test]
    async fn the_place_of_an_error_is_told() {
        let problem = wish("application/json", "{\n  \"number\": x}").await.unwrap_err();
        let document = problem.into_document(String::new(), model::Revision::FIRST);
        assert_eq!((document.facts.line, document.facts.column), (Some(2), Some(13)));
    }

    #[tokio::test]
    async fn a_body_without_a_known_length_is_bounded_as_well() {
        let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024])));
        let problem = read(Body::from_stream(chunks), 4096, Kind::ValueTooLarge).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::ValueTooLarge);
    }
}
