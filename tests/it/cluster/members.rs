//! A cluster of members on one network, and what is asked of it as a whole.

use std::time::Duration;

use proto::etcdserverpb::cluster_client::ClusterClient;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::{HashKvRequest, RangeRequest, StatusRequest, StatusResponse};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::transport::{Channel, Endpoint};

use super::convert::{prefix_end, prefix_start};
use super::member::Member;
use super::network::Network;

/// How long a cluster may take to become what a test waits for: far more than it needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long one question may take, after which it is asked again.
const ANSWER: Duration = Duration::from_secs(8);

/// Clusters take turns.
static TURN: Semaphore = Semaphore::const_new(1);

/// Members, the network between them, and the folder with all they keep.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    pub(crate) network: Network,
    flags: Vec<String>,
    initial: String,
    _folder: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Cluster {
    /// Starts `size` members and waits until they have a leader. There are `spare` more that do not run yet.
    pub(crate) async fn start(size: usize, spare: usize, flags: &[&str]) -> Self {
        let mut cluster = Self::prepare(size, spare, flags).await;
        for number in 0..size {
            cluster.start_member(number);
        }
        cluster.leader().await;
        cluster
    }

    /// A cluster of which nothing runs yet, for tests that change something before.
    pub(crate) async fn prepare(size: usize, spare: usize, flags: &[&str]) -> Self {
        let turn = TURN.acquire().await.expect("the semaphore is never closed");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let network = Network::new();
        let members: Vec<Member> =
            (0..size + spare).map(|number| Member::new(number, folder.path(), &network)).collect();
        let initial: Vec<String> =
            members[..size].iter().map(|member| format!("{}={}", member.name, member.peer_url)).collect();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { members, network, flags, initial: initial.join(","), _folder: folder, _turn: turn }
    }

    /// Starts a member of the beginning, or one that has data already.
    pub(crate) fn start_member(&mut self, number: usize) {
        let pid = self.members[number].start(&self.initial.clone(), "new", &self.flags);
        self.network.is(number, pid);
    }

    /// Starts a member that was added to the running cluster, with the addresses of all `others` that are in it.
    pub(crate) fn join_member(&mut self, number: usize, others: &[usize]) {
        let named = |number: &usize| format!("{}={}", self.members[*number].name, self.members[*number].peer_url);
        let cluster: Vec<String> = others.iter().chain(&[number]).map(named).collect();
        let pid = self.members[number].start(&cluster.join(","), "existing", &self.flags);
        self.network.is(number, pid);
    }

    /// Addresses for clients, of all members whether they run or not.
    pub(crate) fn client_urls(&self) -> Vec<String> {
        self.members.iter().map(|member| member.client_url.clone()).collect()
    }

    /// A connection to one member, made when it is used.
    pub(crate) fn channel(&self, number: usize) -> Channel {
        channel(&self.members[number].client_url)
    }

    pub(crate) fn membership(&self, number: usize) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel(number))
    }

    pub(crate) fn maintenance(&self, number: usize) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel(number))
    }

    /// What a member says of itself, if it answers.
    pub(crate) async fn status(&self, number: usize) -> Option<StatusResponse> {
        let mut maintenance = self.maintenance(number);
        let asked = maintenance.status(StatusRequest {});
        let answered = tokio::time::timeout(Duration::from_millis(500), asked).await.ok()?;
        answered.ok().map(tonic::Response::into_inner)
    }

    /// The running member that leads, as soon as there is one that says so of itself in the highest term that anybody knows.
    pub(crate) async fn leader(&self) -> usize {
        self.leader_among(&(0..self.members.len()).collect::<Vec<_>>()).await
    }

    /// The same among some of the members, when others cannot know.
    pub(crate) async fn leader_among(&self, numbers: &[usize]) -> usize {
        let found = self.until("a leader", async || {
            let mut leads = None;
            for number in numbers {
                let Some(status) = self.status(*number).await else { continue };
                let itself = status.header.as_ref().is_some_and(|header| header.member_id == status.leader);
                match leads {
                    Some((term, _)) if status.raft_term > term => {
                        leads = Some((status.raft_term, itself.then_some(*number)))
                    }
                    Some((term, None)) if status.raft_term == term && itself => leads = Some((term, Some(*number))),
                    None => leads = Some((status.raft_term, itself.then_some(*number))),
                    Some(_) => {}
                }
            }
            leads.and_then(|(_, leader)| leader)
        });
        found.await
    }

    /// Asks again and again until there is an answer; fails with what the members said if that takes too long.
    pub(crate) async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            ticks.tick().await;
            if let Ok(Some(answer)) = tokio::time::timeout(ANSWER, ask()).await {
                return answer;
            }
        }
        panic!("there was not {what} within {PATIENCE:?}\n{}", self.said());
    }

    /// Waits until all running members have applied what the most advanced has, and compares their hashes there.
    pub(crate) async fn agree(&self) {
        let running: Vec<usize> = (0..self.members.len()).filter(|number| self.members[*number].is_running()).collect();
        self.until("one hash at one revision", async || {
            let mut hashes = Vec::new();
            for number in &running {
                let hash = self.maintenance(*number).hash_kv(HashKvRequest { revision: 0 }).await.ok()?.into_inner();
                hashes.push((hash.header.as_ref()?.revision, hash.compact_revision, hash.hash));
            }
            let alike = hashes.iter().all(|hash| (hash.0, hash.1) == (hashes[0].0, hashes[0].1));
            if alike && hashes.iter().any(|hash| *hash != hashes[0]) {
                self.differ(&running, &hashes).await;
            }
            alike.then_some(())
        })
        .await;
    }

    /// Says in what members differ, and fails.
    async fn differ(&self, running: &[usize], hashes: &[(i64, i64, u32)]) -> ! {
        let everything = RangeRequest {
            key: prefix_start(""),
            range_end: prefix_end(""),
            revision: hashes[0].0,
            serializable: true,
            ..RangeRequest::default()
        };
        let mut stored = Vec::new();
        let mut again = Vec::new();
        for number in running {
            let mut kv = KvClient::new(self.channel(*number)).max_decoding_message_size(usize::MAX);
            let read = kv.range(everything.clone()).await.map(|read| read.into_inner().kvs);
            stored.push(read.unwrap_or_default());
            let hash = self.maintenance(*number).hash_kv(HashKvRequest { revision: hashes[0].0 }).await;
            again.push(hash.map(|hash| hash.into_inner()));
        }
        let odd: Vec<_> = (1..stored.len())
            .flat_map(|other| {
                stored[other]
                    .iter()
                    .chain(&stored[0])
                    .filter(|kv| stored[0].contains(kv) != stored[other].contains(kv))
                    .map(move |kv| (other, kv))
                    .collect::<Vec<_>>()
            })
            .take(10)
            .collect();
        panic!("members differ: {hashes:?}; then {again:?}; by what they store: {odd:?}\n{}", self.said());
    }

    /// The end of each member's log, for a test that fails.
    pub(crate) fn said(&self) -> String {
        let said = |member: &Member| format!("--- {} said:\n{}\n", member.name, member.said());
        self.members.iter().filter(|member| member.is_running()).map(said).collect()
    }
}

/// A connection that is made when it is used.
pub(crate) fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a valid address");
    endpoint.connect_timeout(Duration::from_millis(500)).tcp_nodelay(true).connect_lazy()
}
