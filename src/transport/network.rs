//! The real network: connections to members over gRPC.

use std::fmt;
use std::sync::Arc;

use tls::Connector;

use crate::remote::Remote;
use crate::{Dialer, Peer, SetupError, Tls};

/// Dials members over TCP.
#[derive(Clone, Default)]
pub struct Network {
    tls: Option<Connector>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("tls", &self.tls.is_some()).finish()
    }
}

impl Network {
    /// Without TLS: for peer URLs with `http://`.
    #[must_use]
    pub fn new() -> Self {
        Self { tls: None }
    }

    /// With TLS for peer URLs with `https://`.
    ///
    /// # Errors
    ///
    /// [`SetupError::Tls`], which names the file.
    pub fn with_tls(tls: &Tls) -> Result<Self, SetupError> {
        Ok(Self { tls: Some(tls.connector()?) })
    }
}

impl Dialer for Network {
    fn dial(&self, urls: &[String]) -> Arc<dyn Peer> {
        Arc::new(Remote::new(urls, self.tls.as_ref()))
    }
}
