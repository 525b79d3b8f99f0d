//! Streams about a resource that is made of some keys: what it is, and then what it becomes with every revision that touches them.
//!
//! A [`Teller`] says what keys mean; when it says it, under which ids, and what happens when a cursor cannot be used is decided here,
//! once: the last event about a revision has an id, a cursor leads to what came after it, and where history does not reach back all
//! is told again after a `reset`.

use std::collections::VecDeque;

use model::{KeyRange, Rejection, Revision};
use node::{Error, KeyFollower, Keys, Moved};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::cursor::Cursor;
use super::frames::{Beat, Frame, Pulse, Source, goaway};
use super::problem::Problem;
use super::resume::{Progress, ResetReason, Since};

/// Says what keys mean.
pub(crate) trait Teller: Send + 'static {
    /// All that can be said of them.
    fn all(&mut self, rest: &Rest, keys: &Keys) -> impl Future<Output = Vec<Frame>> + Send;

    /// What has changed since it was asked last; nothing, if that means nothing.
    fn changes(&mut self, rest: &Rest, keys: &Keys) -> impl Future<Output = Vec<Frame>> + Send;

    /// The client knows these already.
    fn know(&mut self, keys: &Keys);
}

/// The cursor cannot be used: all is told again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldAnew {
    /// Why.
    pub(crate) reason: ResetReason,
    /// The cursor that was given, or reached.
    pub(crate) from: String,
}

/// A stream about a resource.
pub(crate) struct Telling<T> {
    rest: Rest,
    teller: T,
    follower: KeyFollower,
    ready: VecDeque<Frame>,
    pulse: Pulse,
    is_over: bool,
    request_id: String,
}

impl<T: Teller> Telling<T> {
    /// Begins to tell of the keys of `range`. What can be refused is refused here, before the stream is.
    pub(crate) async fn open(
        rest: Rest,
        caller: &Caller,
        range: KeyRange,
        since: Since,
        mut teller: T,
        request_id: String,
    ) -> Result<Self, Problem> {
        let (resumed, reset) = match usable(&rest, since) {
            Ok(None) => (None, None),
            Ok(Some(cursor)) => match rest.handle.follow_keys_since(caller, range.clone(), cursor.revision).await {
                Ok(follower) => (Some(follower), None),
                Err(Error::Rejected(Rejection::Compacted)) => {
                    (None, Some(ToldAnew { reason: ResetReason::Compacted, from: cursor.to_string() }))
                }
                Err(error) => return Err(Problem::of_read(error)),
            },
            Err(reset) => (None, Some(reset)),
        };
        let mut ready: VecDeque<Frame> = reset.iter().map(|reset| Frame::event("reset", reset)).collect();
        let follower = match resumed {
            Some(follower) => {
                teller.know(follower.keys());
                follower
            }
            None => {
                let follower = rest.handle.follow_keys(caller, range).await.map_err(Problem::of_read)?;
                let frames = teller.all(&rest, follower.keys()).await;
                ready.extend(resumable(&rest, frames, follower.keys().revision()));
                follower
            }
        };
        let pulse = Pulse::new(rest.draining.clone());
        Ok(Self { rest, teller, follower, ready, pulse, is_over: false, request_id })
    }

    async fn tell(&mut self, moved: Moved) {
        let before = self.rest.cursor(self.follower.keys().revision());
        let keys = self.follower.keys();
        let mut frames = match moved {
            Moved::Changed => self.teller.changes(&self.rest, keys).await,
            Moved::ReadAnew => {
                let reset = ToldAnew { reason: ResetReason::Compacted, from: before.to_string() };
                let mut frames = vec![Frame::event("reset", &reset)];
                frames.extend(self.teller.all(&self.rest, keys).await);
                frames
            }
            Moved::Unchanged => vec![Frame::event("progress", &Progress { revision: keys.revision().get() })],
        };
        frames = resumable(&self.rest, frames, keys.revision());
        self.ready.extend(frames);
    }

    fn fail(&mut self, error: Error) -> Frame {
        self.is_over = true;
        let revision = self.rest.handle.revision();
        Frame::event("problem", &Problem::of_read(error).into_document(self.request_id.clone(), revision))
    }
}

impl<T: Teller> Source for Telling<T> {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.is_over {
                return None;
            }
            match self.pulse.wait_for(self.follower.moved()).await {
                Beat::Came(Ok(moved)) => self.tell(moved).await,
                Beat::Came(Err(Error::Unavailable(node::Unavailable::Stopped))) | Beat::Stopping => {
                    self.is_over = true;
                    return Some(goaway());
                }
                Beat::Came(Err(error)) => return Some(self.fail(error)),
                Beat::Quiet => {
                    self.follower.ask_for_progress().await;
                    return Some(Frame::Ping);
                }
            }
        }
    }
}

/// The cursor to go on from, if one was given and is of this history; whether history reaches back to it is not known here.
fn usable(rest: &Rest, since: Since) -> Result<Option<Cursor>, ToldAnew> {
    match since {
        Since::Now => Ok(None),
        Since::Unknown(text) => Err(ToldAnew { reason: ResetReason::Unknown, from: text.chars().take(64).collect() }),
        Since::Cursor(cursor) if cursor.epoch != rest.epoch() => {
            Err(ToldAnew { reason: ResetReason::Epoch, from: cursor.to_string() })
        }
        Since::Cursor(cursor) => Ok(Some(cursor)),
    }
}

/// The last one says where to resume after all of them.
fn resumable(rest: &Rest, mut frames: Vec<Frame>, revision: Revision) -> Vec<Frame> {
    if let Some(last) = frames.pop() {
        frames.push(last.resumable(&rest.cursor(revision)));
    }
    frames
}
