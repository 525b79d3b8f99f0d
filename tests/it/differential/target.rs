//! One of the two servers, and its answers in a form that can be compared.

use std::fmt::Debug;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DefragmentRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest, ResponseHeader,
    TxnRequest, WatchCreateRequest, WatchRequest, WatchResponse, watch_request,
};
use proto::v3electionpb::election_client::ElectionClient;
use proto::v3electionpb::{CampaignRequest, LeaderRequest, ProclaimRequest, ResignRequest};
use proto::v3lockpb::lock_client::LockClient;
use proto::v3lockpb::{LockRequest, UnlockRequest};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// A request of any kind.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(PutRequest),
    Range(RangeRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    Grant(LeaseGrantRequest),
    Revoke(LeaseRevokeRequest),
    KeepAlive(LeaseKeepAliveRequest),
    TimeToLive(LeaseTimeToLiveRequest),
    Leases,
    Lock(LockRequest),
    Unlock(UnlockRequest),
    Campaign(CampaignRequest),
    Proclaim(ProclaimRequest),
    Leader(LeaderRequest),
    Resign(ResignRequest),
    Alarm(AlarmRequest),
    Defragment,
}

/// A real etcd. Dropped, it is killed.
pub(crate) struct Etcd {
    process: Child,
    pub(crate) url: String,
}

impl Etcd {
    pub(crate) fn start(data: &Path) -> Self {
        let port = || {
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
        };
        let (client, peer) = (format!("http://127.0.0.1:{}", port()), format!("http://127.0.0.1:{}", port()));
        let process = Command::new("etcd")
            .args(["--name", "e", "--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("e={peer}"), "--data-dir"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed: tests/clients/install.sh does it");
        Self { process, url: client }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Clients of one server.
pub(crate) struct Target {
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    watch: WatchClient<Channel>,
    lock: LockClient<Channel>,
    election: ElectionClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
}

impl Target {
    /// Connects, waiting until the server answers.
    pub(crate) async fn connect(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a valid address");
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1500 {
            ticks.tick().await;
            let Ok(channel) = endpoint.connect().await else { continue };
            let mut kv = KvClient::new(channel.clone());
            if kv.range(RangeRequest { key: "k".into(), ..RangeRequest::default() }).await.is_ok() {
                return Self {
                    kv,
                    lease: LeaseClient::new(channel.clone()),
                    watch: WatchClient::new(channel.clone()),
                    lock: LockClient::new(channel.clone()),
                    election: ElectionClient::new(channel.clone()),
                    maintenance: MaintenanceClient::new(channel),
                };
            }
        }
        panic!("{url} does not answer");
    }

    /// Runs a step and writes down the answer, without what differs between any two servers.
    pub(crate) async fn run(&mut self, step: &Step) -> String {
        match step.clone() {
            Step::Put(put) => answer(self.kv.put(put).await, |put| &mut put.header),
            Step::Range(range) => answer(self.kv.range(range).await, |range| &mut range.header),
            Step::Delete(delete) => answer(self.kv.delete_range(delete).await, |delete| &mut delete.header),
            Step::Txn(txn) => answer(self.kv.txn(txn).await, |txn| &mut txn.header),
            Step::Compact(compact) => answer(self.kv.compact(compact).await, |compact| &mut compact.header),
            Step::Grant(grant) => answer(self.lease.lease_grant(grant).await, |grant| &mut grant.header),
            Step::Revoke(revoke) => answer(self.lease.lease_revoke(revoke).await, |revoke| &mut revoke.header),
            Step::KeepAlive(keep) => {
                let stream = self.lease.lease_keep_alive(tokio_stream::once(keep)).await.expect("a stream");
                let first =
                    stream.into_inner().message().await.map(|message| Response::new(message.expect("an answer")));
                answer(first, |kept| &mut kept.header)
            }
            Step::TimeToLive(ask) => {
                let mut answered = self.lease.lease_time_to_live(ask).await;
                if let Ok(answered) = &mut answered {
                    let life = answered.get_mut();
                    // Seconds pass between the two servers; that there are some is what counts.
                    life.ttl = life.ttl.signum();
                    life.keys.sort();
                }
                answer(answered, |life| &mut life.header)
            }
            Step::Leases => {
                let mut answered = self.lease.lease_leases(LeaseLeasesRequest {}).await;
                if let Ok(answered) = &mut answered {
                    answered.get_mut().leases.sort_by_key(|lease| lease.id);
                }
                answer(answered, |leases| &mut leases.header)
            }
            Step::Lock(lock) => answer(self.lock.lock(lock).await, |lock| &mut lock.header),
            Step::Unlock(unlock) => answer(self.lock.unlock(unlock).await, |unlock| &mut unlock.header),
            Step::Campaign(campaign) => answer(self.election.campaign(campaign).await, |won| &mut won.header),
            Step::Proclaim(proclaim) => answer(self.election.proclaim(proclaim).await, |done| &mut done.header),
            Step::Leader(of) => answer(self.election.leader(of).await, |leader| &mut leader.header),
            Step::Resign(resign) => answer(self.election.resign(resign).await, |done| &mut done.header),
            // etcd 3.4 answers without a header.
            Step::Alarm(ask) => match self.maintenance.alarm(ask).await {
                Ok(answered) => format!("{:?}", answered.into_inner().alarms),
                Err(status) => format!("{:?}: {}", status.code(), status.message()),
            },
            Step::Defragment => {
                answer(self.maintenance.defragment(DefragmentRequest {}).await, |defragmented| &mut defragmented.header)
            }
        }
    }

    /// The revision that the server is at.
    pub(crate) async fn revision(&mut self) -> i64 {
        let read = RangeRequest { key: "k".into(), ..RangeRequest::default() };
        self.kv.range(read).await.expect("a read").into_inner().header.expect("a header").revision
    }

    /// Opens a watch and writes down what it says until it has reached the current revision or is cancelled.
    pub(crate) async fn watch(&mut self, create: &WatchCreateRequest) -> String {
        let head = self.revision().await;
        // The end is found by a put inside the range of the watch, which both servers get alike.
        let last = PutRequest { key: create.key.clone(), value: "last".into(), ..PutRequest::default() };
        let request = WatchRequest { request_union: Some(watch_request::RequestUnion::CreateRequest(create.clone())) };
        let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
        let mut stream = self.watch.watch(requests).await.expect("a watch").into_inner();
        let created = next(&mut stream).await.expect("an answer");
        let mut said =
            format!("created {} canceled {} {:?}\n", created.created, created.canceled, created.cancel_reason);
        if created.canceled {
            return said;
        }
        let put = self.kv.put(last).await.expect("a write").into_inner();
        assert_eq!(put.header.expect("a header").revision, head + 1);
        loop {
            let Some(response) = next(&mut stream).await else { panic!("nothing came for long, after:\n{said}") };
            if response.canceled {
                said += &format!("canceled, compacted at {} {:?}", response.compact_revision, response.cancel_reason);
                return said;
            }
            for event in &response.events {
                said += &format!("{event:?}\n");
                if event.kv.as_ref().is_some_and(|kv| kv.mod_revision == head + 1) {
                    return said;
                }
            }
        }
    }
}

/// The next message, unless none comes for long.
async fn next(stream: &mut tonic::Streaming<WatchResponse>) -> Option<WatchResponse> {
    let message = tokio::time::timeout(Duration::from_secs(10), stream.message()).await.ok()?;
    Some(message.expect("a watch that goes on").expect("a watch that goes on"))
}

fn answer<T: Debug>(
    answered: Result<Response<T>, Status>,
    header: impl FnOnce(&mut T) -> &mut Option<ResponseHeader>,
) -> String {
    match answered {
        Ok(response) => {
            let mut response = response.into_inner();
            if let Some(header) = header(&mut response) {
                assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0, "{header:?}");
                (header.cluster_id, header.member_id, header.raft_term) = (0, 0, 0);
            }
            format!("{response:?}")
        }
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}
