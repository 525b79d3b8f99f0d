//! Who may ask over HTTP: the names that the server may be called by, and the sites whose pages may read its answers (CORS).
//!
//! The check of names is against pages that point a name of their own at this server (DNS rebinding); it is left out under TLS,
//! where the certificate does the same. gRPC is not looked at: browsers do not speak it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HOST, ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};

use crate::caller::Secured;

/// What pages of other sites may send: etcd's list, and what the recipes' API reads beside it.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, content-type, authorization, if-match, if-none-match, idempotency-key, last-event-id",
);
const METHODS: HeaderValue = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");

/// Which names are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Every one.
    #[default]
    Any,
    /// Only these.
    Only(BTreeSet<String>),
}

impl Names {
    /// The names in `list`; `*` among them, or no name at all, is every one.
    #[must_use]
    pub fn of(list: &[String]) -> Self {
        let names: BTreeSet<_> =
            list.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if names.is_empty() || names.contains("*") { Self::Any } else { Self::Only(names) }
    }

    fn accept(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// The rules of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) hosts: Names,
    pub(crate) origins: Names,
}

/// Applies `access` around the routes.
pub(crate) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let is_secured = request.extensions().get::<Secured>().is_some();
    if !is_secured && !access.hosts.accept(host(&request)) {
        return wrong_host(host(&request));
    }
    let Some(origin) = access.origin_for(&request) else { return next.run(request).await };
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::OK.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    if access.origins != Names::Any {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    response
}

impl Access {
    /// The site whose pages may read the answer. Without a list, which is etcd's default, that is every one for what etcd has,
    /// and none for the recipes' API: nobody has asked for it there.
    fn origin_for(&self, request: &Request) -> Option<HeaderValue> {
        match &self.origins {
            Names::Any if is_recipes(request.uri().path()) => None,
            Names::Any => Some(HeaderValue::from_static("*")),
            Names::Only(_) => {
                let origin = request.headers().get(ORIGIN)?;
                origin.to_str().is_ok_and(|name| self.origins.accept(name)).then(|| origin.clone())
            }
        }
    }
}

fn is_recipes(path: &str) -> bool {
    path.strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the client calls this server, without the port: HTTP/2 says it in the URI, HTTP/1 in a header.
fn host(request: &Request) -> &str {
    let in_header = || request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authority = request.uri().authority().map_or_else(in_header, http::uri::Authority::as_str);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

fn wrong_host(host: &str) -> Response {
    let text = format!(
        "This server is not to be called {host:?}. Name it in --host-whitelist if it is, or use TLS, which needs no such list.\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).expect("a request")
    }

    fn only(name: &str) -> Names {
        Names::of(&[name.to_owned()])
    }

    #[test]
    fn a_star_or_nothing_is_every_name() {
        let list = |names: &[&str]| Names::of(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(list(&[]), Names::Any);
        assert_eq!(list(&["a", "*"]), Names::Any);
        assert_eq!(list(&["", " "]), Names::Any);
        assert!(list(&["a", " b"]).accept("b"));
        assert!(!list(&["a"]).accept("A"));
    }

    #[test]
    fn the_host_is_found_in_either_version_of_http() {
        assert_eq!(host(&request("/a", &[("host", "name:2379")])), "name");
        assert_eq!(host(&request("/a", &[("host", "name")])), "name");
        assert_eq!(host(&request("http://name:1/a", &[("host", "other")])), "name");
        assert_eq!(host(&request("/a", &[("host", "[::1]:1")])), "[::1]");
        assert_eq!(host(&request("/a", &[("host", "[::1]")])), "[::1]");
        assert_eq!(host(&request("/a", &[])), "");
    }

    #[test]
    fn pages_of_any_site_read_what_etcd_has_and_those_of_the_list_everything() {
        let any = Access::default();
        let listed = Access { origins: only("https://a"), ..Access::default() };
        let from = |uri: &str, origin: &str| request(uri, &[("origin", origin)]);
        assert_eq!(any.origin_for(&from("/v3/kv/range", "https://b")).expect("anybody"), "*");
        assert_eq!(any.origin_for(&from("/v1/kv/a", "https://b")), None);
        assert_eq!(any.origin_for(&from("/v10", "https://b")).expect("anybody"), "*");
        for uri in ["/v3/kv/range", "/v1/kv/a"] {
            assert_eq!(listed.origin_for(&from(uri, "https://a")).expect("on the list"), "https://a");
            assert_eq!(listed.origin_for(&from(uri, "https://b")), None);
            assert_eq!(listed.origin_for(&request(uri, &[])), None);
        }
    }
}
