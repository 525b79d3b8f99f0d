//! A claim as a stream: where it stands, whenever that changes, until it is lost or the client hangs up.
//!
//! The stream is the claim: dropping it gives back a place that its request made, held or not. The session is not renewed by
//! it; that stays the client's to do, or its claim is lost like any other.

use axum::response::Response;
use model::Identity;
use node::{Claim, ClaimState, ClaimStream};

use super::Rest;
use super::caller::Caller;
use super::claim::{ClaimDocument, LossReason, LostClaim, moved, standing_in};
use super::claim_request::CheckedClaim;
use super::claims::{opened_session, refusal};
use super::frames::{Beat, Frame, Framing, Pulse, Source, goaway, respond};
use super::names::{Lock, SessionId};
use super::notice::Notice;
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
        let Some(standing) = standing_in(state) else {
            self.stream = None;
            let why = why_lost(&self.rest, &self.caller, &self.lock, &self.claim).await;
            return Frame::event("lost", &LostClaim::new(&self.lock, self.claim.lease, self.claim.token, why));
        };
        if standing != self.claim.standing {
            self.claim = moved(&self.claim, standing, self.rest.handle.revision());
        }
        let document = ClaimDocument::of(&self.rest, &self.caller, &self.lock, &self.claim, self.opened.take()).await;
        Frame::event(if self.claim.is_held() { "granted" } else { "queued" }, &document)
    }
}

/// Why a claim is gone. It goes alone or with its session, so the session tells, and a notice beside it says if it was broken. Not
/// knowing is no reason to keep the loss for oneself.
pub(crate) async fn why_lost(
    rest: &Rest,
    caller: &Identity,
    lock: &Lock,
    claim: &Claim,
) -> (LossReason, Option<String>) {
    if let Ok(None) = rest.handle.lease_time_to_live(claim.lease).await {
        return (LossReason::SessionEnded, None);
    }
    match Notice::find(rest, caller, &lock.namespace, SessionId::of(claim.lease)).await {
        Some(notice) if notice.is_breaking(claim) => (LossReason::Broken, notice.reason),
        Some(_) | None => (LossReason::Released, None),
    }
}
