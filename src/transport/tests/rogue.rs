//! Servers that speak HTTP/2 but are no members.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::LONG;
use crate::{CallError, Dialer, Network};

/// The error of a call to a server that gives `headers` and `trailers` to every request.
async fn answered_with(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    trailers: &'static [(&'static str, &'static str)],
) -> CallError {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let serving = tokio::spawn(async move {
        let (stream, _) = socket.accept().await.expect("a connection");
        let service = service_fn(move |_| async move {
            let trailers = trailers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let trailers = trailers.collect();
            let body = Full::new(Bytes::new()).with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
            let mut response = http::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            Ok::<_, Infallible>(response.body(body.boxed_unsync()).unwrap())
        });
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let error = Network::new().dial(&[url]).probe(LONG).await.expect_err("no member");
    serving.abort();
    error
}

#[tokio::test]
async fn nothing_that_a_server_says_makes_a_caller_panic() {
    const STATUS: [(&str, &str); 2] = [("grpc-status", "9"), ("grpc-status-details-bin", "!!!")];
    for (headers, trailers) in [(&STATUS[..], &[][..]), (&[][..], &STATUS[..])] {
        let error = answered_with(200, headers, trailers).await;
        assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
    }
    for trailers in [&[("grpc-status", "x")][..], &[("grpc-status", "99")], &[("grpc-message", "%ff")], &[]] {
        let error = answered_with(200, &[], trailers).await;
        assert!(matches!(error, CallError::Interrupted(_)), "{error:?}");
    }
    let error = answered_with(404, &[], &[]).await;
    assert!(matches!(error, CallError::Malformed(_)), "{error:?}");
}
