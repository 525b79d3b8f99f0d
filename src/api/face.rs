//! Where a request goes: gRPC straight to its service, everything else to the HTTP routes.
//!
//! gRPC does not pass the HTTP router: on the way of a put or a get each layer is a measurable part of the whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::IntoResponse;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use prometheus_client::metrics::counter::Counter;
use tower::Service as _;

use crate::admission::is_one_too_many;
use crate::caller::Caller;
use crate::error::too_many_requests;
use crate::frame::{Inbound, Outbound};
use crate::grpc::Services;
use crate::offer::Offer;
use crate::traffic::Traffic;

/// Answers requests of one connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Face {
    routes: Arc<Routes>,
    offer: Offer,
    caller: Caller,
}

struct Routes {
    grpc: Arc<Services>,
    http: axum::Router,
    /// Of `http`, what is served where only observation is.
    observation: axum::Router,
    traffic: Traffic,
    message_bytes_max: usize,
}

impl Face {
    /// gRPC messages above `message_bytes_max` are refused; what travels in gRPC is counted in `traffic`.
    pub(crate) fn new(
        grpc: Arc<Services>,
        http: axum::Router,
        observation: axum::Router,
        traffic: Traffic,
        message_bytes_max: usize,
    ) -> Self {
        let routes = Arc::new(Routes { grpc, http, observation, traffic, message_bytes_max });
        Self { routes, offer: Offer::default(), caller: Caller::default() }
    }

    /// The same, but only for what `offer` says.
    pub(crate) fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// The same, for requests of `caller`.
    pub(crate) fn to(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Face").finish_non_exhaustive()
    }
}

impl Service<Request<Incoming>> for Face {
    type Response = Response<FaceBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Answer {
        let routes = &*self.routes;
        self.caller.mark(request.extensions_mut());
        if matches!(self.offer, Offer::Everything | Offer::Grpc) && is_grpc(&request) {
            let Traffic { received, sent } = &routes.traffic;
            if is_one_too_many(request.uri().path(), request.extensions()) {
                let refused = too_many_requests().into_http();
                return Answer::Grpc(Box::pin(std::future::ready(Ok(refused))), sent.clone());
            }
            let request = request.map(|body| Inbound::new(body, routes.message_bytes_max, received.clone()));
            return Answer::Grpc(routes.grpc.call(request), sent.clone());
        }
        match self.offer {
            Offer::Everything | Offer::Http => Answer::Http(Box::pin(routes.http.clone().call(request))),
            Offer::Observation => Answer::Http(Box::pin(routes.observation.clone().call(request))),
            Offer::Grpc => Answer::Http(Box::pin(std::future::ready(Ok(only_grpc())))),
        }
    }
}

/// What everything but gRPC gets where there is nothing else.
fn only_grpc() -> Response<axum::body::Body> {
    let text = "Only gRPC is served here; HTTP has an address of its own (--listen-client-http-urls).\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

/// gRPC is HTTP/2 only, always a POST, and here always Protocol Buffers.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let of_grpc = |content_type: &[u8]| {
        content_type.strip_prefix(b"application/grpc").is_some_and(|rest| {
            let rest = rest.strip_prefix(b"+proto").unwrap_or(rest);
            rest.is_empty() || rest.starts_with(b";")
        })
    };
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && request.headers().get(CONTENT_TYPE).is_some_and(|value| of_grpc(value.as_bytes()))
}

/// A response to come.
pub(crate) enum Answer {
    Grpc(BoxFuture<'static, Result<Response<tonic::body::Body>, Infallible>>, Counter),
    Http(BoxFuture<'static, Result<Response<axum::body::Body>, Infallible>>),
}

impl Future for Answer {
    type Output = Result<Response<FaceBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Grpc(answer, sent) => {
                let response = ready!(answer.as_mut().poll(cx))?;
                Poll::Ready(Ok(response.map(|body| FaceBody::Grpc(Outbound::new(body, sent.clone())))))
            }
            Self::Http(answer) => Poll::Ready(Ok(ready!(answer.as_mut().poll(cx))?.map(FaceBody::Http))),
        }
    }
}

/// The body of either kind of response.
pub(crate) enum FaceBody {
    Grpc(Outbound<tonic::body::Body>),
    Http(axum::body::Body),
}

impl Body for FaceBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Grpc(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Http(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Grpc(body) => body.is_end_stream(),
            Self::Http(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Grpc(body) => body.size_hint(),
            Self::Http(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, method: Method, content_type: &'static str) -> Request<()> {
        let request = Request::builder().version(version).method(method).header(CONTENT_TYPE, content_type);
        request.body(()).expect("a request")
    }

    #[test]
    fn grpc_is_told_by_version_method_and_content_type() {
        for content_type in ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"] {
            assert!(is_grpc(&request(Version::HTTP_2, Method::POST, content_type)), "{content_type}");
        }
        for content_type in
            ["application/grpc-web", "application/grpc-web+proto", "application/grpc+json", "text/plain"]
        {
            assert!(!is_grpc(&request(Version::HTTP_2, Method::POST, content_type)), "{content_type}");
        }
        assert!(!is_grpc(&request(Version::HTTP_11, Method::POST, "application/grpc")));
        assert!(!is_grpc(&request(Version::HTTP_2, Method::GET, "application/grpc")));
    }
}
