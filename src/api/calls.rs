//! gRPC calls, counted by method and outcome under the names that etcd's dashboards and alerts read
//! (`grpc_server_started_total`, `grpc_server_handled_total`, `grpc_server_handling_seconds`,
//! `grpc_server_msg_{received,sent}_total`).
//!
//! Every series exists from the start, at zero, and counting one is an atomic addition: no label is looked up on the way of
//! a request.

use std::array;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::{DurationCounts, Durations};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use tonic::{Code, Response, Status};

/// The methods that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Range,
    RangeStream,
    Put,
    DeleteRange,
    Txn,
    Compact,
    Watch,
    LeaseGrant,
    LeaseRevoke,
    LeaseKeepAlive,
    LeaseTimeToLive,
    LeaseLeases,
    MemberList,
    MemberAdd,
    MemberRemove,
    MemberUpdate,
    MemberPromote,
    MoveLeader,
    Alarm,
    Status,
    Defragment,
    Hash,
    HashKv,
    Snapshot,
    Lock,
    Unlock,
    Campaign,
    Proclaim,
    Leader,
    Observe,
    Resign,
    Downgrade,
    AuthEnable,
    AuthDisable,
    AuthStatus,
    Authenticate,
    UserAdd,
    UserGet,
    UserList,
    UserDelete,
    UserChangePassword,
    UserGrantRole,
    UserRevokeRole,
    RoleAdd,
    RoleGet,
    RoleList,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
}

impl Method {
    /// Whether a learner answers such a stream (etcd's rule): a backup can be taken of any member.
    pub(crate) fn suits_learner(self) -> bool {
        matches!(self, Self::Snapshot)
    }

    /// In the order of their numbers.
    const ALL: [Self; 49] = [
        Self::Range,
        Self::RangeStream,
        Self::Put,
        Self::DeleteRange,
        Self::Txn,
        Self::Compact,
        Self::Watch,
        Self::LeaseGrant,
        Self::LeaseRevoke,
        Self::LeaseKeepAlive,
        Self::LeaseTimeToLive,
        Self::LeaseLeases,
        Self::MemberList,
        Self::MemberAdd,
        Self::MemberRemove,
        Self::MemberUpdate,
        Self::MemberPromote,
        Self::MoveLeader,
        Self::Alarm,
        Self::Status,
        Self::Defragment,
        Self::Hash,
        Self::HashKv,
        Self::Snapshot,
        Self::Lock,
        Self::Unlock,
        Self::Campaign,
        Self::Proclaim,
        Self::Leader,
        Self::Observe,
        Self::Resign,
        Self::Downgrade,
        Self::AuthEnable,
        Self::AuthDisable,
        Self::AuthStatus,
        Self::Authenticate,
        Self::UserAdd,
        Self::UserGet,
        Self::UserList,
        Self::UserDelete,
        Self::UserChangePassword,
        Self::UserGrantRole,
        Self::UserRevokeRole,
        Self::RoleAdd,
        Self::RoleGet,
        Self::RoleList,
        Self::RoleDelete,
        Self::RoleGrantPermission,
        Self::RoleRevokePermission,
    ];

    /// Labels: kind of call, service, method.
    const fn labels(self) -> [(&'static str, &'static str); 3] {
        let (kind, service, method) = match self {
            Self::Range => ("unary", "etcdserverpb.KV", "Range"),
            Self::RangeStream => ("server_stream", "etcdserverpb.KV", "RangeStream"),
            Self::Put => ("unary", "etcdserverpb.KV", "Put"),
            Self::DeleteRange => ("unary", "etcdserverpb.KV", "DeleteRange"),
            Self::Txn => ("unary", "etcdserverpb.KV", "Txn"),
            Self::Compact => ("unary", "etcdserverpb.KV", "Compact"),
            Self::Watch => ("bidi_stream", "etcdserverpb.Watch", "Watch"),
            Self::LeaseGrant => ("unary", "etcdserverpb.Lease", "LeaseGrant"),
            Self::LeaseRevoke => ("unary", "etcdserverpb.Lease", "LeaseRevoke"),
            Self::LeaseKeepAlive => ("bidi_stream", "etcdserverpb.Lease", "LeaseKeepAlive"),
            Self::LeaseTimeToLive => ("unary", "etcdserverpb.Lease", "LeaseTimeToLive"),
            Self::LeaseLeases => ("unary", "etcdserverpb.Lease", "LeaseLeases"),
            Self::MemberList => ("unary", "etcdserverpb.Cluster", "MemberList"),
            Self::MemberAdd => ("unary", "etcdserverpb.Cluster", "MemberAdd"),
            Self::MemberRemove => ("unary", "etcdserverpb.Cluster", "MemberRemove"),
            Self::MemberUpdate => ("unary", "etcdserverpb.Cluster", "MemberUpdate"),
            Self::MemberPromote => ("unary", "etcdserverpb.Cluster", "MemberPromote"),
            Self::MoveLeader => ("unary", "etcdserverpb.Maintenance", "MoveLeader"),
            Self::Alarm => ("unary", "etcdserverpb.Maintenance", "Alarm"),
            Self::Status => ("unary", "etcdserverpb.Maintenance", "Status"),
            Self::Defragment => ("unary", "etcdserverpb.Maintenance", "Defragment"),
            Self::Hash => ("unary", "etcdserverpb.Maintenance", "Hash"),
            Self::HashKv => ("unary", "etcdserverpb.Maintenance", "HashKV"),
            Self::Snapshot => ("server_stream", "etcdserverpb.Maintenance", "Snapshot"),
            Self::Lock => ("unary", "v3lockpb.Lock", "Lock"),
            Self::Unlock => ("unary", "v3lockpb.Lock", "Unlock"),
            Self::Campaign => ("unary", "v3electionpb.Election", "Campaign"),
            Self::Proclaim => ("unary", "v3electionpb.Election", "Proclaim"),
            Self::Leader => ("unary", "v3electionpb.Election", "Leader"),
            Self::Observe => ("server_stream", "v3electionpb.Election", "Observe"),
            Self::Resign => ("unary", "v3electionpb.Election", "Resign"),
            Self::Downgrade => ("unary", "etcdserverpb.Maintenance", "Downgrade"),
            Self::AuthEnable => ("unary", "etcdserverpb.Auth", "AuthEnable"),
            Self::AuthDisable => ("unary", "etcdserverpb.Auth", "AuthDisable"),
            Self::AuthStatus => ("unary", "etcdserverpb.Auth", "AuthStatus"),
            Self::Authenticate => ("unary", "etcdserverpb.Auth", "Authenticate"),
            Self::UserAdd => ("unary", "etcdserverpb.Auth", "UserAdd"),
            Self::UserGet => ("unary", "etcdserverpb.Auth", "UserGet"),
            Self::UserList => ("unary", "etcdserverpb.Auth", "UserList"),
            Self::UserDelete => ("unary", "etcdserverpb.Auth", "UserDelete"),
            Self::UserChangePassword => ("unary", "etcdserverpb.Auth", "UserChangePassword"),
            Self::UserGrantRole => ("unary", "etcdserverpb.Auth", "UserGrantRole"),
            Self::UserRevokeRole => ("unary", "etcdserverpb.Auth", "UserRevokeRole"),
            Self::RoleAdd => ("unary", "etcdserverpb.Auth", "RoleAdd"),
            Self::RoleGet => ("unary", "etcdserverpb.Auth", "RoleGet"),
            Self::RoleList => ("unary", "etcdserverpb.Auth", "RoleList"),
            Self::RoleDelete => ("unary", "etcdserverpb.Auth", "RoleDelete"),
            Self::RoleGrantPermission => ("unary", "etcdserverpb.Auth", "RoleGrantPermission"),
            Self::RoleRevokePermission => ("unary", "etcdserverpb.Auth", "RoleRevokePermission"),
        };
        [("grpc_type", kind), ("grpc_service", service), ("grpc_method", method)]
    }
}

/// Codes by number, under the names of grpc-go.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Upper bounds of the durations of calls in milliseconds: those of grpc-go's histogram.
const BOUNDS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// What grpc-go calls a code.
pub(crate) fn name_of_code(code: Code) -> &'static str {
    CODES[code as usize]
}

/// Numbers of one method.
#[derive(Debug)]
pub(crate) struct MethodCalls {
    started: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    handled: [AtomicU64; CODES.len()],
    took: Durations<{ BOUNDS_MS.len() }>,
}

impl Default for MethodCalls {
    fn default() -> Self {
        Self {
            started: AtomicU64::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            handled: array::from_fn(|_| AtomicU64::default()),
            took: Durations::new(BOUNDS_MS.map(Duration::from_millis)),
        }
    }
}

/// Numbers of all methods. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Arc<[Arc<MethodCalls>; Method::ALL.len()]>);

impl Calls {
    pub(crate) fn new() -> Self {
        Self(Arc::new(array::from_fn(|_| Arc::default())))
    }

    /// A call with one request and one response begins.
    pub(crate) fn unary(&self, method: Method) -> Call<&MethodCalls> {
        let call = Call::begin(&*self.0[method as usize]);
        call.received();
        call
    }

    /// A call whose messages are counted as they come and go begins.
    pub(crate) fn stream(&self, method: Method) -> Call<Arc<MethodCalls>> {
        Call::begin(Arc::clone(&self.0[method as usize]))
    }
}

/// A call under way. One that is dropped before its end was cancelled by the client.
#[derive(Debug)]
pub(crate) struct Call<M: Deref<Target = MethodCalls>> {
    method: M,
    begun: Instant,
    code: Code,
}

impl<M: Deref<Target = MethodCalls>> Call<M> {
    fn begin(method: M) -> Self {
        add_one(&method.started);
        Self { method, begun: Instant::now(), code: Code::Cancelled }
    }

    /// A message came from the client.
    pub(crate) fn received(&self) {
        add_one(&self.method.received);
    }

    /// A message goes to the client.
    pub(crate) fn sent(&self) {
        add_one(&self.method.sent);
    }

    /// The call ends with `code`.
    pub(crate) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Call<&MethodCalls> {
    /// The call is answered by `result`.
    pub(crate) fn answer<T>(self, result: Result<T, Status>) -> Result<Response<T>, Status> {
        match &result {
            Ok(_) => {
                self.sent();
                self.end(Code::Ok);
            }
            Err(status) => self.end(status.code()),
        }
        result.map(Response::new)
    }
}

impl<M: Deref<Target = MethodCalls>> Drop for Call<M> {
    fn drop(&mut self) {
        add_one(&self.method.handled[self.code as usize]);
        self.method.took.observe(self.begun.elapsed());
    }
}

fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Collector for Calls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        type Pick = fn(&MethodCalls) -> &AtomicU64;
        let families: [(&str, &str, Pick); 3] = [
            ("grpc_server_started", "Calls started.", |calls| &calls.started),
            ("grpc_server_msg_received", "Messages received from clients.", |calls| &calls.received),
            ("grpc_server_msg_sent", "Messages sent to clients.", |calls| &calls.sent),
        ];
        for (name, help, counter) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (method, calls) in self.by_method() {
                encode(&mut family, &method.labels(), counter(calls))?;
            }
        }
        let help = "Calls ended, by code.";
        let mut family = encoder.encode_descriptor("grpc_server_handled", help, None, MetricType::Counter)?;
        for (method, calls) in self.by_method() {
            let [kind, service, name] = method.labels();
            for (code, counter) in CODES.iter().zip(&calls.handled) {
                encode(&mut family, &[kind, service, name, ("grpc_code", code)], counter)?;
            }
        }
        let help = "How long calls took, streams from their beginning to their end.";
        let mut family =
            encoder.encode_descriptor("grpc_server_handling_seconds", help, None, MetricType::Histogram)?;
        for (method, calls) in self.by_method() {
            let DurationCounts { buckets, count, seconds } = calls.took.picture();
            let labels = method.labels();
            let mut metric = family.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
        Ok(())
    }
}

impl Calls {
    fn by_method(&self) -> impl Iterator<Item = (Method, &MethodCalls)> {
        Method::ALL.into_iter().zip(self.0.iter().map(|calls| &**calls))
    }
}

fn encode(
    family: &mut MetricEncoder<'_>,
    labels: &[(&'static str, &'static str)],
    counter: &AtomicU64,
) -> Result<(), fmt::Error> {
    let metric = family.encode_family(&labels)?;
    ConstCounter::new(counter.load(Ordering::Relaxed)).encode(metric)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    fn scrape(calls: &Calls) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(calls.clone()));
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("a string takes everything");
        page
    }

    #[test]
    fn numbers_of_methods_and_codes_are_their_places() {
        for (place, method) in Method::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, place);
        }
        assert_eq!(CODES[Code::Unauthenticated as usize], "Unauthenticated");
        assert_eq!(CODES[Code::Unavailable as usize], "Unavailable");
    }

    #[test]
    fn every_series_is_there_before_the_first_call() {
        let page = scrape(&Calls::new());
        assert_eq!(page.matches("grpc_server_handled_total{").count(), Method::ALL.len() * CODES.len());
        assert!(page.contains(
            r#"grpc_server_started_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"} 0"#
        ));
    }

    #[test]
    fn outcomes_are_told_apart() {
        let calls = Calls::new();
        calls.unary(Method::Put).answer(Ok(())).expect("it was fine");
        calls.unary(Method::Put).answer::<()>(Err(Status::not_found(""))).expect_err("it was not");
        drop(calls.unary(Method::Put));
        let page = scrape(&calls);
        let labels = r#"grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put""#;
        for line in [
            format!("grpc_server_started_total{{{labels}}} 3"),
            format!("grpc_server_msg_sent_total{{{labels}}} 1"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 1"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"NotFound\"}} 1"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"Canceled\"}} 1"),
            format!("grpc_server_handling_seconds_count{{{labels}}} 3"),
        ] {
            assert!(page.contains(&line), "{line}");
        }
        let last = |line: &&str| line.contains("_seconds_bucket{") && line.contains(labels) && line.contains("+Inf");
        let counts: Vec<&str> = page.lines().filter(last).collect();
        assert!(counts.len() == 1 && counts[0].ends_with(" 3"), "{counts:?}");
    }
}
