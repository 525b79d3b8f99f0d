//! The requests that are made most, written short. Anything else is a message of [`crate::pb`] with its fields set.
//!
//! ```
//! use client::request;
//!
//! let end = request::prefix_end(b"jobs/");
//! assert_eq!(end, "jobs0");
//! assert_eq!(request::get_prefix("jobs/").range_end, end);
//! ```

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
};

/// The end of the range of all keys that begin with `prefix`: of all keys, if there is no greater prefix.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let Some(last) = prefix.iter().rposition(|byte| *byte != 0xff) else { return Bytes::from_static(b"\0") };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end.into()
}

/// Reads one key.
#[must_use]
pub fn get(key: impl Into<Bytes>) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

/// Reads all keys that begin with `prefix`; all keys at all, if it is empty.
#[must_use]
pub fn get_prefix(prefix: impl Into<Bytes>) -> RangeRequest {
    let (key, range_end) = range_of(prefix.into());
    RangeRequest { key, range_end, ..RangeRequest::default() }
}

/// Writes one key.
#[must_use]
pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }
}

/// Deletes one key.
#[must_use]
pub fn delete(key: impl Into<Bytes>) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() }
}

/// Deletes all keys that begin with `prefix`; all keys at all, if it is empty.
#[must_use]
pub fn delete_prefix(prefix: impl Into<Bytes>) -> DeleteRangeRequest {
    let (key, range_end) = range_of(prefix.into());
    DeleteRangeRequest { key, range_end, ..DeleteRangeRequest::default() }
}

/// Follows one key from now on.
#[must_use]
pub fn watch(key: impl Into<Bytes>) -> WatchCreateRequest {
    WatchCreateRequest { key: key.into(), ..WatchCreateRequest::default() }
}

/// Follows all keys that begin with `prefix` from now on; all keys at all, if it is empty.
#[must_use]
pub fn watch_prefix(prefix: impl Into<Bytes>) -> WatchCreateRequest {
    let (key, range_end) = range_of(prefix.into());
    WatchCreateRequest { key, range_end, ..WatchCreateRequest::default() }
}

/// Does `then` if all of `when` holds, and `or_else` if not.
#[must_use]
pub fn txn(
    when: impl Into<Vec<Compare>>,
    then: impl Into<Vec<RequestOp>>,
    or_else: impl Into<Vec<RequestOp>>,
) -> TxnRequest {
    TxnRequest { compare: when.into(), success: then.into(), failure: or_else.into() }
}

/// Holds while the key has this mod revision: 0 while there is none.
#[must_use]
pub fn mod_revision_is(key: impl Into<Bytes>, revision: i64) -> Compare {
    compare(key, CompareTarget::Mod, TargetUnion::ModRevision(revision))
}

/// Holds while the key has this create revision: 0 while there is none.
#[must_use]
pub fn create_revision_is(key: impl Into<Bytes>, revision: i64) -> Compare {
    compare(key, CompareTarget::Create, TargetUnion::CreateRevision(revision))
}

/// Holds while the key has this value.
#[must_use]
pub fn value_is(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Compare {
    compare(key, CompareTarget::Value, TargetUnion::Value(value.into()))
}

/// A read within a transaction.
#[must_use]
pub const fn then_range(range: RangeRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestRange(range)) }
}

/// A write within a transaction.
#[must_use]
pub const fn then_put(put: PutRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestPut(put)) }
}

/// A deletion within a transaction.
#[must_use]
pub const fn then_delete(delete: DeleteRangeRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestDeleteRange(delete)) }
}

fn compare(key: impl Into<Bytes>, target: CompareTarget, value: TargetUnion) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: key.into(),
        target_union: Some(value),
        range_end: Bytes::new(),
    }
}

fn range_of(prefix: Bytes) -> (Bytes, Bytes) {
    let end = prefix_end(&prefix);
    if prefix.is_empty() { (Bytes::from_static(b"\0"), end) } else { (prefix, end) }
}
