//! Claims: places in the line of a lock, from asking for one to holding or leaving it. What `recipes` decides when a command is
//! applied becomes here something that a client can wait for, give up and return to. What is asked and what comes of it are
//! `claim_request` and `claim_outcome`.
//!
//! A request that made a place and is dropped before it was answered (its client hung up) gives the place back: one that
//! nobody knows of would block the line until its session ends. A place that was there before the request stays.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use model::{Identity, KeyRange, KeyValue, LeaseId, RangeRequest, Revision, SortOrder, SortTarget};
use recipes::{
    Acquire, AcquireOutcome, Enqueue, OpenSession, Release, ReleaseOutcome, SessionOutcome, SessionRecord,
    contender_key,
};
use tokio::time::{Instant, timeout_at};

use crate::claim_outcome::{Claim, ClaimOutcome, Session};
use crate::claim_request::{ClaimRequest, OnTimeout, QueuePolicy, SessionRequest};
use crate::error::Error;
use crate::handle::Handle;
use crate::waiters::{ClaimState, Watched};

/// How long to stand in line, and what becomes of the place after that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) on_timeout: OnTimeout,
}

/// A claim followed from this member. Dropping it gives the place back, if the request that began it made it.
#[derive(Debug)]
pub struct ClaimStream {
    watched: Watched,
    first: bool,
    _place: Place,
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
    /// Claims a lock and waits for it as long as the request says.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the outcome is unknown, asking again for the same session finds the claim, if it was made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives back a place that it made.
    pub async fn claim(&self, identity: Identity, request: ClaimRequest) -> Result<ClaimOutcome, Error> {
        let patience = Patience { wait: request.wait, on_timeout: request.on_timeout };
        let prefix = request.prefix.clone();
        let command = self.acquire(request)?;
        self.stand_in_line(identity, prefix, command, patience).await
    }

    /// Has a claim made by `command` in the line of `prefix`, and waits for it.
    pub(crate) async fn stand_in_line(
        &self,
        identity: Identity,
        prefix: Bytes,
        command: recipes::Command,
        Patience { wait, on_timeout }: Patience,
    ) -> Result<ClaimOutcome, Error> {
        let deadline = Instant::now() + wait;
        let (asked, place) = self.ask(identity.clone(), command).await?;
        let (mut claim, is_new) = match asked {
            Asked::Answered(outcome) => return Ok(place.keep(outcome)),
            Asked::InLine { claim, is_new } => (claim, is_new),
        };
        if Instant::now() < deadline {
            let mut watched = self.watch_claim(prefix, &claim).await?;
            let decided = watched.state.wait_for(|state| !matches!(state, ClaimState::Queued { .. }));
            // A closed channel without a decision means that the member stops: as a timeout, without giving the place up.
            let state = timeout_at(deadline, decided).await.ok().and_then(Result::ok).map(|state| *state);
            match state.unwrap_or(*watched.state.borrow()) {
                ClaimState::Granted => {
                    claim = Claim { ahead: 0, holder: None, revision: self.revision(), ..claim };
                    return Ok(place.keep(ClaimOutcome::Held { claim, is_new }));
                }
                ClaimState::Lost => return Ok(place.keep(ClaimOutcome::Lost)),
                ClaimState::Queued { ahead } => claim.ahead = ahead,
            }
        }
        match on_timeout {
            OnTimeout::Keep => Ok(place.keep(ClaimOutcome::Queued { claim })),
            OnTimeout::Leave => {
                self.release(identity, claim.key, Some(claim.token)).await?;
                Ok(place.keep(ClaimOutcome::WaitTimeout { holder: claim.holder }))
            }
        }
    }

    /// Claims a lock and follows the claim for as long as the stream is held: through waiting, holding and losing it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream gives back a place that the request made, held or not.
    pub async fn claim_stream(
        &self,
        identity: Identity,
        request: ClaimRequest,
    ) -> Result<(ClaimOutcome, Option<ClaimStream>), Error> {
        let prefix = request.prefix.clone();
        let (asked, place) = self.ask(identity, self.acquire(request)?).await?;
        let outcome = match asked {
            Asked::Answered(outcome) => outcome,
            Asked::InLine { claim, .. } => ClaimOutcome::Queued { claim },
        };
        let claim = match &outcome {
            ClaimOutcome::Held { claim, .. } | ClaimOutcome::Queued { claim } => claim,
            ClaimOutcome::Busy { .. }
            | ClaimOutcome::WaitTimeout { .. }
            | ClaimOutcome::QueueFull { .. }
            | ClaimOutcome::SessionNotFound
            | ClaimOutcome::Lost => return Ok((place.keep(outcome), None)),
        };
        let watched = self.watch_claim(prefix, claim).await?;
        Ok((outcome, Some(ClaimStream { watched, first: true, _place: place })))
    }

    /// The claim of a session on a lock, if it has one.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn claim_state(
        &self,
        identity: &Identity,
        prefix: Bytes,
        lease: LeaseId,
    ) -> Result<Option<Claim>, Error> {
        Ok(self.look_at_claim(identity, prefix, lease).await?.map(|(claim, _)| claim))
    }

    /// The claim of a session on a lock, when it waits no more, or at the end of `wait`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn claim_wait(
        &self,
        identity: &Identity,
        prefix: Bytes,
        lease: LeaseId,
        wait: Duration,
    ) -> Result<Option<Claim>, Error> {
        let deadline = Instant::now() + wait;
        let Some((claim, mut watched)) = self.look_at_claim(identity, prefix, lease).await? else { return Ok(None) };
        let decided = watched.state.wait_for(|state| !matches!(state, ClaimState::Queued { .. }));
        let state = timeout_at(deadline, decided).await.ok().and_then(Result::ok).map(|state| *state);
        Ok(match state.unwrap_or(*watched.state.borrow()) {
            ClaimState::Lost => None,
            ClaimState::Granted => Some(Claim { ahead: 0, holder: None, revision: self.revision(), ..claim }),
            ClaimState::Queued { ahead } => Some(Claim { ahead, ..claim }),
        })
    }

    /// Gives a claim up, held or waiting: only that of `token`, if one is named.
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

    /// The line of a lock by create revision, the holder first: at most `limit` claims, how many there are, and the revision.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn line(
        &self,
        identity: &Identity,
        prefix: Bytes,
        limit: usize,
    ) -> Result<(Vec<KeyValue>, i64, Revision), Error> {
        let range = RangeRequest {
            order: SortOrder::Ascend,
            target: SortTarget::Create,
            ..RangeRequest::new(KeyRange::prefix(prefix)).with_limit(i64::try_from(limit).unwrap_or(i64::MAX))
        };
        let read = self.range(identity, range).await?;
        Ok((read.kvs, read.count, read.revision))
    }

    /// Opens a session: a lease of this id, or of one that nobody has, with a record of it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn open_session(
        &self,
        identity: Identity,
        id: Option<LeaseId>,
        ttl: i64,
        record_prefix: Bytes,
        record: Bytes,
    ) -> Result<Session, Error> {
        let open = self.session(id.unwrap_or_else(|| self.new_lease_id()), ttl, &record_prefix, record)?;
        match self.recipe(identity, recipes::Command::OpenSession(open)).await? {
            (revision, recipes::Outcome::Session(SessionOutcome::Opened { lease, ttl })) => {
                Ok(Session { lease, ttl, revision, is_new: true })
            }
            (revision, recipes::Outcome::Session(SessionOutcome::Conflict { lease, ttl })) => {
                Ok(Session { lease, ttl, revision, is_new: false })
            }
            (_, other) => unreachable!("the opening of a session was answered by {other:?}"),
        }
    }

    fn session(&self, lease: LeaseId, ttl: i64, record_prefix: &Bytes, value: Bytes) -> Result<OpenSession, Error> {
        let record = SessionRecord { key: contender_key(record_prefix, lease), value };
        Ok(OpenSession { lease, ttl: self.lease_ttl(ttl)?, record: Some(record) })
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

    fn acquire(&self, request: ClaimRequest) -> Result<recipes::Command, Error> {
        let session = self.claimant(request.session)?;
        let enqueue = match request.queue {
            QueuePolicy::TryOnly => Enqueue::TryOnly,
            QueuePolicy::Enqueue { waiting_max } => Enqueue::Enqueue { waiting_max },
        };
        Ok(recipes::Command::Acquire(Acquire { prefix: request.prefix, session, enqueue, value: request.value }))
    }

    /// Makes the claim. The place guards it from here on.
    async fn ask(&self, identity: Identity, command: recipes::Command) -> Result<(Asked, Place), Error> {
        let asking = Asking { answer: Some(Box::pin(self.clone().carry_out(identity, command))), handle: self.clone() };
        let (revision, outcome) = asking.await?;
        let place = Place::of(self, &outcome);
        Ok((Asked::new(revision, outcome), place))
    }

    async fn carry_out(
        self,
        identity: Identity,
        command: recipes::Command,
    ) -> Result<(Revision, AcquireOutcome), Error> {
        match self.recipe(identity, command).await? {
            (revision, recipes::Outcome::Acquire(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a claim was answered by {other:?}"),
        }
    }

    async fn watch_claim(&self, prefix: Bytes, claim: &Claim) -> Result<Watched, Error> {
        self.inner().waiters.watch(prefix, claim.key.clone(), claim.token, claim.revision).await
    }

    async fn look_at_claim(
        &self,
        identity: &Identity,
        prefix: Bytes,
        lease: LeaseId,
    ) -> Result<Option<(Claim, Watched)>, Error> {
        let own = RangeRequest::new(KeyRange::Single(contender_key(&prefix, lease)));
        let read = self.range(identity, own).await?;
        let Some(kv) = read.kvs.into_iter().next() else { return Ok(None) };
        let mut claim = Claim::new(kv, 0, None, read.revision);
        let watched = self.watch_claim(prefix, &claim).await?;
        match *watched.state.borrow() {
            ClaimState::Lost => return Ok(None),
            ClaimState::Granted => {}
            ClaimState::Queued { ahead } => claim.ahead = ahead,
        }
        if claim.ahead > 0
            && let Some(head) = watched.head.clone()
        {
            let head = RangeRequest { serializable: true, ..RangeRequest::new(KeyRange::Single(head)) };
            let read = self.range(identity, head).await?;
            claim.holder = read.kvs.into_iter().next();
        }
        Ok(Some((claim, watched)))
    }
}

/// What the machine said, as far as it can be answered at once.
enum Asked {
    Answered(ClaimOutcome),
    InLine { claim: Claim, is_new: bool },
}

impl Asked {
    fn new(revision: Revision, outcome: AcquireOutcome) -> Self {
        Self::Answered(match outcome {
            AcquireOutcome::Granted { claim, is_new } => {
                ClaimOutcome::Held { claim: Claim::new(claim, 0, None, revision), is_new }
            }
            AcquireOutcome::Queued { claim, is_new, ahead, holder } => {
                return Self::InLine { claim: Claim::new(claim, ahead, Some(holder), revision), is_new };
            }
            AcquireOutcome::Busy { holder } => ClaimOutcome::Busy { holder },
            AcquireOutcome::QueueFull { holder, .. } => ClaimOutcome::QueueFull { holder },
            // A conflict can only be that the id, chosen here, is in use: then nothing was opened.
            AcquireOutcome::SessionExpired | AcquireOutcome::SessionConflict => ClaimOutcome::SessionNotFound,
        })
    }
}

/// A place made by a request: given back when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Place {
    made: Option<(Handle, Bytes, Revision)>,
}

impl Place {
    fn of(handle: &Handle, outcome: &AcquireOutcome) -> Self {
        let made = match outcome {
            AcquireOutcome::Granted { claim, is_new: true } | AcquireOutcome::Queued { claim, is_new: true, .. } => {
                Some((handle.clone(), claim.key.clone(), claim.create_revision))
            }
            AcquireOutcome::Granted { is_new: false, .. }
            | AcquireOutcome::Queued { is_new: false, .. }
            | AcquireOutcome::Busy { .. }
            | AcquireOutcome::QueueFull { .. }
            | AcquireOutcome::SessionExpired
            | AcquireOutcome::SessionConflict => None,
        };
        Self { made }
    }

    /// The place of a party that waits with others, made by a request if it is new.
    pub(crate) fn of_party(handle: &Handle, party: &KeyValue, is_new: bool) -> Self {
        Self { made: is_new.then(|| (handle.clone(), party.key.clone(), party.create_revision)) }
    }

    /// The client hears of the place: from here on it is the client's.
    pub(crate) fn keep<T>(mut self, answer: T) -> T {
        self.made = None;
        answer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((handle, key, token)) = self.made.take() else { return };
        tokio::spawn(async move {
            // The client is gone, and its rights may be: the place was made here and is taken back from here.
            // If this fails too, the end of the session gives the place back.
            if let Err(error) = handle.release(Identity::cluster(), key, Some(token)).await {
                tracing::debug!(%error, "could not give back the place of a client that hung up");
            }
        });
    }
}

/// A claim on its way. Dropped before it is answered, it goes on by itself and gives back what it made.
struct Asking {
    answer: Option<BoxFuture<'static, Result<(Revision, AcquireOutcome), Error>>>,
    handle: Handle,
}

impl Future for Asking {
    type Output = Result<(Revision, AcquireOutcome), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let coming = self.answer.as_mut().expect("a future is not polled after it was ready");
        let answer = std::task::ready!(coming.as_mut().poll(context));
        self.answer = None;
        Poll::Ready(answer)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        let handle = self.handle.clone();
        tokio::spawn(async move {
            if let Ok((_, outcome)) = answer.await {
                drop(Place::of(&handle, &outcome));
            }
        });
    }
}
