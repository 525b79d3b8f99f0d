//! The sessions of a namespace, page by page, from their records. A lease that was granted over the etcd API has no record and
//! is not listed.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use model::{KeyRange, KeyValue, RangeRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::names::SessionId;
use super::page::{Page, Place};
use super::path::OfNamespace;
use super::problem::Problem;
use super::query::Query;
use super::range::after;
use super::reply::reply;
use super::sessions::SessionRecord;

/// Sessions of a namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionPage {
    /// By id as text.
    pub(crate) sessions: Vec<SessionEntry>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
    /// What all pages of this list show.
    pub(crate) revision: i64,
}

/// A session in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionEntry {
    /// Its id.
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
}

/// The open sessions of the namespace.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "listSessions",
    tag = "sessions",
    params(
        ("limit" = Option<i64>, Query, description = "Most entries of the page: 1 to 1000", example = 100),
        ("page_token" = Option<String>, Query, description = "From `next_page_token` of the page before"),
        ("name" = Option<String>, Query, description = "Only sessions of this name; a page may then hold fewer than there are",
            example = "billing-7"),
        ("label" = Option<String>, Query, description = "Only sessions with this label, `label` or `label=value`; a page may then \
            hold fewer than there are", example = "zone=a"),
    ),
    responses((status = 200, description = "A page of them", body = SessionPage))
)]
pub(crate) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    OfNamespace(namespace): OfNamespace,
    mut query: Query,
) -> Result<Response, Problem> {
    let prefix = namespace.session_records();
    let page = Page::of(&mut query, &prefix)?;
    let filter = Filter { name: query.text("name")?, label: query.text("label")? };
    query.finish()?;
    let range = match &page.from {
        None => KeyRange::prefix(prefix.clone()),
        Some(place) => after(&prefix, &place.after),
    };
    let request = RangeRequest::new(range).with_limit(page.limit).at(page.revision());
    let read = rest.handle.range(&caller, request).await.map_err(|error| page.problem(error))?;
    let revision = page.from.as_ref().map_or(read.revision, |place| place.revision);
    let last = read.kvs.last().filter(|_| read.more).map(|kv| kv.key.clone());
    let next_page_token = last.map(|last| Place { revision, prefix: prefix.clone(), after: last }.token());
    let sessions =
        read.kvs.iter().filter_map(|kv| SessionEntry::of(&prefix, kv)).filter(|entry| filter.lets(entry)).collect();
    let document = SessionPage { sessions, next_page_token, revision: revision.get() };
    Ok(reply(StatusCode::OK, read.revision, [], &document))
}

/// Which sessions are asked for.
struct Filter {
    name: Option<String>,
    /// A label, or a label and its value.
    label: Option<String>,
}

impl Filter {
    fn lets(&self, entry: &SessionEntry) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((label, value)) => entry.labels.get(label).is_some_and(|own| own == value),
            None => entry.labels.contains_key(wanted),
        };
        self.name.as_ref().is_none_or(|name| entry.name.as_ref() == Some(name)) && self.label.as_ref().is_none_or(has)
    }
}

impl SessionEntry {
    /// The session whose record is `kv`; `None` for a key that others put there.
    fn of(prefix: &Bytes, kv: &KeyValue) -> Option<Self> {
        let id = std::str::from_utf8(kv.key.strip_prefix(prefix.as_ref())?).ok()?;
        let id = SessionId::parse(id).ok().filter(|id| id.lease() == kv.lease)?;
        let SessionRecord { name, labels, .. } = SessionRecord::read(&kv.value);
        Some(Self { id: id.to_string(), lease_id: id.lease().to_string(), name, labels })
    }
}
