//! Which path is which method: one line each.

use std::collections::HashMap;

use http::Uri;
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// Paths below `/v3/`, and the methods behind them.
const ROUTES: &[(&str, &str, &str)] = &[
    ("kv/range", "etcdserverpb.KV", "Range"),
    ("kv/put", "etcdserverpb.KV", "Put"),
    ("kv/deleterange", "etcdserverpb.KV", "DeleteRange"),
    ("kv/txn", "etcdserverpb.KV", "Txn"),
    ("kv/compaction", "etcdserverpb.KV", "Compact"),
    ("watch", "etcdserverpb.Watch", "Watch"),
    ("lease/grant", "etcdserverpb.Lease", "LeaseGrant"),
    ("lease/revoke", "etcdserverpb.Lease", "LeaseRevoke"),
    ("kv/lease/revoke", "etcdserverpb.Lease", "LeaseRevoke"),
    ("lease/keepalive", "etcdserverpb.Lease", "LeaseKeepAlive"),
    ("lease/timetolive", "etcdserverpb.Lease", "LeaseTimeToLive"),
    ("kv/lease/timetolive", "etcdserverpb.Lease", "LeaseTimeToLive"),
    ("lease/leases", "etcdserverpb.Lease", "LeaseLeases"),
    ("kv/lease/leases", "etcdserverpb.Lease", "LeaseLeases"),
    ("cluster/member/add", "etcdserverpb.Cluster", "MemberAdd"),
    ("cluster/member/remove", "etcdserverpb.Cluster", "MemberRemove"),
    ("cluster/member/update", "etcdserverpb.Cluster", "MemberUpdate"),
    ("cluster/member/list", "etcdserverpb.Cluster", "MemberList"),
    ("cluster/member/promote", "etcdserverpb.Cluster", "MemberPromote"),
    ("maintenance/alarm", "etcdserverpb.Maintenance", "Alarm"),
    ("maintenance/status", "etcdserverpb.Maintenance", "Status"),
    ("maintenance/defragment", "etcdserverpb.Maintenance", "Defragment"),
    ("maintenance/hash", "etcdserverpb.Maintenance", "Hash"),
    ("maintenance/hashkv", "etcdserverpb.Maintenance", "HashKV"),
    ("maintenance/snapshot", "etcdserverpb.Maintenance", "Snapshot"),
    ("maintenance/transfer-leadership", "etcdserverpb.Maintenance", "MoveLeader"),
    ("maintenance/downgrade", "etcdserverpb.Maintenance", "Downgrade"),
    ("auth/enable", "etcdserverpb.Auth", "AuthEnable"),
    ("auth/disable", "etcdserverpb.Auth", "AuthDisable"),
    ("auth/status", "etcdserverpb.Auth", "AuthStatus"),
    ("auth/authenticate", "etcdserverpb.Auth", "Authenticate"),
    ("auth/user/add", "etcdserverpb.Auth", "UserAdd"),
    ("auth/user/get", "etcdserverpb.Auth", "UserGet"),
    ("auth/user/list", "etcdserverpb.Auth", "UserList"),
    ("auth/user/delete", "etcdserverpb.Auth", "UserDelete"),
    ("auth/user/changepw", "etcdserverpb.Auth", "UserChangePassword"),
    ("auth/user/grant", "etcdserverpb.Auth", "UserGrantRole"),
    ("auth/user/revoke", "etcdserverpb.Auth", "UserRevokeRole"),
    ("auth/role/add", "etcdserverpb.Auth", "RoleAdd"),
    ("auth/role/get", "etcdserverpb.Auth", "RoleGet"),
    ("auth/role/list", "etcdserverpb.Auth", "RoleList"),
    ("auth/role/delete", "etcdserverpb.Auth", "RoleDelete"),
    ("auth/role/grant", "etcdserverpb.Auth", "RoleGrantPermission"),
    ("auth/role/revoke", "etcdserverpb.Auth", "RoleRevokePermission"),
    ("lock/lock", "v3lockpb.Lock", "Lock"),
    ("lock/unlock", "v3lockpb.Lock", "Unlock"),
    ("election/campaign", "v3electionpb.Election", "Campaign"),
    ("election/proclaim", "v3electionpb.Election", "Proclaim"),
    ("election/leader", "v3electionpb.Election", "Leader"),
    ("election/observe", "v3electionpb.Election", "Observe"),
    ("election/resign", "v3electionpb.Election", "Resign"),
];

/// The stream that goes on when its client has said all: most HTTP clients cannot keep a body open.
const LISTENS_ON: &str = "watch";

/// How the requests of a method come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    /// One in the body.
    One,
    /// Any number, one after the other.
    Stream {
        /// Whether the end of the body is the end of the call; else it lasts until the client goes.
        ends_call: bool,
    },
}

/// How the responses of a method go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Responses {
    /// One is the body.
    One,
    /// Each is a line.
    Stream,
}

/// A method, as it is served here.
#[derive(Debug)]
pub(crate) struct Method {
    /// Where gRPC has it.
    pub(crate) grpc_path: Uri,
    pub(crate) requests: Requests,
    pub(crate) responses: Responses,
    pub(crate) input: MessageDescriptor,
    pub(crate) output: MessageDescriptor,
}

/// All methods.
#[derive(Debug)]
pub(crate) struct Methods(HashMap<&'static str, Method>);

impl Methods {
    pub(crate) fn new() -> Self {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptors were made by the build");
        let method = |&(path, service, name)| (path, Method::of(&pool, path, service, name));
        Self(ROUTES.iter().map(method).collect())
    }

    /// The method at `path`, which is what follows the prefix.
    pub(crate) fn find(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }
}

impl Method {
    fn of(pool: &DescriptorPool, path: &str, service: &str, name: &str) -> Self {
        let described = pool.get_service_by_name(service).expect("a service of the API");
        let described = described.methods().find(|method| method.name() == name).expect("a method of the service");
        let grpc_path = Uri::try_from(format!("/{service}/{name}")).expect("names make a path");
        Self {
            grpc_path,
            requests: if described.is_client_streaming() {
                Requests::Stream { ends_call: path != LISTENS_ON }
            } else {
                Requests::One
            },
            responses: if described.is_server_streaming() { Responses::Stream } else { Responses::One },
            input: described.input(),
            output: described.output(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_method_that_there_is() {
        assert_eq!(Methods::new().0.len(), ROUTES.len(), "a path is there twice");
    }

    /// etcd has no JSON for it.
    const WITHOUT_ROUTE: &str = "RangeStream";

    #[test]
    fn every_method_of_the_api_has_a_line() {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("valid descriptors");
        for service in pool.services() {
            for method in service.methods() {
                let here = ROUTES.iter().any(|(_, of, name)| (*of, *name) == (service.full_name(), method.name()));
                assert_eq!(here, method.name() != WITHOUT_ROUTE, "{}", method.full_name());
            }
        }
    }
}
