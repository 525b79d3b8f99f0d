//! The peer port: the sockets that other members connect to.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::serve::{Connections, accept_all};
use crate::url::PeerUrl;
use crate::{Peer, SetupError};

/// Bound sockets on which nothing is served yet: members that connect already wait.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Listener {
    /// Binds the address of each URL. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The first URL that is none or whose address cannot be had.
    pub async fn bind(urls: &[String]) -> Result<Self, SetupError> {
        let mut listener = Self { sockets: Vec::new(), addresses: Vec::new() };
        for url in urls {
            let parsed = PeerUrl::parse(url).map_err(|reason| SetupError::Url { url: url.clone(), reason })?;
            let bind_error = |source| SetupError::Bind { url: url.clone(), source };
            let socket = TcpListener::bind((parsed.host.as_str(), parsed.port)).await.map_err(bind_error)?;
            listener.addresses.push(socket.local_addr().map_err(bind_error)?);
            listener.sockets.push(socket);
        }
        Ok(listener)
    }

    /// Where it listens: one address for each URL, in their order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Passes every call to `peer` until `stop`; then takes no more connections, ends streams with
    /// [`CallError::NotServing`](crate::CallError::NotServing), lets other calls end for half a second, and cuts off the rest.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cuts off everything.
    pub async fn serve(self, peer: Arc<dyn Peer>, stop: impl Future<Output = ()>) {
        let stopping = CancellationToken::new();
        let connections = Connections::new(peer, stopping.clone());
        let accepting = self.sockets.into_iter().map(|socket| accept_all(socket, connections.clone()));
        let told = async {
            stop.await;
            stopping.cancel();
        };
        tokio::join!(join_all(accepting), told);
    }
}
