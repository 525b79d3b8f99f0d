//! Flags of the client port: what clients may take, and who may ask over HTTP.

use std::num::NonZeroU32;

use anyhow::{Context, Result, ensure};
use api::{Names, Options};
use clap::Args;

use super::duration::parse_duration;

/// What a request may be larger than its largest proposal on the wire, in bytes (etcd's figure).
const REQUEST_OVERHEAD_BYTES: usize = 512 * 1024;

/// See the top of this file.
#[derive(Clone, Debug, Args)]
pub(crate) struct PortFlags {
    /// Most HTTP/2 streams of one connection
    #[arg(long, env = "ETCD_MAX_CONCURRENT_STREAMS", default_value_t = u32::MAX)]
    max_concurrent_streams: u32,
    /// Most connections of clients at a time; the process's limit of open files bounds them as well
    #[arg(long, env = "QUORATE_MAX_CONNECTIONS", default_value_t = 65_536)]
    max_connections: usize,
    /// Most of them from one address; 0 is any number
    #[arg(long, env = "QUORATE_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 0)]
    max_connections_per_address: usize,
    /// Most requests in a second from one address; 0 is any number. Keepalives and releases are not counted
    #[arg(long, env = "QUORATE_MAX_REQUESTS_PER_SECOND", default_value_t = 0)]
    max_requests_per_second: u32,
    /// How long a client's connection may be silent before it is asked whether it is alive
    #[arg(long, env = "ETCD_GRPC_KEEPALIVE_INTERVAL", default_value = "2h")]
    grpc_keepalive_interval: String,
    /// How long it may take to answer
    #[arg(long, env = "ETCD_GRPC_KEEPALIVE_TIMEOUT", default_value = "20s")]
    grpc_keepalive_timeout: String,
    /// Serve etcd's methods as JSON, below /v3/
    #[arg(
        long,
        env = "ETCD_ENABLE_GRPC_GATEWAY",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    enable_grpc_gateway: bool,
    /// Sites whose pages may read answers over HTTP; a list also opens the recipes' API to them
    #[arg(long, env = "ETCD_CORS", value_delimiter = ',', default_value = "*")]
    cors: Vec<String>,
    /// Names that HTTP clients without TLS may call this member by
    #[arg(long, env = "ETCD_HOST_WHITELIST", value_delimiter = ',', default_value = "*")]
    host_whitelist: Vec<String>,
}

impl PortFlags {
    /// What they come to, for proposals of at most `request_bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag and what is wrong with it.
    pub(super) fn options(&self, request_bytes_max: usize) -> Result<Options> {
        ensure!(self.max_connections > 0, "--max-connections must be above 0");
        Ok(Options {
            message_bytes_max: request_bytes_max.saturating_add(REQUEST_OVERHEAD_BYTES),
            max_concurrent_streams: self.max_concurrent_streams,
            connections_max: self.max_connections,
            connections_per_address_max: match self.max_connections_per_address {
                0 => usize::MAX,
                some => some,
            },
            requests_per_second: NonZeroU32::new(self.max_requests_per_second),
            ping_after: parse_duration(&self.grpc_keepalive_interval).context("--grpc-keepalive-interval")?,
            ping_timeout: parse_duration(&self.grpc_keepalive_timeout).context("--grpc-keepalive-timeout")?,
            serves_gateway: self.enable_grpc_gateway,
            hosts: Names::of(&self.host_whitelist),
            origins: Names::of(&self.cors),
            ..Options::default()
        })
    }
}
