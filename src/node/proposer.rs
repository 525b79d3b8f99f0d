//! Proposals: from a command to a committed, applied answer, with admission and a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consensus::{Committed, ProposeError};
use model::{Command, Identity, LogIndex, Proposal, Rejection, Revision, Term};
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

    /// Milliseconds since 1970.
    pub(crate) fn wall_clock_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Proposes what this member decided by its own clocks as the leader in `term`, on behalf of the cluster. It goes to this member's
    /// own log while that term lasts, and never to another leader. Returns its place in the log, and the outcome.
    ///
    /// # Errors
    ///
    /// As [`Proposer::propose`]; [`Unavailable::NoLeader`] when the term is over.
    pub(crate) async fn propose_as_leader(&self, term: Term, command: Command) -> Result<(LogIndex, Outcome), Error> {
        let (payload, deadline) = self.prepare(Identity::cluster(), command)?;
        let committed = self.answer(self.consensus.propose_as_leader(term, payload, deadline)).await?;
        Ok((committed.log_id.index, committed.reply.result?))
    }

    /// Proposes on behalf of the cluster what a client was found to be entitled to. Returns its place in the log, and the revision of
    /// the answer's header.
    ///
    /// # Errors
    ///
    /// As [`Proposer::propose`].
    pub(crate) async fn propose_as_cluster(&self, command: Command) -> Result<(LogIndex, Revision), Error> {
        let (payload, deadline) = self.prepare(Identity::cluster(), command)?;
        let committed = self.answer(self.consensus.propose(payload, deadline)).await?;
        committed.reply.result?;
        Ok((committed.log_id.index, committed.reply.revision))
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
        let (payload, deadline) = self.prepare(identity, command)?;
        let committed = self.answer(self.consensus.propose(payload, deadline)).await?;
        Ok((committed.reply.revision, committed.reply.result?))
    }

    /// The bytes of a proposal, and how long it may take.
    fn prepare(&self, identity: Identity, command: Command) -> Result<(Bytes, Instant), Error> {
        let proposal = Proposal { id: self.ids.proposal(), proposed_at_ms: (self.clock)(), identity, command };
        let payload = proposal.encode();
        if payload.len() > self.request_bytes_max {
            return Err(Rejection::RequestTooLarge.into());
        }
        Ok((payload, Instant::now() + self.request_timeout))
    }

    async fn answer(
        &self,
        proposed: impl Future<Output = Result<Committed, ProposeError>>,
    ) -> Result<Committed, Unavailable> {
        let _pending = Pending::new(&self.measures.proposals_pending);
        proposed.await.map_err(|error| {
            self.measures.proposals_failed.fetch_add(1, Ordering::Relaxed);
            unavailable(error)
        })
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
    #[cfg(seeded_bugs)]
    if model::seeded_bug("unknown outcome called a refusal") {
        return Unavailable::NoLeader;
    }
    match error {
        ProposeError::NoLeader | ProposeError::NotLeader(_) => Unavailable::NoLeader,
        ProposeError::TooManyRequests | ProposeError::NotProposed => Unavailable::TooManyRequests,
        ProposeError::LeaderChanged => Unavailable::LeaderChanged,
        ProposeError::Timeout => Unavailable::Timeout,
        ProposeError::Stopped | ProposeError::Interrupted => Unavailable::Stopped,
    }
}
