//! A proposal's way into the log and its answer's way back.
//!
//! What a caller learns is one of three things: the reply of the state machine, *not applied* (proposing again is safe), or
//! *unknown* (it may be applied, now or later). [`ProposeError::may_be_applied`] tells the last two apart.

use std::time::Duration;

use bytes::Bytes;
use model::Term;
use openraft::alias::CommittedLeaderIdOf;
use openraft::errors::{ClientWriteError, ForwardToLeader};
use openraft::raft::ClientWriteResult;
use openraft::raft::responder::Responder;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::admission::Admitted;
use crate::handle::Handle;
use crate::types::{Command, TypeConfig, model_log_id};
use crate::{Leadership, ProposeError};

/// Time after which a leader that had lost its quorum is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Largest proposal that a record of the log holds, in bytes. The edge refuses far smaller ones; beyond it the log would fail.
pub const PROPOSAL_BYTES_MAX: usize = wal::MAX_PAYLOAD - 1;

/// A proposal that was committed and applied on this member.
#[derive(Debug)]
pub struct Committed {
    /// Its place in the log.
    pub log_id: model::LogId,
    /// What the state machine answered: an outcome or a rejection.
    pub reply: state::Reply,
}

/// Where openraft leaves an answer; it holds the proposal's place in the pipeline until then.
pub(crate) struct Answer<T> {
    waiting: oneshot::Sender<T>,
    _place: Admitted,
}

impl<T> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}

impl<T: Send + 'static> Responder<TypeConfig, T> for Answer<T> {
    fn on_complete(self, result: T) {
        // Nobody listens when the caller gave up; the entry is applied all the same.
        let _ = self.waiting.send(result);
    }
}

type Outcome = ClientWriteResult<TypeConfig>;

impl Handle {
    /// Proposes a command and returns what the state machine answered, once the entry is applied here.
    ///
    /// A member that does not lead has the leader propose it. Without a leader it waits for one. `payload` is what the machine reads:
    /// `model::Proposal::encode`.
    ///
    /// # Errors
    ///
    /// [`ProposeError`]; `may_be_applied` says whether proposing again could do it twice.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing half-done here, but does not call the entry back: it may be applied.
    pub async fn propose(&self, payload: Bytes, deadline: Instant) -> Result<Committed, ProposeError> {
        let mut leadership = self.leadership();
        loop {
            let known = *leadership.borrow_and_update();
            let answered = match known {
                Leadership::Follower { leader } => self.propose_there(leader, payload.clone(), deadline).await,
                Leadership::Leader { .. } | Leadership::None => self.propose_here(payload.clone(), deadline).await,
            };
            match answered {
                Err(ProposeError::NoLeader | ProposeError::NotLeader(_)) => {
                    wait_for_change(&mut leadership, deadline).await?;
                }
                answered => return answered,
            }
        }
    }

    /// Proposes to this member's own log and to no other, which takes it if this member still leads in `term`: for what a leader decides
    /// from its own clocks. Never forwarded, never tried again: under another leader, or in a later term of this one, it may be false.
    ///
    /// # Errors
    ///
    /// [`ProposeError`]; [`ProposeError::NotLeader`] or [`ProposeError::NoLeader`] at once when that term is over, or without a quorum.
    ///
    /// # Cancel safety
    ///
    /// As [`Handle::propose`].
    pub async fn propose_as_leader(
        &self,
        term: Term,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Committed, ProposeError> {
        let (answer, submitted) = self.admit(&payload)?;
        let leader = CommittedLeaderIdOf::<TypeConfig>::new(term.get());
        let write = self.raft().write(Command(payload)).with_leader(leader).responder(answer);
        handed_over(timeout_at(deadline, write.into_future()).await)?;
        submitted.committed(deadline).await
    }

    /// Proposes to this member's own log, which takes it if this member leads.
    pub(crate) async fn propose_here(&self, payload: Bytes, deadline: Instant) -> Result<Committed, ProposeError> {
        self.submit(payload, deadline).await?.committed(deadline).await
    }

    /// Hands a proposal to the log. Returns as soon as its place in the order of proposals is certain.
    pub(crate) async fn submit(&self, payload: Bytes, deadline: Instant) -> Result<Submitted, ProposeError> {
        let (answer, submitted) = self.admit(&payload)?;
        handed_over(timeout_at(deadline, self.raft().client_write_ff(Command(payload), Some(answer))).await)?;
        Ok(submitted)
    }

    /// A place in the pipeline, and where the answer comes.
    fn admit(&self, payload: &Bytes) -> Result<(Answer<Outcome>, Submitted), ProposeError> {
        if payload.len() > PROPOSAL_BYTES_MAX {
            return Err(ProposeError::TooManyRequests);
        }
        let place = self.admission().admit(payload.len())?;
        let (waiting, outcome) = oneshot::channel();
        Ok((Answer { waiting, _place: place }, Submitted { outcome }))
    }
}

/// Whether openraft has taken a proposal.
fn handed_over<F>(taken: Result<Result<(), F>, tokio::time::error::Elapsed>) -> Result<(), ProposeError> {
    match taken {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_fatal)) => Err(ProposeError::Stopped),
        Err(_elapsed) => Err(ProposeError::NotProposed),
    }
}

/// A proposal on its way.
pub(crate) struct Submitted {
    outcome: oneshot::Receiver<Outcome>,
}

impl Submitted {
    /// Its answer.
    pub(crate) async fn committed(self, deadline: Instant) -> Result<Committed, ProposeError> {
        match timeout_at(deadline, self.outcome).await {
            Ok(Ok(outcome)) => judge(outcome),
            Ok(Err(_dropped)) => Err(ProposeError::Interrupted),
            Err(_elapsed) => Err(ProposeError::Timeout),
        }
    }
}

fn judge(outcome: Outcome) -> Result<Committed, ProposeError> {
    match outcome {
        Ok(written) => Ok(Committed { log_id: model_log_id(written.log_id), reply: written.data }),
        Err(ClientWriteError::ForwardToLeader(ForwardToLeader { leader_id: Some(leader), .. })) => {
            Err(ProposeError::NotLeader(model::MemberId::new(leader)))
        }
        Err(ClientWriteError::ForwardToLeader(_)) => Err(ProposeError::NoLeader),
        // Only a change of the membership can be refused for these; a command is not one, so that nothing is lost in the word.
        Err(ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)) => {
            Err(ProposeError::NotProposed)
        }
        Err(ClientWriteError::LogEntryDiscarded(_)) => Err(ProposeError::LeaderChanged),
    }
}

/// Returns when asking again may help: the leadership changed, or time passed in which a leader may have met its quorum again.
async fn wait_for_change(leadership: &mut watch::Receiver<Leadership>, deadline: Instant) -> Result<(), ProposeError> {
    match timeout_at(deadline.min(Instant::now() + RETRY_INTERVAL), leadership.changed()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_closed)) => Err(ProposeError::Stopped),
        Err(_elapsed) if Instant::now() < deadline => Ok(()),
        Err(_elapsed) => Err(ProposeError::NoLeader),
    }
}
