//! Linearizable reads: this member asks for the commit index of a leader that is confirmed to be one, and the reader waits until that
//! much is applied here (Raft thesis 6.4; etcd's `linearizableReadLoop`).
//!
//! At most one question is under way. Who arrives meanwhile shares the next one: an index confirmed for an earlier question
//! may miss writes that were answered before the reader came. So a burst of readers costs two rounds, whatever its size.
//!
//! The confirmation never rests on a lease: openraft forgets its lease at a restart, and clocks may differ.

use std::time::Duration;

use model::MemberId;
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use proto::quoratepb::ReadIndexRequest;
use proto::quoratepb::read_index_response::Outcome;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::handle::Handle;
use crate::peers::Peers;
use crate::types::Raft;
use crate::{Leadership, ReadIndexError};

/// Readers that may wait for their round to begin; one more is refused.
pub(crate) const READ_INBOX: usize = 8_192;

/// Readers that share one round.
const ROUND_READERS_MAX: usize = 4_096;

/// Time after which an unanswered question is asked again (etcd's number).
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// A reader waiting for an index.
pub(crate) type Reader = oneshot::Sender<Result<u64, ReadIndexError>>;

impl Handle {
    /// Returns when this member's state holds every write that was answered, anywhere, before the call.
    ///
    /// # Errors
    ///
    /// [`ReadIndexError`]; asking again is always safe.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn read_index(&self, deadline: Instant) -> Result<(), ReadIndexError> {
        let index = self.confirmed_index(deadline).await?;
        #[cfg(seeded_bugs)]
        if model::seeded_bug("read before it is applied") {
            return Ok(());
        }
        timeout_at(deadline, self.watermark().reached(index)).await.map_err(|_elapsed| ReadIndexError::Timeout)
    }

    /// The index that a read must wait for, confirmed after the call.
    pub(crate) async fn confirmed_index(&self, deadline: Instant) -> Result<u64, ReadIndexError> {
        let (reader, index) = oneshot::channel();
        self.reads().try_send(reader).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ReadIndexError::TooManyRequests,
            mpsc::error::TrySendError::Closed(_) => ReadIndexError::Stopped,
        })?;
        match timeout_at(deadline, index).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_closed)) => Err(ReadIndexError::Stopped),
            Err(_elapsed) if *self.leadership().borrow() == Leadership::None => Err(ReadIndexError::NoLeader),
            Err(_elapsed) => Err(ReadIndexError::Timeout),
        }
    }
}

/// Asks for the index, one round after the other.
pub(crate) struct ReadIndexTask {
    pub(crate) raft: Raft,
    pub(crate) peers: Peers,
    pub(crate) inbox: mpsc::Receiver<Reader>,
    pub(crate) leadership: watch::Receiver<Leadership>,
}

impl ReadIndexTask {
    /// Runs until it is dropped; readers still waiting learn it from their channel.
    pub(crate) async fn run(mut self) {
        let mut readers = Vec::new();
        while self.inbox.recv_many(&mut readers, ROUND_READERS_MAX).await > 0 {
            let answer = self.round(&mut readers).await;
            for reader in readers.drain(..) {
                // Who gave up is not missed.
                let _ = reader.send(answer.clone());
            }
        }
        // Every handle is gone: nothing more to do, but no reason to end before the rest.
        std::future::pending().await
    }

    /// One round: asks until it is answered or nobody waits any more. A member that follows asks the leader.
    async fn round(&mut self, readers: &mut Vec<Reader>) -> Result<u64, ReadIndexError> {
        loop {
            let known = *self.leadership.borrow_and_update();
            let answer = match known {
                Leadership::Follower { leader } => self.ask(leader).await,
                Leadership::Leader { .. } | Leadership::None => self.confirm().await?,
            };
            if let Some(index) = answer {
                return Ok(index);
            }
            if let Ok(Err(_closed)) = timeout(RETRY_INTERVAL, self.leadership.changed()).await {
                return Err(ReadIndexError::Stopped);
            }
            readers.retain(|reader| !reader.is_closed());
            if readers.is_empty() {
                return Err(ReadIndexError::NoLeader);
            }
        }
    }

    /// This member's own commit index, once a quorum confirms it as leader; none if there is reason to ask again.
    async fn confirm(&self) -> Result<Option<u64>, ReadIndexError> {
        #[cfg(seeded_bugs)]
        if model::seeded_bug("read index without a quorum") {
            use openraft::async_runtime::watch::WatchReceiver;
            return Ok(self.raft.data_metrics().borrow_watched().local_committed.map(|id| id.index));
        }
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(confirmed) => Ok(Some(confirmed.read_log_id().index())),
            // A missing leader may appear and a missing quorum return.
            Err(RaftError::APIError(
                LinearizableReadError::QuorumNotEnough(_) | LinearizableReadError::ForwardToLeader(_),
            )) => Ok(None),
            Err(RaftError::Fatal(_)) => Err(ReadIndexError::Stopped),
        }
    }

    /// The leader's; none if there is reason to ask again.
    async fn ask(&self, leader: MemberId) -> Option<u64> {
        let peer = self.peers.to(leader.get())?;
        let request = ReadIndexRequest { header: Some(self.peers.header(leader.get())) };
        let answer = timeout(RETRY_INTERVAL, peer.read_index(request, RETRY_INTERVAL)).await.ok()?;
        match self.peers.heed(answer).ok()?.outcome? {
            Outcome::ReadLogId(id) => Some(id.index),
            Outcome::NotLeader(_) => None,
        }
    }
}
