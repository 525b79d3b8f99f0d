//! Keys and how they change, for whoever waits until something is true of them: read at a revision, then followed from the next one
//! on, on any member.
//!
//! - What is shown is always what the keys were at one revision, with all changes of it; no revision that touches them is left out,
//!   unless history was compacted: then they are read anew, and that is said ([`Moved::ReadAnew`]).
//! - The end of a stream is never a change: when the member stops nothing more is shown, and who waits has waited in vain.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use model::{Event, EventKind, Identity, KeyRange, KeyValue, RangeRequest, Rejection, Revision};
use tokio::time::{Instant, timeout_at};
use watch::{Selection, WatchMessage, WatchRequest, WatchStream};

use crate::error::{Error, Unavailable};
use crate::handle::Handle;

/// Messages of the hub that wait for their reader; beyond, it reads from history.
const QUEUED_MESSAGES: usize = 16;

/// Keys as of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    by_name: BTreeMap<Bytes, KeyValue>,
    revision: Revision,
}

/// How keys came to be what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// By the changes of one revision.
    Changed,
    /// The history between was compacted.
    ReadAnew,
    /// Not at all, up to this revision.
    Unchanged,
}

/// Follows the keys of a range.
#[derive(Debug)]
pub struct KeyFollower {
    handle: Handle,
    caller: Identity,
    range: KeyRange,
    keys: Keys,
    /// Changes that came and were not shown yet.
    coming: VecDeque<Selection>,
    /// `None` when history was compacted: the keys are to be read anew.
    stream: Option<WatchStream>,
}

impl Keys {
    /// The revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// All of them, in byte order.
    pub fn iter(&self) -> impl Iterator<Item = &KeyValue> {
        self.by_name.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&KeyValue> {
        self.by_name.get(key)
    }

    /// The one that was created first: who leads, or holds.
    #[must_use]
    pub fn first_created(&self) -> Option<&KeyValue> {
        self.by_name.values().min_by_key(|kv| (kv.create_revision, &kv.key))
    }

    fn follow(&mut self, event: &Event) {
        match event.kind {
            EventKind::Put => {
                self.by_name.insert(event.kv.key.clone(), event.kv.clone());
            }
            EventKind::Delete => {
                self.by_name.remove(&event.kv.key);
            }
        }
    }
}

impl Handle {
    /// The keys of `range` as they are now, linearizably, to be followed from there.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn follow_keys(&self, caller: &Identity, range: KeyRange) -> Result<KeyFollower, Error> {
        let keys = self.read_keys(caller, RangeRequest::new(range.clone())).await?;
        Ok(self.follow_from(caller, range, keys).await)
    }

    /// The keys of `range` as they were at `revision`, to be followed from there.
    ///
    /// # Errors
    ///
    /// [`model::Rejection::Compacted`], [`model::Rejection::FutureRevision`]; see [`Error`].
    pub async fn follow_keys_since(
        &self,
        caller: &Identity,
        range: KeyRange,
        revision: Revision,
    ) -> Result<KeyFollower, Error> {
        let read = self.read_keys(caller, RangeRequest::new(range.clone()).at(revision)).await?;
        Ok(self.follow_from(caller, range, Keys { revision, ..read }).await)
    }

    /// Waits until `decide` says something of the keys of `range`; `None` when it said nothing until the end of `wait`, or until the
    /// member stops. It is asked at least once, and again after every change.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn wait_until<T>(
        &self,
        caller: &Identity,
        range: KeyRange,
        wait: Duration,
        decide: impl FnMut(&Keys) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let follower = self.follow_keys(caller, range).await?;
        follower.wait_until(wait, decide).await
    }

    /// As [`Handle::wait_until`], beginning with what the keys were at revision `since`: nothing that came after it is missed, unless
    /// history was compacted up to there.
    pub(crate) async fn wait_since<T>(
        &self,
        caller: &Identity,
        range: KeyRange,
        since: Revision,
        wait: Duration,
        decide: impl FnMut(&Keys) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let follower = match self.follow_keys_since(caller, range.clone(), since).await {
            Err(Error::Rejected(Rejection::Compacted)) => self.follow_keys(caller, range).await?,
            follower => follower?,
        };
        follower.wait_until(wait, decide).await
    }

    /// The keys of `range` as they are now, linearizably.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn keys(&self, caller: &Identity, range: KeyRange) -> Result<Keys, Error> {
        self.read_keys(caller, RangeRequest::new(range)).await
    }

    /// How many keys of `range` there are now, linearizably, and the revision.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn count(&self, caller: &Identity, range: KeyRange) -> Result<(usize, Revision), Error> {
        let read = self.range(caller, RangeRequest { count_only: true, ..RangeRequest::new(range) }).await?;
        Ok((usize::try_from(read.count).unwrap_or(0), read.revision))
    }

    async fn read_keys(&self, caller: &Identity, read: RangeRequest) -> Result<Keys, Error> {
        let read = self.range(caller, read).await?;
        let by_name = read.kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        Ok(Keys { by_name, revision: read.revision })
    }

    async fn follow_from(&self, caller: &Identity, range: KeyRange, keys: Keys) -> KeyFollower {
        let stream = Some(self.watch_from(&range, keys.revision).await);
        KeyFollower { handle: self.clone(), caller: caller.clone(), range, keys, coming: VecDeque::new(), stream }
    }

    async fn watch_from(&self, range: &KeyRange, seen: Revision) -> WatchStream {
        let stream = self.watch(QUEUED_MESSAGES);
        stream.create(WatchRequest::new(range.clone()).starting_at(seen.next())).await;
        stream
    }
}

impl KeyFollower {
    /// The keys as they were shown last.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Follows until `decide` says something; `None` as [`Handle::wait_until`].
    async fn wait_until<T>(
        mut self,
        wait: Duration,
        mut decide: impl FnMut(&Keys) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(decided) = decide(&self.keys) {
                return Ok(Some(decided));
            }
            match timeout_at(deadline, self.moved()).await {
                Ok(Ok(_)) => {}
                Ok(Err(Error::Unavailable(Unavailable::Stopped))) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// Waits until the keys are as of another revision, the next one that touches them.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Stopped`] when the member stops; see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn moved(&mut self) -> Result<Moved, Error> {
        loop {
            if let Some(change) = self.coming.pop_front() {
                change.iter().for_each(|event| self.keys.follow(event));
                self.keys.revision = change.revision();
                return Ok(Moved::Changed);
            }
            let Some(stream) = &mut self.stream else {
                let keys = self.handle.read_keys(&self.caller, RangeRequest::new(self.range.clone())).await?;
                self.stream = Some(self.handle.watch_from(&self.range, keys.revision).await);
                self.keys = keys;
                return Ok(Moved::ReadAnew);
            };
            match stream.recv().await {
                None => return Err(Unavailable::Stopped.into()),
                Some(WatchMessage::Events(events)) => self.coming.extend(events.selections().iter().cloned()),
                Some(WatchMessage::Progress { revision, .. }) if revision > self.keys.revision => {
                    self.keys.revision = revision;
                    return Ok(Moved::Unchanged);
                }
                Some(WatchMessage::Created { .. } | WatchMessage::Progress { .. }) => {}
                // The range is not empty and nobody cancels; whatever ended the watcher, the state itself tells the rest.
                Some(
                    WatchMessage::Compacted { .. } | WatchMessage::CreateRefused { .. } | WatchMessage::Canceled { .. },
                ) => self.stream = None,
            }
        }
    }

    /// Asks how far the keys are known not to have changed: [`Moved::Unchanged`] says so later.
    pub async fn ask_for_progress(&self) {
        if let Some(stream) = &self.stream {
            stream.request_progress().await;
        }
    }
}

#[cfg(test)]
#[path = "key_follower_tests.rs"]
mod tests;
