//! Opens one HTTP/2 connection: URLs in turn, TCP, then HTTP/2.

use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::url::PeerUrl;

/// How long one URL may take. Below the second after which TCP repeats a lost SYN: a member that comes back is reached sooner by
/// a new attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

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

/// Opens a connection to the first of `urls` that answers.
///
/// # Errors
///
/// Why none did.
pub(crate) async fn open(urls: &[String], load: Load) -> Result<Connection, String> {
    let mut reasons = Vec::new();
    for url in urls {
        let opened = match PeerUrl::parse(url) {
            Ok(parsed) => open_one(&parsed, load).await,
            Err(reason) => Err(reason),
        };
        match opened {
            Ok(connection) => return Ok(connection),
            Err(reason) => reasons.push(format!("{url}: {reason}")),
        }
    }
    Err(if reasons.is_empty() { "it has no URL".to_owned() } else { reasons.join("; ") })
}

async fn open_one(url: &PeerUrl, load: Load) -> Result<Connection, String> {
    let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect((url.host.as_str(), url.port)));
    let stream = connecting.await.map_err(|_| "no connection in time")?.map_err(|error| error.to_string())?;
    // Nagle's algorithm holds small requests back until the last one is acknowledged.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
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
        .await
        .map_err(|error| error.to_string())?;
    // Ends when the connection is lost, or when nobody holds it any more.
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "a connection to a member ended");
        }
    });
    Ok(Connection::new(requests, url.origin.clone()))
}
