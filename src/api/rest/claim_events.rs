//! A claim as a stream: where it stands, whenever that changes, until it is lost or the client hangs up.
//!
//! The stream is the claim: dropping it gives back a place that its request made, held or not. The session is not renewed by
//! it; that stays the client's to do, or its claim is lost like any other.

use axum::response::Response;
use node::{Claim, ClaimState, ClaimStream};

use super::Rest;
use super::caller::Caller;
use super::claim::{ClaimDocument, LossReason, LostClaim, ahead_in, moved};
use super::claim_request::CheckedClaim;
use super::claims::{opened_session, refusal};
use super::frames::{Beat, Frame, Framing, Pulse, Source, goaway, respond};
use super::names::Lock;
use super::problem::Problem;
use super::sessions::Session;

/// Makes the claim and streams it.
pub(crate) async fn stream(
    rest: Rest,
    caller: Caller,
    lock: Lock,
    checked: CheckedClaim,
    framing: Framing,
) -> Result<Response, Problem> {
    let CheckedClaim { request, opens } = checked;
    let asked = rest.unless_stopping(rest.handle.claim_stream(caller.identity(), request)).await?;
    let (outcome, stream) = asked.map_err(Problem::of_write)?;
    let (claim, stream) = match (outcome, stream) {
        (node::ClaimOutcome::Held { claim, .. } | node::ClaimOutcome::Queued { claim }, Some(stream)) => {
            (claim, stream)
        }
        (refused, _) => return Err(refusal(&rest, &caller, &lock, refused).await),
    };
    let opened = opens.map(|opens| opened_session(&rest, &claim, opens));
    let pulse = Pulse::new(rest.draining.clone());
    Ok(respond(framing, ClaimEvents { rest, caller, lock, claim, opened, stream: Some(stream), pulse }))
}

struct ClaimEvents {
    rest: Rest,
    caller: Caller,
    lock: Lock,
    claim: Claim,
    /// The session that was opened with the claim, until it was told.
    opened: Option<Session>,
    /// `None` when all was told.
    stream: Option<ClaimStream>,
    pulse: Pulse,
}

impl Source for ClaimEvents {
    async fn next(&mut self) -> Option<Frame> {
        let stream = self.stream.as_mut()?;
        match self.pulse.wait_for(stream.next()).await {
            Beat::Came(Some(state)) => Some(self.tell(state).await),
            Beat::Quiet => Some(Frame::Ping),
            Beat::Came(None) | Beat::Stopping => {
                self.stream = None;
                Some(goaway())
            }
        }
    }
}

impl ClaimEvents {
    async fn tell(&mut self, state: ClaimState) -> Frame {
        let Some(ahead) = ahead_in(state) else {
            self.stream = None;
            let reason = self.loss_reason().await;
            return Frame::event("lost", &LostClaim::new(&self.lock, self.claim.lease, self.claim.token, reason));
        };
        if ahead != self.claim.ahead {
            self.claim = moved(&self.claim, ahead, self.rest.handle.revision());
        }
        let document = ClaimDocument::of(&self.rest, &self.caller, &self.lock, &self.claim, self.opened.take()).await;
        Frame::event(if ahead == 0 { "granted" } else { "queued" }, &document)
    }

    /// A claim goes alone or with its session, so the session tells. Not knowing is no reason to keep the loss for oneself.
    async fn loss_reason(&self) -> LossReason {
        match self.rest.handle.lease_time_to_live(self.claim.lease).await {
            Ok(None) => LossReason::SessionEnded,
            Ok(Some(_)) | Err(_) => LossReason::Released,
        }
    }
}
