//! What the API may ask of a running member.

use std::sync::Arc;
use std::time::Duration;

use consensus::{Execution, Leadership, LeaseLife, NotLeading, Owner, ReadIndexError};
use model::{
    ClusterId, Command, DeleteRequest, DeleteResponse, Identity, LeaseId, Limits, LogIndex, MemberId, PutRequest,
    PutResponse, RangeRequest, RangeResponse, Rejection, Revision, Term, TxnRequest, TxnResponse,
};
use state::{LeaseInfo, Outcome, ReadError, Reader};
use tokio::sync::watch as latest;
use tokio::time::{Instant, timeout_at};
use watch::{HubHandle, WatchStream};

use crate::config::Config;
use crate::error::{Error, Unavailable};
use crate::keeper::KeeperHandle;
use crate::measures::{Measured, Measures};
use crate::proposer::Proposer;
use crate::waiters::WaitersHandle;

/// Keys of a range that are read at once, which keeps other requests waiting for a fraction of a millisecond. Handing the read
/// over to another thread costs as much as reading a hundred keys.
const KEYS_AT_ONCE: usize = 500;

/// Largest TTL of a lease in seconds (etcd's figure).
const LEASE_TTL_MAX: i64 = 9_000_000_000;

/// Time after which a leader that could not answer is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Who answers: part of every answer's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The member that answers.
    pub member_id: MemberId,
    /// Its term.
    pub term: Term,
}

/// How a member is doing. Local: says nothing about others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who leads, if anyone.
    pub leader: Option<MemberId>,
    /// The present term.
    pub term: Term,
    /// Last entry known to be committed.
    pub committed: LogIndex,
    /// Last entry applied here.
    pub applied: LogIndex,
    /// Bytes that the state takes on disk and in memory.
    pub size: u64,
    /// Bytes of it that are in use.
    pub size_in_use: u64,
}

/// The way to a running member. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) identity: Owner,
    pub(crate) execution: Execution,
    pub(crate) consensus: consensus::Handle,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) reader: Reader,
    pub(crate) hub: HubHandle,
    pub(crate) measures: Arc<Measures>,
    pub(crate) keeper: KeeperHandle,
    pub(crate) waiters: WaitersHandle,
    pub(crate) stopping: latest::Receiver<bool>,
}

impl Handle {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The settings that the member runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Bounds of a transaction, for the checks at the edge.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.inner.config.limits
    }

    /// Who answers, as of now.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            cluster_id: self.inner.identity.cluster,
            member_id: self.inner.identity.member,
            term: self.inner.consensus.term(),
        }
    }

    /// Revision of the local store.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.inner.reader.revision()
    }

    /// Oldest revision that can be read; zero if history was never compacted.
    #[must_use]
    pub fn compact_revision(&self) -> Revision {
        self.inner.reader.compact_revision()
    }

    /// How the member is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let raft = self.inner.consensus.status();
        let sizes = self.inner.reader.size();
        Status {
            leader: raft.leader,
            term: raft.term,
            committed: raft.committed,
            applied: raft.applied,
            size: sizes.total,
            size_in_use: sizes.in_use,
        }
    }

    /// What the member has counted about itself.
    #[must_use]
    pub fn measured(&self) -> Measured {
        self.inner.measures.picture(self.inner.hub.counters())
    }

    /// Turns true when the member begins to stop: end streams, refuse what is new.
    #[must_use]
    pub fn stopping(&self) -> latest::Receiver<bool> {
        self.inner.stopping.clone()
    }

    /// Waits until a leader is known.
    ///
    /// # Errors
    ///
    /// [`Unavailable::NoLeader`] at the deadline, [`Unavailable::Stopped`] when the member stops first.
    pub async fn wait_for_leader(&self, deadline: Instant) -> Result<(), Unavailable> {
        let mut leadership = self.inner.consensus.leadership();
        let known = leadership.wait_for(|leadership| !matches!(leadership, Leadership::None));
        match timeout_at(deadline, known).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Unavailable::Stopped),
            Err(_) => Err(Unavailable::NoLeader),
        }
    }

    /// Writes a key.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn put(&self, identity: Identity, put: PutRequest) -> Result<PutResponse, Error> {
        put.check()?;
        match self.propose(identity, Command::Put(put)).await? {
            (_, Outcome::Put(response)) => Ok(response),
            (_, other) => unreachable!("a put was answered by {other:?}"),
        }
    }

    /// Deletes keys.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn delete(&self, identity: Identity, delete: DeleteRequest) -> Result<DeleteResponse, Error> {
        delete.check()?;
        match self.propose(identity, Command::Delete(delete)).await? {
            (_, Outcome::Delete(response)) => Ok(response),
            (_, other) => unreachable!("a delete was answered by {other:?}"),
        }
    }

    /// Executes a transaction: through the log, or from a read view if it only reads.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn txn(&self, identity: Identity, txn: TxnRequest) -> Result<TxnResponse, Error> {
        txn.check(self.limits())?;
        if txn.is_read_only() {
            if !txn.is_serializable() {
                self.confirm_reads().await?;
            }
            return self.read_aside(move |reader| reader.read_txn(&txn)).await;
        }
        match self.propose(identity, Command::Txn(txn)).await? {
            (_, Outcome::Txn(response)) => Ok(response),
            (_, other) => unreachable!("a transaction was answered by {other:?}"),
        }
    }

    /// Reads keys.
    ///
    /// # Errors
    ///
    /// See [`Error`]; nothing is ever changed.
    pub async fn range(&self, range: RangeRequest) -> Result<RangeResponse, Error> {
        range.check()?;
        if !range.serializable {
            self.confirm_reads().await?;
        }
        if matches!(range.range, model::KeyRange::Single(_)) {
            return self.inner.reader.range(&range).map_err(Error::from);
        }
        if let Some(response) = self.inner.reader.range_within(&range, KEYS_AT_ONCE)? {
            return Ok(response);
        }
        self.read_aside(move |reader| reader.range(&range)).await
    }

    /// Forgets what was superseded at or before `revision`; if `physical`, waits until it is gone from the disk as well.
    /// Returns the store's revision.
    ///
    /// # Errors
    ///
    /// [`Rejection::Compacted`], [`Rejection::FutureRevision`]; see [`Error`].
    pub async fn compact(&self, identity: Identity, revision: Revision, physical: bool) -> Result<Revision, Error> {
        let (header, _) = self.propose(identity, Command::Compact { revision }).await?;
        if physical {
            self.wait_until_cleaned(revision).await?;
        }
        Ok(header)
    }

    async fn wait_until_cleaned(&self, revision: Revision) -> Result<(), Unavailable> {
        let deadline = Instant::now() + self.inner.config.request_timeout();
        let mut maintained = self.inner.consensus.maintained();
        while self.inner.reader.cleaned_revision() < revision {
            match timeout_at(deadline, maintained.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_stopped)) => return Err(Unavailable::Stopped),
                Err(_elapsed) => return Err(Unavailable::Timeout),
            }
        }
        Ok(())
    }

    /// Creates a lease: with this id, or one that nobody has if it is zero; the TTL, in seconds, is raised to the least that
    /// outlives an election. Returns id and TTL as granted.
    ///
    /// # Errors
    ///
    /// [`Rejection::LeaseTtlTooLarge`], [`Rejection::LeaseExists`]; see [`Error`].
    pub async fn lease_grant(
        &self,
        identity: Identity,
        id: LeaseId,
        ttl: i64,
    ) -> Result<(Revision, LeaseId, i64), Error> {
        let ttl = self.lease_ttl(ttl)?;
        let id = if id.is_some() { id } else { self.new_lease_id() };
        match self.propose(identity, Command::LeaseGrant { id, ttl }).await? {
            (revision, Outcome::LeaseGranted { id, ttl }) => Ok((revision, id, ttl)),
            (_, other) => unreachable!("a lease grant was answered by {other:?}"),
        }
    }

    /// The TTL that is granted to who asks for `ttl`.
    pub(crate) fn lease_ttl(&self, ttl: i64) -> Result<i64, Rejection> {
        if ttl > LEASE_TTL_MAX {
            return Err(Rejection::LeaseTtlTooLarge);
        }
        Ok(ttl.max(self.inner.config.lease_ttl_min()))
    }

    pub(crate) fn new_lease_id(&self) -> LeaseId {
        self.inner.proposer.ids().lease()
    }

    /// Ends a lease; its keys go in one revision. Returns the store's revision.
    ///
    /// # Errors
    ///
    /// [`Rejection::LeaseNotFound`]; see [`Error`].
    pub async fn lease_revoke(&self, identity: Identity, id: LeaseId) -> Result<Revision, Error> {
        Ok(self.propose(identity, Command::LeaseRevoke { id }).await?.0)
    }

    /// Gives a lease its full life back. Returns its TTL in seconds, or `None` when there is no such lease (any more).
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no leader answers in time.
    pub async fn lease_keep_alive(&self, id: LeaseId) -> Result<Option<i64>, Unavailable> {
        let there = |leader, deadline| self.inner.consensus.renew_lease(leader, id, deadline);
        self.ask_lease_authority(|keeper| async move { keeper.keep_alive(id).await }, there).await
    }

    /// What a lease has left, and the keys attached to it; `None` when there is no such lease.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no leader answers in time.
    pub async fn lease_time_to_live(&self, id: LeaseId) -> Result<Option<(LeaseLife, LeaseInfo)>, Unavailable> {
        let there = |leader, deadline| self.inner.consensus.lease_life(leader, id, deadline);
        let life = self.ask_lease_authority(|keeper| async move { keeper.life(id).await }, there).await?;
        Ok(life.zip(self.inner.reader.lease(id)))
    }

    /// All leases known here, in no particular order.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseId> {
        self.inner.reader.leases().into_iter().map(|(id, ..)| id).collect()
    }

    /// Asks whoever leads: this member's keeper, or over the wire the leader's.
    async fn ask_lease_authority<T, Here, There>(
        &self,
        here: impl Fn(KeeperHandle) -> Here,
        there: impl Fn(MemberId, Instant) -> There,
    ) -> Result<T, Unavailable>
    where
        Here: Future<Output = Result<T, Unavailable>>,
        There: Future<Output = Result<T, NotLeading>>,
    {
        let deadline = Instant::now() + self.inner.config.request_timeout();
        let (mut leadership, mut leading) = (self.inner.consensus.leadership(), self.inner.keeper.leading());
        loop {
            let known = *leadership.borrow_and_update();
            leading.mark_unchanged();
            let asked = async {
                match known {
                    Leadership::Follower { leader } => {
                        let soon = deadline.min(Instant::now() + self.inner.config.election_timeout);
                        there(leader, soon).await.map_err(|NotLeading| Unavailable::NoLeader)
                    }
                    Leadership::Leader { .. } => here(self.inner.keeper.clone()).await,
                    Leadership::None => Err(Unavailable::NoLeader),
                }
            };
            match timeout_at(deadline, asked).await.map_err(|_elapsed| Unavailable::Timeout)? {
                Err(Unavailable::NoLeader) if Instant::now() < deadline => {}
                answer => return answer,
            }
            // The keeper hears of leadership a moment after consensus does, and a quorum may come back without a change of it.
            tokio::select! {
                biased;
                changed = leadership.changed() => changed.map_err(|_stopped| Unavailable::Stopped)?,
                changed = leading.changed() => changed.map_err(|_ended| Unavailable::Stopped)?,
                () = tokio::time::sleep(RETRY_INTERVAL) => {}
            }
        }
    }

    /// A stream of watchers with room for `capacity` messages that its owner has not taken yet.
    #[must_use]
    pub fn watch(&self, capacity: usize) -> WatchStream {
        self.inner.hub.open_stream(capacity)
    }

    /// A checksum of all keys with their history as of `revision` (zero: now), equal on all members that agree on it:
    /// (checksum, revision hashed, compact revision).
    ///
    /// # Errors
    ///
    /// [`Rejection::Compacted`], [`Rejection::FutureRevision`]; see [`Error`].
    pub async fn hash_kv(&self, revision: Revision) -> Result<state::HashKv, Error> {
        self.read_aside(move |reader| reader.hash_kv(revision)).await
    }

    pub(crate) async fn propose(&self, identity: Identity, command: Command) -> Result<(Revision, Outcome), Error> {
        self.inner.proposer.propose(identity, command).await
    }

    /// Returns when what is read here from now on is no older than anything acknowledged before the call.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no quorum confirms it in time.
    pub async fn confirm_reads(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.inner.config.request_timeout();
        self.inner.consensus.read_index(deadline).await.map_err(|error| match error {
            ReadIndexError::NoLeader => Unavailable::NoLeader.into(),
            ReadIndexError::LeaderChanged => Unavailable::LeaderChanged.into(),
            ReadIndexError::TooManyRequests => Unavailable::TooManyRequests.into(),
            ReadIndexError::Timeout => Unavailable::Timeout.into(),
            ReadIndexError::Stopped => Unavailable::Stopped.into(),
        })
    }

    /// Reads what may take long, where it keeps nobody waiting.
    async fn read_aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Error> {
        let reader = self.inner.reader.clone();
        let answer = self.inner.execution.blocking(move || read(&reader)).await;
        answer.map_err(|_| Unavailable::Stopped)?.map_err(Error::from)
    }
}
