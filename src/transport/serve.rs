//! Serves one connection of a peer, from its first byte to its last.
//!
//! Guarantees that a caller cannot hold it without speaking HTTP/2, and that it says goodbye when the member stops: calls under
//! way go on, new ones are refused (GOAWAY).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tls::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Peer;
use crate::preface::await_preface;
use crate::service::Service;

/// How long a caller may take for its TLS handshake, and then to say that it speaks HTTP/2.
const OPENING_DEADLINE: Duration = Duration::from_secs(5);

/// Calls of one connection at a time.
const STREAMS_MAX: u32 = 1024;

/// What of requests may be under way in one stream, and in all streams of a connection: enough to fill a link of 1 Gbit/s at
/// 30 ms there and back.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Largest frame of a request: entries come in bulk.
const FRAME_BYTES_MAX: u32 = 256 * 1024;

/// Largest list of headers, as HTTP/2 counts.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// Streams that a caller may open and reset before they are served (rapid reset, CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;

/// A connection that is silent for so long is asked whether it is alive, and has so long to answer.
const PING_AFTER: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves connections, all alike. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections {
    builder: http2::Builder<TokioExecutor>,
    service: Service,
    stopping: CancellationToken,
}

impl Connections {
    pub(crate) fn new(peer: Arc<dyn Peer>, stopping: CancellationToken) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { builder, service: Service::new(peer, stopping.clone()), stopping }
    }

    /// Returns at the word to stop.
    pub(crate) async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self, stream: TcpStream, tls: Option<Acceptor>) {
        let served = match tls {
            Some(tls) => self.serve_secured(stream, tls).boxed().await,
            None => self.serve_plain(stream).boxed().await,
        };
        if let Err(error) = served {
            tracing::debug!(error, "a peer's connection ended early");
        }
    }

    async fn serve_plain(self, stream: TcpStream) -> Result<(), BoxError> {
        // Nagle's algorithm holds small answers back until the last one is acknowledged.
        stream.set_nodelay(true)?;
        self.serve_http2(stream).await
    }

    async fn serve_secured(self, stream: TcpStream, tls: Acceptor) -> Result<(), BoxError> {
        stream.set_nodelay(true)?;
        let stream = tokio::select! {
            stream = timeout(OPENING_DEADLINE, tls.accept(stream)) => stream??,
            () = self.stopping.cancelled() => return Ok(()),
        };
        self.serve_http2(stream).await
    }

    async fn serve_http2(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<(), BoxError> {
        let stream = tokio::select! {
            stream = await_preface(stream, OPENING_DEADLINE) => stream?,
            () = self.stopping.cancelled() => return Ok(()),
        };
        let service = TowerToHyperService::new(self.service.server());
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            served = connection.as_mut() => return Ok(served?),
            () = self.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}
