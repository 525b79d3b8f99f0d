//! A session as a stream: the connection is its sign of life, and brings the news of all its claims.
//!
//! While the stream is open this member renews the session. When it closes, for whatever reason but a stop of the member, the
//! session's life is cut to its `disconnect_grace`; a stream that is opened in time, anywhere, brings it back.
//!
//! Claims are told of however they were made: the keys on the session's lease are followed. When news was missed, all claims are
//! looked at anew, so nothing is lost but what came and went in between.

use std::collections::{BTreeMap, VecDeque};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use model::{Change, Event, EventKind, KeyRange, RangeRequest};
use node::{BoundSession, Claim, ClaimState, ClaimStream, SessionFact, SessionFeed, SessionHealth};
use recipes::ClaimRecord;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::claim::{ClaimDocument, LossReason, LostClaim, moved, standing_in};
use super::claim_events::why_lost;
use super::frames::{Beat, Frame, Framing, Pulse, Source, goaway, respond};
use super::names::{Lock, Namespace, SessionId, Sort, claimed_by};
use super::notice::{Notice, NoticeKind};
use super::path::OfSession;
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use super::sessions::{Session, find_record, not_found};

/// The session will end unless it can be renewed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Expiring {
    /// The session.
    pub(crate) session: String,
    /// How long it lives if that goes on.
    pub(crate) remaining_ms: u64,
}

/// Somebody would like a claim to be released.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokeRequested {
    /// Where the claim is.
    #[schema(examples("/v1/locks/orders"))]
    pub(crate) resource: String,
    /// The claim's token.
    pub(crate) token: i64,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// The session is gone. Nothing follows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionEnded {
    /// The session.
    pub(crate) session: String,
}

/// Keeps a session alive for as long as the stream is open, and tells what happens to all its claims in the namespace: `session`
/// first, then `queued`, `granted`, `lost`, `revoke-requested`, `expiring`, and `ended` last. When the stream closes, the session
/// lives for its `disconnect_grace`.
#[utoipa::path(
    get,
    path = "/sessions/{id}/stream",
    operation_id = "streamSession",
    tag = "sessions",
    params(("id" = String, Path, description = "The session", example = "694d805f7877a227")),
    responses(
        (status = 200, description = "The stream", content(
            (String = "text/event-stream"),
            (String = "application/x-ndjson"),
        )),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stream(
    State(rest): State<Rest>,
    caller: Caller,
    OfSession { namespace, session: id }: OfSession,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let framing = Framing::accepted(&headers).unwrap_or(Framing::EventStream);
    let record = find_record(&rest, &caller, &namespace, id).await.map_err(Problem::of_read)?.unwrap_or_default();
    let bound = rest.handle.bind_session(id.lease(), record.disconnect_grace()).await.map_err(Problem::of_write)?;
    let bound = bound.ok_or_else(|| not_found(id))?;
    let feed = rest.handle.follow_session(id.lease()).await.map_err(Problem::of_read)?;
    let ttl = rest.handle.lease_info(id.lease()).map_or(1, |info| info.ttl);
    let session = Session::new(&rest, id, ttl, record);
    let mut events = SessionEvents {
        pulse: Pulse::new(rest.draining.clone()),
        rest,
        caller,
        namespace,
        id,
        bound: Some(bound),
        feed,
        claims: BTreeMap::new(),
        moves: FuturesUnordered::new(),
        frames: VecDeque::from([Frame::event("session", &session)]),
    };
    events.look_at_claims().await;
    Ok(respond(framing, events))
}

/// What a claim did: its record, its stream, and where it stands now.
type Move = (Vec<u8>, ClaimStream, Option<ClaimState>);

struct SessionEvents {
    rest: Rest,
    caller: Caller,
    namespace: Namespace,
    id: SessionId,
    /// `None` when all was told.
    bound: Option<BoundSession>,
    feed: SessionFeed,
    /// By the keys of their records.
    claims: BTreeMap<Vec<u8>, (Lock, Claim)>,
    moves: FuturesUnordered<BoxFuture<'static, Move>>,
    frames: VecDeque<Frame>,
    pulse: Pulse,
}

/// What there is to tell of.
enum News {
    Fact(Option<SessionFact>),
    Health(Option<SessionHealth>),
    Moved(Move),
}

impl Source for SessionEvents {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            let bound = self.bound.as_mut()?;
            let (feed, moves) = (&mut self.feed, &mut self.moves);
            let news = async {
                tokio::select! {
                    Some(moved) = moves.next() => News::Moved(moved),
                    fact = feed.next() => News::Fact(fact),
                    health = bound.changed() => News::Health(health),
                }
            };
            match self.pulse.wait_for(news).await {
                Beat::Came(news) => self.tell(news).await,
                Beat::Quiet => return Some(Frame::Ping),
                Beat::Stopping => {
                    self.let_go();
                    return Some(goaway());
                }
            }
        }
    }
}

impl SessionEvents {
    async fn tell(&mut self, news: News) {
        match news {
            News::Moved(moved) => self.tell_move(moved).await,
            News::Fact(Some(SessionFact::Changed(change))) => self.tell_change(&change).await,
            News::Fact(Some(SessionFact::Shortened)) => self.bound.iter().for_each(BoundSession::renew_now),
            News::Fact(Some(SessionFact::Ended)) | News::Health(Some(SessionHealth::Gone)) => self.tell_end(),
            News::Fact(None) => self.begin_anew().await,
            News::Health(Some(SessionHealth::Expiring { at })) => {
                let left = at.saturating_duration_since(Instant::now()).as_millis();
                let remaining_ms = u64::try_from(left).unwrap_or(u64::MAX);
                self.frames
                    .push_back(Frame::event("expiring", &Expiring { session: self.id.to_string(), remaining_ms }));
            }
            News::Health(Some(SessionHealth::Alive)) => {}
            News::Health(None) => self.let_go(),
        }
    }

    /// Facts were missed: follows anew and looks at what there is.
    async fn begin_anew(&mut self) {
        match self.rest.handle.follow_session(self.id.lease()).await {
            Ok(feed) => {
                self.feed = feed;
                if self.rest.handle.lease_info(self.id.lease()).is_none() {
                    return self.tell_end();
                }
                self.look_at_claims().await;
            }
            Err(_stopped) => self.let_go(),
        }
    }

    /// Ends the stream without ending the session.
    fn let_go(&mut self) {
        if let Some(bound) = self.bound.take() {
            bound.let_go();
        }
    }

    fn tell_end(&mut self) {
        self.let_go();
        for (lock, claim) in std::mem::take(&mut self.claims).into_values() {
            let lost = LostClaim::new(&lock, claim.lease, claim.token, (LossReason::SessionEnded, None));
            self.frames.push_back(Frame::event("lost", &lost));
        }
        self.frames.push_back(Frame::event("ended", &SessionEnded { session: self.id.to_string() }));
    }

    /// Takes up the claims that are not followed yet.
    async fn look_at_claims(&mut self) {
        let Some(info) = self.rest.handle.lease_info(self.id.lease()) else { return };
        let mut in_sets = Vec::new();
        for key in &info.keys {
            if claimed_by(&self.namespace, key).is_some_and(|(lock, _)| lock.sort == Sort::LockSet) {
                in_sets.extend(keys_of_set(&self.rest, &self.caller, key.clone()).await);
            }
        }
        for key in info.keys.iter().filter(|key| !in_sets.iter().any(|of_set| of_set.as_bytes() == key.as_ref())) {
            self.take_up(key).await;
        }
    }

    async fn tell_change(&mut self, change: &Change) {
        let lease = self.id.lease();
        let puts = || change.events.iter().filter(|event| event.kind == EventKind::Put && event.kv.lease == lease);
        let records = puts().filter(|event| {
            claimed_by(&self.namespace, &event.kv.key).is_some_and(|(lock, _)| lock.sort == Sort::LockSet)
        });
        let in_sets: Vec<String> = records.flat_map(|event| ClaimRecord::read(&event.kv.value).keys).collect();
        let notice_key = self.namespace.notice_key(self.id);
        for event in puts() {
            if event.kv.key == notice_key {
                self.tell_notice(event);
            } else if event.is_create() && !in_sets.iter().any(|key| key.as_bytes() == event.kv.key.as_ref()) {
                self.take_up(&event.kv.key).await;
            }
        }
    }

    fn tell_notice(&mut self, event: &Event) {
        if let Some(Notice { kind: NoticeKind::RevokeRequested, resource, token, reason, .. }) =
            Notice::read(&event.kv.value)
        {
            self.frames.push_back(Frame::event("revoke-requested", &RevokeRequested { resource, token, reason }));
        }
    }

    /// Follows the claim that a key belongs to, if it is one of this session's and not followed yet.
    async fn take_up(&mut self, key: &[u8]) {
        let Some((lock, session)) = claimed_by(&self.namespace, key) else { return };
        if session != self.id {
            return;
        }
        let found = self.rest.handle.claim_state(&self.caller, &lock.claimable(), session.lease()).await;
        // One that is gone again leaves no trace; one that cannot be read now is found when the stream is opened anew.
        let Ok(Some(claim)) = found else { return };
        let record = claim.record.to_vec();
        if self.claims.get(&record).is_some_and(|(_, known)| known.token == claim.token) {
            return;
        }
        if let Ok(stream) = self.rest.handle.follow_claim(&claim).await {
            self.claims.insert(record.clone(), (lock, claim));
            self.follow(record, stream);
        }
    }

    fn follow(&self, record: Vec<u8>, mut stream: ClaimStream) {
        self.moves.push(Box::pin(async move {
            let state = stream.next().await;
            (record, stream, state)
        }));
    }

    async fn tell_move(&mut self, (record, stream, state): Move) {
        let Some((lock, claim)) = self.claims.get_mut(&record) else { return };
        match state.and_then(standing_in) {
            Some(standing) => {
                if standing != claim.standing {
                    *claim = moved(claim, standing, self.rest.handle.revision());
                }
                let document = ClaimDocument::of(&self.rest, &self.caller, lock, claim, None).await;
                let name = if claim.is_held() { "granted" } else { "queued" };
                self.frames.push_back(Frame::event(name, &document));
                self.follow(record, stream);
            }
            None => {
                let why = why_lost(&self.rest, &self.caller, lock, claim).await;
                let lost = LostClaim::new(lock, claim.lease, claim.token, why);
                self.frames.push_back(Frame::event("lost", &lost));
                self.claims.remove(&record);
            }
        }
    }
}

/// The keys that the record of a set's claim lists.
async fn keys_of_set(rest: &Rest, caller: &Caller, record: bytes::Bytes) -> Vec<String> {
    let read = RangeRequest { serializable: true, ..RangeRequest::new(KeyRange::Single(record)) };
    let read = rest.handle.range(caller, read).await;
    read.ok().and_then(|read| read.kvs.first().map(|kv| ClaimRecord::read(&kv.value).keys)).unwrap_or_default()
}
