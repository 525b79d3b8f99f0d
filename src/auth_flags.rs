//! Flags of authentication. Whether it is on is not one: `etcdctl auth enable` says it for the whole cluster.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use node::{AuthConfig, BcryptCost, TokenKind};

/// The flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct AuthFlags {
    /// What tokens are: simple, or jwt,sign-method=…,pub-key=FILE,priv-key=FILE,ttl=5m
    #[arg(long, env = "ETCD_AUTH_TOKEN", default_value = "simple")]
    auth_token: TokenKind,
    /// Seconds that a simple token lives when it is not used
    #[arg(long, env = "ETCD_AUTH_TOKEN_TTL", default_value_t = 300)]
    auth_token_ttl: u64,
    /// Cost of a password's hash, as a power of two
    #[arg(long, env = "ETCD_BCRYPT_COST", default_value = "10")]
    bcrypt_cost: BcryptCost,
}

impl AuthFlags {
    /// What they come to.
    pub(crate) fn auth(&self) -> Result<AuthConfig> {
        ensure!(self.auth_token_ttl > 0, "--auth-token-ttl must be above 0");
        Ok(AuthConfig {
            tokens: self.auth_token.clone(),
            simple_ttl: Duration::from_secs(self.auth_token_ttl),
            bcrypt_cost: self.bcrypt_cost,
        })
    }
}
