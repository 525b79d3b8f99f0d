//! Linearizable reads: this member asks for the commit index of a leader that is confirmed to be one, and the reader waits until that
//! much is applied here (Raft thesis 6.4; etcd's `linearizableReadLoop`).
//!
//! At most one question is under way. Who arrives meanwhile shares the next one: an index confirmed for an earlier question
//! may miss writes that were answered before the reader came. So a burst of readers costs two rounds, whatever its size.
//!
//! The confirmation never rests on a lease: openraft forgets its lease at a restart, and clocks may differ.

use std::time::Duration;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::handle::Handle;
use crate::tasks::Phase;
use crate::types::{Raft, TypeConfig};
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
        let (reader, index) = oneshot::channel();
        self.reads().try_send(reader).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ReadIndexError::TooManyRequests,
            mpsc::error::TrySendError::Closed(_) => ReadIndexError::Stopped,
        })?;
        let index = match timeout_at(deadline, index).await {
            Ok(Ok(answer)) => answer?,
            Ok(Err(_closed)) => return Err(ReadIndexError::Stopped),
            Err(_elapsed) if *self.leadership().borrow() == Leadership::None => return Err(ReadIndexError::NoLeader),
            Err(_elapsed) => return Err(ReadIndexError::Timeout),
        };
        timeout_at(deadline, self.watermark().reached(index)).await.map_err(|_elapsed| ReadIndexError::Timeout)
    }
}

/// Asks for the index, one round after the other.
pub(crate) struct ReadIndexTask {
    pub(crate) raft: Raft,
    pub(crate) inbox: mpsc::Receiver<Reader>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl ReadIndexTask {
    /// Runs until told to stop; readers still waiting learn it from their channel.
    pub(crate) async fn run(mut self) {
        let mut phase = self.phase.clone();
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&mut self) {
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

    /// One round: asks until it is answered or nobody waits any more.
    async fn round(&mut self, readers: &mut Vec<Reader>) -> Result<u64, ReadIndexError> {
        loop {
            self.leadership.mark_unchanged();
            match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
                Ok(confirmed) => return Ok(confirmed.read_log_id().index()),
                Err(error) => unless_worth_retrying(&error)?,
            }
            let _ = tokio::time::timeout(RETRY_INTERVAL, self.leadership.changed()).await;
            readers.retain(|reader| !reader.is_closed());
            if readers.is_empty() {
                return Err(ReadIndexError::NoLeader);
            }
        }
    }
}

/// A missing leader may appear and a missing quorum return; the rest is final.
fn unless_worth_retrying(
    error: &RaftError<TypeConfig, LinearizableReadError<TypeConfig>>,
) -> Result<(), ReadIndexError> {
    match error {
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => Ok(()),
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) if forward.leader_id.is_none() => Ok(()),
        RaftError::APIError(LinearizableReadError::ForwardToLeader(_)) => Err(ReadIndexError::LeaderChanged),
        RaftError::Fatal(_) => Err(ReadIndexError::Stopped),
    }
}
