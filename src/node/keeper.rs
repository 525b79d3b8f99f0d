//! The lease keeper: the task that knows how long leases live, answers keepalives, and proposes the end of what ran out.
//!
//! It owns the [`LeaseTable`] and follows the replicated facts. Clocks run only while this member leads. An end is only ever *proposed*,
//! and like a checkpoint only to this member's own log in the term in which it was decided: a keeper that was deposed without noticing
//! can end nothing that the next one has renewed. A keepalive is answered from memory and costs no log entry, but only while a quorum
//! has confirmed this member as leader so recently that nobody else can have been elected: what a deposed keeper renews, the next one
//! would not know of. If the log says that the lease has less, it is answered when that has been voided there.
//!
//! No wall clock decides anything here: deadlines, graces and paces are by the monotonic clock of the member that leads, remaining lives
//! travel as durations, and a proposal's time of day is for records. Ids only need to be unique; the wall clock in them is one of
//! three parts and nothing is read back out of it. A clock that jumps by a day therefore ends no lease and keeps none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use consensus::{Leadership, LeaseAuthority, LeaseLife, NotLeading};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use model::{AppliedBatch, Command, LeaseChange, LeaseId, LogIndex, Rejection, Term};
use state::Reader;
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio::time::{Instant, sleep_until};

use crate::checkpoints::{Checkpoints, KeepAliveAnswer};
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

enum Request {
    KeepAlive { id: LeaseId, answer: oneshot::Sender<KeepAliveAnswer> },
    Life { id: LeaseId, answer: oneshot::Sender<Result<Option<LeaseLife>, Unavailable>> },
}

/// The way to the keeper.
#[derive(Clone, Debug)]
pub(crate) struct KeeperHandle {
    requests: mpsc::Sender<Request>,
    leading: latest::Receiver<Option<Term>>,
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

    /// Follows whether the keeper's clocks run: the term that it leads in.
    pub(crate) fn leading(&self) -> latest::Receiver<Option<Term>> {
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
    checkpoints: Checkpoints,
    /// How far the facts have come.
    told: LogIndex,
    /// The leader that was known last, and the term then.
    known: Option<(Leadership, Term)>,
    /// The term whose leader this member is, as far as the keeper has followed.
    leading: latest::Sender<Option<Term>>,
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
    let (leading, is_leading) = latest::channel(None);
    let mut keeper = Keeper {
        table: LeaseTable::default(),
        ending: BTreeMap::new(),
        revocations: FuturesUnordered::new(),
        checkpoints: Checkpoints::default(),
        told: LogIndex::default(),
        known: None,
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
        self.follow_leadership();
        loop {
            let wake = self.next_revocation().into_iter().chain(self.checkpoints.next(&self.table)).min();
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                fact = self.facts.recv() => match fact {
                    Some(fact) => self.take_in(fact),
                    None => return,
                },
                changed = self.leadership.changed() => match changed {
                    Ok(()) => self.follow_leadership(),
                    Err(_) => return,
                },
                Some((id, result)) = self.revocations.next() => self.revoked(id, result),
                Some(request) = self.requests.recv() => self.answer(request),
                proposed = self.checkpoints.proposed() => {
                    self.checkpoints.answered(&mut self.table, proposed, self.told, Instant::now());
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            self.revoke_due();
            self.checkpoint_due();
        }
    }

    /// When a lease runs out that can be revoked at once: none while as many as may be are under way.
    fn next_revocation(&self) -> Option<Instant> {
        if self.revocations.len() < REVOCATIONS_MAX { self.table.next_deadline() } else { None }
    }

    fn take_in(&mut self, fact: Fact) {
        match fact {
            Fact::Applied(batch) => self.follow(&batch),
            Fact::Missed => self.look_at_state(),
        }
        self.checkpoints.told(&mut self.table, self.told);
    }

    fn follow(&mut self, batch: &AppliedBatch) {
        for change in &batch.leases {
            match *change {
                LeaseChange::Granted { id, ttl } => self.table.grant(id, ttl, Instant::now()),
                LeaseChange::Checkpointed { id, remaining } => {
                    self.table.checkpoint(id, remaining, Instant::now());
                    self.table.shorten(id, remaining, Instant::now());
                }
                LeaseChange::Revoked { id } => self.forget(id),
            }
        }
        self.told = batch.applied.index;
    }

    fn look_at_state(&mut self) {
        let applied = self.reader.applied().map(|applied| applied.index);
        self.facts.known(applied);
        let facts: Vec<_> = self.reader.leases();
        for id in self.table.reconcile(&facts, Instant::now()) {
            self.forget(id);
        }
        self.told = applied.unwrap_or_default().max(self.told);
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
            let known = Some((leadership, self.proposer.consensus().term()));
            if self.known != known {
                self.known = known;
                self.table.leader_changed(Instant::now());
            }
        }
        let term = match leadership {
            Leadership::Leader { term } => Some(term),
            Leadership::Follower { .. } | Leadership::None => None,
        };
        #[cfg(seeded_bugs)]
        let term = term.or(model::seeded_bug("expiry by a follower").then(|| self.proposer.consensus().term()));
        // A level, so that another term in between may have gone unseen: what its leader promised is not known here either.
        if self.leading.send_replace(term) == term {
            return;
        }
        self.table.demote();
        // What was proposed under the old clocks says nothing about the new ones.
        self.revocations = FuturesUnordered::new();
        self.checkpoints.abandon();
        for answer in std::mem::take(&mut self.ending).into_values().flatten() {
            let _ = answer.send(Err(Unavailable::NoLeader));
        }
        if term.is_some() {
            self.catch_up();
            self.table.promote(Instant::now(), self.grace);
        }
    }

    /// Takes in the facts that are there: they were told before what comes next.
    fn catch_up(&mut self) {
        while let Some(fact) = self.facts.try_recv() {
            self.take_in(fact);
        }
    }

    /// The term in which what this keeper says about the life of leases holds: its clocks run, and nobody else's can.
    fn authority(&self) -> Option<Term> {
        let term = (*self.leading.borrow())?;
        self.proposer.consensus().is_confirmed_leader_in(term).then_some(term)
    }

    /// Answers a request. A client that has gone needs no answer, so whether it can be sent does not matter.
    fn answer(&mut self, request: Request) {
        match request {
            Request::KeepAlive { id, answer } => self.renew(id, answer),
            Request::Life { id, answer } => {
                let _ = answer.send(self.life(id));
            }
        }
    }

    fn life(&mut self, id: LeaseId) -> Result<Option<LeaseLife>, Unavailable> {
        self.authority().ok_or(Unavailable::NoLeader)?;
        self.know(id);
        Ok(self.table.life(id, Instant::now()))
    }

    /// Who has the answer to a grant may ask before its batch was told here.
    fn know(&mut self, id: LeaseId) {
        if !self.table.contains(id) && self.reader.lease(id).is_some() {
            self.look_at_state();
        }
    }

    /// Answers a keepalive: at once, or when the log has said what has to be said first.
    fn renew(&mut self, id: LeaseId, answer: oneshot::Sender<KeepAliveAnswer>) {
        if self.authority().is_none() {
            let _ = answer.send(Err(Unavailable::NoLeader));
            return;
        }
        self.know(id);
        match self.table.renew(id, Instant::now()) {
            Renewal::Unknown => drop(answer.send(Ok(None))),
            Renewal::Renewed { ttl } => {
                self.measures.leases_renewed.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(Ok(Some(ttl)));
            }
            Renewal::Checkpointed { ttl } => self.checkpoints.void(id, ttl, answer),
            Renewal::Ending => self.ending.entry(id).or_default().push(answer),
        }
    }

    fn revoke_due(&mut self) {
        let Some(term) = *self.leading.borrow() else { return };
        while self.revocations.len() < REVOCATIONS_MAX {
            let Some(id) = self.table.take_due(Instant::now()) else { return };
            let proposer = Arc::clone(&self.proposer);
            self.revocations.push(Box::pin(async move {
                (id, proposer.propose_as_leader(term, Command::LeaseRevoke { id }).await.map(drop))
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

    fn checkpoint_due(&mut self) {
        let Some(term) = *self.leading.borrow() else { return };
        let proposer = Arc::clone(&self.proposer);
        self.checkpoints.propose_due(&mut self.table, Instant::now(), move |checkpoints| {
            let command = Command::LeaseCheckpoint(checkpoints);
            Box::pin(async move { proposer.propose_as_leader(term, command).await.map(|(index, _)| index) })
        });
    }
}
