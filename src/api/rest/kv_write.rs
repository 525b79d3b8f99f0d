//! Keys, written and deleted. Conditions become comparisons of the same transaction: nothing happens between check and write.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::{
    Compare, CompareResult, DeleteRequest, KeyRange, LeaseId, Op, OpResponse, Operand, PutRequest, RangeRequest,
    Revision, TxnRequest, TxnResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::body;
use super::caller::Caller;
use super::conditions::Tags;
use super::envelope::REVISION;
use super::if_lock::{HeldClaim, if_lock};
use super::locks::by_creation;
use super::names::{Namespace, SessionId};
use super::path::OfKey;
use super::problem::{Facts, Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::value::{Encoding, show_key};

/// A key that was written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WrittenKey {
    /// The key.
    #[schema(examples("app/color"))]
    pub(crate) key: String,
    /// `base64` when the key is not UTF-8; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_encoding: Option<Encoding>,
    /// The revision of the write: the key's `mod_revision`, and its ETag.
    pub(crate) mod_revision: i64,
    /// Whether the key did not exist before.
    pub(crate) created: bool,
}

/// Writes a key: the body is the value, byte by byte, whatever its type.
#[utoipa::path(
    put,
    path = "/kv/{*key}",
    operation_id = "putKey",
    tag = "kv",
    params(
        ("key" = String, Path, description = "The key: everything behind, slashes included", example = "app/color"),
        ("session" = Option<String>, Query, description = "The key shall live as long as this session"),
        ("If-Match" = Option<String>, Header, description = "`mod_revision` in quotes: only if it is that; `*`: only if the \
            key exists"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the key does not exist"),
        ("If-Lock" = Option<String>, Header, description = "Only while this claim holds: the lock, the session and the fencing token; \
            of a list all", example = "\"orders\";session=\"694d805f7877a227\";token=1842"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The value"),
    responses(
        (status = 201, description = "Created", body = WrittenKey),
        (status = 200, description = "Replaced", body = WrittenKey),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`, or with `If-Lock` `fencing-token-stale`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 413, description = "`value-too-large`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(rest): State<Rest>,
    caller: Caller,
    OfKey(key): OfKey,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let session = query.text("session")?.map(|id| SessionId::parse(&id)).transpose()?;
    query.finish()?;
    let conditions = Conditions::of(&headers, &key)?;
    let value = body::read(body, rest.handle.config().request_bytes_max, Kind::ValueTooLarge).await?;
    let lease = session.map_or(LeaseId::NONE, SessionId::lease);
    let put = PutRequest { key: key.clone(), value, lease, prev_kv: true, ..PutRequest::default() };
    let done = write_if(&rest, caller, &key, conditions, Op::Put(put)).await?;
    let created = matches!(done.responses.first(), Some(OpResponse::Put(put)) if put.previous.is_none());
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let (key, key_encoding) = show_key(&key);
    let written = WrittenKey { key, key_encoding, mod_revision: done.revision.get(), created };
    Ok(reply(status, done.revision, [(ETAG, format!("\"{}\"", done.revision))], &written))
}

/// Deletes a key. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/kv/{*key}",
    operation_id = "deleteKey",
    tag = "kv",
    params(
        ("key" = String, Path, description = "The key: everything behind, slashes included", example = "app/color"),
        ("If-Match" = Option<String>, Header, description = "`mod_revision` in quotes: only if it is that; `*`: only if the \
            key exists"),
        ("If-Lock" = Option<String>, Header, description = "Only while this claim holds: the lock, the session and the fencing token; \
            of a list all", example = "\"orders\";session=\"694d805f7877a227\";token=1842"),
    ),
    responses(
        (status = 204, description = "There is no such key any more"),
        (status = 412, description = "`version-conflict`, or with `If-Lock` `fencing-token-stale`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    OfKey(key): OfKey,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    let conditions = Conditions::of(&headers, &key)?;
    let delete = DeleteRequest { range: KeyRange::Single(key.clone()), prev_kv: false };
    let done = write_if(&rest, caller, &key, conditions, Op::Delete(delete)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(REVISION, done.revision.get().into());
    Ok(response)
}

/// Under which conditions something is to be written.
struct Conditions {
    /// Of the key.
    compares: Vec<Compare>,
    /// Claims that hold.
    claims: Vec<HeldClaim>,
}

impl Conditions {
    fn of(headers: &HeaderMap, key: &Bytes) -> Result<Self, Problem> {
        Ok(Self { compares: conditions(headers, key)?, claims: if_lock(headers, &Namespace::default())? })
    }

    /// All of them, as comparisons.
    fn all(&self) -> Vec<Compare> {
        self.compares.iter().cloned().chain(self.claims.iter().flat_map(HeldClaim::compares)).collect()
    }
}

/// Does `op` if all conditions hold, else says which does not.
async fn write_if(
    rest: &Rest,
    caller: Caller,
    key: &Bytes,
    conditions: Conditions,
    op: Op,
) -> Result<TxnResponse, Problem> {
    let look = RangeRequest { keys_only: true, ..RangeRequest::new(KeyRange::Single(key.clone())) };
    let firsts = conditions.claims.iter().map(|claim| by_creation(&claim.prefix()).with_limit(1));
    let failure = std::iter::once(look).chain(firsts).map(Op::Range).collect();
    let txn = TxnRequest { compares: conditions.all(), success: vec![op], failure };
    let done = rest.handle.txn(caller.0, txn).await.map_err(Problem::of_write)?;
    if done.succeeded {
        return Ok(done);
    }
    let firsts = done.responses.iter().skip(1).map(|response| match response {
        OpResponse::Range(range) => range.kvs.first(),
        OpResponse::Put(_) | OpResponse::Delete(_) | OpResponse::Txn(_) => None,
    });
    for (claim, first) in conditions.claims.iter().zip(firsts) {
        let guard = claim.guard();
        if first.is_none_or(|first| first.key != guard.key || first.create_revision != guard.token) {
            return Err(claim.stale(first.map(|first| first.create_revision)).seen_at(done.revision));
        }
    }
    Err(conflict(&done))
}

fn conflict(done: &TxnResponse) -> Problem {
    let current = match done.responses.first() {
        Some(OpResponse::Range(range)) => range.kvs.first().map_or(Revision::ZERO, |kv| kv.mod_revision),
        Some(OpResponse::Put(_) | OpResponse::Delete(_) | OpResponse::Txn(_)) | None => Revision::ZERO,
    };
    let detail = match current {
        Revision::ZERO => "the key does not exist".to_owned(),
        current => format!("the key was last written at revision {current}"),
    };
    let facts = Facts { current_revision: Some(current.get()), ..Facts::default() };
    Problem::new(Kind::VersionConflict, detail).seen_at(done.revision).with(facts)
}

/// The comparisons that `If-Match` and `If-None-Match` mean. A key that does not exist has create and mod revision 0.
fn conditions(headers: &HeaderMap, key: &Bytes) -> Result<Vec<Compare>, Problem> {
    let compare = |result, operand| Compare { range: KeyRange::Single(key.clone()), result, operand };
    let tag = |name: &HeaderName| Tags::parse_one(headers, name);
    let mut compares = Vec::new();
    match tag(&IF_MATCH)? {
        Some(Tags::Any) => compares.push(compare(CompareResult::NotEqual, Operand::Create(0))),
        Some(Tags::Listed(tags)) => {
            compares.extend(tags.iter().map(|tag| compare(CompareResult::Equal, Operand::Mod(tag.get()))));
        }
        None => {}
    }
    match tag(&IF_NONE_MATCH)? {
        Some(Tags::Any) => compares.push(compare(CompareResult::Equal, Operand::Create(0))),
        Some(Tags::Listed(tags)) => {
            compares.extend(tags.iter().map(|tag| compare(CompareResult::NotEqual, Operand::Mod(tag.get()))));
        }
        None => {}
    }
    Ok(compares)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn compares(name: HeaderName, value: &'static str) -> Vec<(CompareResult, Operand)> {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let compares = conditions(&headers, &Bytes::from_static(b"k")).unwrap();
        compares.into_iter().map(|compare| (compare.result, compare.operand)).collect()
    }

    #[test]
    fn conditions_become_comparisons() {
        assert_eq!(compares(IF_MATCH, "\"7\""), [(CompareResult::Equal, Operand::Mod(7))]);
        assert_eq!(compares(IF_MATCH, "*"), [(CompareResult::NotEqual, Operand::Create(0))]);
        assert_eq!(compares(IF_NONE_MATCH, "*"), [(CompareResult::Equal, Operand::Create(0))]);
        assert_eq!(compares(IF_NONE_MATCH, "\"7\""), [(CompareResult::NotEqual, Operand::Mod(7))]);
        assert!(conditions(&HeaderMap::new(), &Bytes::from_static(b"k")).unwrap().is_empty());
    }
}
