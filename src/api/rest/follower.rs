//! What a follower of keys hears: a snapshot and then changes, or changes from its cursor on, or a reset when that cannot be.
//!
//! - Every revision that touches the keys is told once, in order, in one event with an id (`changes.rs`); a cursor is told only
//!   when everything up to it was.
//! - What cannot be told any more is never skipped: a `reset` brings the whole state again and says why.
//! - A slow reader is bounded by its connection: the hub keeps nothing for it beyond one bounded queue and then reads history,
//!   so it hears everything late, or is reset once compaction has passed it.

use model::{KeyRange, Revision};
use node::{WatchMessage, WatchRequest, WatchStream};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::changes::Untold;
use super::cursor::{Cursor, Epoch};
use super::frames::{Beat, Frame, Pulse, Source, goaway};
use super::problem::Problem;
use super::resume::{Progress, ResetReason, Restart, Since};
use super::snapshot::{self, Piece};
use super::value::{KeyDocument, Wanted};

/// Messages of the hub that wait for the connection.
const QUEUED_MESSAGES: usize = 16;

/// What is to be followed.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Who follows.
    pub(crate) caller: Caller,
    pub(crate) range: KeyRange,
    /// How values shall be shown.
    pub(crate) wanted: Wanted,
    /// The request that it came with.
    pub(crate) request_id: String,
}

/// The keys as of a revision, or the last part of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snapshot {
    /// The revision.
    pub(crate) revision: i64,
    /// In byte order of the keys.
    pub(crate) items: Vec<KeyDocument>,
}

/// The keys as of a revision, in place of a cursor that cannot be used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reset {
    /// Why it cannot.
    pub(crate) reason: ResetReason,
    /// The cursor that was given, or reached.
    pub(crate) from: String,
    /// The cursor that takes its place.
    pub(crate) to: String,
    /// The revision.
    pub(crate) revision: i64,
    /// In byte order of the keys.
    pub(crate) items: Vec<KeyDocument>,
}

#[derive(Debug)]
enum Phase {
    /// A snapshot is being told.
    Snapshot { restart: Restart, piece: Piece },
    /// Changes are being told.
    Live { stream: WatchStream, untold: Option<Untold> },
    /// All was told.
    Over,
}

/// A client that follows keys.
pub(crate) struct Follower {
    rest: Rest,
    wish: Wish,
    phase: Phase,
    /// Everything up to here was told.
    told: Revision,
    pulse: Pulse,
}

impl Follower {
    /// Begins to follow. What can be refused is refused here, before the stream is.
    pub(crate) async fn open(rest: Rest, wish: Wish, since: Since) -> Result<Self, Problem> {
        rest.handle.confirm_reads().await.map_err(Problem::of_read)?;
        rest.handle.permit_read(&wish.caller, &wish.range).map_err(Problem::of_read)?;
        let pulse = Pulse::new(rest.draining.clone());
        let told = Revision::ZERO;
        let mut follower = Self { rest, wish, phase: Phase::Over, told, pulse };
        follower.phase = match since.check(follower.epoch(), follower.rest.handle.revision()) {
            Ok(cursor) => follower.live_after(cursor.revision).await,
            Err(restart) => follower.restart(restart).await?,
        };
        Ok(follower)
    }

    fn epoch(&self) -> Epoch {
        self.rest.epoch()
    }

    fn cursor(&self, revision: Revision) -> Cursor {
        self.rest.cursor(revision)
    }

    async fn restart(&self, restart: Restart) -> Result<Phase, Problem> {
        let piece = snapshot::begin(&self.rest, &self.wish.caller, &self.wish.range, self.wish.wanted).await?;
        Ok(Phase::Snapshot { restart, piece })
    }

    async fn live_after(&mut self, revision: Revision) -> Phase {
        self.told = revision;
        let stream = self.rest.handle.watch(QUEUED_MESSAGES);
        stream.create(WatchRequest::new(self.wish.range.clone()).starting_at(revision.next())).await;
        Phase::Live { stream, untold: None }
    }

    /// Tells a piece of a snapshot and reads the next one.
    async fn tell_piece(&mut self, restart: Restart, piece: Piece) -> Frame {
        let Piece { items, revision, next } = piece;
        let document = Snapshot { revision: revision.get(), items };
        let Some(start) = next else {
            self.phase = self.live_after(revision).await;
            return self.complete(restart, document);
        };
        match snapshot::go_on(&self.rest, &self.wish.caller, &self.wish.range, self.wish.wanted, (start, revision))
            .await
        {
            Ok(piece) => {
                self.phase = Phase::Snapshot { restart, piece };
                Frame::event("part", &document)
            }
            Err(problem) => self.fail(problem),
        }
    }

    /// The event that completes a snapshot.
    fn complete(&self, restart: Restart, snapshot: Snapshot) -> Frame {
        let to = self.cursor(self.told);
        let Some((reason, from)) = restart.reason else {
            return Frame::event("snapshot", &snapshot).resumable(&to);
        };
        let Snapshot { revision, items } = snapshot;
        Frame::event("reset", &Reset { reason, from, to: to.to_string(), revision, items }).resumable(&to)
    }

    /// The stream cannot go on. Its client connects again, and hears why as a proper answer if that is still so.
    fn fail(&mut self, problem: Problem) -> Frame {
        self.phase = Phase::Over;
        let revision = self.rest.handle.revision();
        Frame::event("problem", &problem.into_document(self.wish.request_id.clone(), revision))
    }

    /// What a message of the hub says to the client; nothing, if it is only for us.
    async fn hear(&mut self, message: WatchMessage) -> Option<Frame> {
        match message {
            WatchMessage::Created { .. } => None,
            WatchMessage::Events(_) => {
                if let Phase::Live { untold, .. } = &mut self.phase {
                    *untold = Some(Untold::new(message));
                }
                None
            }
            WatchMessage::Progress { revision, .. } if revision > self.told => {
                self.told = revision;
                let progress = Progress { revision: revision.get() };
                Some(Frame::event("progress", &progress).resumable(&self.cursor(revision)))
            }
            WatchMessage::Progress { .. } => None,
            WatchMessage::Compacted { .. } => {
                let reason = Some((ResetReason::Compacted, self.cursor(self.told).to_string()));
                match self.restart(Restart { reason }).await {
                    Ok(phase) => {
                        self.phase = phase;
                        None
                    }
                    Err(problem) => Some(self.fail(problem)),
                }
            }
            // Neither happens: the range is not empty and nobody cancels. If it did, the client would have to begin anew.
            WatchMessage::CreateRefused { .. } | WatchMessage::Canceled { .. } => {
                self.phase = Phase::Over;
                Some(goaway())
            }
        }
    }

    /// The next piece of what the hub said last.
    fn tell(&mut self) -> Option<Frame> {
        let (epoch, wanted) = (self.epoch(), self.wish.wanted);
        let Phase::Live { untold, .. } = &mut self.phase else { return None };
        let (frame, revision) = untold.as_mut()?.next(epoch, wanted)?;
        self.told = revision.unwrap_or(self.told);
        Some(frame)
    }
}

impl Source for Follower {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.tell() {
                return Some(frame);
            }
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return None,
                Phase::Snapshot { restart, piece } => return Some(self.tell_piece(restart, piece).await),
                Phase::Live { stream, .. } => {
                    let beat = self.pulse.wait_for(stream.recv()).await;
                    if matches!(beat, Beat::Quiet) {
                        stream.request_progress().await;
                    }
                    self.phase = Phase::Live { stream, untold: None };
                    match beat {
                        Beat::Came(Some(message)) => {
                            if let Some(frame) = self.hear(message).await {
                                return Some(frame);
                            }
                        }
                        Beat::Quiet => return Some(Frame::Ping),
                        Beat::Came(None) | Beat::Stopping => {
                            self.phase = Phase::Over;
                            return Some(goaway());
                        }
                    }
                }
            }
        }
    }
}
