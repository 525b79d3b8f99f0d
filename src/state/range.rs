//! Answers to ranges: count, filter, sort, cut, in etcd's order (`server/etcdserver/txn/range.go`).
//!
//! The count is of the whole range, whatever the limit, so a limited read of a huge range still walks all its keys, without
//! decoding them: about 0.5 µs each from the store. What it saves are the values.

use std::cmp::Ordering;

use model::{KeyRange, KeyValue, RangeRequest, RangeResponse, Revision, SortOrder, SortTarget};

use crate::Fault;
use crate::layers::Sight;
use crate::scan::{Found, Merge, Version};

/// Reads a range as of `at`; the answer's header carries `revision`.
pub(crate) fn read(
    sight: &Sight,
    request: &RangeRequest,
    at: Revision,
    revision: Revision,
) -> Result<RangeResponse, Fault> {
    match &request.range {
        KeyRange::Single(key) => {
            let found = sight.get(key, at)?.map(|kv| Ok(Found::new(kv.key.clone(), Version::Whole(kv))));
            select(found.into_iter(), request, revision)
        }
        range => select(Merge::open(sight, range, at), request, revision),
    }
}

/// As [`read`], unless the range holds more than `keys_max` keys: then nothing, found out after walking that many.
pub(crate) fn read_within(
    sight: &Sight,
    request: &RangeRequest,
    at: Revision,
    revision: Revision,
    keys_max: usize,
) -> Result<Option<RangeResponse>, Fault> {
    let found = Merge::open(sight, &request.range, at).take(keys_max.saturating_add(1));
    let response = select(found, request, revision)?;
    let is_whole = usize::try_from(response.count).is_ok_and(|count| count <= keys_max);
    Ok(is_whole.then_some(response))
}

/// Makes the answer to `request` from the keys of its range.
pub(crate) fn select(
    found: impl Iterator<Item = Result<Found, Fault>>,
    request: &RangeRequest,
    revision: Revision,
) -> Result<RangeResponse, Fault> {
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    // One more than the limit tells whether there is more. Sorted and filtered ranges are cut only afterwards.
    let wanted = match limit {
        _ if request.count_only => 0,
        Some(limit) if request.order == SortOrder::None && !has_filters(request) => limit.saturating_add(1),
        _ => usize::MAX,
    };
    let (mut kvs, count) = collect(found, wanted)?;
    if request.count_only {
        return Ok(RangeResponse { revision, kvs: Vec::new(), more: false, count });
    }
    if has_filters(request) {
        kvs.retain(|kv| passes_filters(request, kv));
    }
    sort(&mut kvs, request);
    let more = limit.is_some_and(|limit| kvs.len() > limit);
    kvs.truncate(limit.unwrap_or(usize::MAX));
    if request.keys_only {
        kvs.iter_mut().for_each(|kv| kv.value.clear());
    }
    Ok(RangeResponse { revision, kvs, more, count })
}

/// The first `wanted` keys, and how many there are.
fn collect(found: impl Iterator<Item = Result<Found, Fault>>, wanted: usize) -> Result<(Vec<KeyValue>, i64), Fault> {
    let mut kvs = Vec::new();
    let mut count = 0;
    for found in found {
        let found = found?;
        if kvs.len() < wanted {
            kvs.push(found.into_kv()?);
        }
        count += 1;
    }
    Ok((kvs, count))
}

fn has_filters(request: &RangeRequest) -> bool {
    let bounds =
        [request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision];
    bounds.iter().any(|bound| *bound != Revision::ZERO)
}

fn passes_filters(request: &RangeRequest, kv: &KeyValue) -> bool {
    let at_least = |bound: Revision, revision: Revision| bound == Revision::ZERO || revision >= bound;
    let at_most = |bound: Revision, revision: Revision| bound == Revision::ZERO || revision <= bound;
    at_least(request.min_mod_revision, kv.mod_revision)
        && at_most(request.max_mod_revision, kv.mod_revision)
        && at_least(request.min_create_revision, kv.create_revision)
        && at_most(request.max_create_revision, kv.create_revision)
}

/// Keys come sorted. Stable, so that what etcd leaves open is at least the same every time.
fn sort(kvs: &mut [KeyValue], request: &RangeRequest) {
    let by = match request.target {
        SortTarget::Key => |a: &KeyValue, b: &KeyValue| a.key.cmp(&b.key),
        SortTarget::Version => |a: &KeyValue, b: &KeyValue| a.version.cmp(&b.version),
        SortTarget::Create => |a: &KeyValue, b: &KeyValue| a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => |a: &KeyValue, b: &KeyValue| a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => |a: &KeyValue, b: &KeyValue| -> Ordering { a.value.cmp(&b.value) },
    };
    match (request.order, request.target) {
        (SortOrder::None | SortOrder::Ascend, SortTarget::Key) => {}
        (SortOrder::None | SortOrder::Ascend, _) => kvs.sort_by(by),
        (SortOrder::Descend, _) => kvs.sort_by(|a, b| by(b, a)),
    }
}
