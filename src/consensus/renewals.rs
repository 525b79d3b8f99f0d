//! Keepalives of a follower's clients on their way to the leader. Those that come while calls are under way travel together, so that
//! thousands of clients of one member cost the leader few calls.

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use model::{LeaseId, MemberId};
use proto::quoratepb as pb;
use proto::quoratepb::renew_leases_response::Outcome;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::ask_leader::until;
use crate::handle::Handle;
use crate::lease_authority::NotLeading;
use crate::peers::Peers;

/// Keepalives that may wait to be sent; beyond it the caller waits.
pub(crate) const RENEWAL_INBOX: usize = 8_192;

/// Keepalives in one call.
const BATCH_MAX: usize = 4_096;

/// Calls under way at once. Few, so that what comes meanwhile gathers; more than one, because a call is answered when the slowest of
/// its leases is, and one whose time is up waits for its end.
const CALLS_MAX: usize = 4;

/// The TTL in seconds, or none when there is no such lease.
type Renewed = Result<Option<i64>, NotLeading>;

/// A keepalive to be sent.
pub(crate) struct Renewal {
    leader: MemberId,
    id: LeaseId,
    deadline: Instant,
    answer: oneshot::Sender<Renewed>,
}

impl Handle {
    /// Has `leader` give a lease its full life back: its TTL in seconds, or none when there is no such lease.
    ///
    /// # Errors
    ///
    /// [`NotLeading`]: it does not lead, or did not answer in time. Asking again is safe.
    pub async fn renew_lease(&self, leader: MemberId, id: LeaseId, deadline: Instant) -> Renewed {
        let (answer, answered) = oneshot::channel();
        self.renewals().send(Renewal { leader, id, deadline, answer }).await.map_err(|_stopped| NotLeading)?;
        answered.await.unwrap_or(Err(NotLeading))
    }
}

/// Sends keepalives.
pub(crate) struct RenewalTask {
    pub(crate) peers: Peers,
    pub(crate) inbox: mpsc::Receiver<Renewal>,
}

impl RenewalTask {
    /// Runs until it is dropped; who waits then hears that nobody leads.
    pub(crate) async fn run(mut self) {
        let mut calls: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        let mut queue: Vec<Renewal> = Vec::new();
        loop {
            while calls.len() < CALLS_MAX
                && let Some(leader) = queue.first().map(|renewal| renewal.leader)
            {
                let batch = queue.extract_if(.., |renewal| renewal.leader == leader).collect();
                calls.push(Box::pin(call(self.peers.clone(), leader, batch)));
            }
            tokio::select! {
                biased;
                Some(()) = calls.next() => {}
                count = self.inbox.recv_many(&mut queue, BATCH_MAX), if calls.len() < CALLS_MAX => if count == 0 { break },
            }
        }
        // Every handle is gone: nothing more to do, but no reason to end before the rest.
        std::future::pending().await
    }
}

/// Sends one batch and tells each of it what it has to know.
async fn call(peers: Peers, leader: MemberId, batch: Vec<Renewal>) {
    let ids = batch.iter().map(|renewal| renewal.id.get()).collect();
    let renewed = match batch.iter().map(|renewal| renewal.deadline).max() {
        Some(deadline) => renew(&peers, leader, ids, deadline).await,
        None => Err(NotLeading),
    };
    let ttls = renewed.ok().filter(|ttls| ttls.len() == batch.len());
    let mut ttls = ttls.into_iter().flatten();
    for renewal in batch {
        let renewed = ttls.next().map(|ttl| (ttl > 0).then_some(ttl)).ok_or(NotLeading);
        // Who gave up is not missed.
        let _ = renewal.answer.send(renewed);
    }
}

async fn renew(peers: &Peers, leader: MemberId, ids: Vec<i64>, deadline: Instant) -> Result<Vec<i64>, NotLeading> {
    let peer = peers.to(leader.get()).ok_or(NotLeading)?;
    let request = pb::RenewLeasesRequest { header: Some(peers.header(leader.get())), ids };
    let answer = peer.renew_leases(request, until(deadline)).await;
    match peers.heed(answer).ok().and_then(|response| response.outcome) {
        Some(Outcome::Renewed(renewed)) => Ok(renewed.ttls),
        Some(Outcome::NotLeader(_)) | None => Err(NotLeading),
    }
}
