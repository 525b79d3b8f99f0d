//! The peer port: the sockets that other members connect to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;
use tls::Acceptor;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::accept::accept_all;
use crate::serve::Connections;
use crate::url::PeerUrl;
use crate::{Peer, SetupError, Tls};

/// A bound socket, and how TLS is spoken on it, if so.
pub(crate) struct Socket {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Acceptor>,
}

/// Bound sockets on which nothing is served yet: members that connect already wait.
pub struct Listener {
    sockets: Vec<Socket>,
    addresses: Vec<SocketAddr>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds the address of each URL, all with `http://`. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The first URL that is none or whose address cannot be had.
    pub async fn bind(urls: &[String]) -> Result<Self, SetupError> {
        Self::bind_all(urls, None).await
    }

    /// Binds the address of each URL, and speaks TLS where one says `https://`.
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`], or the first file that cannot be used.
    pub async fn bind_with_tls(urls: &[String], tls: &Tls) -> Result<Self, SetupError> {
        Self::bind_all(urls, Some(tls.acceptor()?)).await
    }

    async fn bind_all(urls: &[String], tls: Option<Acceptor>) -> Result<Self, SetupError> {
        let mut listener = Self { sockets: Vec::new(), addresses: Vec::new() };
        for url in urls {
            let parsed = PeerUrl::parse(url).map_err(|reason| SetupError::Url { url: url.clone(), reason })?;
            if parsed.is_tls() && tls.is_none() {
                let reason = "https:// needs a certificate and its key".to_owned();
                return Err(SetupError::Url { url: url.clone(), reason });
            }
            let bind_error = |source| SetupError::Bind { url: url.clone(), source };
            let listening = TcpListener::bind((parsed.host.as_str(), parsed.port)).await.map_err(bind_error)?;
            listener.addresses.push(listening.local_addr().map_err(bind_error)?);
            listener.sockets.push(Socket { listener: listening, tls: tls.clone().filter(|_| parsed.is_tls()) });
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
