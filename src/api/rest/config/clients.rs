//! Clients of a configuration: what each made of which release, in its own words. Who has what, who is behind, and why.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use model::RangeRequest;
use recipes::config::{AckOutcome, AckStatus, Acknowledge};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::draft::named;
use super::layers::{check_labels, parse_labels};
use super::set::{OfClient, OfSet, parse_version};
use crate::rest::Rest;
use crate::rest::body::Json;
use crate::rest::caller::Caller;
use crate::rest::names::SessionId;
use crate::rest::problem::{Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;

/// Longest text of an error in bytes.
const ERROR_BYTES_MAX: usize = 4096;

/// Clients of a page, unless the request says how many.
const LIMIT_DEFAULT: i64 = 100;

/// Most clients of a page.
const LIMIT_MAX: i64 = 1000;

/// What a client made of a release.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"session": "694d805f7877a227", "version": 42, "status": "applied", "labels": {"zone": "a"}}))]
pub(crate) struct AckRequest {
    /// The client's session: when it ends, the client is not listed any more.
    pub(crate) session: String,
    /// The release.
    pub(crate) version: u64,
    /// How it fared with it.
    pub(crate) status: Status,
    /// Why, if it failed. At most 4096 bytes.
    pub(crate) error: Option<String>,
    /// The client's labels.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// How a client fared with a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It runs with it.
    #[default]
    Applied,
    /// It tried, and could not.
    Failed,
    /// It would not.
    Rejected,
}

/// What is kept of it: what it said, nothing else, so that saying it again changes nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    version: u64,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

/// What a client said last.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"client": "web-1", "session": "694d805f7877a227", "version": 42, "status": "applied",
    "labels": {"zone": "a"}, "mod_revision": 18423}))]
pub(crate) struct ClientDocument {
    /// Its name.
    pub(crate) client: String,
    /// Its session.
    pub(crate) session: String,
    /// The release.
    pub(crate) version: u64,
    /// How it fared with it.
    pub(crate) status: Status,
    /// Why, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    /// When it said so first.
    pub(crate) mod_revision: i64,
}

/// Clients whose sessions live.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "counts": {"42": {"applied": 9, "failed": 1}, "41": {"applied": 2}}, "matching": 1,
    "clients": [{"client": "web-7", "session": "694d805f7877a227", "version": 42, "status": "failed",
        "error": "pool.size: out of memory", "mod_revision": 18423}]
}))]
pub(crate) struct ClientList {
    /// Of all clients: how many said what of which release.
    pub(crate) counts: BTreeMap<u64, BTreeMap<Status, usize>>,
    /// How many match the filters.
    pub(crate) matching: usize,
    /// A page of those, by name.
    pub(crate) clients: Vec<ClientDocument>,
    /// For the next page: `after=` this; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_after: Option<String>,
}

impl From<Status> for AckStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Applied => Self::Applied,
            Status::Failed => Self::Failed,
            Status::Rejected => Self::Rejected,
        }
    }
}

/// Says what a client made of a release. A rollout goes on, or stops, by what is said here. Doing it twice is safe, and counts once.
#[utoipa::path(
    put,
    path = "/configs/{app}/{env}/clients/{client}",
    operation_id = "acknowledgeConfig",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("client" = String, Path, description = "The client: a name that stays the same when it is restarted",
            example = "web-1"),
    ),
    request_body = AckRequest,
    responses(
        (status = 201, description = "Noted; the client had said nothing in a session that lives", body = ClientDocument),
        (status = 200, description = "Noted", body = ClientDocument),
        (status = 404, description = "`session-not-found`, or `config-not-found`: there is no such release",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn acknowledge(
    State(rest): State<Rest>,
    caller: Caller,
    OfClient { set, client }: OfClient,
    query: Query,
    Json(request): Json<AckRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let session = SessionId::parse(&request.session)?;
    check_labels(&request.labels)?;
    if request.error.as_ref().is_some_and(|error| error.len() > ERROR_BYTES_MAX) {
        return Err(Problem::invalid(format!("error has at most {ERROR_BYTES_MAX} bytes")));
    }
    let AckRequest { version, status, error, labels, .. } = request;
    let said = Said { version, status, error, labels };
    let value = Bytes::from(serde_json::to_vec(&said).expect("texts and numbers are always JSON"));
    let (prefix, name) = (set.prefix(), client.clone().into());
    let ack = Acknowledge { set: prefix, client: name, lease: session.lease(), version, status: status.into(), value };
    let (revision, outcome) = rest.handle.acknowledge(caller.identity(), ack).await.map_err(Problem::of_write)?;
    match outcome {
        AckOutcome::Noted { revision: noted_at, is_new } => {
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            let document = said.document(client, session.to_string(), noted_at.get());
            Ok(reply(status, revision, [], &document))
        }
        AckOutcome::SessionExpired => Err(Problem::new(Kind::SessionNotFound, "there is no such session")),
        AckOutcome::NoSuchRelease => {
            Err(Problem::new(Kind::ConfigNotFound, format!("there is no release {version}")).seen_at(revision))
        }
    }
}

impl Said {
    fn document(self, client: String, session: String, mod_revision: i64) -> ClientDocument {
        let Self { version, status, error, labels } = self;
        ClientDocument { client, session, version, status, error, labels, mod_revision }
    }
}

/// What shall be listed.
struct Filter {
    version: Option<u64>,
    version_not: Option<u64>,
    status: Option<Status>,
    labels: BTreeMap<String, String>,
}

impl Filter {
    fn of(query: &mut Query) -> Result<Self, Problem> {
        let statuses = [("applied", Status::Applied), ("failed", Status::Failed), ("rejected", Status::Rejected)];
        let mut version = |name| query.text(name)?.map(|text| parse_version(&text)).transpose();
        let (version, version_not) = (version("version")?, version("version_not")?);
        let labels = query.text("labels")?.map(|text| parse_labels(&text)).transpose()?.unwrap_or_default();
        Ok(Self { version, version_not, status: query.choice("status", &statuses)?, labels })
    }

    fn lets_through(&self, client: &ClientDocument) -> bool {
        self.version.is_none_or(|version| client.version == version)
            && self.version_not.is_none_or(|version| client.version != version)
            && self.status.is_none_or(|status| client.status == status)
            && self.labels.iter().all(|(name, value)| client.labels.get(name) == Some(value))
    }
}

/// Who runs what: the clients whose sessions live, and what each said last.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/clients",
    operation_id = "listConfigClients",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = Option<i64>, Query, description = "Only those that speak of this release"),
        ("version_not" = Option<i64>, Query, description = "Only those that speak of another release: who is behind"),
        ("status" = Option<String>, Query, description = "`applied`, `failed` or `rejected`"),
        ("labels" = Option<String>, Query, description = "Only those with these labels: `zone:a,tier:web`"),
        ("limit" = Option<i64>, Query, description = "Most clients of the page: 1 to 1000, 100 by default", example = 100),
        ("after" = Option<String>, Query, description = "Only those whose names come after this"),
    ),
    responses((status = 200, description = "Counts of all, and a page of those that match", body = ClientList))
)]
pub(crate) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    mut query: Query,
) -> Result<Response, Problem> {
    let filter = Filter::of(&mut query)?;
    let limit = query.positive("limit")?.unwrap_or(LIMIT_DEFAULT);
    let after = query.text("after")?.unwrap_or_default();
    query.finish()?;
    if limit > LIMIT_MAX {
        return Err(Problem::invalid(format!("limit must be between 1 and {LIMIT_MAX}")));
    }
    let read = rest.handle.range(&caller, RangeRequest::new(set.folder("clients/"))).await.map_err(Problem::of_read)?;
    let mut counts: BTreeMap<u64, BTreeMap<Status, usize>> = BTreeMap::new();
    let mut matching = Vec::new();
    for (client, kv) in named(&set, "clients/", read.kvs)? {
        // What others wrote there says nothing.
        let Ok(said) = serde_json::from_slice::<Said>(&kv.value) else { continue };
        *counts.entry(said.version).or_default().entry(said.status).or_default() += 1;
        let session = SessionId::of(kv.lease).to_string();
        matching.push(said.document(client, session, kv.mod_revision.get()));
    }
    matching.retain(|client| filter.lets_through(client));
    let count = matching.len();
    matching.retain(|client| client.client > after);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = matching.len() <= limit;
    matching.truncate(limit);
    let next_after = matching.last().filter(|_| !is_last).map(|client| client.client.clone());
    let document = ClientList { counts, matching: count, clients: matching, next_after };
    Ok(reply(StatusCode::OK, read.revision, [], &document))
}
