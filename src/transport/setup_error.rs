//! Why the peer port cannot be opened.

use std::io;

use thiserror::Error;
use tls::TlsError;

/// A mistake in what the operator said, or something on this machine that is in the way. Nothing was started.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A URL that cannot be listened at.
    #[error("peer URL {url:?}: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be had.
    #[error("cannot listen for peers at {url}: {source}")]
    Bind {
        /// As given.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// A file or a setting of TLS that cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
