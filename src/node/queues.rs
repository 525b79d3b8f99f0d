//! Work queues: sending, taking, settling; and waiting for a message without a herd.
//!
//! Of those that wait for the same queue on this member one looks out, the others wait for their turn (T14): a message that comes is
//! asked for by one consumer of each member, not by all of them. A consumer that is gone before it hears of its message gives it back.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use model::{EventKind, Identity, KeyRange, KeyValue, Revision};
use parking_lot::Mutex;
use recipes::OpenSession;
use recipes::sync::{Send, Settle, SettleOutcome, SyncCommand, SyncOutcome, Take, TakeOutcome, Verdict};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use watch::{WatchEvents, WatchMessage, WatchRequest};

use crate::error::{Error, Unavailable};
use crate::handle::Handle;

/// Messages of the hub that wait for who looks out; beyond, it reads from history.
const QUEUED_MESSAGES: usize = 16;

/// Queues with consumers that wait, after which those without are looked for and forgotten.
const FORGET_AFTER: usize = 1024;

/// Whose turn it is to look out, for each queue with consumers that wait here.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<Bytes, Weak<Semaphore>>>);

impl Turns {
    /// The turns of the queue whose messages begin with `messages`.
    fn of(&self, messages: &Bytes) -> Arc<Semaphore> {
        let mut turns = self.0.lock();
        if let Some(known) = turns.get(messages).and_then(Weak::upgrade) {
            return known;
        }
        if turns.len() >= FORGET_AFTER {
            turns.retain(|_, queue| queue.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(1));
        turns.insert(messages.clone(), Arc::downgrade(&new));
        new
    }
}

impl Handle {
    /// A lease of its own for so many seconds, for one loan or one delay; raised to the least that outlives an election.
    ///
    /// # Errors
    ///
    /// [`model::Rejection::LeaseTtlTooLarge`].
    pub fn plain_lease(&self, ttl: i64) -> Result<OpenSession, Error> {
        Ok(OpenSession { lease: self.new_lease_id(), ttl: self.lease_ttl(ttl)?, record: None })
    }

    /// Puts a message into a queue. Returns the store's revision and the message.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the outcome is unknown, sending again may send twice.
    pub async fn send(&self, identity: Identity, send: Send) -> Result<(Revision, KeyValue), Error> {
        match self.synchronise(identity, SyncCommand::Send(send)).await? {
            (revision, SyncOutcome::Sent { message }) => Ok((revision, message)),
            (_, other) => unreachable!("sending was answered by {other:?}"),
        }
    }

    /// Takes the oldest message that can be taken, waiting for one as long as `wait`. Returns the store's revision and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A message that was taken by a request without an answer comes back when its lease ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives back a message that it took.
    pub async fn take(&self, identity: Identity, take: Take, wait: Duration) -> Result<(Revision, TakeOutcome), Error> {
        let deadline = Instant::now() + wait;
        let (mut revision, mut outcome) = self.take_now(&identity, &take).await?;
        if !matches!(outcome, TakeOutcome::Empty { .. }) || wait.is_zero() {
            return Ok((revision, outcome));
        }
        let turns = self.inner().turns.of(&take.messages);
        let Ok(turn) = timeout_at(deadline, turns.acquire()).await else { return Ok((revision, outcome)) };
        let _turn = turn.map_err(|_closed| Unavailable::Stopped)?;
        (revision, outcome) = self.take_now(&identity, &take).await?;
        while matches!(outcome, TakeOutcome::Empty { .. }) {
            match timeout_at(deadline, self.something_to_take(&take, revision)).await {
                Ok(Ok(())) => {}
                Ok(Err(Unavailable::Stopped)) | Err(_) => break,
                Ok(Err(error)) => return Err(error.into()),
            }
            (revision, outcome) = self.take_now(&identity, &take).await?;
        }
        Ok((revision, outcome))
    }

    /// Takes a message if there is one, whatever dead letters lie before it.
    async fn take_now(&self, identity: &Identity, take: &Take) -> Result<(Revision, TakeOutcome), Error> {
        loop {
            let (answer, answered) = oneshot::channel();
            let (handle, identity, take) = (self.clone(), identity.clone(), take.clone());
            tokio::spawn(async move {
                let outcome = handle.synchronise(identity.clone(), SyncCommand::Take(take)).await;
                if let Err(Ok((_, SyncOutcome::Take(TakeOutcome::Taken { message, hold, .. })))) = answer.send(outcome)
                {
                    handle.give_back(identity, message, hold).await;
                }
            });
            match answered.await.map_err(|_stopped| Unavailable::Stopped)?? {
                (_, SyncOutcome::Take(TakeOutcome::Empty { try_again: true })) => {}
                (revision, SyncOutcome::Take(outcome)) => return Ok((revision, outcome)),
                (_, other) => unreachable!("taking was answered by {other:?}"),
            }
        }
    }

    /// A message whose consumer is gone. If this fails too, the end of its lease gives it back.
    async fn give_back(&self, identity: Identity, message: KeyValue, hold: KeyValue) {
        let token = hold.create_revision;
        let settle = Settle { message: message.key, hold: hold.key, token, verdict: Verdict::Return { delay: None } };
        if let Err(error) = self.settle(identity, settle).await {
            tracing::debug!(%error, "could not give back the message of a consumer that hung up");
        }
    }

    /// Returns when something may have become takable after `seen`: a message that came, a hold that went, or history that is gone.
    async fn something_to_take(&self, take: &Take, seen: Revision) -> Result<(), Unavailable> {
        let stream = self.watch(QUEUED_MESSAGES);
        for prefix in [&take.messages, &take.holds] {
            stream.create(WatchRequest::new(KeyRange::prefix(prefix.clone())).starting_at(seen.next())).await;
        }
        loop {
            match stream.recv().await.ok_or(Unavailable::Stopped)? {
                WatchMessage::Events(events) if frees_something(&events, take) => return Ok(()),
                WatchMessage::Compacted { .. } | WatchMessage::CreateRefused { .. } | WatchMessage::Canceled { .. } => {
                    return Ok(());
                }
                WatchMessage::Events(_) | WatchMessage::Created { .. } | WatchMessage::Progress { .. } => {}
            }
        }
    }

    /// Says what became of a message on loan.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the outcome is unknown, [`SettleOutcome::Lost`] to a second try is good news.
    pub async fn settle(&self, identity: Identity, settle: Settle) -> Result<(Revision, SettleOutcome), Error> {
        match self.synchronise(identity, SyncCommand::Settle(settle)).await? {
            (revision, SyncOutcome::Settle(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("settling was answered by {other:?}"),
        }
    }
}

fn frees_something(events: &WatchEvents, take: &Take) -> bool {
    events.iter().any(|event| match event.kind {
        EventKind::Put => event.is_create() && event.kv.key.starts_with(&take.messages),
        EventKind::Delete => event.kv.key.starts_with(&take.holds),
    })
}
