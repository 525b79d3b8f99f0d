//! What the API may ask of a running member.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use consensus::{Execution, Leadership, Owner, RaftMeasured, ReadIndexError};
use model::{
    ClusterId, Command, DeleteRequest, DeleteResponse, Identity, Limits, LogIndex, MemberId, PutRequest, PutResponse,
    RangeRequest, RangeResponse, Revision, Term, TxnRequest, TxnResponse,
};
use state::{Outcome, ReadError, Reader};
use tokio::sync::{Notify, watch as latest};
use tokio::time::{Instant, timeout_at};
use watch::{HubHandle, WatchStream};

use crate::auth::{Authentication, check_unchanged};
use crate::config::Config;
use crate::corruption::Comparison;
use crate::error::{Error, Unavailable};
use crate::keeper::KeeperHandle;
use crate::measures::{Measured, Measures};
use crate::proposer::Proposer;
use crate::queues::Turns;
use crate::waiters::WaitersHandle;

/// Keys of a range that are read at once, which keeps other requests waiting for a fraction of a millisecond. Handing the read
/// over to another thread costs as much as reading a hundred keys.
pub(crate) const KEYS_AT_ONCE: usize = 500;

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
    pub(crate) authentication: Authentication,
    pub(crate) consensus: consensus::Handle,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) reader: Reader,
    pub(crate) hub: HubHandle,
    pub(crate) measures: Arc<Measures>,
    pub(crate) keeper: KeeperHandle,
    pub(crate) waiters: WaitersHandle,
    pub(crate) turns: Turns,
    pub(crate) defragment: Arc<Notify>,
    pub(crate) comparison: Comparison,
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

    /// What the consensus has counted.
    #[must_use]
    pub fn raft_measured(&self) -> RaftMeasured {
        self.inner.consensus.measured()
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
        self.inner.measures.txns.fetch_add(1, Ordering::Relaxed);
        if txn.is_read_only() {
            if !txn.is_serializable() {
                self.confirm_reads().await?;
            }
            let auth = self.auth();
            auth.rights(&identity)?.may_read_txn(&txn)?;
            let response = self.read_aside(move |reader| reader.read_txn(&txn)).await?;
            check_unchanged(&auth, &self.auth())?;
            return Ok(response);
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
    pub async fn range(&self, identity: &Identity, range: RangeRequest) -> Result<RangeResponse, Error> {
        range.check()?;
        if !range.serializable {
            self.confirm_reads().await?;
        }
        self.inner.measures.ranges.fetch_add(1, Ordering::Relaxed);
        let auth = self.auth();
        auth.rights(identity)?.may_read(&range.range)?;
        let response = self.read_range(range).await?;
        check_unchanged(&auth, &self.auth())?;
        Ok(response)
    }

    async fn read_range(&self, range: RangeRequest) -> Result<RangeResponse, Error> {
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
    /// [`model::Rejection::Compacted`], [`model::Rejection::FutureRevision`]; see [`Error`].
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
    /// [`model::Rejection::Compacted`], [`model::Rejection::FutureRevision`]; see [`Error`].
    pub async fn hash_kv(&self, revision: Revision) -> Result<state::HashKv, Error> {
        let begun = Instant::now();
        let hash = self.read_aside(move |reader| reader.hash_kv(revision)).await?;
        self.inner.measures.hashes.observe(begun.elapsed());
        Ok(hash)
    }

    /// A checksum of the whole state, leases included: comparable between members that have applied the same entries and are applying
    /// none.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn hash(&self) -> Result<u32, Error> {
        self.read_aside(|reader| Ok(reader.hash()?)).await
    }

    pub(crate) async fn propose(&self, identity: Identity, command: Command) -> Result<(Revision, Outcome), Error> {
        self.admit_space(&command).await?;
        self.inner.proposer.propose(identity, command).await
    }

    /// Has a recipe carried out: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it makes no sense in any state, before or after it was proposed; see [`Error`].
    pub(crate) async fn recipe(
        &self,
        identity: Identity,
        command: recipes::Command,
    ) -> Result<(Revision, recipes::Outcome), Error> {
        command.check()?;
        match self.propose(identity, Command::Recipe(command.encode())).await? {
            (_, Outcome::Recipe(recipes::Outcome::Invalid(invalid))) => Err(invalid.into()),
            (revision, Outcome::Recipe(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a recipe was answered by {other:?}"),
        }
    }

    /// Returns when what is read here from now on is no older than anything acknowledged before the call.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no quorum confirms it in time.
    pub async fn confirm_reads(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.inner.config.request_timeout();
        self.inner.consensus.read_index(deadline).await.map_err(|error| {
            self.inner.measures.read_indexes_failed.fetch_add(1, Ordering::Relaxed);
            match error {
                ReadIndexError::NoLeader => Unavailable::NoLeader.into(),
                ReadIndexError::LeaderChanged => Unavailable::LeaderChanged.into(),
                ReadIndexError::TooManyRequests => Unavailable::TooManyRequests.into(),
                ReadIndexError::Timeout => Unavailable::Timeout.into(),
                ReadIndexError::Stopped => Unavailable::Stopped.into(),
            }
        })
    }

    /// Reads what may take long, where it keeps nobody waiting.
    pub(crate) async fn read_aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Error> {
        let reader = self.inner.reader.clone();
        let answer = self.inner.execution.blocking(move || read(&reader)).await;
        answer.map_err(|_| Unavailable::Stopped)?.map_err(Error::from)
    }
}
