//! Handing the leadership over: on demand, and before a leader stops.
//!
//! openraft's transfer is a one-way announcement: a target that cannot take over leaves the cluster without a leader until the next
//! election. So the target must have the whole log and be in touch before anything is announced.

use std::time::Duration;

use model::MemberId;
use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::Leadership;
use crate::handle::Handle;

/// A target that was heard within this time is in touch.
const IN_TOUCH: Duration = Duration::from_millis(1_000);

/// Why the leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransferError {
    /// This member does not lead.
    #[error("not leader")]
    NotLeader,
    /// The target does not vote.
    #[error("bad leader transferee")]
    NotAVoter,
    /// The target did not catch up, or did not take over, in time.
    #[error("request timed out, leader transfer took too long")]
    Timeout,
}

impl Handle {
    /// Makes `target` the leader. Returns when this member knows it as such.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; after [`TransferError::Timeout`] anyone may lead.
    pub async fn move_leader(&self, target: MemberId, deadline: Instant) -> Result<(), TransferError> {
        let mut leadership = self.leadership();
        if !matches!(*leadership.borrow(), Leadership::Leader { .. }) {
            return Err(TransferError::NotLeader);
        }
        if !self.members().iter().any(|member| member.id == target && !member.is_learner) {
            return Err(TransferError::NotAVoter);
        }
        if target == self.member() {
            return Ok(());
        }
        let mut progress = self.raft().data_metrics();
        while !self.is_ready(target.get()) {
            match timeout_at(deadline, progress.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_stopped)) => return Err(TransferError::NotLeader),
                Err(_elapsed) => return Err(TransferError::Timeout),
            }
        }
        let announced = self.raft().trigger().transfer_leader(target.get()).await;
        announced.map_err(|_stopped| TransferError::NotLeader)?;
        let taken = leadership.wait_for(|leadership| *leadership == Leadership::Follower { leader: target });
        match timeout_at(deadline, taken).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(TransferError::Timeout),
        }
    }

    /// Hands the leadership to whichever member is furthest, if this one leads and there is another.
    pub(crate) async fn hand_over(&self, deadline: Instant) {
        if !matches!(*self.leadership().borrow(), Leadership::Leader { .. }) {
            return;
        }
        let others = self.members().into_iter().filter(|member| !member.is_learner && member.id != self.member());
        let Some(target) = others.map(|member| member.id).max_by_key(|id| self.progress(id.get())) else { return };
        match self.move_leader(target, deadline).await {
            Ok(()) => tracing::info!(%target, "handed the leadership over"),
            Err(error) => tracing::warn!(%error, %target, "could not hand the leadership over"),
        }
    }

    /// How far a member's log is known to be the leader's, if it is in touch.
    fn progress(&self, member: u64) -> Option<u64> {
        let data = self.raft().data_metrics();
        let data = data.borrow_watched();
        let heard = data.heartbeat.as_ref()?.get(&member)?.as_ref()?;
        let matched = data.replication.as_ref()?.get(&member)?.as_ref()?;
        (heard.elapsed() < IN_TOUCH).then_some(matched.index)
    }

    fn is_ready(&self, member: u64) -> bool {
        let last = self.raft().data_metrics().borrow_watched().last_log.map(|id| id.index);
        // Nothing more is appended once the transfer is announced; openraft itself has the target wait for the last entry.
        self.progress(member).is_some_and(|matched| matched + NEARLY >= last.unwrap_or(0))
    }
}

/// Entries that the target may lack when the transfer is announced: those under way on a busy leader.
const NEARLY: u64 = 1_000;
