//! What a client is made of: where, as whom, how protected, how patient.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

/// Settings of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Config {
    /// Members to ask: `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. One that fails is left alone for a while.
    pub endpoints: Vec<String>,
    /// As whom; none leaves requests without a token.
    pub user: Option<Credentials>,
    /// How connections are protected. With it, an endpoint without a scheme is taken as `https`.
    pub tls: Option<Tls>,
    /// What is put before every key that is sent and taken off every key that comes back. Empty for none.
    pub namespace: Bytes,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a request may take, all its attempts together. Does not count for what waits by its nature: watches, locks.
    pub request_timeout: Duration,
    /// How long a connection with requests on it may be silent before it is tested (at least 5 s, or servers object).
    pub keep_alive_time: Duration,
    /// How long such a test may take before the connection counts as lost.
    pub keep_alive_timeout: Duration,
    /// Largest request in bytes.
    pub request_bytes_max: usize,
    /// Largest response in bytes.
    pub response_bytes_max: usize,
    /// Have members that know no leader refuse watches, so that these go on elsewhere.
    pub require_leader: bool,
}

/// A name and its password, as the server's auth knows them.
#[derive(Clone)]
pub struct Credentials {
    /// Name of the user.
    pub name: String,
    /// Its password, in the clear; sent to get a token and never shown.
    pub password: String,
}

/// TLS towards the members. Files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that vouch for members; none trusts nobody unless `skip_verify`.
    pub trusted_ca: Option<PathBuf>,
    /// Certificate and key of this client, for servers that want to see one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that members' certificates must carry, in the place of the endpoint's host.
    pub server_name: Option<String>,
    /// Take any certificate. Whoever is between can read and alter all.
    pub skip_verify: bool,
}

impl Config {
    /// Settings for these endpoints, with etcd's defaults for all else.
    #[must_use]
    pub fn at<T: Into<String>>(endpoints: impl IntoIterator<Item = T>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            user: None,
            tls: None,
            namespace: Bytes::new(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            keep_alive_time: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(6),
            request_bytes_max: 2 * 1024 * 1024,
            response_bytes_max: i32::MAX as usize,
            require_leader: true,
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}
