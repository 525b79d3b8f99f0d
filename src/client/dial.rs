//! Making one connection to one member: TCP, and TLS where the endpoint asks for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use crate::url::Url;

/// What is spoken over, protected or not.
pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// Connects to one endpoint, whatever the address that it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) url: Url,
    /// Set where the endpoint is one of TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) server_name: Option<String>,
}

impl Dial {
    async fn connect(self) -> io::Result<Box<dyn Pipe>> {
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = self.tls else { return Ok(Box::new(stream)) };
        let name = self.server_name.unwrap_or(self.url.host);
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(tls).connect(name, stream).await?))
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Pipe>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move { dial.connect().await.map(TokioIo::new) })
    }
}
