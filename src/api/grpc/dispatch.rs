//! From a request's path to its service.

use std::convert::Infallible;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body as HttpBody;
use proto::etcdserverpb::auth_server::AuthServer;
use proto::etcdserverpb::cluster_server::ClusterServer;
use proto::etcdserverpb::kv_server::KvServer;
use proto::etcdserverpb::lease_server::LeaseServer;
use proto::etcdserverpb::maintenance_server::MaintenanceServer;
use proto::etcdserverpb::watch_server::WatchServer;
use proto::v3electionpb::election_server::ElectionServer;
use proto::v3lockpb::lock_server::LockServer;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::service::Routes;

use crate::grpc::auth::Auth;
use crate::grpc::cluster::Cluster;
use crate::grpc::edge::Edge;
use crate::grpc::election::Election;
use crate::grpc::kv::Kv;
use crate::grpc::lease::Lease;
use crate::grpc::lock::Lock;
use crate::grpc::maintenance::Maintenance;
use crate::grpc::watch::Watch;

type ResponseFuture = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// Names under which reflection shows what is served.
const SERVED: [&str; 8] = [
    KvServer::<()>::NAME,
    WatchServer::<()>::NAME,
    LeaseServer::<()>::NAME,
    ClusterServer::<()>::NAME,
    MaintenanceServer::<()>::NAME,
    LockServer::<()>::NAME,
    ElectionServer::<()>::NAME,
    AuthServer::<()>::NAME,
];

/// All services of a member.
#[derive(Debug)]
pub(crate) struct Services {
    kv: KvServer<Kv>,
    watch: WatchServer<Watch>,
    lease: LeaseServer<Lease>,
    cluster: ClusterServer<Cluster>,
    maintenance: MaintenanceServer<Maintenance>,
    lock: LockServer<Lock>,
    election: ElectionServer<Election>,
    auth: AuthServer<Auth>,
    /// Health and reflection, which are called seldom.
    others: Routes,
}

impl Services {
    /// tonic's own limit of a message's size is off: the body that it reads has one.
    pub(crate) fn new(edge: Edge) -> Self {
        Self {
            kv: KvServer::new(Kv::new(edge.clone())).max_decoding_message_size(usize::MAX),
            watch: WatchServer::new(Watch::new(edge.clone())).max_decoding_message_size(usize::MAX),
            lease: LeaseServer::new(Lease::new(edge.clone())).max_decoding_message_size(usize::MAX),
            cluster: ClusterServer::new(Cluster::new(edge.clone())).max_decoding_message_size(usize::MAX),
            maintenance: MaintenanceServer::new(Maintenance::new(edge.clone())).max_decoding_message_size(usize::MAX),
            lock: LockServer::new(Lock::new(edge.clone())).max_decoding_message_size(usize::MAX),
            election: ElectionServer::new(Election::new(edge.clone())).max_decoding_message_size(usize::MAX),
            auth: AuthServer::new(Auth::new(edge)).max_decoding_message_size(usize::MAX),
            others: others(),
        }
    }

    /// Answers a request whose body is a gRPC one.
    pub(crate) fn call<B>(&self, request: Request<B>) -> ResponseFuture
    where
        B: HttpBody<Data = Bytes, Error = Status> + Send + 'static,
    {
        match service_name(request.uri().path()) {
            KvServer::<()>::NAME => self.kv.clone().call(request),
            WatchServer::<()>::NAME => self.watch.clone().call(request),
            LeaseServer::<()>::NAME => self.lease.clone().call(request),
            ClusterServer::<()>::NAME => self.cluster.clone().call(request),
            MaintenanceServer::<()>::NAME => self.maintenance.clone().call(request),
            LockServer::<()>::NAME => self.lock.clone().call(request),
            ElectionServer::<()>::NAME => self.election.clone().call(request),
            AuthServer::<()>::NAME => self.auth.clone().call(request),
            _ => Box::pin(self.others.clone().call(request.map(Body::new))),
        }
    }
}

/// "/package.Service/Method" without the method.
fn service_name(path: &str) -> &str {
    path.strip_prefix('/').and_then(|path| path.rsplit_once('/')).map_or("", |(service, _)| service)
}

/// What tonic provides ready-made.
fn others() -> Routes {
    let (_, health) = tonic_health::server::health_reporter();
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        SERVED.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let valid = "the descriptors were made by the build";
    Routes::new(health)
        .add_service(reflection().build_v1().expect(valid))
        .add_service(reflection().build_v1alpha().expect(valid))
        .prepare()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_service() {
        assert_eq!(service_name("/etcdserverpb.KV/Range"), "etcdserverpb.KV");
        for path in ["", "/", "Range", "/Range"] {
            assert_eq!(service_name(path), "", "{path}");
        }
    }

    #[test]
    fn descriptors_are_valid() {
        let _ = others();
    }
}
