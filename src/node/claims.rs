//! Claims: places in lines, from asking for one to holding or leaving it. What `recipes` decides when a command is applied becomes
//! here something that a client can wait for, give up and return to. What is asked and what comes of it are `claim_request` and
//! `claim_outcome`; what becomes of a claim whose client hangs up is `claim_guard`'s.

use std::time::Duration;

use bytes::Bytes;
use model::{Identity, KeyRange, LeaseId, RangeRequest, Revision};
use recipes::{
    Amend, AmendOutcome, Amendment, ClaimRecord, Claimed, Enqueue, Extent, GiveUp, GiveUpOutcome, LimitOutcome, Notice,
    Place, Release, SetLimit, Standing, Tell, TellOutcome, contender_key,
};
use tokio::time::{Instant, timeout_at};

use crate::claim_guard::{Asking, Guard};
use crate::claim_outcome::{Claim, ClaimOutcome, ReleaseOutcome};
use crate::claim_request::{ClaimRequest, OnTimeout, QueuePolicy, SessionRequest};
use crate::claimable::Claimable;
use crate::error::Error;
use crate::handle::Handle;
use crate::session_feed::SessionFeed;
use crate::waiters::{ClaimState, Followed, Watched};

/// How long to stand in line, and what becomes of the place after that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) on_timeout: OnTimeout,
}

/// A claim that is to be made: the command, the key of its record, and its places.
struct Wish {
    command: recipes::Command,
    record: Bytes,
    places: Vec<Place>,
}

/// A claim followed from this member. Dropping it gives the claim back, if the request that began it made it.
#[derive(Debug)]
pub struct ClaimStream {
    watched: Watched,
    first: bool,
    _guard: Option<Guard>,
}

impl ClaimStream {
    /// Where the claim stands: at once, then whenever that changes; `None` after [`ClaimState::Lost`] or when the member stops.
    ///
    /// # Cancel safety
    ///
    /// A change is not lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ClaimState> {
        if !std::mem::take(&mut self.first) {
            self.watched.state.changed().await.ok()?;
        }
        Some(*self.watched.state.borrow_and_update())
    }
}

impl Handle {
    /// Claims something and waits for it as long as the request says.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the outcome is unknown, asking again for the same session finds the claim, if it was made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives back a claim that it made and that nobody else was told of.
    pub async fn claim(&self, identity: Identity, request: ClaimRequest) -> Result<ClaimOutcome, Error> {
        let patience = Patience { wait: request.wait, on_timeout: request.on_timeout };
        let wish = self.wish(request)?;
        self.claim_patiently(identity, wish, patience).await
    }

    /// Has a place in the line of `prefix`, in which the oldest key holds, taken by `command` for a session, and waits for it.
    pub(crate) async fn stand_in_line(
        &self,
        identity: Identity,
        (prefix, lease): (Bytes, LeaseId),
        command: recipes::Command,
        patience: Patience,
    ) -> Result<ClaimOutcome, Error> {
        let record = contender_key(&prefix, lease);
        let wish = Wish { command, record, places: vec![Place::Mutex { prefix }] };
        self.claim_patiently(identity, wish, patience).await
    }

    async fn claim_patiently(
        &self,
        identity: Identity,
        wish: Wish,
        Patience { wait, on_timeout }: Patience,
    ) -> Result<ClaimOutcome, Error> {
        let deadline = Instant::now() + wait;
        let (asked, guard) = self.ask(identity.clone(), wish).await?;
        let (mut claim, is_new) = match asked {
            Asked::Answered(outcome) => return Ok(guard.keep(outcome)),
            Asked::InLine { claim, is_new } => (claim, is_new),
        };
        if Instant::now() < deadline {
            let mut watched = self.watch_claim(&claim).await?;
            match decided(&mut watched, deadline).await {
                ClaimState::Granted => {
                    let claim = claim.granted(self.revision());
                    return Ok(guard.keep(ClaimOutcome::Held { claim, is_new }));
                }
                ClaimState::Lost => return Ok(guard.keep(ClaimOutcome::Lost)),
                ClaimState::Queued { ahead } => claim.standing = Standing::Queued { ahead },
            }
        }
        match on_timeout {
            OnTimeout::Keep => Ok(guard.keep(ClaimOutcome::Queued { claim })),
            OnTimeout::Leave => {
                self.give_up(identity, claim.record, Some(claim.token), Extent::Whole).await?;
                Ok(guard.keep(ClaimOutcome::WaitTimeout { holder: claim.holder }))
            }
        }
    }

    /// Claims something and follows the claim for as long as the stream is held: through waiting, holding and losing it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream gives back a claim that the request made and that nobody else was told of, held or not.
    pub async fn claim_stream(
        &self,
        identity: Identity,
        request: ClaimRequest,
    ) -> Result<(ClaimOutcome, Option<ClaimStream>), Error> {
        let (asked, guard) = self.ask(identity, self.wish(request)?).await?;
        let outcome = match asked {
            Asked::Answered(outcome) => outcome,
            Asked::InLine { claim, .. } => ClaimOutcome::Queued { claim },
        };
        let (ClaimOutcome::Held { claim, .. } | ClaimOutcome::Queued { claim }) = &outcome else {
            return Ok((guard.keep(outcome), None));
        };
        let watched = self.watch_claim(claim).await?;
        Ok((outcome, Some(ClaimStream { watched, first: true, _guard: Some(guard) })))
    }

    /// Follows a claim that there is. Dropping the stream gives nothing back.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn follow_claim(&self, claim: &Claim) -> Result<ClaimStream, Error> {
        Ok(ClaimStream { watched: self.watch_claim(claim).await?, first: true, _guard: None })
    }

    /// Follows what happens to the keys of a session, from some revision before the answer on.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn follow_session(&self, lease: LeaseId) -> Result<SessionFeed, Error> {
        self.inner().waiters.follow_session(lease).await
    }

    /// The claim of a session, if it has one.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn claim_state(
        &self,
        identity: &Identity,
        thing: &Claimable,
        lease: LeaseId,
    ) -> Result<Option<Claim>, Error> {
        Ok(self.look_at_claim(identity, thing, lease).await?.map(|(claim, _)| claim))
    }

    /// The claim of a session, when it waits no more, or at the end of `wait`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn claim_wait(
        &self,
        identity: &Identity,
        thing: &Claimable,
        lease: LeaseId,
        wait: Duration,
    ) -> Result<Option<Claim>, Error> {
        let deadline = Instant::now() + wait;
        let Some((claim, mut watched)) = self.look_at_claim(identity, thing, lease).await? else { return Ok(None) };
        Ok(match decided(&mut watched, deadline).await {
            ClaimState::Lost => None,
            ClaimState::Granted if claim.is_held() => Some(claim),
            ClaimState::Granted => Some(claim.granted(self.revision())),
            ClaimState::Queued { ahead } => Some(Claim { standing: Standing::Queued { ahead }, ..claim }),
        })
    }

    /// Gives a claim up, or a part of it: only that of `token`, if one is named. `record` is the key of its record.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Giving up twice is safe.
    pub async fn give_up(
        &self,
        identity: Identity,
        record: Bytes,
        token: Option<Revision>,
        extent: Extent,
    ) -> Result<GiveUpOutcome, Error> {
        match self.recipe(identity, recipes::Command::GiveUp(GiveUp { record, token, extent })).await? {
            (_, recipes::Outcome::GiveUp(outcome)) => Ok(outcome),
            (_, other) => unreachable!("a give-up was answered by {other:?}"),
        }
    }

    /// Deletes the key of a claim whose key is its only one, held or waiting: only that of `token`, if one is named.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Releasing twice is safe.
    pub async fn release(
        &self,
        identity: Identity,
        key: Bytes,
        token: Option<Revision>,
    ) -> Result<ReleaseOutcome, Error> {
        match self.recipe(identity, recipes::Command::Release(Release { key, token })).await? {
            (_, recipes::Outcome::Release(outcome)) => Ok(outcome),
            (_, other) => unreachable!("a release was answered by {other:?}"),
        }
    }

    /// Changes a claim that there is: only that of `token`, if one is named.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn amend_claim(
        &self,
        identity: Identity,
        record: Bytes,
        token: Option<Revision>,
        change: Amendment,
    ) -> Result<(Revision, AmendOutcome), Error> {
        match self.recipe(identity, recipes::Command::Amend(Amend { record, token, change })).await? {
            (revision, recipes::Outcome::Amend(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a change of a claim was answered by {other:?}"),
        }
    }

    /// Tells the session of a claim something.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn tell_claimant(
        &self,
        identity: Identity,
        record: Bytes,
        token: Option<Revision>,
        notice: Notice,
    ) -> Result<(Revision, TellOutcome), Error> {
        match self.recipe(identity, recipes::Command::Tell(Tell { record, token, notice })).await? {
            (revision, recipes::Outcome::Tell(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a notice was answered by {other:?}"),
        }
    }

    /// Gives a semaphore its limit.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn set_limit(
        &self,
        identity: Identity,
        prefix: Bytes,
        key: Bytes,
        limit: u32,
    ) -> Result<(Revision, LimitOutcome), Error> {
        match self.recipe(identity, recipes::Command::SetLimit(SetLimit { prefix, key, limit })).await? {
            (revision, recipes::Outcome::Limit(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a limit was answered by {other:?}"),
        }
    }

    /// The session that a claim is made for, as a command says it.
    pub(crate) fn claimant(&self, session: SessionRequest) -> Result<recipes::Session, Error> {
        Ok(match session {
            SessionRequest::Existing(lease) => recipes::Session::Existing(lease),
            SessionRequest::New { ttl, record_prefix, record } => {
                recipes::Session::New(self.session(self.new_lease_id(), ttl, &record_prefix, record)?)
            }
        })
    }

    fn wish(&self, request: ClaimRequest) -> Result<Wish, Error> {
        let session = self.claimant(request.session)?;
        let enqueue = match request.queue {
            QueuePolicy::TryOnly => Enqueue::TryOnly,
            QueuePolicy::Enqueue { waiting_max } => Enqueue::Enqueue { waiting_max },
        };
        let lease = session.lease();
        let record = request.records.map(|records| contender_key(&records, lease));
        let (places, hold, meta) = (request.places, request.hold, request.meta);
        let first = places.first().map(|place| place.key(lease)).unwrap_or_default();
        let record_key = record.clone().unwrap_or(first);
        let claim = recipes::Claim { session, places: places.clone(), record, enqueue, hold, meta };
        Ok(Wish { command: recipes::Command::Claim(claim), record: record_key, places })
    }

    /// Makes the claim. The guard holds it from here on.
    async fn ask(&self, identity: Identity, wish: Wish) -> Result<(Asked, Guard), Error> {
        let Wish { command, record, places } = wish;
        let asking = Asking {
            claim: Some(Box::pin(self.clone().propose_claim(identity, command))),
            handle: self.clone(),
            record: record.clone(),
        };
        let (revision, outcome) = asking.await?;
        let guard = Guard::of(self, record.clone(), &outcome);
        let claim = |claimed| Claim::new(record, places, claimed, revision);
        Ok((Asked::new(outcome, claim), guard))
    }

    async fn propose_claim(
        self,
        identity: Identity,
        command: recipes::Command,
    ) -> Result<(Revision, recipes::ClaimOutcome), Error> {
        match self.recipe(identity, command).await? {
            (revision, recipes::Outcome::Claim(outcome)) => Ok((revision, outcome)),
            (revision, recipes::Outcome::Acquire(outcome)) => Ok((revision, outcome.into())),
            (_, other) => unreachable!("a claim was answered by {other:?}"),
        }
    }

    async fn watch_claim(&self, claim: &Claim) -> Result<Watched, Error> {
        let (record, places) = (claim.record.clone(), claim.places.clone());
        let followed = Followed { record, places, lease: claim.lease, token: claim.token, seen_at: claim.revision };
        self.inner().waiters.watch(followed).await
    }

    async fn look_at_claim(
        &self,
        identity: &Identity,
        thing: &Claimable,
        lease: LeaseId,
    ) -> Result<Option<(Claim, Watched)>, Error> {
        let record_key = thing.record_key(lease);
        let read = self.range(identity, RangeRequest::new(KeyRange::Single(record_key.clone()))).await?;
        let Some(record) = read.kvs.into_iter().next() else { return Ok(None) };
        let places = thing.places(&ClaimRecord::read(&record.value));
        let Some(key) = places.first().map(|place| place.key(lease)) else { return Ok(None) };
        let mut token = record.create_revision;
        if key != record_key {
            let range = RangeRequest::new(KeyRange::Single(key.clone())).at(read.revision);
            let Some(first) = self.range(identity, range).await?.kvs.into_iter().next() else { return Ok(None) };
            token = first.create_revision;
        }
        // A claim is a key that is named after a session; whose lease it is on is its maker's affair.
        let claimed = Claimed { key, token, lease, value: record.value, standing: Standing::Granted, holder: None };
        let mut claim = Claim::new(record_key, places, claimed, read.revision);
        let watched = self.watch_claim(&claim).await?;
        match *watched.state.borrow() {
            ClaimState::Lost => return Ok(None),
            ClaimState::Granted => {}
            ClaimState::Queued { ahead } => claim.standing = Standing::Queued { ahead },
        }
        if !claim.is_held()
            && let Some(head) = watched.head.clone()
        {
            let head = RangeRequest { serializable: true, ..RangeRequest::new(KeyRange::Single(head)) };
            let read = self.range(identity, head).await?;
            claim.holder = read.kvs.into_iter().next();
        }
        Ok(Some((claim, watched)))
    }
}

/// Waits until the claim waits no more, at most until `deadline`. A closed channel without a decision means that the member stops: as
/// a timeout.
async fn decided(watched: &mut Watched, deadline: Instant) -> ClaimState {
    let decided = watched.state.wait_for(|state| !matches!(state, ClaimState::Queued { .. }));
    let state = timeout_at(deadline, decided).await.ok().and_then(Result::ok).map(|state| *state);
    state.unwrap_or_else(|| *watched.state.borrow())
}

/// What the machine said, as far as it can be answered at once.
enum Asked {
    Answered(ClaimOutcome),
    InLine { claim: Claim, is_new: bool },
}

impl Asked {
    fn new(outcome: recipes::ClaimOutcome, claim: impl FnOnce(Claimed) -> Claim) -> Self {
        use recipes::ClaimOutcome as Decided;
        Self::Answered(match outcome {
            Decided::Claimed { claim: claimed, is_new } => match claim(claimed) {
                claim if claim.is_held() => ClaimOutcome::Held { claim, is_new },
                claim => return Self::InLine { claim, is_new },
            },
            Decided::Busy { holder } => ClaimOutcome::Busy { holder },
            Decided::QueueFull { holder } => ClaimOutcome::QueueFull { holder },
            // A conflict can only be that the id, chosen here, is in use: then nothing was opened.
            Decided::SessionExpired | Decided::SessionConflict => ClaimOutcome::SessionNotFound,
            Decided::OtherClaim => ClaimOutcome::OtherClaim,
            Decided::Broken => ClaimOutcome::Broken,
            Decided::LimitExceeded { limit } => ClaimOutcome::LimitExceeded { limit },
            Decided::NoLimit => ClaimOutcome::NoSemaphore,
            Decided::TooManyHolds => ClaimOutcome::TooManyHolds,
        })
    }
}
