//! The real network: connections to members over gRPC.

use std::sync::Arc;

use crate::remote::Remote;
use crate::{Dialer, Peer};

/// Dials members over TCP.
#[derive(Clone, Debug, Default)]
pub struct Network {}

impl Network {
    /// Without TLS: for peer URLs with `http://`.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl Dialer for Network {
    fn dial(&self, urls: &[String]) -> Arc<dyn Peer> {
        Arc::new(Remote::new(urls))
    }
}
