//! Where a stream and the hub meet: requests in one direction, messages in the other, both bounded.
//!
//! - The hub never waits: a message is taken or refused at once. When one is refused the hub is rung for as soon as half of
//!   the room is free.
//! - Only the hub adds messages, and it takes a request only when there is room for its answer. So a stream whose messages
//!   are not read cannot make the hub hold answers for it: its requests wait, and then whoever makes them.
//! - One lock, held for a few instructions, never across a wait; not nested with any other.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::doorbell::Doorbell;
use crate::message::WatchMessage;
use crate::request::Request;
use crate::slab::Key;
use crate::watcher::Stream;

/// Requests of one stream that the hub has not taken yet.
pub(crate) const REQUESTS_MAX: usize = 16;

/// Bytes of events that wait on one stream, beyond which it takes no more, however few messages they are. Events are shared,
/// so streams that are equally slow hold the same ones.
const BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct StreamQueue {
    /// Where the hub keeps its side of the stream; set by the hub, once.
    pub(crate) key: OnceLock<Key<Stream>>,
    capacity: usize,
    doorbell: Arc<Doorbell>,
    state: Mutex<State>,
    has_message: Notify,
    takes_request: Notify,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Request>,
    messages: VecDeque<Queued>,
    bytes: usize,
    /// The hub has something for this stream and found no room.
    is_room_wanted: bool,
    /// The stream is on the doorbell's list.
    has_rung: bool,
    /// The stream was dropped.
    is_closed: bool,
    /// The hub is gone.
    is_ended: bool,
}

#[derive(Debug)]
struct Queued {
    message: WatchMessage,
    bytes: usize,
}

/// What the hub finds when it looks for a request.
#[derive(Debug)]
pub(crate) enum Taken {
    Request(Request),
    /// None, or no room for an answer.
    Nothing,
    Closed,
}

/// The stream's side.
impl StreamQueue {
    /// A queue of `capacity` messages, one at least.
    pub(crate) fn new(capacity: usize, doorbell: Arc<Doorbell>) -> Arc<Self> {
        Arc::new(Self {
            key: OnceLock::new(),
            capacity: capacity.max(1),
            doorbell,
            state: Mutex::default(),
            has_message: Notify::new(),
            takes_request: Notify::new(),
        })
    }

    /// Makes the hub look at this stream.
    pub(crate) fn ring(self: &Arc<Self>) {
        let has_rung = mem::replace(&mut self.state.lock().has_rung, true);
        if !has_rung {
            self.doorbell.ring(Arc::clone(self));
        }
    }

    /// Hands a request over once there is room for it; without effect when the hub is gone.
    pub(crate) async fn request(self: &Arc<Self>, request: Request) {
        self.wait_for_turn(request).await;
        self.ring();
    }

    async fn wait_for_turn(&self, request: Request) {
        loop {
            {
                let mut state = self.state.lock();
                if state.is_ended {
                    break;
                }
                if state.requests.len() < REQUESTS_MAX {
                    state.requests.push_back(request);
                    break;
                }
            }
            self.takes_request.notified().await;
        }
    }

    /// The next message; `None` when the hub is gone and all was read.
    pub(crate) async fn recv(self: &Arc<Self>) -> Option<WatchMessage> {
        loop {
            if let Some(message) = self.pop() {
                return Some(message);
            }
            if self.state.lock().is_ended {
                // Once more: something may have come in between, but now nothing will.
                return self.pop();
            }
            self.has_message.notified().await;
        }
    }

    /// The next message if there is one.
    pub(crate) fn pop(self: &Arc<Self>) -> Option<WatchMessage> {
        let (message, has_room_again) = {
            let mut state = self.state.lock();
            let Queued { message, bytes } = state.messages.pop_front()?;
            state.bytes -= bytes;
            let is_half_free = state.messages.len() <= self.capacity / 2 && state.bytes <= BYTES_MAX / 2;
            (message, is_half_free && mem::take(&mut state.is_room_wanted))
        };
        if has_room_again {
            self.ring();
        }
        Some(message)
    }

    /// The stream was dropped: the hub is to forget it.
    pub(crate) fn close(self: &Arc<Self>) {
        {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.messages = VecDeque::new();
            state.requests = VecDeque::new();
            state.bytes = 0;
        }
        self.ring();
    }
}

/// The hub's side.
impl StreamQueue {
    /// The hub is about to look: from here on the stream may ring again.
    pub(crate) fn answer_the_door(&self) {
        self.state.lock().has_rung = false;
    }

    /// Takes the next request, if there is room for its answer.
    pub(crate) fn next_request(&self) -> Taken {
        let request = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Taken::Closed;
            }
            if state.requests.is_empty() {
                return Taken::Nothing;
            }
            if self.free(&state) == 0 {
                state.is_room_wanted = true;
                return Taken::Nothing;
            }
            state.requests.pop_front()
        };
        self.takes_request.notify_one();
        request.map_or(Taken::Nothing, Taken::Request)
    }

    /// Appends a message that keeps `bytes` of events alive; says whether there was room. If not, the hub will be rung for.
    pub(crate) fn push(&self, message: WatchMessage, bytes: usize) -> bool {
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return true;
            }
            if self.free(&state) == 0 {
                state.is_room_wanted = true;
                return false;
            }
            state.bytes += bytes;
            state.messages.push_back(Queued { message, bytes });
        }
        self.has_message.notify_one();
        true
    }

    /// Whether there is room for one message when `claimed` others are still to come. If not, the hub will be rung for.
    pub(crate) fn has_room_beside(&self, claimed: usize) -> bool {
        let mut state = self.state.lock();
        let has_room = self.free(&state) > claimed;
        state.is_room_wanted |= !has_room;
        has_room
    }

    fn free(&self, state: &State) -> usize {
        if state.bytes >= BYTES_MAX { 0 } else { self.capacity.saturating_sub(state.messages.len()) }
    }

    /// The hub is gone: what is queued can still be read, then nothing more comes.
    pub(crate) fn end(&self) {
        self.state.lock().is_ended = true;
        self.has_message.notify_one();
        self.takes_request.notify_waiters();
        self.takes_request.notify_one();
    }
}
