//! One HTTP/2 connection to a member, as tonic's client stubs use it.
//!
//! hyper's connection and not tonic's channel: it tells what was never sent ([`CallError::Unreachable`]) from what may have
//! arrived ([`CallError::Interrupted`]), and that it is lost, so that when to connect again is decided here (see `lane.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use http_body_util::BodyExt;
use http_body_util::combinators::MapFrame;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use proto::quoratepb::peer_client::PeerClient;
use tokio::time::Instant;
use tonic::body::Body;
use tower_service::Service;

use crate::{CallError, MESSAGE_BYTES_MAX, details};

/// A connection. Cheap to clone; it is closed when all clones and all calls are gone.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    requests: SendRequest<Body>,
    origin: Uri,
    opened_at: Instant,
    is_given_up: Arc<AtomicBool>,
}

impl Connection {
    pub(crate) fn new(requests: SendRequest<Body>, origin: Uri) -> Self {
        Self { requests, origin, opened_at: Instant::now(), is_given_up: Arc::default() }
    }

    /// The calls of a peer over this connection.
    pub(crate) fn client(&self) -> PeerClient<Self> {
        PeerClient::with_origin(self.clone(), self.origin.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// When it was opened.
    pub(crate) fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// New calls take another connection; those under way go on.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Whether new calls need another connection.
    pub(crate) fn is_over(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed) || self.requests.is_closed()
    }
}

/// A response's body as tonic may see it.
type Checked = MapFrame<Incoming, fn(Frame<Bytes>) -> Frame<Bytes>>;

fn checked(mut response: http::Response<Incoming>) -> http::Response<Checked> {
    details::drop_unreadable(response.headers_mut());
    response.map(|body| body.map_frame(details::drop_unreadable_from as fn(Frame<Bytes>) -> Frame<Bytes>))
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Checked>;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Self::Response, CallError>>;

    /// Always: a lost connection fails the call itself, which can say that nothing was sent.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let response = self.requests.try_send_request(request);
        response
            .map(|response| {
                response.map(checked).map_err(|mut failed| {
                    let was_never_sent = failed.take_message().is_some();
                    let reason = failed.into_error().to_string();
                    if was_never_sent { CallError::Unreachable(reason) } else { CallError::Interrupted(reason) }
                })
            })
            .boxed()
    }
}
