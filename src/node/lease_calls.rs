//! What the API may ask of a running member about leases. That a lease exists is read from the state; how long it lives only the leader's
//! keeper knows, which is asked over the wire when another member leads.

use std::time::Duration;

use consensus::{Leadership, LeaseLife, NotLeading};
use model::{Command, Identity, LeaseCheckpoint, LeaseId, MemberId, Rejection, Revision};
use state::{LeaseInfo, Outcome};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Unavailable};
use crate::handle::Handle;
use crate::keeper::KeeperHandle;

/// Largest TTL of a lease in seconds (etcd's figure).
const LEASE_TTL_MAX: i64 = 9_000_000_000;

/// Time after which a leader that could not answer is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

impl Handle {
    /// Creates a lease: with this id, or one that nobody has if it is zero; the TTL, in seconds, is raised to the least that
    /// outlives an election. Returns id and TTL as granted.
    ///
    /// # Errors
    ///
    /// [`Rejection::LeaseTtlTooLarge`], [`Rejection::LeaseExists`]; see [`Error`].
    pub async fn lease_grant(
        &self,
        identity: Identity,
        id: LeaseId,
        ttl: i64,
    ) -> Result<(Revision, LeaseId, i64), Error> {
        let ttl = self.lease_ttl(ttl)?;
        let id = if id.is_some() { id } else { self.new_lease_id() };
        match self.propose(identity, Command::LeaseGrant { id, ttl }).await? {
            (revision, Outcome::LeaseGranted { id, ttl }) => Ok((revision, id, ttl)),
            (_, other) => unreachable!("a lease grant was answered by {other:?}"),
        }
    }

    /// The TTL that is granted to who asks for `ttl`.
    pub(crate) fn lease_ttl(&self, ttl: i64) -> Result<i64, Rejection> {
        if ttl > LEASE_TTL_MAX {
            return Err(Rejection::LeaseTtlTooLarge);
        }
        Ok(ttl.max(self.inner().config.lease_ttl_min()))
    }

    pub(crate) fn new_lease_id(&self) -> LeaseId {
        self.inner().proposer.ids().lease()
    }

    /// Ends a lease; its keys go in one revision. Returns the store's revision.
    ///
    /// # Errors
    ///
    /// [`Rejection::LeaseNotFound`]; see [`Error`].
    pub async fn lease_revoke(&self, identity: Identity, id: LeaseId) -> Result<Revision, Error> {
        Ok(self.propose(identity, Command::LeaseRevoke { id }).await?.0)
    }

    /// Gives a lease its full life back. Returns its TTL in seconds, or `None` when there is no such lease (any more).
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no leader answers in time.
    pub async fn lease_keep_alive(&self, id: LeaseId) -> Result<Option<i64>, Unavailable> {
        let there = |leader, deadline| self.inner().consensus.renew_lease(leader, id, deadline);
        self.ask_lease_authority(|keeper| async move { keeper.keep_alive(id).await }, there).await
    }

    /// Has a lease end in `remaining` seconds, at least one, unless it is renewed before; never later than it would have.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn lease_shorten(&self, id: LeaseId, remaining: i64) -> Result<(), Error> {
        let checkpoint = LeaseCheckpoint { id, remaining: remaining.max(1) };
        self.propose(Identity::cluster(), Command::LeaseCheckpoint(vec![checkpoint])).await.map(drop)
    }

    /// A lease as it is known here, with the keys attached to it; `None` when there is no such lease.
    #[must_use]
    pub fn lease_info(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.inner().reader.lease(id)
    }

    /// What a lease has left, and the keys attached to it; `None` when there is no such lease.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no leader answers in time.
    pub async fn lease_time_to_live(&self, id: LeaseId) -> Result<Option<(LeaseLife, LeaseInfo)>, Unavailable> {
        let there = |leader, deadline| self.inner().consensus.lease_life(leader, id, deadline);
        let life = self.ask_lease_authority(|keeper| async move { keeper.life(id).await }, there).await?;
        Ok(life.zip(self.inner().reader.lease(id)))
    }

    /// All leases known here, in no particular order.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseId> {
        self.inner().reader.leases().into_iter().map(|(id, ..)| id).collect()
    }

    /// Asks whoever leads: this member's keeper, or over the wire the leader's.
    async fn ask_lease_authority<T, Here, There>(
        &self,
        here: impl Fn(KeeperHandle) -> Here,
        there: impl Fn(MemberId, Instant) -> There,
    ) -> Result<T, Unavailable>
    where
        Here: Future<Output = Result<T, Unavailable>>,
        There: Future<Output = Result<T, NotLeading>>,
    {
        let deadline = Instant::now() + self.inner().config.request_timeout();
        let (mut leadership, mut leading) = (self.inner().consensus.leadership(), self.inner().keeper.leading());
        loop {
            let known = *leadership.borrow_and_update();
            leading.mark_unchanged();
            let asked = async {
                match known {
                    Leadership::Follower { leader } => {
                        let soon = deadline.min(Instant::now() + self.inner().config.election_timeout);
                        there(leader, soon).await.map_err(|NotLeading| Unavailable::NoLeader)
                    }
                    Leadership::Leader { .. } => here(self.inner().keeper.clone()).await,
                    Leadership::None => Err(Unavailable::NoLeader),
                }
            };
            match timeout_at(deadline, asked).await.map_err(|_elapsed| Unavailable::Timeout)? {
                Err(Unavailable::NoLeader) if Instant::now() < deadline => {}
                answer => return answer,
            }
            // The keeper hears of leadership a moment after consensus does, and a quorum may come back without a change of it.
            tokio::select! {
                biased;
                changed = leadership.changed() => changed.map_err(|_stopped| Unavailable::Stopped)?,
                changed = leading.changed() => changed.map_err(|_ended| Unavailable::Stopped)?,
                () = tokio::time::sleep(RETRY_INTERVAL) => {}
            }
        }
    }
}
