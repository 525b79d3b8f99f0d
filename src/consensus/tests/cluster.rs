//! Three members on one another's wires: elections, forwarding, membership, snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{self, BoxFuture};
use model::{LeaseId, MemberId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::wires::{Outlet, Wires};
use super::{Disks, Member, put, soon};
use crate::{
    Config, Error, Leadership, LeaseAuthority, LeaseLife, MemberChange, MemberInfo, MembersError, NotLeading,
    ProposeError, ReadIndexError, TransferError,
};

pub(super) fn id(member: u64) -> MemberId {
    MemberId::new(member)
}

pub(super) fn url(member: u64) -> String {
    format!("http://{member}")
}

fn info(member: u64) -> MemberInfo {
    MemberInfo { name: format!("n{member}"), peer_urls: vec![url(member)], client_urls: Vec::new() }
}

/// A cluster of which every part can be stopped, cut off and started again.
pub(super) struct Cluster {
    pub(super) wires: Wires,
    first: Vec<u64>,
    pub(super) disks: BTreeMap<u64, Disks>,
    running: BTreeMap<u64, Member>,
    snapshot_count: u64,
}

impl Cluster {
    pub(super) async fn of(first: &[u64]) -> Self {
        Self::with_snapshots_every(first, 10_000).await
    }

    pub(super) async fn with_snapshots_every(first: &[u64], snapshot_count: u64) -> Self {
        let mut cluster = Self {
            wires: Wires::default(),
            first: first.to_vec(),
            disks: BTreeMap::new(),
            running: BTreeMap::new(),
            snapshot_count,
        };
        for member in first {
            cluster.start(*member).await;
        }
        cluster.leader().await;
        cluster
    }

    pub(super) async fn start(&mut self, member: u64) {
        let started = self.try_start(member).await.unwrap();
        self.wires.plug(&url(member), started.peer.clone());
        self.running.insert(member, started);
    }

    pub(super) async fn try_start(&mut self, member: u64) -> Result<Member, Error> {
        let disks = self.disks.entry(member).or_insert_with(|| Disks { wires: self.wires.clone(), ..Disks::new() });
        let is_first = self.first.contains(&member);
        let members = self.first.iter().filter(|_| is_first).map(|member| (id(*member), info(*member))).collect();
        let config = Config {
            election_timeout: Duration::from_millis(500),
            heartbeat: Duration::from_millis(50),
            snapshot_count: self.snapshot_count,
            ..Config::new(model::ClusterId::new(0xc1), id(member), members)
        };
        let outlet = Outlet { wires: self.wires.clone(), own_url: url(member) };
        disks.try_start_at(config, outlet).await
    }

    pub(super) async fn stop(&mut self, member: u64) {
        let stopped = self.running.remove(&member).unwrap();
        stopped.tasks.shutdown().await.unwrap();
        self.wires.unplug(&url(member));
    }

    pub(super) fn at(&self, member: u64) -> &Member {
        &self.running[&member]
    }

    /// Who leads, once a majority of those that run agrees.
    pub(super) async fn leader(&self) -> u64 {
        let found = async {
            loop {
                let leads =
                    |member: &&Member| matches!(*member.handle.leadership().borrow(), Leadership::Leader { .. });
                if let Some((leader, _)) = self.running.iter().find(|(_, member)| leads(member)) {
                    return *leader;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), found).await.unwrap()
    }

    pub(super) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.running.keys().find(|member| **member != leader).unwrap()
    }

    /// More than the log keeps behind a snapshot.
    pub(super) async fn write_more_than_logs_keep(&self, member: u64, round: u64) {
        let writes = (0..crate::CATCH_UP_ENTRIES + 3_000).map(|n| {
            let handle = self.at(member).handle.clone();
            async move { handle.propose(put(&format!("k{}", n % 500), &format!("{round}-{n}")), soon()).await.unwrap() }
        });
        futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(futures::stream::iter(writes), 256))
            .await;
    }

    /// Returns when a member has applied what another has.
    pub(super) async fn caught_up(&self, member: u64, with: u64) {
        let target = self.at(with).handle.status().applied;
        let caught_up = async {
            while self.at(member).handle.status().applied < target {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), caught_up).await.unwrap();
    }

    pub(super) async fn shutdown(mut self) {
        for (_, member) in std::mem::take(&mut self.running) {
            let faults = member.faults.clone();
            member.tasks.shutdown().await.unwrap();
            let faults = faults.lock();
            assert!(faults.iter().all(|fault| matches!(fault, Error::Removed)), "{faults:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_takes_writes_and_linearizable_reads() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    for round in 0..10 {
        for writer in [1, 2, 3] {
            let value = format!("{round}-{writer}");
            let committed = cluster.at(writer).put("k", &value).await;
            assert!(cluster.at(writer).handle.status().applied >= committed.log_id.index);
            assert_eq!(cluster.at(writer).get("k").as_deref(), Some(&*value), "a client reads its own write");
            for reader in [1, 2, 3] {
                cluster.at(reader).handle.read_index(soon()).await.unwrap();
                assert_eq!(cluster.at(reader).get("k").as_deref(), Some(&*value));
            }
        }
    }
    let hashes: Vec<_> = [1, 2, 3].map(|member| cluster.at(member).reader.hash().unwrap()).into();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_leads_when_the_leader_is_gone_and_it_catches_up_when_it_is_back() {
    let mut cluster = Cluster::of(&[1, 2, 3]).await;
    let first = cluster.leader().await;
    cluster.at(first).put("k", "1").await;
    cluster.stop(first).await;
    let next = cluster.leader().await;
    assert_ne!(next, first);
    cluster.at(next).put("k", "2").await;
    cluster.start(first).await;
    cluster.caught_up(first, next).await;
    assert_eq!(cluster.at(first).get("k").as_deref(), Some("2"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k21_a_leader_without_its_quorum_answers_nothing_and_stops_calling_itself_leader() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let old = cluster.leader().await;
    let term = cluster.at(old).handle.term();
    assert!(cluster.at(old).handle.is_confirmed_leader_in(term));
    cluster.wires.cut(&url(old));
    let soon_over = Instant::now() + Duration::from_millis(1_500);
    let (read, write) = tokio::join!(
        cluster.at(old).handle.read_index(soon_over),
        cluster.at(old).handle.propose(put("lost", "?"), soon_over)
    );
    assert!(matches!(read, Err(ReadIndexError::NoLeader | ReadIndexError::Timeout)), "{read:?}");
    assert!(matches!(write, Err(ProposeError::NoLeader | ProposeError::Timeout)), "{write:?}");
    assert_eq!(*cluster.at(old).handle.leadership().borrow(), Leadership::None);
    assert!(!cluster.at(old).handle.is_confirmed_leader_in(term));

    let leads = |member: &u64| matches!(*cluster.at(*member).handle.leadership().borrow(), Leadership::Leader { .. });
    let next = *[1, 2, 3].iter().find(|member| **member != old && leads(member)).expect("the majority has a leader");
    cluster.at(next).put("k", "2").await;
    cluster.wires.mend(&url(old));
    cluster.at(old).handle.read_index(soon()).await.unwrap();
    assert_eq!(cluster.at(old).get("k").as_deref(), Some("2"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k05_what_a_leader_proposes_as_such_goes_to_no_other_leader_and_to_no_other_term() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let old = cluster.leader().await;
    let term = cluster.at(old).handle.term();
    let as_leader = |member: u64, key: &str| {
        let (handle, put) = (cluster.at(member).handle.clone(), put(key, "v"));
        async move { handle.propose_as_leader(term, put, soon()).await }
    };
    as_leader(old, "leads").await.unwrap();
    assert_eq!(cluster.at(old).get("leads").as_deref(), Some("v"));

    // Cut off, it decides something; another leads before that reaches anyone.
    cluster.wires.cut(&url(old));
    let stale = tokio::spawn(as_leader(old, "stale"));
    let others = [1, 2, 3].into_iter().filter(|member| *member != old);
    let leads = |member: &u64| matches!(*cluster.at(*member).handle.leadership().borrow(), Leadership::Leader { .. });
    let elected = async {
        loop {
            if let Some(next) = others.clone().find(leads) {
                return next;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let next = timeout(Duration::from_secs(20), elected).await.unwrap();
    cluster.wires.mend(&url(old));
    cluster.at(next).put("k", "1").await;
    cluster.caught_up(old, next).await;
    let refused = stale.await.unwrap();
    assert!(matches!(refused, Err(ProposeError::LeaderChanged | ProposeError::NoLeader)), "{refused:?}");
    // A follower, it hands nothing on; leading again, it is not the leader that decided.
    let follows = as_leader(old, "stale").await.unwrap_err();
    assert!(!follows.may_be_applied(), "{follows}");
    cluster.at(next).handle.move_leader(id(old), soon()).await.unwrap();
    cluster.at(old).put("k", "2").await;
    let leads_again = as_leader(old, "stale").await.unwrap_err();
    assert!(!leads_again.may_be_applied(), "{leads_again}");
    cluster.at(old).put("k", "3").await;
    for member in [1, 2, 3] {
        cluster.at(member).handle.read_index(soon()).await.unwrap();
        assert_eq!(cluster.at(member).get("stale"), None);
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k31_a_follower_that_was_cut_off_comes_back_without_an_election() {
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let leader = cluster.leader().await;
    let cut = cluster.follower().await;
    let term = cluster.at(leader).handle.term();
    cluster.wires.cut(&url(cut));
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        cluster.at(leader).put("k", "during").await;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*cluster.at(cut).handle.leadership().borrow(), Leadership::None, "it hears nobody");
    assert_eq!(cluster.at(cut).handle.term(), term, "it may not raise its term");
    assert!(cluster.wires.pre_votes() > 0, "nobody was asked: the test shows nothing");
    cluster.wires.mend(&url(cut));
    cluster.at(leader).put("k", "after").await;
    cluster.at(cut).handle.read_index(soon()).await.unwrap();
    assert_eq!(cluster.at(cut).get("k").as_deref(), Some("after"));
    assert_eq!((cluster.leader().await, cluster.at(leader).handle.term()), (leader, term));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_joins_as_learner_is_promoted_and_another_is_removed() {
    let mut cluster = Cluster::of(&[1, 2, 3]).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    for n in 0..50 {
        cluster.at(leader).put(&format!("k{n}"), "v").await;
    }
    let member = crate::Member { id: id(4), info: MemberInfo { name: String::new(), ..info(4) }, is_learner: true };
    // Asked of a follower: the leader does it.
    let members = cluster.at(follower).handle.change_members(MemberChange::Add(member), soon()).await.unwrap();
    assert_eq!(members.len(), 4);
    let refused = cluster.at(follower).handle.change_members(MemberChange::Promote(id(4)), soon()).await;
    assert_eq!(refused, Err(MembersError::LearnerNotReady), "it has not even started");

    cluster.start(4).await;
    cluster.caught_up(4, leader).await;
    let describe =
        MemberChange::Describe { id: id(4), name: "n4".to_owned(), client_urls: vec!["http://c4".to_owned()] };
    cluster.at(4).handle.change_members(describe, soon()).await.unwrap();
    cluster.at(4).handle.change_members(MemberChange::Promote(id(4)), soon()).await.unwrap();
    let removed = cluster.follower().await;
    let members = cluster.at(leader).handle.change_members(MemberChange::Remove(id(removed)), soon()).await.unwrap();
    assert!(members.iter().all(|member| member.id != id(removed) && !member.is_learner));
    assert_eq!(members.iter().find(|member| member.id == id(4)).unwrap().info.client_urls, ["http://c4"]);

    let told = async {
        while cluster.at(removed).faults.lock().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), told).await.unwrap();
    assert!(matches!(cluster.at(removed).faults.lock()[0], Error::Removed));
    cluster.stop(removed).await;
    cluster.at(4).put("k", "after").await;

    // Nobody speaks to it any more, but it asks.
    cluster.start(removed).await;
    let told = async {
        while cluster.at(removed).faults.lock().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), told).await.unwrap();
    assert!(matches!(cluster.at(removed).faults.lock()[0], Error::Removed));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leadership_moves_on_demand_and_before_a_leader_stops() {
    let mut cluster = Cluster::of(&[1, 2, 3]).await;
    let leader = cluster.leader().await;
    let target = cluster.follower().await;
    assert_eq!(cluster.at(target).handle.move_leader(id(leader), soon()).await, Err(TransferError::NotLeader));
    assert_eq!(cluster.at(leader).handle.move_leader(id(9), soon()).await, Err(TransferError::NotAVoter));
    cluster.at(leader).handle.move_leader(id(target), soon()).await.unwrap();
    assert_eq!(cluster.leader().await, target);
    cluster.at(leader).put("k", "1").await;

    let term = cluster.at(leader).handle.term();
    let begun = Instant::now();
    cluster.stop(target).await;
    cluster.leader().await;
    cluster.at(leader).put("k", "2").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(cluster.at(leader).handle.term().get(), term.get() + 1, "one election, begun by the one who left");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k17_who_is_far_behind_is_sent_the_state_twice_if_need_be() {
    let mut cluster = Cluster::with_snapshots_every(&[1, 2, 3], 100).await;
    for round in 0..2 {
        let leader = cluster.leader().await;
        let behind = cluster.follower().await;
        cluster.stop(behind).await;
        cluster.write_more_than_logs_keep(leader, round).await;
        cluster.start(behind).await;
        cluster.caught_up(behind, leader).await;
        assert_eq!(cluster.at(behind).reader.hash().unwrap(), cluster.at(leader).reader.hash().unwrap());
        cluster.at(behind).put("k", "back").await;
        // And what it was sent survives a restart.
        cluster.stop(behind).await;
        cluster.start(behind).await;
        cluster.at(behind).handle.read_index(soon()).await.unwrap();
        assert_eq!(cluster.at(behind).get("k").as_deref(), Some("back"));
    }
    cluster.shutdown().await;
}

/// Renews leases with odd ids, once it is told to, and counts how often it is asked.
struct OddLeases {
    calls: AtomicUsize,
    open: watch::Receiver<bool>,
}

impl LeaseAuthority for Arc<OddLeases> {
    fn renew(&self, ids: Vec<LeaseId>) -> BoxFuture<'static, Result<Vec<Option<i64>>, NotLeading>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.clone();
        Box::pin(async move {
            let _ = open.wait_for(|open| *open).await;
            Ok(ids.into_iter().map(|id| (id.get() % 2 == 1).then_some(id.get())).collect())
        })
    }

    fn life(&self, _id: LeaseId) -> BoxFuture<'static, Result<Option<LeaseLife>, NotLeading>> {
        Box::pin(future::ready(Err(NotLeading)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keepalives_of_a_followers_clients_travel_together() {
    const CLIENTS: i64 = 2_000;
    let cluster = Cluster::of(&[1, 2, 3]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    // So that the follower knows the members.
    cluster.at(follower).put("k", "v").await;
    let (gate, open) = watch::channel(false);
    let leases = Arc::new(OddLeases { calls: AtomicUsize::new(0), open });
    cluster.at(leader).handle.serve_leases(Arc::new(leases.clone()));
    let handle = &cluster.at(follower).handle;
    let renewals = (1..=CLIENTS).map(|lease| handle.renew_lease(id(leader), LeaseId::new(lease), soon()));
    // All in one go: tokio would have such a crowd yield in between, and what is sent later could not gather.
    let mut renewals = tokio::task::unconstrained(future::join_all(renewals));
    // Now all are on their way, and the first few calls wait.
    assert!(futures::poll!(&mut renewals).is_pending());
    gate.send_replace(true);
    let renewed = renewals.await;
    for (lease, renewed) in (1..=CLIENTS).zip(renewed) {
        assert_eq!(renewed, Ok((lease % 2 == 1).then_some(lease)));
    }
    let calls = leases.calls.load(Ordering::Relaxed);
    assert!((1..=10).contains(&calls), "{calls} calls");

    let nobody = handle.renew_lease(id(follower), LeaseId::new(1), soon()).await;
    assert_eq!(nobody, Err(NotLeading), "it is not the leader, and has nobody who answers");
    cluster.shutdown().await;
}
