//! One connection: from its first byte to its last, HTTP/1 and HTTP/2 alike.
//!
//! Guarantees that a peer cannot hold it without saying what it wants (deadlines for the preface and for an HTTP/1 head), that
//! the known floods of HTTP/2 end it (bounds below), and that it says goodbye when the server drains: requests under way are
//! answered, new ones refused (GOAWAY).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tls::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::admission::Allowance;
use crate::caller::Caller;
use crate::draining::Draining;
use crate::face::Face;
use crate::gather::gather;
use crate::offer::Offer;
use crate::opening;
use crate::options::Options;

/// Largest list of headers in bytes as HTTP/2 counts them, and the most that HTTP/1 reads ahead of a head's end.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// What an HTTP/1 connection buffers; a head that does not fit is refused.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;

/// What a client may send ahead in one stream, and in all streams of a connection: one largest request and room to start the
/// next. Requests are read at once, so this bounds memory and not throughput.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What of one response may wait for the network.
const SEND_BUFFER_BYTES: usize = 512 * 1024;

/// Streams that a client may open and reset before they are served (rapid reset, CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;

/// Streams that the server may have to reset for a client's faults before it hangs up (CVE-2025-8671).
const LOCAL_RESETS_MAX: usize = 1024;

/// Serves connections, all alike. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    builder: auto::Builder<Requests>,
    requests: Requests,
    face: Face,
    draining: Draining,
    head_deadline: Duration,
    tls: Option<Acceptor>,
}

impl Connections {
    pub(crate) fn new(face: Face, options: &Options, draining: Draining) -> Self {
        let requests = Requests(TaskTracker::new());
        requests.0.close();
        let mut builder = auto::Builder::new(requests.clone());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(options.head_deadline)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(options.max_concurrent_streams)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .max_local_error_reset_streams(LOCAL_RESETS_MAX)
            .keep_alive_interval(options.ping_after)
            .keep_alive_timeout(options.ping_timeout);
        Self { builder, requests, face, draining, head_deadline: options.head_deadline, tls: None }
    }

    /// The same for a port where TLS is spoken, or not, and where `offer` is what clients may ask.
    pub(crate) fn at(self, tls: Option<Acceptor>, offer: Offer) -> Self {
        Self { face: self.face.offering(offer), tls, ..self }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(mut self, stream: TcpStream, allowance: Option<Allowance>) {
        // Nagle's algorithm holds small answers back until the last one is acknowledged: 40 ms a request.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let caller = Caller { allowance, ..Caller::default() };
        match self.tls.clone() {
            Some(tls) => self.serve_secured(stream, tls, caller).await,
            None => {
                self.face = self.face.to(caller);
                self.serve_stream(stream).await;
            }
        }
    }

    /// A client has as long for its handshake as for saying what it wants.
    async fn serve_secured(mut self, stream: TcpStream, tls: Acceptor, caller: Caller) {
        let accepted = tokio::select! {
            biased;
            () = self.draining.begun() => return,
            accepted = timeout(self.head_deadline, tls.accept(stream)) => accepted,
        };
        match accepted {
            Ok(Ok(stream)) => {
                self.face = self.face.to(caller.over_tls(&stream));
                self.serve_stream(stream).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve_stream(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let opened = tokio::select! {
            biased;
            () = self.draining.begun() => return,
            opened = opening::open(stream, self.head_deadline) => opened,
        };
        let served = match opened {
            Ok(opened) => self.serve_opened(opened).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = served {
            tracing::debug!(error, "a connection ended early");
        }
    }

    async fn serve_opened(
        mut self,
        opened: opening::Opened<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (stream, release) = gather(opened);
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), self.face));
        let mut draining = pin!(self.draining.begun().fuse());
        poll_fn(|cx| {
            let mut served = connection.as_mut().poll(cx);
            if served.is_pending() && draining.as_mut().poll(cx).is_ready() {
                connection.as_mut().graceful_shutdown();
                served = connection.as_mut().poll(cx);
            }
            // The end of the turn: what was written leaves. While it cannot, the task is woken when it can.
            match release.poll(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(())) | Poll::Pending => served,
            }
        })
        .await
    }

    /// Returns when no request of any connection is under way.
    pub(crate) async fn requests_ended(&self) {
        self.requests.0.wait().await;
    }
}

/// Runs what hyper starts beside a connection: the requests of HTTP/2, each a task that outlives the connection only until it
/// notices.
#[derive(Clone, Debug)]
struct Requests(TaskTracker);

impl<F> Executor<F> for Requests
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        self.0.spawn(request);
    }
}
