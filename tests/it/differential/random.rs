//! A random program over a few keys: the same seed gives the same program.

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::SortOrder;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest, RangeRequest, RequestOp, TxnRequest,
};

use super::target::Step;

/// Transactions inside transactions inside one.
const DEPTH: u32 = 2;

struct Dice {
    state: u64,
    /// Where the revision is at most, for reads and compactions that may hit or miss.
    steps: i64,
}

/// `length` steps.
pub(crate) fn program(seed: u64, length: usize) -> Vec<Step> {
    let mut dice = Dice { state: seed, steps: 0 };
    (0..length)
        .map(|_| {
            dice.steps += 1;
            dice.step()
        })
        .collect()
}

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % sides
    }

    fn number(&mut self, sides: u64) -> i64 {
        i64::try_from(self.roll(sides)).expect("a small number")
    }

    fn chance(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn key(&mut self) -> Bytes {
        Bytes::from(format!("p/{}", self.roll(12)))
    }

    fn end(&mut self) -> Bytes {
        match self.roll(6) {
            0 => Bytes::from_static(b"\0"),
            1 | 2 => self.key(),
            _ => Bytes::new(),
        }
    }

    fn lease(&mut self) -> i64 {
        200 + self.number(4)
    }

    fn step(&mut self) -> Step {
        match self.roll(20) {
            0..=5 => Step::Put(self.put()),
            6..=9 => Step::Range(self.range()),
            10 | 11 => Step::Delete(self.delete()),
            12..=15 => Step::Txn(self.txn(DEPTH)),
            16 => Step::Grant(LeaseGrantRequest { id: self.lease(), ttl: 10_000 }),
            17 => Step::Revoke(LeaseRevokeRequest { id: self.lease() }),
            18 => Step::TimeToLive(LeaseTimeToLiveRequest { id: self.lease(), keys: true }),
            _ if self.chance(8) => {
                Step::Compact(CompactionRequest { revision: self.steps / 2, physical: self.chance(4) })
            }
            _ => Step::Leases,
        }
    }

    fn put(&mut self) -> PutRequest {
        PutRequest {
            key: self.key(),
            value: if self.chance(8) { Bytes::new() } else { Bytes::from(format!("v{}", self.roll(5))) },
            lease: if self.chance(4) { self.lease() } else { 0 },
            prev_kv: self.chance(2),
            ignore_value: self.chance(10),
            ignore_lease: self.chance(10),
        }
    }

    fn range(&mut self) -> RangeRequest {
        RangeRequest {
            key: self.key(),
            range_end: self.end(),
            limit: if self.chance(3) { self.number(5) } else { 0 },
            revision: if self.chance(3) { self.steps / 2 + self.number(40) } else { 0 },
            sort_order: if self.chance(3) { SortOrder::Descend.into() } else { 0 },
            keys_only: self.chance(6),
            count_only: self.chance(8),
            serializable: self.chance(4),
            min_mod_revision: if self.chance(8) { self.steps / 2 } else { 0 },
            max_create_revision: if self.chance(8) { self.steps / 2 } else { 0 },
            ..RangeRequest::default()
        }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        DeleteRangeRequest { key: self.key(), range_end: self.end(), prev_kv: self.chance(2) }
    }

    fn bounded_delete(&mut self) -> DeleteRangeRequest {
        let delete = self.delete();
        let is_open = delete.range_end.as_ref() == [0];
        DeleteRangeRequest { range_end: if is_open { Bytes::new() } else { delete.range_end.clone() }, ..delete }
    }

    fn txn(&mut self, depth: u32) -> TxnRequest {
        let ops = |dice: &mut Self| {
            let length = dice.roll(4);
            (0..length).map(|_| dice.op(depth)).collect()
        };
        let (success, failure) = (ops(self), ops(self));
        let compares = self.roll(3);
        TxnRequest { compare: (0..compares).map(|_| self.compare()).collect(), success, failure }
    }

    fn op(&mut self, depth: u32) -> RequestOp {
        let request = match self.roll(8) {
            0..=2 => Request::RequestPut(self.put()),
            3 | 4 => Request::RequestRange(self.range()),
            // Only in the outermost: see the header of `mod.rs`.
            5 if depth == DEPTH => Request::RequestDeleteRange(self.bounded_delete()),
            _ if depth > 0 => Request::RequestTxn(self.txn(depth - 1)),
            _ => Request::RequestRange(self.range()),
        };
        RequestOp { request: Some(request) }
    }

    fn compare(&mut self) -> Compare {
        let results = [CompareResult::Equal, CompareResult::Greater, CompareResult::Less, CompareResult::NotEqual];
        let (target, operand) = match self.roll(5) {
            0 => (CompareTarget::Version, TargetUnion::Version(self.number(3))),
            1 => (CompareTarget::Create, TargetUnion::CreateRevision(self.steps / 2)),
            2 => (CompareTarget::Mod, TargetUnion::ModRevision(self.steps / 2)),
            3 => (CompareTarget::Value, TargetUnion::Value(format!("v{}", self.roll(5)).into())),
            _ => (CompareTarget::Lease, TargetUnion::Lease(self.lease())),
        };
        Compare {
            result: results[usize::try_from(self.roll(4)).expect("a small number")].into(),
            target: target.into(),
            key: self.key(),
            range_end: if self.chance(3) { self.end() } else { Bytes::new() },
            target_union: Some(operand),
        }
    }
}
