//! Generated clients against generated servers, in one process: names, paths, and both ends of unary and streaming
//! calls.

use std::convert::Infallible;

use proto::etcdserverpb::auth_server::AuthServer;
use proto::etcdserverpb::cluster_server::ClusterServer;
use proto::etcdserverpb::kv_server::KvServer;
use proto::etcdserverpb::lease_server::LeaseServer;
use proto::etcdserverpb::maintenance_server::MaintenanceServer;
use proto::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::watch_server::{Watch, WatchServer};
use proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use proto::quoratepb::peer_server::PeerServer;
use proto::v3electionpb::election_server::ElectionServer;
use proto::v3lockpb::lock_client::LockClient;
use proto::v3lockpb::lock_server::{Lock, LockServer};
use proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tokio_stream::StreamExt as _;
use tonic::body::Body;
use tonic::codegen::{BoxStream, Service};
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status, Streaming};

#[test]
fn servers_carry_the_service_names() {
    assert_eq!(KvServer::<()>::NAME, "etcdserverpb.KV");
    assert_eq!(WatchServer::<()>::NAME, "etcdserverpb.Watch");
    assert_eq!(LeaseServer::<()>::NAME, "etcdserverpb.Lease");
    assert_eq!(ClusterServer::<()>::NAME, "etcdserverpb.Cluster");
    assert_eq!(MaintenanceServer::<()>::NAME, "etcdserverpb.Maintenance");
    assert_eq!(AuthServer::<()>::NAME, "etcdserverpb.Auth");
    assert_eq!(LockServer::<()>::NAME, "v3lockpb.Lock");
    assert_eq!(ElectionServer::<()>::NAME, "v3electionpb.Election");
    assert_eq!(PeerServer::<()>::NAME, "quoratepb.Peer");
}

#[tokio::test]
async fn unary_call_reaches_its_method() {
    let mut client = LockClient::new(at_path("/v3lockpb.Lock/Lock", LockServer::new(Echo)));
    let response = client.lock(LockRequest { name: "name".into(), lease: 7 }).await.expect("an answer").into_inner();
    assert_eq!(response.key, "name");
    assert_eq!(response.header, None);
}

#[tokio::test]
async fn status_travels_back() {
    let mut client = LockClient::new(at_path("/v3lockpb.Lock/Unlock", LockServer::new(Echo)));
    let status = client.unlock(UnlockRequest::default()).await.expect_err("the stub refuses");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such lock"));
}

#[tokio::test]
async fn both_sides_of_a_watch_stream() {
    let mut client = WatchClient::new(at_path("/etcdserverpb.Watch/Watch", WatchServer::new(Echo)));
    let creates = [3, 1, 2].map(|watch_id| WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(WatchCreateRequest { watch_id, ..Default::default() })),
    });
    let responses = client.watch(tokio_stream::iter(creates)).await.expect("a stream").into_inner();
    let ids: Vec<_> = responses.map(|response| response.expect("a response").watch_id).collect().await;
    assert_eq!(ids, [3, 1, 2]);
}

/// Answers each request with what it names.
struct Echo;

#[tonic::async_trait]
impl Lock for Echo {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        Ok(Response::new(LockResponse { header: None, key: request.into_inner().name }))
    }

    async fn unlock(&self, _: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        Err(Status::not_found("no such lock"))
    }
}

#[tonic::async_trait]
impl Watch for Echo {
    type WatchStream = BoxStream<WatchResponse>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let responses = request.into_inner().map(|request| match request?.request_union {
            Some(RequestUnion::CreateRequest(create)) => {
                Ok(WatchResponse { watch_id: create.watch_id, created: true, ..WatchResponse::default() })
            }
            other => Err(Status::invalid_argument(format!("{other:?}"))),
        });
        Ok(Response::new(Box::pin(responses)))
    }
}

/// `server` as the transport of a client, with a check that the client asks for `path` and nothing else.
fn at_path<S>(
    path: &'static str,
    server: S,
) -> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future: Send>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send,
{
    let mut server = server;
    tower::service_fn(move |request: http::Request<Body>| {
        assert_eq!(request.uri().path(), path);
        server.call(request)
    })
}
