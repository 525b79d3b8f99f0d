//! A claim that a request makes belongs to the member until its client was told: dropped before that, it is given back.
//!
//! A client that hangs up drops its request. What the request made would block the line until the session ends, if nobody knows of it;
//! so it is given back, unless the same session asked for it again in between, here or at another member, which the log decides
//! (`recipes::Extent::IfUnseen`). What was there before the request stays.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use model::{Identity, KeyValue, Revision};
use recipes::{ClaimOutcome, Extent};

use crate::error::Error;
use crate::handle::Handle;

/// A claim that a request made: given back when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Guard {
    made: Option<(Handle, Bytes, Revision)>,
}

impl Guard {
    /// Guards what `outcome` made, whose record is `record`.
    pub(crate) fn of(handle: &Handle, record: Bytes, outcome: &ClaimOutcome) -> Self {
        let made = match outcome {
            ClaimOutcome::Claimed { claim, is_new: true } => Some((handle.clone(), record, claim.token)),
            ClaimOutcome::Claimed { is_new: false, .. }
            | ClaimOutcome::Busy { .. }
            | ClaimOutcome::QueueFull { .. }
            | ClaimOutcome::SessionExpired
            | ClaimOutcome::SessionConflict
            | ClaimOutcome::OtherClaim
            | ClaimOutcome::Broken
            | ClaimOutcome::LimitExceeded { .. }
            | ClaimOutcome::NoLimit
            | ClaimOutcome::TooManyHolds => None,
        };
        Self { made }
    }

    /// Guards the place of a party that waits with others, made by a request if it is new.
    pub(crate) fn of_party(handle: &Handle, party: &KeyValue, is_new: bool) -> Self {
        Self { made: is_new.then(|| (handle.clone(), party.key.clone(), party.create_revision)) }
    }

    /// The client hears of the claim: from here on it is the client's.
    pub(crate) fn keep<T>(mut self, answer: T) -> T {
        self.made = None;
        answer
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((handle, record, token)) = self.made.take() else { return };
        tokio::spawn(async move {
            // If this fails too, the end of the session gives the place back. Nobody asks for it: the member cleans up.
            if let Err(error) = handle.give_up(Identity::cluster(), record, Some(token), Extent::IfUnseen).await {
                tracing::debug!(%error, "could not give back the place of a client that hung up");
            }
        });
    }
}

/// A claim on its way. Dropped before it is answered, it goes on by itself and gives back what it made.
pub(crate) struct Asking {
    pub(crate) claim: Option<BoxFuture<'static, Result<(Revision, ClaimOutcome), Error>>>,
    pub(crate) handle: Handle,
    /// Key of the record of what it makes.
    pub(crate) record: Bytes,
}

impl Future for Asking {
    type Output = Result<(Revision, ClaimOutcome), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let claim = self.claim.as_mut().expect("a future is not polled after it was ready");
        let answer = std::task::ready!(claim.as_mut().poll(context));
        self.claim = None;
        Poll::Ready(answer)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        let (handle, record) = (self.handle.clone(), self.record.clone());
        tokio::spawn(async move {
            if let Ok((_, outcome)) = claim.await {
                drop(Guard::of(&handle, record, &outcome));
            }
        });
    }
}
