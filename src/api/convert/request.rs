//! From the wire to the model, with the checks that belong to the wire. Where several things are wrong with a request, the
//! one that etcd names is named.

use bytes::Bytes;
use model::{
    Compare, CompareResult, DeleteRequest, KeyRange, LeaseId, Limits, Op, Operand, PutRequest, RangeRequest, Rejection,
    Revision, SortOrder, SortTarget, TxnRequest,
};
use node::{Filters, WatchRequest};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::{CompareTarget, TargetUnion};
use proto::etcdserverpb::watch_create_request::FilterType;

/// A read.
///
/// # Errors
///
/// An empty key, and a sort order or target that does not exist.
pub(crate) fn range(wire: pb::RangeRequest) -> Result<RangeRequest, Rejection> {
    if wire.key.is_empty() {
        return Err(Rejection::EmptyKey);
    }
    Ok(RangeRequest {
        order: order(wire.sort_order)?,
        target: target(wire.sort_target)?,
        range: KeyRange::from_wire(wire.key, wire.range_end),
        limit: wire.limit,
        revision: Revision::new(wire.revision),
        serializable: wire.serializable,
        keys_only: wire.keys_only,
        count_only: wire.count_only,
        min_mod_revision: Revision::new(wire.min_mod_revision),
        max_mod_revision: Revision::new(wire.max_mod_revision),
        min_create_revision: Revision::new(wire.min_create_revision),
        max_create_revision: Revision::new(wire.max_create_revision),
    })
}

fn order(number: i32) -> Result<SortOrder, Rejection> {
    match pb::range_request::SortOrder::try_from(number) {
        Ok(pb::range_request::SortOrder::None) => Ok(SortOrder::None),
        Ok(pb::range_request::SortOrder::Ascend) => Ok(SortOrder::Ascend),
        Ok(pb::range_request::SortOrder::Descend) => Ok(SortOrder::Descend),
        Err(_) => Err(Rejection::InvalidSortOption),
    }
}

fn target(number: i32) -> Result<SortTarget, Rejection> {
    match pb::range_request::SortTarget::try_from(number) {
        Ok(pb::range_request::SortTarget::Key) => Ok(SortTarget::Key),
        Ok(pb::range_request::SortTarget::Version) => Ok(SortTarget::Version),
        Ok(pb::range_request::SortTarget::Create) => Ok(SortTarget::Create),
        Ok(pb::range_request::SortTarget::Mod) => Ok(SortTarget::Mod),
        Ok(pb::range_request::SortTarget::Value) => Ok(SortTarget::Value),
        Err(_) => Err(Rejection::InvalidSortOption),
    }
}

/// A write.
pub(crate) fn put(wire: pb::PutRequest) -> PutRequest {
    PutRequest {
        key: wire.key,
        value: wire.value,
        lease: LeaseId::new(wire.lease),
        prev_kv: wire.prev_kv,
        ignore_value: wire.ignore_value,
        ignore_lease: wire.ignore_lease,
    }
}

/// A deletion.
pub(crate) fn delete(wire: pb::DeleteRangeRequest) -> DeleteRequest {
    DeleteRequest { range: KeyRange::from_wire(wire.key, wire.range_end), prev_kv: wire.prev_kv }
}

/// A transaction. What is wrong with one is looked for in etcd's order (sizes, conditions, operations from the first to the
/// last), because an operation that is none cannot be expressed in the model and so is refused here.
///
/// # Errors
///
/// Too many operations, or what a condition or an operation is refused for.
pub(crate) fn txn(wire: pb::TxnRequest, limits: Limits) -> Result<TxnRequest, Rejection> {
    txn_within(wire, limits.txn_ops_max)
}

/// What a transaction inside may still use shrinks by the largest list around it.
fn txn_within(wire: pb::TxnRequest, ops_max: usize) -> Result<TxnRequest, Rejection> {
    let largest = wire.compare.len().max(wire.success.len()).max(wire.failure.len());
    let left = ops_max.checked_sub(largest).ok_or(Rejection::TooManyOps)?;
    let compares = wire.compare.into_iter().map(compare).collect::<Result<_, _>>()?;
    let ops = |wires: Vec<pb::RequestOp>| wires.into_iter().map(|wire| op(wire, left)).collect::<Result<_, _>>();
    Ok(TxnRequest { compares, success: ops(wire.success)?, failure: ops(wire.failure)? })
}

fn op(wire: pb::RequestOp, ops_left: usize) -> Result<Op, Rejection> {
    use pb::request_op::Request;
    match wire.request.ok_or(Rejection::KeyNotFound)? {
        Request::RequestRange(wire) => range(wire).map(Op::Range),
        Request::RequestPut(wire) => {
            let put = put(wire);
            put.check()?;
            Ok(Op::Put(put))
        }
        Request::RequestDeleteRange(wire) => {
            let delete = delete(wire);
            delete.check()?;
            Ok(Op::Delete(delete))
        }
        Request::RequestTxn(wire) => txn_within(wire, ops_left).map(Op::Txn),
    }
}

fn compare(wire: pb::Compare) -> Result<Compare, Rejection> {
    if wire.key.is_empty() {
        return Err(Rejection::EmptyKey);
    }
    Ok(Compare {
        result: result(wire.result),
        operand: operand(wire.target, wire.target_union),
        range: KeyRange::from_wire(wire.key, wire.range_end),
    })
}

fn result(number: i32) -> CompareResult {
    match pb::compare::CompareResult::try_from(number) {
        Ok(pb::compare::CompareResult::Equal) => CompareResult::Equal,
        Ok(pb::compare::CompareResult::Greater) => CompareResult::Greater,
        Ok(pb::compare::CompareResult::Less) => CompareResult::Less,
        Ok(pb::compare::CompareResult::NotEqual) => CompareResult::NotEqual,
        Err(_) => CompareResult::Unknown,
    }
}

/// The target decides; an operand of another target counts as one that was not given, and that is zero.
fn operand(target: i32, given: Option<TargetUnion>) -> Operand {
    match (CompareTarget::try_from(target), given) {
        (Ok(CompareTarget::Version), Some(TargetUnion::Version(version))) => Operand::Version(version),
        (Ok(CompareTarget::Version), _) => Operand::Version(0),
        (Ok(CompareTarget::Create), Some(TargetUnion::CreateRevision(revision))) => Operand::Create(revision),
        (Ok(CompareTarget::Create), _) => Operand::Create(0),
        (Ok(CompareTarget::Mod), Some(TargetUnion::ModRevision(revision))) => Operand::Mod(revision),
        (Ok(CompareTarget::Mod), _) => Operand::Mod(0),
        (Ok(CompareTarget::Value), Some(TargetUnion::Value(value))) => Operand::Value(value),
        (Ok(CompareTarget::Value), _) => Operand::Value(Bytes::new()),
        (Ok(CompareTarget::Lease), Some(TargetUnion::Lease(lease))) => Operand::Lease(lease),
        (Ok(CompareTarget::Lease), _) => Operand::Lease(0),
        (Err(_), _) => Operand::Unknown,
    }
}

/// A watcher, with keys of its own.
pub(crate) fn watch(wire: &pb::WatchCreateRequest) -> WatchRequest {
    let key = Bytes::copy_from_slice(&wire.key);
    let range_end = Bytes::copy_from_slice(&wire.range_end);
    WatchRequest {
        range: KeyRange::from_wire(key, range_end),
        start_revision: Revision::new(wire.start_revision),
        filters: Filters {
            no_put: wire.filters.contains(&(FilterType::Noput as i32)),
            no_delete: wire.filters.contains(&(FilterType::Nodelete as i32)),
        },
        prev_kv: wire.prev_kv,
        progress_notify: wire.progress_notify,
        id: Some(wire.watch_id).filter(|id| *id != 0),
    }
}
