//! Questions about leases that only the leader can answer: asked of it over the wire.

use std::sync::Arc;
use std::time::Duration;

use model::{LeaseId, MemberId};
use proto::quoratepb as pb;
use tokio::time::Instant;

use crate::handle::Handle;
use crate::lease_authority::{LeaseAuthority, LeaseLife, NotLeading};

impl Handle {
    /// Names who answers for leases when this member leads. Until then other members hear that it does not.
    ///
    /// # Panics
    ///
    /// When named twice.
    pub fn serve_leases(&self, authority: Arc<dyn LeaseAuthority>) {
        assert!(self.lease_authority().set(authority).is_ok(), "one lease keeper");
    }

    /// Asks `leader` what a lease has left; none when there is no such lease.
    ///
    /// # Errors
    ///
    /// [`NotLeading`]: it does not lead, or did not answer in time.
    pub async fn lease_life(
        &self,
        leader: MemberId,
        id: LeaseId,
        deadline: Instant,
    ) -> Result<Option<LeaseLife>, NotLeading> {
        use pb::lease_life_response::Outcome;
        let peer = self.peers().to(leader.get()).ok_or(NotLeading)?;
        let request = pb::LeaseLifeRequest { header: Some(self.peers().header(leader.get())), id: id.get() };
        let answer = peer.lease_life(request, until(deadline)).await;
        match self.peers().heed(answer).ok().and_then(|response| response.outcome) {
            Some(Outcome::Life(pb::LeaseLife { granted_ttl, remaining })) => {
                Ok(Some(LeaseLife { granted_ttl, remaining }))
            }
            Some(Outcome::Unknown(pb::LeaseUnknown {})) => Ok(None),
            Some(Outcome::NotLeader(_)) | None => Err(NotLeading),
        }
    }
}

/// What is left until a deadline, at least a moment.
pub(crate) fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
