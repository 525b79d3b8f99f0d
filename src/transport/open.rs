//! Opens one HTTP/2 connection: URLs in turn; TCP, TLS where the URL says so, HTTP/2.

use std::io;
use std::time::Duration;

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tls::{Connector, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::body::Body;

use crate::connection::Connection;
use crate::url::PeerUrl;

/// How long one URL may take. Below the second after which TCP repeats a lost SYN: a member that comes back is reached sooner by
/// a new attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the TLS handshake may take: several ways there and back, and arithmetic.
const TLS_TIMEOUT: Duration = Duration::from_secs(2);

/// What of responses may be under way in one stream, and in all streams of a connection.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Largest frame of a response.
const FRAME_BYTES_MAX: u32 = 256 * 1024;

/// What of one request may wait for the network.
const SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// What a connection carries, which decides how soon silence means that it is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Small calls: a ping that is not answered soon tells.
    Calls,
    /// So much that a ping may have to wait long behind it; streams have their own watch.
    Bulk,
}

impl Load {
    /// After how much silence a ping is sent, and how long its answer may take.
    const fn keep_alive(self) -> (Duration, Duration) {
        match self {
            Self::Calls => (Duration::from_secs(1), Duration::from_secs(2)),
            Self::Bulk => (Duration::from_secs(5), Duration::from_secs(15)),
        }
    }
}

/// How to get to a member.
#[derive(Clone)]
pub(crate) struct Way {
    /// Tried in turn.
    pub(crate) urls: Vec<String>,
    /// For those that say `https://`.
    pub(crate) tls: Option<Connector>,
    pub(crate) load: Load,
}

impl Way {
    /// Opens a connection to the first URL that answers.
    ///
    /// # Errors
    ///
    /// Why none did.
    pub(crate) async fn open(&self) -> Result<Connection, String> {
        let mut reasons = Vec::new();
        for url in &self.urls {
            let opened = match PeerUrl::parse(url) {
                Ok(parsed) => self.open_one(&parsed).await,
                Err(reason) => Err(reason),
            };
            match opened {
                Ok(connection) => return Ok(connection),
                Err(reason) => reasons.push(format!("{url}: {reason}")),
            }
        }
        Err(if reasons.is_empty() { "it has no URL".to_owned() } else { reasons.join("; ") })
    }

    async fn open_one(&self, url: &PeerUrl) -> Result<Connection, String> {
        let stream = within(CONNECT_TIMEOUT, TcpStream::connect((url.host.as_str(), url.port))).await?;
        // Nagle's algorithm holds small requests back until the last one is acknowledged.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let requests = if url.is_tls() {
            let tls = self.tls.as_ref().ok_or("https:// without certificates of our own")?;
            let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
            let stream = within(TLS_TIMEOUT, tls.connect(name, stream)).await?;
            begin_http2(stream, self.load).await
        } else {
            begin_http2(stream, self.load).await
        };
        Ok(Connection::new(requests.map_err(|error| error.to_string())?, url.origin.clone()))
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    timeout(limit, step).await.map_err(|_| "no connection in time")?.map_err(|error| error.to_string())
}

async fn begin_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    load: Load,
) -> hyper::Result<SendRequest<Body>> {
    let (ping_after, ping_timeout) = load.keep_alive();
    let (requests, driver) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(ping_after)
        .keep_alive_timeout(ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await?;
    // Ends when the connection is lost, or when nobody holds it any more.
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "a connection to a member ended");
        }
    });
    Ok(requests)
}
