//! A peer URL: scheme, host and port, and nothing else.

use http::Uri;
use http::uri::Scheme;

/// Where a member listens for its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerUrl {
    /// A name or an address, an IPv6 one without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What HTTP/2 requests to it begin with.
    pub(crate) origin: Uri,
}

impl PeerUrl {
    /// # Errors
    ///
    /// What is wrong with `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        if uri.scheme().is_none_or(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
            return Err("not an http:// or https:// URL".to_owned());
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("a peer URL has no path".to_owned());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().ok_or("no port")?;
        Ok(Self { host, port, origin: uri })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.origin.scheme() == Some(&Scheme::HTTPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_taken_apart() {
        for (text, host, port) in [
            ("http://10.0.0.1:2380", "10.0.0.1", 2380),
            ("http://member-1.quorate:2380/", "member-1.quorate", 2380),
            ("https://[::1]:0", "::1", 0),
        ] {
            let url = PeerUrl::parse(text).expect(text);
            assert_eq!((url.host.as_str(), url.port), (host, port));
            assert_eq!(url.is_tls(), text.starts_with("https"));
        }
    }

    #[test]
    fn what_is_no_peer_url_is_named() {
        for (text, reason) in [
            ("", "not a URL"),
            ("10.0.0.1:2380", "not an http:// or https:// URL"),
            ("unix://a:1", "not an http:// or https:// URL"),
            ("http://10.0.0.1", "no port"),
            ("http://10.0.0.1:2380/raft", "has no path"),
            ("http://10.0.0.1:2380/?a", "has no path"),
            ("http://10.0.0.1:99999", "no port"),
        ] {
            let error = PeerUrl::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
