//! Serves what connects to one socket of the peer port.
//!
//! Owns every connection's task and awaits it. Guarantees that no error of `accept` ends the loop, that a caller cannot hold a
//! connection without speaking HTTP/2, and that stopping is bounded.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::Peer;
use crate::listener::Socket;
use crate::preface::await_preface;
use crate::service::Service;

/// Connections at a time; members open three each.
const CONNECTIONS_MAX: usize = 1024;

/// How long accepting pauses when the process is out of something, such as open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a caller may take for its TLS handshake, and then to say that it speaks HTTP/2.
const OPENING_DEADLINE: Duration = Duration::from_secs(5);

/// How long calls may go on after the word to stop.
const STOP_DEADLINE: Duration = Duration::from_millis(500);

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

    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
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

    async fn serve_secured(self, stream: TcpStream, tls: TlsAcceptor) -> Result<(), BoxError> {
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

/// Serves what connects to `socket` until the word to stop, and a while longer.
pub(crate) async fn accept_all(socket: Socket, connections: Connections) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = connections.stopping.cancelled() => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => report(ended),
            stream = accept(&socket.listener) => {
                if tasks.len() < CONNECTIONS_MAX {
                    tasks.spawn(connections.clone().serve(stream, socket.tls.clone()));
                } else {
                    tracing::warn!("a peer's connection was refused: there are as many as there may be");
                }
            }
        }
    }
    drop(socket);
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if timeout(STOP_DEADLINE, all).await.is_err() {
        tasks.shutdown().await;
    }
}

/// The next connection.
///
/// # Cancel safety
///
/// No connection is lost when the call is dropped.
async fn accept(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections of peers; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the caller hung up before it was accepted, which says nothing about the next.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the task of a peer's connection panicked");
    }
}
