//! An election as a stream: who leads, that nobody does, what is proclaimed, who waits.
//!
//! All of it is computed from the keys of one revision, so an event never names a leader that did not lead (T24); that nobody leads
//! is an event like any other.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use model::{KeyRange, KeyValue, Revision};
use node::Keys;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::candidate::{Candidate, Leader};
use super::envelope::RequestId;
use super::frames::{Frame, Framing, respond};
use super::path::OfName;
use super::problem::Problem;
use super::query::Query;
use super::resource::{Folder, Resource};
use super::resume::Since;
use super::telling::{Teller, Telling};

/// Who waits, after a change of that.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Candidates {
    /// Who waits, first come first.
    pub(crate) candidates: Vec<Candidate>,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Nobody leads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoLeader {
    /// What this shows.
    pub(crate) revision: i64,
}

/// Follows an election: who leads, and every change of that.
///
/// Events: `leader` (somebody else leads now), `no-leader`, `proclaimed` (the leader's value changed), `candidates` (others wait
/// now), `progress` (nothing happened up to here), `reset` (the cursor cannot be used; all is told again), `goaway` (the server
/// stops; connect again). The first two events say how it stands. The id is a cursor: give the last one in `Last-Event-ID` or
/// `cursor`, and nothing is missed or told twice.
#[utoipa::path(
    get,
    path = "/elections/{name}/events",
    operation_id = "followElection",
    tag = "elections",
    params(
        ("name" = String, Path, description = "The election", example = "shards"),
        ("cursor" = Option<String>, Query, description = "The id of the last event that was heard"),
        ("Last-Event-ID" = Option<String>, Header, description = "As `cursor`, before which it goes"),
    ),
    responses(
        (status = 200, description = "Events without end: server-sent events, or lines of JSON (`{event, id, data}`) with \
            `Accept: application/x-ndjson`", content(
            (String = "text/event-stream"),
            (String = "application/x-ndjson"),
        )),
    )
)]
pub(crate) async fn follow(
    State(rest): State<Rest>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    of: OfName,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = Since::asked(&headers, &mut query)?;
    query.finish()?;
    let election = Folder::Elections.named(of)?;
    let framing = Framing::accepted(&headers).unwrap_or(Framing::EventStream);
    let range = KeyRange::prefix(election.prefix());
    let teller = ElectionTeller { caller: caller.clone(), election, leader: None, waiting: Vec::new() };
    let telling = Telling::open(rest.clone(), &caller, range, since, teller, request_id.to_string());
    Ok(respond(framing, rest.unless_stopping(telling).await??))
}

/// What the client was told.
struct ElectionTeller {
    caller: Caller,
    election: Resource,
    /// Term of the leader, and when its value was proclaimed.
    leader: Option<(Revision, Revision)>,
    /// Keys of those who wait, in order.
    waiting: Vec<Bytes>,
}

/// The candidates of a revision, the leader first.
fn in_line(keys: &Keys) -> Vec<&KeyValue> {
    let mut line: Vec<&KeyValue> = keys.iter().collect();
    line.sort_by_key(|kv| (kv.create_revision, &kv.key));
    line
}

fn about_leader(line: &[&KeyValue]) -> Option<(Revision, Revision)> {
    line.first().map(|kv| (kv.create_revision, kv.mod_revision))
}

fn those_waiting(line: &[&KeyValue]) -> Vec<Bytes> {
    line.iter().skip(1).map(|kv| kv.key.clone()).collect()
}

impl ElectionTeller {
    async fn leader(&self, rest: &Rest, name: &'static str, line: &[&KeyValue], revision: Revision) -> Frame {
        match line.first() {
            Some(kv) => Frame::event(name, &Leader::of(rest, &self.caller, &self.election, kv, revision).await),
            None => Frame::event("no-leader", &NoLeader { revision: revision.get() }),
        }
    }
}

impl Teller for ElectionTeller {
    async fn all(&mut self, rest: &Rest, keys: &Keys) -> Vec<Frame> {
        self.know(keys);
        let line = in_line(keys);
        vec![self.leader(rest, "leader", &line, keys.revision()).await, candidates(&line, keys.revision())]
    }

    async fn changes(&mut self, rest: &Rest, keys: &Keys) -> Vec<Frame> {
        let line = in_line(keys);
        let (leader, waiting) = (about_leader(&line), those_waiting(&line));
        let term = |leader: Option<(Revision, Revision)>| leader.map(|(term, _)| term);
        let mut frames = Vec::new();
        if term(leader) != term(self.leader) {
            frames.push(self.leader(rest, "leader", &line, keys.revision()).await);
        } else if leader != self.leader {
            frames.push(self.leader(rest, "proclaimed", &line, keys.revision()).await);
        }
        if waiting != self.waiting {
            frames.push(candidates(&line, keys.revision()));
        }
        (self.leader, self.waiting) = (leader, waiting);
        frames
    }

    fn know(&mut self, keys: &Keys) {
        let line = in_line(keys);
        (self.leader, self.waiting) = (about_leader(&line), those_waiting(&line));
    }
}

fn candidates(line: &[&KeyValue], revision: Revision) -> Frame {
    let candidates = line.iter().skip(1).map(|kv| Candidate::from(*kv)).collect();
    Frame::event("candidates", &Candidates { candidates, revision: revision.get() })
}
