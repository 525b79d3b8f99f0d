//! The lease keeper: the task that knows how long leases live, answers keepalives, and proposes the end of what ran out.
//!
//! It owns the [`LeaseTable`] and follows the replicated facts. Clocks run only while this member leads; an end is only ever
//! *proposed*, like any client's revocation, so a keeper that was deposed without noticing can end nothing. A keepalive is
//! answered from memory and costs no log entry, but only while a quorum has confirmed this member as leader so recently that
//! nobody else can have been elected: what a deposed keeper renews, the next one would not know of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use consensus::{Leadership, LeaseAuthority, LeaseLife, NotLeading};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use model::{AppliedBatch, Command, LeaseChange, LeaseId, Rejection};
use state::Reader;
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, Unavailable};
use crate::inbox::{Fact, FactReceiver};
use crate::leases::{LeaseTable, Renewal};
use crate::measures::Measures;
use crate::proposer::Proposer;

/// Requests that may wait for the keeper.
const REQUESTS_MAX: usize = 4096;

/// Revocations under way at once (etcd's figure): more would crowd out clients after an election.
const REVOCATIONS_MAX: usize = 16;

/// How long until a revocation that failed is tried again (etcd's figure).
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// How often the remaining life of long leases is noted (etcd's figure).
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(300);

/// Notes in one log entry.
const CHECKPOINTS_PER_ENTRY: usize = 1000;

type KeepAliveAnswer = Result<Option<i64>, Unavailable>;

enum Request {
    KeepAlive { id: LeaseId, answer: oneshot::Sender<KeepAliveAnswer> },
    Life { id: LeaseId, answer: oneshot::Sender<Result<Option<LeaseLife>, Unavailable>> },
}

/// The way to the keeper.
#[derive(Clone, Debug)]
pub(crate) struct KeeperHandle {
    requests: mpsc::Sender<Request>,
    leading: latest::Receiver<bool>,
}

impl KeeperHandle {
    /// Gives a lease its full life back: its TTL in seconds, or `None` when there is no such lease (any more).
    ///
    /// # Errors
    ///
    /// [`Unavailable::NoLeader`] when this member does not lead.
    pub(crate) async fn keep_alive(&self, id: LeaseId) -> KeepAliveAnswer {
        self.ask(|answer| Request::KeepAlive { id, answer }).await
    }

    /// What a lease has left, or `None` when there is no such lease.
    ///
    /// # Errors
    ///
    /// [`Unavailable::NoLeader`] when this member does not lead.
    pub(crate) async fn life(&self, id: LeaseId) -> Result<Option<LeaseLife>, Unavailable> {
        self.ask(|answer| Request::Life { id, answer }).await
    }

    /// Follows whether the keeper's clocks run.
    pub(crate) fn leading(&self) -> latest::Receiver<bool> {
        self.leading.clone()
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Unavailable>>) -> Request,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| Unavailable::Stopped)?;
        answered.await.unwrap_or(Err(Unavailable::Stopped))
    }
}

impl LeaseAuthority for KeeperHandle {
    fn renew(&self, ids: Vec<LeaseId>) -> BoxFuture<'static, Result<Vec<Option<i64>>, NotLeading>> {
        let keeper = self.clone();
        Box::pin(async move {
            let renewals = ids.into_iter().map(|id| keeper.keep_alive(id));
            let renewed = futures::future::try_join_all(renewals).await;
            renewed.map_err(|_unavailable| NotLeading)
        })
    }

    fn life(&self, id: LeaseId) -> BoxFuture<'static, Result<Option<LeaseLife>, NotLeading>> {
        let keeper = self.clone();
        Box::pin(async move { KeeperHandle::life(&keeper, id).await.map_err(|_unavailable| NotLeading) })
    }
}

/// The task.
pub(crate) struct Keeper {
    table: LeaseTable,
    /// Keepalives of leases whose revocation is under way: answered when it is applied.
    ending: BTreeMap<LeaseId, Vec<oneshot::Sender<KeepAliveAnswer>>>,
    revocations: FuturesUnordered<BoxFuture<'static, (LeaseId, Result<(), Error>)>>,
    leading: latest::Sender<bool>,
    grace: Duration,
    reader: Reader,
    proposer: Arc<Proposer>,
    measures: Arc<Measures>,
    facts: FactReceiver,
    requests: mpsc::Receiver<Request>,
    leadership: latest::Receiver<Leadership>,
}

/// A keeper that has learnt the leases there are, and the way to it.
pub(crate) fn keeper(
    reader: Reader,
    proposer: Arc<Proposer>,
    measures: Arc<Measures>,
    facts: FactReceiver,
    leadership: latest::Receiver<Leadership>,
    grace: Duration,
) -> (KeeperHandle, Keeper) {
    let (sender, requests) = mpsc::channel(REQUESTS_MAX);
    let (leading, is_leading) = latest::channel(false);
    let mut keeper = Keeper {
        table: LeaseTable::default(),
        ending: BTreeMap::new(),
        revocations: FuturesUnordered::new(),
        leading,
        grace,
        reader,
        proposer,
        measures,
        facts,
        requests,
        leadership,
    };
    keeper.look_at_state();
    (KeeperHandle { requests: sender, leading: is_leading }, keeper)
}

impl Keeper {
    /// Runs until `stop` changes or the apply worker is gone.
    pub(crate) async fn run(mut self, mut stop: latest::Receiver<bool>) {
        let mut next_checkpoint = Instant::now() + CHECKPOINT_INTERVAL;
        self.follow_leadership();
        loop {
            let wake = self.next_revocation().map_or(next_checkpoint, |end| end.min(next_checkpoint));
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                fact = self.facts.recv() => match fact {
                    Some(Fact::Applied(batch)) => self.follow(&batch),
                    Some(Fact::Missed) => self.look_at_state(),
                    None => return,
                },
                changed = self.leadership.changed() => match changed {
                    Ok(()) => self.follow_leadership(),
                    Err(_) => return,
                },
                Some((id, result)) = self.revocations.next() => self.revoked(id, result),
                Some(request) = self.requests.recv() => self.answer(request),
                () = sleep_until(wake) => {
                    if Instant::now() >= next_checkpoint {
                        next_checkpoint += CHECKPOINT_INTERVAL;
                        self.note_remaining_lives();
                    }
                }
            }
            self.revoke_due();
        }
    }

    /// When a lease runs out that can be revoked at once: none while as many as may be are under way.
    fn next_revocation(&self) -> Option<Instant> {
        if self.revocations.len() < REVOCATIONS_MAX { self.table.next_deadline() } else { None }
    }

    fn follow(&mut self, batch: &AppliedBatch) {
        for change in &batch.leases {
            match *change {
                LeaseChange::Granted { id, ttl } => self.table.grant(id, ttl, Instant::now()),
                LeaseChange::Checkpointed { id, remaining } => self.table.checkpoint(id, remaining),
                LeaseChange::Revoked { id } => self.forget(id),
            }
        }
    }

    fn look_at_state(&mut self) {
        self.facts.known(self.reader.applied().map(|applied| applied.index));
        let facts: Vec<_> = self.reader.leases();
        for id in self.table.reconcile(&facts, Instant::now()) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: LeaseId) {
        self.table.remove(id);
        for answer in self.ending.remove(&id).unwrap_or_default() {
            // The client may have gone; then nobody needs the answer.
            let _ = answer.send(Ok(None));
        }
    }

    fn follow_leadership(&mut self) {
        let leadership = *self.leadership.borrow_and_update();
        if leadership != Leadership::None {
            self.measures.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        let leads = matches!(leadership, Leadership::Leader { .. });
        let was_leading = self.leading.send_replace(leads);
        if leads && !was_leading {
            self.table.promote(Instant::now(), self.grace);
        } else if !leads && was_leading {
            self.table.demote();
            for answer in std::mem::take(&mut self.ending).into_values().flatten() {
                let _ = answer.send(Err(Unavailable::NoLeader));
            }
        }
    }

    /// Whether what this keeper says about the life of leases holds: its clocks run, and nobody else's can.
    fn is_authority(&self) -> bool {
        *self.leading.borrow() && self.proposer.consensus().is_confirmed_leader()
    }

    /// Answers a request. A client that has gone needs no answer, so whether it can be sent does not matter.
    fn answer(&mut self, request: Request) {
        match request {
            Request::KeepAlive { id, answer } => {
                let answered = match self.renew(id) {
                    Some(answered) => answer.send(answered),
                    None => return self.ending.entry(id).or_default().push(answer),
                };
                let _ = answered;
            }
            Request::Life { id, answer } => {
                let life = if self.is_authority() {
                    Ok(self.table.life(id, Instant::now()))
                } else {
                    Err(Unavailable::NoLeader)
                };
                let _ = answer.send(life);
            }
        }
    }

    /// The answer to a keepalive, unless it has to wait for a revocation.
    fn renew(&mut self, id: LeaseId) -> Option<KeepAliveAnswer> {
        if !self.is_authority() {
            return Some(Err(Unavailable::NoLeader));
        }
        match self.table.renew(id, Instant::now()) {
            Renewal::Unknown => Some(Ok(None)),
            Renewal::Ending => None,
            Renewal::Renewed { ttl, clear_checkpoint } => {
                if clear_checkpoint {
                    self.note(vec![(id, 0)]);
                }
                Some(Ok(Some(ttl)))
            }
        }
    }

    fn revoke_due(&mut self) {
        while self.revocations.len() < REVOCATIONS_MAX {
            let Some(id) = self.table.take_due(Instant::now()) else { return };
            let proposer = Arc::clone(&self.proposer);
            self.revocations.push(Box::pin(async move {
                (id, proposer.propose_internal(Command::LeaseRevoke { id }).await.map(drop))
            }));
        }
    }

    fn revoked(&mut self, id: LeaseId, result: Result<(), Error>) {
        match result {
            // The fact that it is gone comes, or came, with its batch.
            Ok(()) => drop(self.measures.leases_expired.fetch_add(1, Ordering::Relaxed)),
            Err(Error::Rejected(Rejection::LeaseNotFound)) => self.forget(id),
            Err(error) => {
                tracing::warn!(lease = id.get(), %error, "could not revoke an expired lease, will try again");
                self.table.retry_at(id, Instant::now() + RETRY_AFTER);
            }
        }
    }

    fn note_remaining_lives(&self) {
        let notes = self.table.checkpoints(Instant::now());
        for chunk in notes.chunks(CHECKPOINTS_PER_ENTRY) {
            self.note(chunk.to_vec());
        }
    }

    /// Proposes notes without waiting: one that is lost only lets a lease live longer after an election.
    fn note(&self, lives: Vec<(LeaseId, i64)>) {
        let checkpoints = lives.into_iter().map(|(id, remaining)| model::LeaseCheckpoint { id, remaining }).collect();
        let proposer = Arc::clone(&self.proposer);
        tokio::spawn(async move {
            if let Err(error) = proposer.propose_internal(Command::LeaseCheckpoint(checkpoints)).await {
                tracing::debug!(%error, "could not note what leases have left");
            }
        });
    }
}
