//! Elections: standing for one, seeing who leads, proclaiming, resigning.
//!
//! A candidacy is one session's place in one election's line, so asking again is safe: same place, same term. A client that hangs up
//! while it waits withdraws, if its request made the candidacy.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{KeyRange, RangeRequest, Revision, SortOrder, SortTarget};
use node::{
    CampaignRequest, Claim, ClaimOutcome, Claimable, OnTimeout, ReleaseOutcome, Requeue, SessionRequest as NodeSession,
};
use recipes::{About, Proclaim, ProclaimOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::{self, Json};
use super::caller::Caller;
use super::candidate::{Candidacy, Candidate, Leader};
use super::claim_request::WAIT_MAX;
use super::claims::{QUEUED_RETRY_AFTER_S, opened_session};
use super::conditions::Tags;
use super::duration::Span;
use super::names::SessionId;
use super::path::{OfMember, OfName, OfNewMember};
use super::problem::{Facts, Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::{Folder, Resource};
use super::sessions::{SessionRecord, SessionRequest};
use super::value::GivenAs;

/// Longest media type of a value, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 256;

/// Most candidates that are shown with an election.
const CANDIDATES_MAX: i64 = 1000;

/// A candidacy to be made. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "10.0.0.7:8080", "content_type": "text/plain", "wait": "30s"}))]
pub(crate) struct CandidateRequest {
    /// What to proclaim once it leads. Of a candidacy that there is already it is replaced. Default empty.
    pub(crate) value: Option<String>,
    /// How `value` is given. Default `utf8`.
    pub(crate) encoding: Option<GivenAs>,
    /// The media type of the value, for who reads it: at most 256 bytes.
    #[schema(examples("text/plain"))]
    pub(crate) content_type: Option<String>,
    /// How long to wait to lead: up to `10m`. Default `0s`. The candidacy stays after that.
    #[schema(value_type = Option<String>, examples("30s"))]
    pub(crate) wait: Option<Span>,
    /// Whether to stand again, behind all others, when the candidacy is withdrawn from elsewhere while the request waits and its session
    /// lives. Default false.
    pub(crate) auto_requeue: Option<bool>,
    /// Only with a new session: its TTL. Default `10s`.
    #[schema(value_type = Option<String>, examples("10s"))]
    pub(crate) ttl: Option<Span>,
    /// Only with a new session: its name.
    pub(crate) name: Option<String>,
    /// Only with a new session: its labels.
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// An election as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ElectionState {
    /// Its name.
    #[schema(examples("shards"))]
    pub(crate) election: String,
    /// Its namespace.
    #[schema(examples("default"))]
    pub(crate) namespace: String,
    /// Who leads; null when nobody does.
    pub(crate) leader: Option<Leader>,
    /// Who waits, first come first; at most 1000 of them.
    pub(crate) candidates: Vec<Candidate>,
    /// How many wait.
    pub(crate) waiting: i64,
    /// The name under which etcd's clients take part: `etcdctl elect <this>`.
    #[schema(examples("/default/elections/shards"))]
    pub(crate) etcd_prefix: String,
    /// What this shows.
    pub(crate) revision: i64,
}

impl CandidateRequest {
    /// The candidacy in `election` for `session`, a new one if that is `None`; and what is to be opened with it.
    fn check(
        self,
        election: &Resource,
        session: Option<SessionId>,
    ) -> Result<(CampaignRequest, Option<(i64, SessionRecord)>), Problem> {
        if session.is_some() && (self.ttl.is_some() || self.name.is_some() || self.labels.is_some()) {
            return Err(Problem::invalid(
                "ttl, name and labels are of a session that is opened with the candidacy: .../candidates/new",
            ));
        }
        let wait = match self.wait {
            Some(span) => span.within("wait", Duration::ZERO, WAIT_MAX)?,
            None => Duration::ZERO,
        };
        let value = self.encoding.unwrap_or_default().read(self.value.unwrap_or_default())?;
        let about = self.content_type.map(|media_type| about(election, media_type)).transpose()?;
        let opened =
            SessionRequest { ttl: self.ttl, name: self.name, labels: self.labels, ..SessionRequest::default() };
        let (session, opens) = match session {
            Some(id) => (NodeSession::Existing(id.lease()), None),
            None => {
                let (ttl, record) = opened.check()?;
                let record_prefix = election.namespace.session_records();
                (NodeSession::New { ttl, record_prefix, record: record.write() }, Some((ttl, record)))
            }
        };
        let requeue = if self.auto_requeue == Some(true) { Requeue::WhileSessionLives } else { Requeue::Never };
        let (prefix, on_timeout) = (election.prefix(), OnTimeout::Keep);
        Ok((CampaignRequest { prefix, session, value, about, wait, on_timeout, requeue }, opens))
    }
}

/// The record that says of what type a value is.
fn about(election: &Resource, media_type: String) -> Result<About, Problem> {
    if media_type.is_empty() || media_type.len() > CONTENT_TYPE_BYTES_MAX || media_type.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "a content type has 1 to {CONTENT_TYPE_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(About { prefix: election.meta(), value: media_type.into() })
}

/// Stands for election, and waits to lead. `session` is `new` to open a session in the same step. Asking again is safe.
#[utoipa::path(
    put,
    path = "/elections/{name}/candidates/{session}",
    operation_id = "standForElection",
    tag = "elections",
    params(
        ("name" = String, Path, description = "The election; a slash in a name is written %2F", example = "shards"),
        ("session" = String, Path, description = "A session that is open, or `new`", example = "new"),
    ),
    request_body = CandidateRequest,
    responses(
        (status = 201, description = "It leads, by this request", body = Candidacy, headers(("Location" = String, description = "The candidacy"), ("ETag" = String, description = "The term"))),
        (status = 200, description = "It stood already and leads, in the same term", body = Candidacy),
        (status = 202, description = "It did not lead when the wait ended; the candidacy stays", body = Candidacy),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`claim-lost`: the candidacy was withdrawn, or its session ended, while it waited",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stand(
    State(rest): State<Rest>,
    caller: Caller,
    OfNewMember { of, session }: OfNewMember,
    query: Query,
    Json(request): Json<CandidateRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let election = Folder::Elections.named(of)?;
    let (request, opens) = request.check(&election, session)?;
    let outcome = rest.unless_stopping(rest.handle.campaign(caller.identity(), request)).await?;
    let (status, claim) = match outcome.map_err(Problem::of_write)? {
        ClaimOutcome::Held { claim, is_new: true } => (StatusCode::CREATED, claim),
        ClaimOutcome::Held { claim, is_new: false } => (StatusCode::OK, claim),
        ClaimOutcome::Queued { claim } => (StatusCode::ACCEPTED, claim),
        ClaimOutcome::SessionNotFound => return Err(Problem::new(Kind::SessionNotFound, "there is no such session")),
        ClaimOutcome::Lost => {
            let detail = format!("{}: the candidacy was withdrawn from elsewhere, or its session ended", election.name);
            return Err(Problem::new(Kind::ClaimLost, detail));
        }
        ClaimOutcome::OtherClaim
        | ClaimOutcome::Broken
        | ClaimOutcome::LimitExceeded { .. }
        | ClaimOutcome::NoSemaphore
        | ClaimOutcome::TooManyHolds
        | ClaimOutcome::Busy { .. }
        | ClaimOutcome::WaitTimeout { .. }
        | ClaimOutcome::QueueFull { .. } => {
            unreachable!("a candidate stands in line, whoever leads")
        }
    };
    let opened = opens.map(|opens| opened_session(&rest, &claim, opens));
    let document = Candidacy::of(&rest, &caller, &election, &claim, opened).await;
    let location = format!("{}/candidates/{}", election.url(), SessionId::of(claim.lease));
    Ok(if claim.is_held() {
        reply(status, claim.revision, [(LOCATION, location), (ETAG, tag(claim.token))], &document)
    } else {
        let retry = QUEUED_RETRY_AFTER_S.to_owned();
        reply(status, claim.revision, [(LOCATION, location), (RETRY_AFTER, retry)], &document)
    })
}

fn tag(term: Revision) -> String {
    format!("\"{term}\"")
}

/// A session's candidacy as it stands.
#[utoipa::path(
    get,
    path = "/elections/{name}/candidates/{session}",
    operation_id = "getCandidacy",
    tag = "elections",
    params(
        ("name" = String, Path, description = "The election", example = "shards"),
        ("session" = String, Path, description = "The session"),
    ),
    responses(
        (status = 200, description = "It leads or waits", body = Candidacy),
        (status = 404, description = "`claim-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_candidacy(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let election = Folder::Elections.named(of)?;
    let line = Claimable::Mutex { prefix: election.prefix() };
    let found = rest.handle.claim_state(&caller, &line, session.lease()).await.map_err(Problem::of_read)?;
    let claim: Claim = found.ok_or_else(|| {
        Problem::new(Kind::ClaimNotFound, format!("session {session} does not stand for {}", election.name))
    })?;
    let document = Candidacy::of(&rest, &caller, &election, &claim, None).await;
    if !claim.is_held() {
        return Ok(reply(StatusCode::OK, claim.revision, [], &document));
    }
    Ok(reply(StatusCode::OK, claim.revision, [(ETAG, tag(claim.token))], &document))
}

/// Resigns, or withdraws a candidacy that waits. With `If-Match` only that of this term. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/elections/{name}/candidates/{session}",
    operation_id = "resign",
    tag = "elections",
    params(
        ("name" = String, Path, description = "The election", example = "shards"),
        ("session" = String, Path, description = "The session"),
        ("If-Match" = Option<String>, Header, description = "The term in quotes", example = "\"1842\""),
    ),
    responses(
        (status = 204, description = "There is no such candidacy any more"),
        (status = 412, description = "`not-leader`: the session's candidacy is a newer one, and stays", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn resign(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let election = Folder::Elections.named(of)?;
    let term = match Tags::parse_one(&headers, &IF_MATCH)? {
        Some(Tags::Listed(terms)) => terms.first().copied(),
        Some(Tags::Any) | None => None,
    };
    let key = recipes::contender_key(&election.prefix(), session.lease());
    match rest.handle.release(caller.identity(), key, term).await.map_err(Problem::of_write)? {
        ReleaseOutcome::Released { .. } | ReleaseOutcome::NotHeld => Ok(StatusCode::NO_CONTENT.into_response()),
        ReleaseOutcome::Stale { current } => Err(not_leader(&election, Some(current))),
    }
}

fn not_leader(election: &Resource, current: Option<Revision>) -> Problem {
    let detail = format!("{}: the term is over; nothing was changed", election.name);
    let facts = Facts { current_token: current.map(Revision::get), ..Facts::default() };
    Problem::new(Kind::NotLeader, detail).with(facts)
}

/// An election as it stands: who leads, who waits. One that nobody stands for has no leader.
#[utoipa::path(
    get,
    path = "/elections/{name}",
    operation_id = "getElection",
    tag = "elections",
    params(("name" = String, Path, description = "The election; a slash in a name is written %2F", example = "shards")),
    responses((status = 200, description = "With or without a leader", body = ElectionState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let election = Folder::Elections.named(of)?;
    let range = RangeRequest {
        order: SortOrder::Ascend,
        target: SortTarget::Create,
        ..RangeRequest::new(KeyRange::prefix(election.prefix())).with_limit(CANDIDATES_MAX + 1)
    };
    let read = rest.handle.range(&caller, range).await.map_err(Problem::of_read)?;
    let mut kvs = read.kvs.iter();
    let leader = match kvs.next() {
        Some(kv) => Some(Leader::of(&rest, &caller, &election, kv, read.revision).await),
        None => None,
    };
    let state = ElectionState {
        leader,
        candidates: kvs.map(Candidate::from).collect(),
        waiting: (read.count - 1).max(0),
        etcd_prefix: election.etcd_name(),
        revision: read.revision.get(),
        namespace: election.namespace.as_str().to_owned(),
        election: election.name,
    };
    Ok(reply(StatusCode::OK, read.revision, [], &state))
}

/// Proclaims: the body becomes the leader's value, byte by byte, and its `Content-Type` the value's. Only the leader can, which
/// `If-Match` with its term proves.
#[utoipa::path(
    put,
    path = "/elections/{name}/value",
    operation_id = "proclaim",
    tag = "elections",
    params(
        ("name" = String, Path, description = "The election", example = "shards"),
        ("If-Match" = String, Header, description = "The leader's term in quotes", example = "\"1842\""),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The value"),
    responses(
        (status = 200, description = "Proclaimed", body = Leader, headers(("ETag" = String, description = "The term"))),
        (status = 412, description = "`not-leader`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "`value-too-large`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 428, description = "`precondition-required`: without If-Match", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn proclaim(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query.finish()?;
    let election = Folder::Elections.named(of)?;
    let term = Tags::required(&headers, "the leader's term")?;
    let media_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let about = media_type.map(|media_type| about(&election, media_type)).transpose()?;
    let value = body::read(body, rest.handle.config().request_bytes_max, Kind::ValueTooLarge).await?;
    let proclaim = Proclaim { prefix: election.prefix(), term, value, about };
    let (revision, outcome) = rest.handle.proclaim(caller.identity(), proclaim).await.map_err(Problem::of_write)?;
    match outcome {
        ProclaimOutcome::Proclaimed { leader } => {
            let document = Leader::of(&rest, &caller, &election, &leader, revision).await;
            Ok(reply(StatusCode::OK, revision, [(ETAG, tag(term))], &document))
        }
        ProclaimOutcome::NotLeader { leader } => {
            Err(not_leader(&election, leader.map(|leader| leader.create_revision)).seen_at(revision))
        }
    }
}
