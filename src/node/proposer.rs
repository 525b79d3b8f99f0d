//! Proposals: from a command to a committed, applied answer, with admission and a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consensus::ProposeError;
use model::{Command, Identity, Proposal, Rejection, Revision};
use state::Outcome;
use tokio::time::Instant;

use crate::error::{Error, Unavailable};
use crate::ids::{IdSource, WallClock};
use crate::measures::Measures;

/// What every proposer of this member needs.
pub(crate) struct Proposer {
    consensus: consensus::Handle,
    ids: IdSource,
    clock: WallClock,
    measures: Arc<Measures>,
    request_bytes_max: usize,
    request_timeout: Duration,
}

impl Proposer {
    pub(crate) fn new(
        consensus: consensus::Handle,
        ids: IdSource,
        clock: WallClock,
        measures: Arc<Measures>,
        request_bytes_max: usize,
        request_timeout: Duration,
    ) -> Self {
        Self { consensus, ids, clock, measures, request_bytes_max, request_timeout }
    }

    pub(crate) fn consensus(&self) -> &consensus::Handle {
        &self.consensus
    }

    pub(crate) fn ids(&self) -> &IdSource {
        &self.ids
    }

    /// Proposes a command of this member's own, with the rights of root.
    pub(crate) async fn propose_internal(&self, command: Command) -> Result<(Revision, Outcome), Error> {
        self.propose(Identity::default(), command).await
    }

    /// Proposes `command` and waits until it is applied here: the revision of the answer's header, and the outcome.
    ///
    /// # Errors
    ///
    /// A rejection means that nothing happened. [`Unavailable::outcome_unknown`] says whether it may have.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the proposal back: it may still be committed.
    pub(crate) async fn propose(&self, identity: Identity, command: Command) -> Result<(Revision, Outcome), Error> {
        let proposal = Proposal { id: self.ids.proposal(), proposed_at_ms: (self.clock)(), identity, command };
        let payload = proposal.encode();
        if payload.len() > self.request_bytes_max {
            return Err(Rejection::RequestTooLarge.into());
        }
        let deadline = Instant::now() + self.request_timeout;
        let _pending = Pending::new(&self.measures.proposals_pending);
        let committed = self.consensus.propose(payload, deadline).await.map_err(|error| {
            self.measures.proposals_failed.fetch_add(1, Ordering::Relaxed);
            unavailable(error)
        })?;
        Ok((committed.reply.revision, committed.reply.result?))
    }
}

/// Counts a proposal for as long as somebody waits for it.
struct Pending<'a>(&'a AtomicU64);

impl<'a> Pending<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn unavailable(error: ProposeError) -> Unavailable {
    match error {
        ProposeError::NoLeader | ProposeError::NotLeader(_) => Unavailable::NoLeader,
        ProposeError::TooManyRequests | ProposeError::NotProposed => Unavailable::TooManyRequests,
        ProposeError::LeaderChanged => Unavailable::LeaderChanged,
        ProposeError::Timeout => Unavailable::Timeout,
        ProposeError::Stopped | ProposeError::Interrupted => Unavailable::Stopped,
    }
}
