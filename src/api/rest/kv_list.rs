//! Keys of a prefix, page by page. All pages show the revision of the first, and the list says from which cursor to watch so
//! that nothing is missed after it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use model::{KeyRange, RangeRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::cursor::Cursor;
use super::kv::Freshness;
use super::page::{Page, Place};
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use super::range::after;
use super::reply::reply;
use super::value::{KeyDocument, Wanted};

/// Keys of a prefix.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyPage {
    /// In byte order of the keys.
    pub(crate) items: Vec<KeyDocument>,
    /// How many keys the list has from this page on.
    pub(crate) remaining: i64,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
    /// What all pages of this list show.
    pub(crate) revision: i64,
    /// Watch from here to hear of everything that this list does not show yet: `/v1/watch?cursor=…`.
    #[schema(examples("cdf818194e3a8c32.18423"))]
    pub(crate) cursor: String,
}

/// The keys of a prefix.
#[utoipa::path(
    get,
    path = "/kv",
    operation_id = "listKeys",
    tag = "kv",
    params(
        ("prefix" = String, Query, description = "What the keys begin with; empty for all", example = "app/"),
        ("limit" = Option<i64>, Query, description = "Most entries of the page: 1 to 1000", example = 100),
        ("page_token" = Option<String>, Query, description = "From `next_page_token` of the page before"),
        ("consistency" = Option<String>, Query, description = "`linearizable`, which is the default, or `stale`"),
        ("revision" = Option<i64>, Query, description = "Read as of this revision; not with `page_token`, which has its own"),
        ("encoding" = Option<String>, Query, description = "`auto`, `base64` or `json`"),
    ),
    responses(
        (status = 200, description = "A page of them", body = KeyPage),
        (status = 410, description = "`page-expired` or `revision-compacted`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(rest): State<Rest>, caller: Caller, mut query: Query) -> Result<Response, Problem> {
    let prefix =
        query.bytes("prefix").ok_or_else(|| Problem::invalid("parameter \"prefix\" is missing; it may be empty"))?;
    let page = Page::of(&mut query, &prefix)?;
    let freshness = Freshness::of(&mut query)?;
    let wanted = Wanted::of(&mut query)?;
    query.finish()?;
    if page.from.is_some() && freshness.revision().get() > 0 {
        return Err(Problem::invalid("page_token has its own revision; revision has no place beside it"));
    }
    let request = match &page.from {
        None => freshness.read(KeyRange::prefix(prefix.clone())),
        Some(place) => freshness.read(after(&prefix, &place.after)).at(place.revision),
    };
    let pinned = request.revision;
    let read = rest.handle.range(&caller, RangeRequest { limit: page.limit, ..request }).await;
    let read = read.map_err(|error| page.problem(error))?;
    let revision = if pinned.get() > 0 { pinned } else { read.revision };
    let last = read.kvs.last().filter(|_| read.more).map(|kv| kv.key.clone());
    let document = KeyPage {
        items: read.kvs.iter().map(|kv| wanted.document(kv)).collect(),
        remaining: read.count,
        next_page_token: last.map(|last| Place { revision, prefix, after: last }.token()),
        revision: revision.get(),
        cursor: Cursor { epoch: rest.epoch(), revision }.to_string(),
    };
    Ok(reply(StatusCode::OK, read.revision, [], &document))
}
