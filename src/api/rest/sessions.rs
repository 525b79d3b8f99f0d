//! Sessions: a session is an etcd lease with a record of what it is. Everything that is claimed for it lives as long as it does.
//!
//! The record is a key on the session's own lease, so both are made and go in one revision. Any lease is a session here; one
//! that was granted over the etcd API has no name.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::{Identity, KeyRange, RangeRequest, Rejection};
use node::{Error, LeaseInfo, LeaseLife};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::duration::Span;
use super::names::{Namespace, SessionId, claimed_by};
use super::path::{OfNamespace, OfSession};
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;

/// Life of a session unless the client says how long: short enough for a crashed holder to be missed soon.
const TTL_DEFAULT: Duration = Duration::from_secs(10);

/// Longest life of a session.
const TTL_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a session lives after its stream was closed, unless the client says otherwise.
const GRACE_DEFAULT: Duration = Duration::from_secs(2);

/// Longest name of a session, and longest value of a label, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Most labels of a session.
const LABELS_MAX: usize = 64;

/// Most claims that are listed with a session.
const CLAIMS_MAX: usize = 1000;

/// A session to be opened. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl": "10s", "name": "billing-7", "labels": {"zone": "a"}}))]
pub(crate) struct SessionRequest {
    /// How long the session lives without a sign of life: `1ms` to `8760h`, raised to whole seconds and to the least that
    /// outlives an election. Default `10s`.
    #[schema(value_type = Option<String>, examples("10s"))]
    pub(crate) ttl: Option<Span>,
    /// For people: who this is. At most 256 bytes.
    pub(crate) name: Option<String>,
    /// For people and tools: at most 64, of 256 bytes each.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// How long the session lives after its stream was closed: `1s` to its TTL, in whole seconds. Default `2s`.
    #[schema(value_type = Option<String>, examples("2s"))]
    pub(crate) disconnect_grace: Option<Span>,
}

/// A session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its id, in paths and keys.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) id: String,
    /// The same as the decimal number of the etcd lease that it is.
    #[schema(examples("7587862094720508455"))]
    pub(crate) lease_id: String,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// How long it lives without a sign of life.
    #[schema(examples(10000))]
    pub(crate) ttl_ms: u64,
    /// How often the client should give a sign of life.
    #[schema(examples(3333))]
    pub(crate) keepalive_interval_ms: u64,
    /// How long after it *sent* its last answered sign of life a client must consider the session lost.
    #[schema(examples(6666))]
    pub(crate) client_deadline_ms: u64,
    /// Which history its tokens are of: they can only be compared within one.
    pub(crate) epoch: String,
}

/// A session as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionState {
    /// The session.
    #[serde(flatten)]
    pub(crate) session: Session,
    /// How long it lives if nothing is heard of it, to the second.
    pub(crate) remaining_ms: u64,
    /// Its claims on locks of the namespace, held and waiting; at most 1000.
    pub(crate) claims: Vec<SessionClaim>,
}

/// A session's claim on a lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionClaim {
    /// The lock, of whatever sort.
    pub(crate) lock: String,
    /// Where it is.
    #[schema(examples("/v1/locks/orders"))]
    pub(crate) resource: String,
    /// The claim's key.
    pub(crate) etcd_key: String,
}

/// The answer to a sign of life.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Renewal {
    /// How long the session lives from when the request was made.
    pub(crate) ttl_ms: u64,
    /// How often the client should give a sign of life.
    pub(crate) keepalive_interval_ms: u64,
    /// How long after it *sent* this request the client must consider the session lost.
    pub(crate) client_deadline_ms: u64,
}

/// What is stored about a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disconnect_grace_s: Option<u64>,
}

impl SessionRecord {
    /// How long the session lives after its stream was closed.
    pub(crate) fn disconnect_grace(&self) -> Duration {
        self.disconnect_grace_s.map_or(GRACE_DEFAULT, Duration::from_secs)
    }

    /// The record in a stored value; one that other clients wrote may say nothing.
    pub(crate) fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    /// The value to store.
    pub(crate) fn write(&self) -> Bytes {
        serde_json::to_vec(self).expect("a record of texts is always JSON").into()
    }
}

impl SessionRequest {
    /// The TTL in seconds and the record, if all is in bounds.
    pub(crate) fn check(self) -> Result<(i64, SessionRecord), Problem> {
        let ttl = match self.ttl {
            Some(span) => span.within("ttl", Duration::from_millis(1), TTL_MAX)?,
            None => TTL_DEFAULT,
        };
        let labels = self.labels.unwrap_or_default();
        let labels_fit = labels.len() <= LABELS_MAX
            && labels.iter().all(|(label, value)| !label.is_empty() && is_text(label) && is_text(value));
        if !labels_fit || !self.name.as_deref().is_none_or(is_text) {
            return Err(Problem::invalid(format!(
                "name, labels and their values have at most {TEXT_BYTES_MAX} bytes without control characters, and there are \
                 at most {LABELS_MAX} labels"
            )));
        }
        let grace = match self.disconnect_grace {
            Some(span) => {
                Some(whole_seconds(span.within("disconnect_grace", Duration::from_secs(1), ttl.max(GRACE_DEFAULT))?))
            }
            None => None,
        };
        let ttl = i64::try_from(whole_seconds(ttl)).expect("the longest TTL is a year");
        Ok((ttl, SessionRecord { name: self.name, labels, disconnect_grace_s: grace }))
    }
}

/// Seconds, rounded up.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

fn is_text(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

impl Session {
    /// A session that lives for `ttl` seconds.
    pub(crate) fn new(rest: &Rest, id: SessionId, ttl: i64, record: SessionRecord) -> Self {
        let Renewal { ttl_ms, keepalive_interval_ms, client_deadline_ms } = Renewal::of(ttl);
        Self {
            id: id.to_string(),
            lease_id: id.lease().to_string(),
            name: record.name,
            labels: record.labels,
            ttl_ms,
            keepalive_interval_ms,
            client_deadline_ms,
            epoch: rest.epoch().to_string(),
        }
    }
}

impl Renewal {
    /// A client that loses two signs of life in a row still gives the third in time; and it stops a third of the TTL before
    /// the server would, for the time that messages take and clocks that run at different speeds.
    fn of(ttl: i64) -> Self {
        let ttl_ms = u64::try_from(ttl).unwrap_or(0).saturating_mul(1000);
        Self { ttl_ms, keepalive_interval_ms: ttl_ms / 3, client_deadline_ms: ttl_ms / 3 * 2 }
    }
}

/// Opens a session under an id of the server's choice.
#[utoipa::path(
    post,
    path = "/sessions",
    operation_id = "openSession",
    tag = "sessions",
    request_body = SessionRequest,
    responses(
        (status = 201, description = "Opened", body = Session, headers(("Location" = String, description = "The session"))),
    )
)]
pub(crate) async fn open(
    State(rest): State<Rest>,
    caller: Caller,
    OfNamespace(namespace): OfNamespace,
    query: Query,
    Json(request): Json<SessionRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let (ttl, record) = request.check()?;
    let opening = rest.handle.open_session(caller.0, None, ttl, namespace.session_records(), record.write());
    let opened = opening.await.map_err(Problem::of_write)?;
    let id = SessionId::of(opened.lease);
    if !opened.is_new {
        return Err(conflict(id));
    }
    let location = format!("{}/sessions/{id}", namespace.url());
    let session = Session::new(&rest, id, opened.ttl, record);
    Ok(reply(StatusCode::CREATED, opened.revision, [(LOCATION, location)], &session))
}

/// Opens a session under an id of the client's choice. Doing it twice is safe.
#[utoipa::path(
    put,
    path = "/sessions/{id}",
    operation_id = "openSessionAs",
    tag = "sessions",
    params(("id" = String, Path, description = "1 to 7fffffffffffffff in lower-case hexadecimal, no leading zeros")),
    request_body = SessionRequest,
    responses(
        (status = 201, description = "Opened", body = Session),
        (status = 200, description = "The same session was open already", body = Session),
        (status = 409, description = "`session-conflict`: that id is in use for something else",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn open_as(
    State(rest): State<Rest>,
    caller: Caller,
    OfSession { namespace, session: id }: OfSession,
    query: Query,
    Json(request): Json<SessionRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let (ttl, record) = request.check()?;
    let (prefix, lease) = (namespace.session_records(), id.lease());
    let opening = rest.handle.open_session(caller.identity(), Some(lease), ttl, prefix, record.write());
    let opened = opening.await.map_err(Problem::of_write)?;
    let status = if opened.is_new { StatusCode::CREATED } else { StatusCode::OK };
    if !opened.is_new {
        let known = find_record(&rest, &caller, &namespace, id).await.map_err(Problem::of_read)?;
        let granted = ttl.max(rest.handle.config().lease_ttl_min());
        if opened.ttl != granted || known.as_ref() != Some(&record) {
            return Err(conflict(id));
        }
    }
    let session = Session::new(&rest, id, opened.ttl, record);
    Ok(reply(status, opened.revision, [], &session))
}

fn conflict(id: SessionId) -> Problem {
    Problem::new(Kind::SessionConflict, format!("session {id} exists and is another"))
}

/// A session as it stands: what it has left, and its claims.
#[utoipa::path(
    get,
    path = "/sessions/{id}",
    operation_id = "getSession",
    tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 200, description = "It is open", body = SessionState),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfSession { namespace, session: id }: OfSession,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let record = find_record(&rest, &caller, &namespace, id).await.map_err(Problem::of_read)?;
    let found = rest.handle.lease_time_to_live(id.lease()).await.map_err(Problem::of_read)?;
    let (life, info) = found.ok_or_else(|| not_found(id))?;
    rest.handle.permit_keys_of(&caller, &info).map_err(Problem::of_read)?;
    let state = SessionState::new(
        Session::new(&rest, id, life.granted_ttl, record.unwrap_or_default()),
        life,
        &info,
        &namespace,
    );
    Ok(reply(StatusCode::OK, rest.handle.revision(), [], &state))
}

impl SessionState {
    fn new(session: Session, life: LeaseLife, info: &LeaseInfo, namespace: &Namespace) -> Self {
        let claims = info.keys.iter().filter_map(|key| {
            let (lock, _) = claimed_by(namespace, key)?;
            let resource = lock.url();
            Some(SessionClaim { lock: lock.name, resource, etcd_key: String::from_utf8_lossy(key).into_owned() })
        });
        let remaining_ms = u64::try_from(life.remaining).unwrap_or(0).saturating_mul(1000);
        Self { session, remaining_ms, claims: claims.take(CLAIMS_MAX).collect() }
    }
}

/// A sign of life: the session lives for its whole TTL again.
#[utoipa::path(
    post,
    path = "/sessions/{id}/keepalive",
    operation_id = "keepSessionAlive",
    tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 200, description = "It lives", body = Renewal),
        (status = 404, description = "`session-not-found`: it is gone, and all its claims with it", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn keep_alive(
    State(rest): State<Rest>,
    _: Caller,
    OfSession { session: id, .. }: OfSession,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let renewed = rest.handle.lease_keep_alive(id.lease()).await.map_err(Problem::of_write)?;
    let ttl = renewed.ok_or_else(|| not_found(id))?;
    Ok(reply(StatusCode::OK, rest.handle.revision(), [], &Renewal::of(ttl)))
}

/// Closes a session; all its claims and keys go in one revision. Closing it twice is safe.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    operation_id = "closeSession",
    tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) async fn close(
    State(rest): State<Rest>,
    caller: Caller,
    OfSession { session: id, .. }: OfSession,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    match rest.handle.lease_revoke(caller.0, id.lease()).await {
        Ok(_) | Err(Error::Rejected(Rejection::LeaseNotFound)) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(Problem::of_write(error)),
    }
}

/// Says that there is no such session.
pub(crate) fn not_found(id: SessionId) -> Problem {
    Problem::new(Kind::SessionNotFound, format!("there is no session {id}"))
}

pub(crate) async fn find_record(
    rest: &Rest,
    caller: &Identity,
    namespace: &Namespace,
    id: SessionId,
) -> Result<Option<SessionRecord>, Error> {
    let key = recipes::contender_key(&namespace.session_records(), id.lease());
    let read = rest.handle.range(caller, RangeRequest::new(KeyRange::Single(key))).await?;
    Ok(read.kvs.first().map(|kv| SessionRecord::read(&kv.value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<(i64, SessionRecord), Problem> {
        serde_json::from_str::<SessionRequest>(json).unwrap().check()
    }

    #[test]
    fn a_ttl_is_whole_seconds_rounded_up() {
        for (json, ttl) in [("{}", 10), (r#"{"ttl":"1500ms"}"#, 2), (r#"{"ttl":"1ms"}"#, 1), (r#"{"ttl":"1h"}"#, 3600)]
        {
            assert_eq!(check(json).unwrap().0, ttl, "{json}");
        }
        assert!(check(r#"{"ttl":"0s"}"#).is_err());
        assert!(check(r#"{"ttl":"8761h"}"#).is_err());
    }

    #[test]
    fn t02_a_client_gives_up_before_the_server_does() {
        let renewal = Renewal::of(10);
        assert_eq!((renewal.ttl_ms, renewal.keepalive_interval_ms, renewal.client_deadline_ms), (10_000, 3333, 6666));
    }

    #[test]
    fn what_is_said_about_a_session_is_bounded() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert!(check(&format!(r#"{{"name":"{long}"}}"#)).is_err());
        assert!(check(&format!(r#"{{"labels":{{"a":"{long}"}}}}"#)).is_err());
        assert!(check(r#"{"labels":{"":"a"}}"#).is_err());
        assert!(check(r#"{"name":"a\nb"}"#).is_err());
        let many: BTreeMap<String, String> = (0..=LABELS_MAX).map(|label| (label.to_string(), String::new())).collect();
        assert!(SessionRequest { labels: Some(many), ..SessionRequest::default() }.check().is_err());
    }

    #[test]
    fn a_record_reads_back_and_foreign_ones_say_nothing() {
        let record = check(r#"{"name":"a","labels":{"b":"c"}}"#).unwrap().1;
        assert_eq!(SessionRecord::read(&record.write()), record);
        for value in [&b""[..], b"\xff", b"[]", br#"{"name":7}"#] {
            assert_eq!(SessionRecord::read(value), SessionRecord::default());
        }
    }
}
