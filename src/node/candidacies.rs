//! Candidacies: standing for election, waiting to lead, proclaiming. A candidacy is a claim, so waiting, giving up and coming back
//! are those of claims, and so is the rule that a request that is dropped gives back what it made.

use std::time::Duration;

use bytes::Bytes;
use model::{Identity, KeyRange, KeyValue, RangeRequest, Revision};
use recipes::{About, Campaign, Proclaim, ProclaimOutcome, contender_key};
use tokio::time::Instant;

use crate::claim_outcome::ClaimOutcome;
use crate::claim_request::{OnTimeout, SessionRequest};
use crate::claims::Patience;
use crate::error::Error;
use crate::handle::Handle;

/// A candidacy to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignRequest {
    /// What the keys of all candidates begin with, slash included.
    pub prefix: Bytes,
    /// For whom.
    pub session: SessionRequest,
    /// What the candidate proclaims once it leads.
    pub value: Bytes,
    /// What is to be known about the value.
    pub about: Option<About>,
    /// How long to wait to lead.
    pub wait: Duration,
    /// What becomes of the candidacy after that.
    pub on_timeout: OnTimeout,
    /// Whether to stand again.
    pub requeue: Requeue,
}

/// What to do when a candidacy is withdrawn from elsewhere while the request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// Say that it was lost.
    Never,
    /// Stand again, behind all others, as long as the session lives.
    WhileSessionLives,
}

impl Handle {
    /// Stands for election and waits to lead as long as the request says.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the outcome is unknown, asking again for the same session finds the candidacy, if it was made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives back a candidacy that it made.
    pub async fn campaign(&self, identity: Identity, request: CampaignRequest) -> Result<ClaimOutcome, Error> {
        let CampaignRequest { prefix, session, value, about, wait, on_timeout, requeue } = request;
        let deadline = Instant::now() + wait;
        let mut session = self.claimant(session)?;
        loop {
            let lease = session.lease();
            let campaign = Campaign { prefix: prefix.clone(), session, value: value.clone(), about: about.clone() };
            let command = recipes::Command::Campaign(campaign);
            let patience = Patience { wait: deadline.saturating_duration_since(Instant::now()), on_timeout };
            let outcome = self.stand_in_line(identity.clone(), (prefix.clone(), lease), command, patience).await?;
            if outcome != ClaimOutcome::Lost || requeue == Requeue::Never || Instant::now() >= deadline {
                return Ok(outcome);
            }
            // A session that ended is found out by standing again; if that was all that was lost, say so.
            session = recipes::Session::Existing(lease);
        }
    }

    /// Changes the value of the leader of `term`, if it still leads. Returns the store's revision and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn proclaim(&self, identity: Identity, proclaim: Proclaim) -> Result<(Revision, ProclaimOutcome), Error> {
        match self.recipe(identity, recipes::Command::Proclaim(proclaim)).await? {
            (revision, recipes::Outcome::Proclaim(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a proclamation was answered by {other:?}"),
        }
    }

    /// What is known about the value that candidate `candidate` had at `revision`, under records that begin with `prefix`; nothing if
    /// it was proclaimed by a client that says nothing about it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn about(
        &self,
        caller: &Identity,
        prefix: &Bytes,
        candidate: &KeyValue,
        revision: Revision,
    ) -> Result<Option<Bytes>, Error> {
        let key = KeyRange::Single(contender_key(prefix, candidate.lease));
        // The member has this revision: it is where the candidate was seen.
        let read = RangeRequest { serializable: true, ..RangeRequest::new(key).at(revision) };
        let record = self.range(caller, read).await?.kvs.pop();
        Ok(record.filter(|record| record.mod_revision == candidate.mod_revision).map(|record| record.value))
    }
}
