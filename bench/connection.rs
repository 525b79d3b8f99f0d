//! Connections to a server: HTTP/2 for the gRPC clients of `proto`, HTTP/1.1 for the REST API.
//!
//! The gRPC clients run straight on a hyper connection, without the buffering and reconnecting channel of tonic: the
//! load generator shares the machine with the server, so what it spends per call is taken from the server. Every
//! server is driven through the same code, with Nagle's algorithm off. A connection that breaks stays broken.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::watch_client::WatchClient;
use proto::v3lockpb::lock_client::LockClient;
use tokio::net::TcpStream;

use crate::sample::Failure;

/// Receive window of a stream and of a connection: large enough that flow control never holds a range of 100 keys or a
/// fan-out to 1,000 watchers back.
const WINDOW_BYTES: u32 = 4 << 20;

/// One HTTP/2 connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: http2::SendRequest<tonic::body::Body>,
}

impl Connection {
    /// Connects to `address`; the connection closes when the last clone is dropped.
    ///
    /// # Errors
    /// Nothing listens there, or it does not speak HTTP/2.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        // How the connection ends shows in the calls that it carries.
        tokio::spawn(async move { connection.await.unwrap_or(()) });
        Ok(Self { sender })
    }
}

impl tower_service::Service<Request<tonic::body::Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// The HTTP/2 connections that the clients of one run are spread over.
pub(crate) struct Connections {
    all: Vec<Connection>,
    origin: Uri,
}

impl Connections {
    /// Opens `count` connections, at least one for each of `addresses`, in turn.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(crate) async fn open(addresses: &[SocketAddr], count: usize) -> Result<Self, Failure> {
        let first = addresses.first().ok_or_else(|| Failure::broken("no address"))?;
        // Servers look at the path alone.
        let origin = Uri::builder()
            .scheme("http")
            .authority(first.to_string())
            .path_and_query("/")
            .build()
            .map_err(|error| Failure::broken(error.to_string()))?;
        let mut all = Vec::new();
        for address in addresses.iter().cycle().take(count.max(addresses.len())) {
            all.push(Connection::open(*address).await?);
        }
        Ok(Self { all, origin })
    }

    /// A KV client for the client with this number.
    pub(crate) fn kv(&self, client: usize) -> KvClient<Connection> {
        KvClient::with_origin(self.of(client), self.origin.clone())
    }

    /// A lease client for the client with this number.
    pub(crate) fn lease(&self, client: usize) -> LeaseClient<Connection> {
        LeaseClient::with_origin(self.of(client), self.origin.clone())
    }

    /// A watch client for the client with this number.
    pub(crate) fn watch(&self, client: usize) -> WatchClient<Connection> {
        WatchClient::with_origin(self.of(client), self.origin.clone())
    }

    /// A lock client for the client with this number.
    pub(crate) fn lock(&self, client: usize) -> LockClient<Connection> {
        LockClient::with_origin(self.of(client), self.origin.clone())
    }

    fn of(&self, client: usize) -> Connection {
        self.all[client % self.all.len()].clone()
    }
}

/// One HTTP/1.1 connection, as a plain HTTP client of the REST API holds it.
pub(crate) struct Rest {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
}

impl Rest {
    /// Connects to `address`.
    ///
    /// # Errors
    /// Nothing listens there.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move { connection.await.unwrap_or(()) });
        Ok(Self { sender, host: address.to_string() })
    }

    /// Sends one request with a JSON body (empty: none) and reads the whole answer.
    ///
    /// # Errors
    /// The connection broke, or `path` or `if_match` cannot stand in a request.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(tag) = if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        let request = request.body(Full::new(body)).map_err(|error| Failure::broken(error.to_string()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
