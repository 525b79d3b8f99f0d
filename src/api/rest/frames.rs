//! Streams of events, as server-sent events or as lines of JSON, and what keeps them alive.
//!
//! ```text
//! text/event-stream        id: 7.18423\nevent: change\ndata: {…}\n\n          : ping\n\n
//! application/x-ndjson     {"event":"change","id":"7.18423","data":{…}}\n       \n
//! ```
//!
//! Nothing is buffered here: the next frame is made when the connection takes one, so a slow reader slows nobody but itself
//! and holds one frame.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;

use super::conditions::accepts;
use crate::draining::Draining;

/// The media type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// The media type of lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// How often a quiet stream says that it is alive: often enough for proxies, which give up after 30 s at the earliest.
const BEAT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a client shall wait before it connects again, in milliseconds.
const RETRY_MS: u32 = 2000;

/// When the server stops, each client is told another time to come back, of up to so many milliseconds: so that they do not all
/// come at once to the members that are left.
const SPREAD_MS: u64 = 3000;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Something happened.
    Event {
        /// Where to resume after this; absent where one cannot.
        id: Option<String>,
        name: &'static str,
        /// JSON of one line.
        data: String,
    },
    /// The stream ends because the member stops; how many milliseconds to wait before connecting again.
    Goaway(u64),
    /// The stream is alive.
    Ping,
}

impl Frame {
    /// An event without an id.
    pub(crate) fn event(name: &'static str, data: &impl Serialize) -> Self {
        let data = serde_json::to_string(data).expect("what is told is a document with names for keys");
        Self::Event { id: None, name, data }
    }

    /// The same event, to resume after.
    pub(crate) fn resumable(self, cursor: &impl ToString) -> Self {
        match self {
            Self::Event { name, data, .. } => Self::Event { id: Some(cursor.to_string()), name, data },
            Self::Goaway(delay) => Self::Goaway(delay),
            Self::Ping => Self::Ping,
        }
    }
}

/// The stream ends because the member stops: connect again, here or elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Goaway {
    /// In words.
    reason: &'static str,
    /// How long to wait before that, so that not all clients come at once; an event source does so by itself.
    retry_after_ms: u64,
}

impl Goaway {
    fn event(retry_after_ms: u64) -> Frame {
        Frame::event("goaway", &Self { reason: "the member is stopping", retry_after_ms })
    }
}

/// The last event of a stream that ends because the member does.
pub(crate) fn goaway() -> Frame {
    // Each state of this kind has another seed.
    Frame::Goaway(RandomState::new().hash_one(()) % SPREAD_MS)
}

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    EventStream,
    /// Lines of JSON.
    NdJson,
}

impl Framing {
    /// What the client asks for by name.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        if accepts(headers, EVENT_STREAM) {
            return Some(Self::EventStream);
        }
        accepts(headers, NDJSON).then_some(Self::NdJson)
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => EVENT_STREAM,
            Self::NdJson => NDJSON,
        }
    }

    /// What comes before the first frame.
    fn preamble(self) -> Bytes {
        match self {
            Self::EventStream => format!("retry: {RETRY_MS}\n\n").into(),
            Self::NdJson => Bytes::new(),
        }
    }

    fn encode(self, frame: &Frame) -> Bytes {
        match (self, frame) {
            (Self::EventStream, Frame::Ping) => Bytes::from_static(b": ping\n\n"),
            (Self::NdJson, Frame::Ping) => Bytes::from_static(b"\n"),
            (Self::EventStream, Frame::Goaway(delay)) => {
                [format!("retry: {delay}\n").as_bytes(), &self.encode(&Goaway::event(*delay))].concat().into()
            }
            (Self::NdJson, Frame::Goaway(delay)) => self.encode(&Goaway::event(*delay)),
            (Self::EventStream, Frame::Event { id, name, data }) => {
                let id = id.as_ref().map(|id| format!("id: {id}\n")).unwrap_or_default();
                format!("{id}event: {name}\ndata: {data}\n\n").into()
            }
            (Self::NdJson, Frame::Event { id, name, data }) => {
                // Names and cursors hold nothing that JSON would escape.
                let id = id.as_ref().map(|id| format!("\"id\":\"{id}\",")).unwrap_or_default();
                format!("{{\"event\":\"{name}\",{id}\"data\":{data}}}\n").into()
            }
        }
    }
}

/// Where frames come from.
pub(crate) trait Source: Send + 'static {
    /// The next frame; `None` at the end. Dropping the source ends whatever it stands for.
    fn next(&mut self) -> impl Future<Output = Option<Frame>> + Send;
}

/// The response that streams `source`. When the client is gone the source is dropped.
pub(crate) fn respond(framing: Framing, source: impl Source) -> Response {
    let preamble = futures::stream::iter([Ok::<_, std::convert::Infallible>(framing.preamble())]);
    let frames = futures::stream::unfold(source, move |mut source| async move {
        let frame = source.next().await?;
        Some((Ok(framing.encode(&frame)), source))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(framing.content_type())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("accept")),
        // nginx buffers answers unless it is told not to.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(futures::StreamExt::chain(preamble, frames))).into_response()
}

/// What a source that waits for something hears.
pub(crate) enum Beat<T> {
    /// What it waited for.
    Came(T),
    /// Nothing came for a while.
    Quiet,
    /// The server is stopping.
    Stopping,
}

/// The heart of a stream: nothing to tell is told as well.
pub(crate) struct Pulse {
    draining: Draining,
    beats: Interval,
}

impl Pulse {
    /// A pulse that ends when the server does.
    pub(crate) fn new(draining: Draining) -> Self {
        let mut beats = interval(BEAT_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.reset();
        Self { draining, beats }
    }

    /// Waits for `something`, which must not mind being dropped.
    pub(crate) async fn wait_for<T>(&mut self, something: impl Future<Output = T>) -> Beat<T> {
        tokio::select! {
            biased;
            () = self.draining.begun() => Beat::Stopping,
            came = something => {
                self.beats.reset();
                Beat::Came(came)
            }
            _ = self.beats.tick() => Beat::Quiet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Frame {
        Frame::event("change", &serde_json::json!({"text": "a\nb\u{2028}"})).resumable(&"7.18423")
    }

    #[test]
    fn an_event_is_one_block_of_lines() {
        let text = Framing::EventStream.encode(&change());
        assert_eq!(text, "id: 7.18423\nevent: change\ndata: {\"text\":\"a\\nb\u{2028}\"}\n\n");
        assert_eq!(Framing::EventStream.encode(&Frame::event("part", &1)), "event: part\ndata: 1\n\n");
        assert_eq!(Framing::EventStream.encode(&Frame::Ping), ": ping\n\n");
    }

    #[test]
    fn a_line_is_one_document() {
        let text = Framing::NdJson.encode(&change());
        assert_eq!(text, "{\"event\":\"change\",\"id\":\"7.18423\",\"data\":{\"text\":\"a\\nb\u{2028}\"}}\n");
        assert_eq!(Framing::NdJson.encode(&Frame::event("part", &1)), "{\"event\":\"part\",\"data\":1}\n");
        assert_eq!(Framing::NdJson.encode(&Frame::Ping), "\n");
    }

    #[test]
    fn clients_are_told_different_times_to_come_back() {
        let delays: std::collections::BTreeSet<u64> = (0..100)
            .map(|_| match goaway() {
                Frame::Goaway(delay) => delay,
                Frame::Event { .. } | Frame::Ping => unreachable!("it is a goaway"),
            })
            .collect();
        assert!(delays.len() > 50 && delays.iter().all(|delay| *delay < SPREAD_MS), "{delays:?}");
        let text = Framing::EventStream.encode(&Frame::Goaway(7));
        let data = "{\"reason\":\"the member is stopping\",\"retry_after_ms\":7}";
        assert_eq!(text, format!("retry: 7\nevent: goaway\ndata: {data}\n\n"));
    }

    #[tokio::test]
    async fn a_pulse_hears_of_the_end_first() {
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let mut pulse = Pulse::new(Draining::new(stopping));
        assert!(matches!(pulse.wait_for(std::future::ready(7)).await, Beat::Came(7)));
        stop.send_replace(true);
        assert!(matches!(pulse.wait_for(std::future::ready(7)).await, Beat::Stopping));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_says_that_it_is_alive() {
        let (_stop, stopping) = tokio::sync::watch::channel(false);
        let mut pulse = Pulse::new(Draining::new(stopping));
        assert!(matches!(pulse.wait_for(std::future::pending::<()>()).await, Beat::Quiet));
    }
}
