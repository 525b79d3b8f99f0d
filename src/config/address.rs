//! URLs: what they name, and where they are listened at.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use api::Offer;

/// `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// A name or an address, an IPv6 one in brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl<'a> Url<'a> {
    /// # Errors
    ///
    /// What is wrong with `text`.
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let (rest, is_tls) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => anyhow::bail!("an address begins with http:// or https://"),
        };
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').context("the port is missing")?;
        ensure!(!host.is_empty(), "the host is missing");
        Ok(Self { host, port: port.parse().context("the port is not a number up to 65535")?, is_tls })
    }

    /// The host, an IPv6 address without brackets.
    pub(crate) fn bare_host(&self) -> &'a str {
        self.host.trim_matches(['[', ']'])
    }
}

/// A socket to listen at, and what is served there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) offer: Offer,
}

impl Listen {
    /// The socket of a URL, which has to name an address.
    ///
    /// # Errors
    ///
    /// What is wrong with `url`.
    pub(crate) fn parse(url: &str, offer: Offer) -> Result<Self> {
        let parsed = Url::parse(url)?;
        let ip: IpAddr = match parsed.bare_host() {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            other => other.parse().context("it must name an IP address or localhost to listen on")?,
        };
        Ok(Self { address: SocketAddr::new(ip, parsed.port), is_tls: parsed.is_tls, offer })
    }

    /// The URL of this socket, once it is bound to `address`.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{address}")
    }
}
