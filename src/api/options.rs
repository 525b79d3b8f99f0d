//! What the listener is told at its start: bounds and deadlines, each with its reason.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::access::Names;

/// Largest message of a client in bytes: etcd's largest request and its allowance for what surrounds it.
const MESSAGE_BYTES_MAX: usize = 1_572_864 + 512 * 1024;

/// Bounds and deadlines of the client port.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest gRPC message that a client may send, in bytes; also where a fragmented watch response is cut.
    pub message_bytes_max: usize,
    /// Most HTTP/2 streams that one connection may have open. etcd's default is "any number": jetcd opens one for each
    /// watcher.
    pub max_concurrent_streams: u32,
    /// Most connections at a time, over all listeners; more are accepted and closed at once. The process's limit of open
    /// files, less what the store needs, bounds it as well.
    pub connections_max: usize,
    /// Most connections at a time from one address (of IPv6: one network of 64 bits).
    pub connections_per_address_max: usize,
    /// Most requests in a second from one address, and at once; none: any number. Keepalives, and what gives something back, are not
    /// counted.
    pub requests_per_second: Option<NonZeroU32>,
    /// How long a connection may take to say what it speaks, and an HTTP/1 one to send a request's head or to stay idle.
    pub head_deadline: Duration,
    /// How long a connection may be silent before it is asked whether it is alive (HTTP/2 only), and how long it may take to say so.
    pub ping_after: Duration,
    /// See [`Self::ping_after`].
    pub ping_timeout: Duration,
    /// How long requests may go on when the server stops.
    pub drain_deadline: Duration,
    /// Whether the JSON gateway is served.
    pub serves_gateway: bool,
    /// What HTTP clients without TLS may call this server.
    pub hosts: Names,
    /// The sites whose pages may read answers over HTTP.
    pub origins: Names,
    /// What secrets of configurations are sealed with; `None`: this member seals and opens none.
    pub config_secret_key: Option<SecretKey>,
}

/// A key of 256 bits. It shows itself to nobody.
#[derive(Clone, Copy)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            max_concurrent_streams: u32::MAX,
            connections_max: 65_536,
            connections_per_address_max: usize::MAX,
            requests_per_second: None,
            head_deadline: Duration::from_secs(5),
            ping_after: Duration::from_secs(2 * 3600),
            ping_timeout: Duration::from_secs(20),
            drain_deadline: Duration::from_millis(1500),
            serves_gateway: true,
            hosts: Names::Any,
            origins: Names::Any,
            config_secret_key: None,
        }
    }
}
