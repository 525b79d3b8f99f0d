//! What a request says about who makes it, in etcd's order: a token, then the certificate of the connection.
//!
//! Over gRPC a token is the metadata `token`, or `authorization`; over HTTP the header `Authorization`. A certificate does not count for
//! what came through the JSON gateway, as with etcd: there it may be that of a proxy.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use model::{Identity, Rejection};
use node::Handle;
use tonic::Extensions;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::caller::ClientCertificate;

/// Metadata of a client that has a token.
const TOKEN: &str = "token";

/// Metadata under which other proxies and clients put it.
const TOKEN_OF_PROXIES: &str = "authorization";

/// Metadata of what came through the JSON gateway.
const OF_GATEWAY: &str = "grpcgateway-accept";

/// What RFC 6750 puts before a token.
const BEARER: &str = "Bearer ";

/// See the top of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    token: Option<String>,
    common_name: Option<String>,
}

impl Credentials {
    /// Those of a gRPC call.
    pub(crate) fn of_call(metadata: &MetadataMap, extensions: &Extensions) -> Self {
        let text = |value: &MetadataValue<Ascii>| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let token = metadata.get(TOKEN).or_else(|| metadata.get(TOKEN_OF_PROXIES)).map(text);
        let certificate = extensions.get::<ClientCertificate>().filter(|_| !metadata.contains_key(OF_GATEWAY));
        Self::new(token, certificate)
    }

    /// Those of an HTTP request.
    pub(crate) fn of_http(headers: &HeaderMap, extensions: &http::Extensions) -> Self {
        let token = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Self::new(token, extensions.get::<ClientCertificate>())
    }

    fn new(token: Option<String>, certificate: Option<&ClientCertificate>) -> Self {
        let bare = |token: String| token.strip_prefix(BEARER).map(str::to_owned).unwrap_or(token);
        let common_name = certificate.map(|certificate| certificate.common_name.clone());
        Self { token: token.map(bare), common_name }
    }

    /// Who that is, to the member. Nobody in particular, if it says nothing or authentication is off.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidAuthToken`].
    pub(crate) async fn identify(&self, handle: &Handle) -> Result<Identity, Rejection> {
        match (&self.token, &self.common_name) {
            (None, Some(common_name)) => Ok(handle.identify_certificate(common_name)),
            (token, _) => handle.identify(token.as_deref()).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn certificate() -> http::Extensions {
        let mut extensions = http::Extensions::new();
        extensions.insert(ClientCertificate { common_name: "cn".to_owned() });
        extensions
    }

    fn of_call(headers: &[(&'static str, &'static str)]) -> Credentials {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        let request = http::Request::builder().extension(ClientCertificate { common_name: "cn".to_owned() });
        let mut request = request.body(()).expect("a request");
        request.headers_mut().extend(headers);
        let (metadata, extensions, ()) = tonic::Request::from_http(request).into_parts();
        Credentials::of_call(&metadata, &extensions)
    }

    fn credentials(token: Option<&str>, common_name: Option<&str>) -> Credentials {
        Credentials { token: token.map(str::to_owned), common_name: common_name.map(str::to_owned) }
    }

    #[test]
    fn a_token_is_found_where_clients_put_it() {
        for (headers, token) in [
            (&[("token", "t")][..], "t"),
            (&[("authorization", "t")], "t"),
            (&[("authorization", "Bearer t")], "t"),
            (&[("token", "Bearer t"), ("authorization", "other")], "t"),
            (&[("token", "")], ""),
        ] {
            assert_eq!(of_call(headers), credentials(Some(token), Some("cn")), "{headers:?}");
        }
        assert_eq!(of_call(&[]), credentials(None, Some("cn")));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        assert_eq!(Credentials::of_http(&headers, &certificate()), credentials(Some("t"), Some("cn")));
    }

    #[test]
    fn a_certificate_does_not_count_through_the_gateway() {
        assert_eq!(of_call(&[("grpcgateway-accept", "*/*")]), Credentials::default());
    }
}
