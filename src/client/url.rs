//! Endpoints as they are written: `HOST:PORT`, or a URL of http or https.

use http::Uri;

use crate::Error;

/// Where a member is, and whether the way there is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl Url {
    /// `tls` says what an endpoint without a scheme is.
    pub(crate) fn parse(text: &str, default: Scheme) -> Result<Self, Error> {
        let wrong =
            || Error::Config(format!("{text:?} is not an endpoint: it has the form HOST:PORT or http[s]://HOST:PORT"));
        let (is_tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(wrong()),
            None => (default == Scheme::Https, text),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let uri: Uri = format!("http://{authority}").parse().map_err(|_| wrong())?;
        let (host, port) = uri.host().zip(uri.port_u16()).ok_or_else(wrong)?;
        if uri.path() != "/" || host.is_empty() {
            return Err(wrong());
        }
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, is_tls })
    }

    /// What requests name as where they go.
    pub(crate) fn origin(&self) -> Result<Uri, Error> {
        let scheme = if self.is_tls { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}", self.port)
            .parse()
            .map_err(|_| Error::Config(format!("{host:?} is not the name of a host")))
    }
}

/// What an endpoint without one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}
