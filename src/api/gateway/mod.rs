//! The JSON gateway: etcd's methods for clients that speak JSON over plain HTTP, as `POST /v3/...`.
//!
//! A translation and nothing else: what comes in becomes a gRPC request to the same services in this process, so that every
//! rule, limit and counter of theirs holds here as well. JSON is that of Protocol Buffers, translated by the descriptors of the
//! API; shapes of streams and errors are those of grpc-gateway, which etcd's clients know. Guarantees that bodies are bounded in
//! size and requests in the time that they take to arrive.

mod answer;
mod error;
mod json;
mod messages;
mod methods;
mod requests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use tonic::{Code, Status};

use crate::admission::is_one_too_many;
use crate::error::too_many_requests;
use crate::frame::{Inbound, Outbound};
use crate::gateway::methods::{Method, Methods};
use crate::grpc::Services;
use crate::traffic::Traffic;

/// What the routes share. Cheap to clone.
#[derive(Clone)]
struct Gateway(Arc<Shared>);

struct Shared {
    methods: Methods,
    services: Arc<Services>,
    traffic: Traffic,
    message_bytes_max: usize,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// The routes, under the prefix of today and that of etcd 3.3. Messages above `message_bytes_max`, as Protocol Buffers, are
/// refused; what travels as such is counted in `traffic`, as that of other clients is.
pub(crate) fn router(services: Arc<Services>, traffic: Traffic, message_bytes_max: usize) -> Router {
    let shared = Shared { methods: Methods::new(), services, traffic, message_bytes_max };
    Router::new()
        .route("/v3/{*method}", any(call))
        .route("/v3beta/{*method}", any(call))
        .with_state(Gateway(Arc::new(shared)))
}

async fn call(State(gateway): State<Gateway>, Path(path): Path<String>, request: Request) -> Response {
    let Some(method) = gateway.0.methods.find(&path) else {
        return error::no_route(http::StatusCode::NOT_FOUND, Code::NotFound);
    };
    if request.method() != http::Method::POST {
        return error::no_route(http::StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented);
    }
    match gateway.forward(method, request).await {
        Ok(response) => response,
        Err(status) => error::refusal(&status),
    }
}

impl Gateway {
    async fn forward(&self, method: &Method, request: Request) -> Result<Response, Status> {
        let Shared { services, traffic, message_bytes_max, .. } = &*self.0;
        if is_one_too_many(method.grpc_path.path(), request.extensions()) {
            return Err(too_many_requests());
        }
        let (parts, body) = request.into_parts();
        let messages = requests::translate(method, body, *message_bytes_max).await?;
        let mut request = http::Request::new(Inbound::new(messages, *message_bytes_max, traffic.received.clone()));
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = method.grpc_path.clone();
        *request.headers_mut() = requests::metadata(&parts.headers);
        *request.extensions_mut() = parts.extensions;
        let response = match services.call(request).await {
            Ok(response) => response.map(|body| Outbound::new(body, traffic.sent.clone())),
            Err(never) => match never {},
        };
        answer::translate(method, response).await
    }
}
