//! Locks: who holds, who waits, and whether a fencing token is still the holder's.
//!
//! A lock has no existence of its own: it is the line of claims under its prefix, and a free one is an empty line.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::{Buf, Bytes};
use model::{Identity, KeyRange, KeyValue, RangeRequest, Revision, SortOrder, SortTarget};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::holder::{Holder, Waiter};
use super::page::{Page, Place};
use super::path::{OfLock, OfToken};
use super::problem::Problem;
use super::query::Query;
use super::reply::reply;

/// A lock as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockState {
    /// Its name.
    #[schema(examples("orders"))]
    pub(crate) lock: String,
    /// Its namespace.
    #[schema(examples("default"))]
    pub(crate) namespace: String,
    /// Whether somebody holds it.
    pub(crate) state: Occupancy,
    /// Who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<Holder>,
    /// Who waits, first come first; a page of them.
    pub(crate) queue: Vec<Waiter>,
    /// How many wait.
    pub(crate) waiting: i64,
    /// For the next page of the queue; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
    /// The name under which etcd's clients take the same lock: `etcdctl lock <this>`.
    #[schema(examples("/default/locks/orders"))]
    pub(crate) etcd_prefix: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Whether somebody holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Occupancy {
    /// Nobody does.
    Free,
    /// Somebody does.
    Held,
}

/// What a fencing token is worth.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenState {
    /// Whether it is the holder's.
    pub(crate) current: bool,
    /// The holder's token; absent when nobody holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_token: Option<i64>,
}

/// A lock as it stands: holder and queue. A lock that nobody wants is free.
#[utoipa::path(
    get,
    path = "/locks/{name}",
    operation_id = "getLock",
    tag = "locks",
    params(
        ("name" = String, Path, description = "The lock; a slash in a name is written %2F", example = "orders"),
        ("limit" = Option<i64>, Query, description = "Most waiters of the page: 1 to 1000", example = 100),
        ("page_token" = Option<String>, Query, description = "From `next_page_token` of the page before"),
    ),
    responses((status = 200, description = "Free or held", body = LockState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfLock(lock): OfLock,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = Page::of(&mut query, &lock.prefix())?;
    query.finish()?;
    let line = Line::read(&rest, &caller, &lock.prefix(), &page).await.map_err(|error| page.problem(error))?;
    let holder = match &line.holder {
        Some(kv) => Some(Holder::of(&rest, &caller, &lock, kv).await),
        None => None,
    };
    let state = LockState {
        state: if holder.is_some() { Occupancy::Held } else { Occupancy::Free },
        holder,
        queue: line.waiters.iter().map(|kv| Waiter::of(lock.sort, kv)).collect(),
        waiting: (line.claims - 1).max(0),
        next_page_token: line.next(&lock.prefix()).map(|place| place.token()),
        etcd_prefix: lock.etcd_name(),
        revision: line.revision.get(),
        namespace: lock.namespace.as_str().to_owned(),
        lock: lock.name,
    };
    Ok(reply(StatusCode::OK, line.revision, [], &state))
}

/// Whether a fencing token is the holder's at this moment. For who cannot remember the highest token that it has seen, which is
/// what makes a token protect anything.
#[utoipa::path(
    get,
    path = "/locks/{name}/tokens/{token}",
    operation_id = "checkFencingToken",
    tag = "locks",
    params(
        ("name" = String, Path, description = "The lock", example = "orders"),
        ("token" = i64, Path, description = "The fencing token", example = 1842),
    ),
    responses((status = 200, description = "What it is worth", body = TokenState))
)]
pub(crate) async fn check_token(
    State(rest): State<Rest>,
    caller: Caller,
    OfToken { lock, token }: OfToken,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let read = rest.handle.range(&caller, by_creation(&lock.prefix()).with_limit(1)).await.map_err(Problem::of_read)?;
    let current = read.kvs.first().map(|kv| kv.create_revision);
    let state = TokenState { current: current == Some(token), current_token: current.map(Revision::get) };
    Ok(reply(StatusCode::OK, read.revision, [], &state))
}

/// A part of the line of a lock.
struct Line {
    holder: Option<KeyValue>,
    waiters: Vec<KeyValue>,
    has_more: bool,
    /// How many claims there are, the holder's included.
    claims: i64,
    revision: Revision,
}

impl Line {
    async fn read(rest: &Rest, caller: &Identity, prefix: &Bytes, page: &Page) -> Result<Self, node::Error> {
        let Some(place) = &page.from else {
            let read = rest.handle.range(caller, by_creation(prefix).with_limit(page.limit + 1)).await?;
            let mut kvs = read.kvs.into_iter();
            let (holder, waiters) = (kvs.next(), kvs.collect());
            return Ok(Self { holder, waiters, has_more: read.more, claims: read.count, revision: read.revision });
        };
        let at = by_creation(prefix).at(place.revision);
        let head = rest.handle.range(caller, at.clone().with_limit(1)).await?;
        let min_create_revision = last_seen(place).next();
        let rest_of_line = RangeRequest { min_create_revision, ..at }.with_limit(page.limit);
        let read = rest.handle.range(caller, rest_of_line).await?;
        Ok(Self {
            holder: head.kvs.into_iter().next(),
            waiters: read.kvs,
            has_more: read.more,
            claims: read.count,
            revision: place.revision,
        })
    }

    /// Where the next page begins, if there is one.
    fn next(&self, prefix: &Bytes) -> Option<Place> {
        let last = self.waiters.last().filter(|_| self.has_more)?;
        Some(page_after(self.revision, prefix, last.create_revision))
    }
}

/// Where the page begins after the claim of create revision `last`.
pub(crate) fn page_after(revision: Revision, prefix: &Bytes, last: Revision) -> Place {
    Place { revision, prefix: prefix.clone(), after: Bytes::copy_from_slice(&last.get().to_be_bytes()) }
}

/// The create revision at which a page ended. A token that was tampered with begins at the front, or beyond the end.
pub(crate) fn last_seen(place: &Place) -> Revision {
    let last = place.after.clone().try_get_i64().unwrap_or(0);
    Revision::new(last.clamp(0, i64::MAX - 1))
}

/// The claims of a line, first come first.
pub(crate) fn by_creation(prefix: &Bytes) -> RangeRequest {
    RangeRequest {
        order: SortOrder::Ascend,
        target: SortTarget::Create,
        ..RangeRequest::new(KeyRange::prefix(prefix.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_queue_goes_on_after_the_last_claim_seen() {
        let place = |after: &'static [u8]| Place {
            revision: Revision::new(9),
            prefix: Bytes::new(),
            after: Bytes::from_static(after),
        };
        assert_eq!(last_seen(&place(&[0, 0, 0, 0, 0, 0, 0, 7])), Revision::new(7));
        assert_eq!(last_seen(&place(b"x")), Revision::ZERO);
        assert_eq!(last_seen(&place(&[0xff; 8])), Revision::ZERO);
        let _ = last_seen(&place(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])).next();
    }
}
