//! Transactions: conditions first, then checks, then operations.
//!
//! All conditions, those of inner transactions on the chosen path included, are evaluated on the state before the outermost one.
//! Whatever can be refused is refused before the first operation (etcd: `server/etcdserver/txn/txn.go`).

use std::cmp::Ordering;

use model::{
    Compare, CompareResult, KeyRange, KeyValue, Op, OpResponse, Operand, PutRequest, Rejection, Revision, TxnRequest,
    TxnResponse,
};

use crate::draft::Draft;
use crate::layers::Sight;
use crate::scan::Merge;
use crate::{Fault, ReadError};

/// Executes a transaction, or refuses it as a whole.
pub(crate) fn execute(draft: &mut Draft<'_>, txn: &TxnRequest) -> Result<TxnResponse, ReadError> {
    let path = Path::choose(draft.sight(), txn)?;
    path.check_puts(draft)?;
    path.check_ranges(draft.sight())?;
    let mut response = path.execute(draft)?;
    response.revision = draft.header();
    Ok(response)
}

/// A transaction whose conditions are decided.
struct Path<'a> {
    succeeded: bool,
    ops: &'a [Op],
    /// Of the transactions among `ops`, in order.
    inner: Vec<Path<'a>>,
}

impl<'a> Path<'a> {
    fn choose(sight: &Sight, txn: &'a TxnRequest) -> Result<Self, Fault> {
        let mut succeeded = true;
        for compare in &txn.compares {
            if !holds(sight, compare)? {
                succeeded = false;
                break;
            }
        }
        let ops = if succeeded { &txn.success } else { &txn.failure };
        let mut inner = Vec::new();
        for op in ops {
            if let Op::Txn(txn) = op {
                inner.push(Path::choose(sight, txn)?);
            }
        }
        Ok(Self { succeeded, ops, inner })
    }

    fn check_puts(&self, draft: &Draft<'_>) -> Result<(), ReadError> {
        for op in self.ops {
            match op {
                Op::Put(put) => check_put(draft, put)?,
                Op::Range(_) | Op::Delete(_) | Op::Txn(_) => {}
            }
        }
        self.inner.iter().try_for_each(|inner| inner.check_puts(draft))
    }

    fn check_ranges(&self, sight: &Sight) -> Result<(), Rejection> {
        for op in self.ops {
            match op {
                Op::Range(range) => drop(sight.resolve(range.revision)?),
                Op::Put(_) | Op::Delete(_) | Op::Txn(_) => {}
            }
        }
        self.inner.iter().try_for_each(|inner| inner.check_ranges(sight))
    }

    fn execute(&self, draft: &mut Draft<'_>) -> Result<TxnResponse, ReadError> {
        let mut inner = self.inner.iter();
        let mut responses = Vec::with_capacity(self.ops.len());
        for op in self.ops {
            responses.push(match op {
                Op::Range(range) => OpResponse::Range(draft.range(range)?),
                Op::Put(put) => OpResponse::Put(draft.put(put)?),
                Op::Delete(delete) => OpResponse::Delete(draft.delete(delete)?),
                Op::Txn(_) => {
                    let path = inner.next().expect("there is a path for each inner transaction");
                    OpResponse::Txn(path.execute(draft)?)
                }
            });
        }
        // The header of an inner transaction carries no revision; etcd leaves it empty.
        Ok(TxnResponse { revision: Revision::ZERO, succeeded: self.succeeded, responses })
    }
}

fn check_put(draft: &Draft<'_>, put: &PutRequest) -> Result<(), ReadError> {
    if (put.ignore_value || put.ignore_lease) && draft.get(&put.key)?.is_none() {
        return Err(Rejection::KeyNotFound.into());
    }
    Ok(draft.check_put(put)?)
}

/// Whether a condition holds: for each key of its range, or for an absent key if there is none.
fn holds(sight: &Sight, compare: &Compare) -> Result<bool, Fault> {
    match &compare.range {
        KeyRange::Single(key) => Ok(match sight.get(key, sight.revision)? {
            Some(kv) => holds_for(&kv, compare),
            None => holds_for_absent(compare),
        }),
        range => {
            let mut is_empty = true;
            for found in Merge::open(sight, range, sight.revision) {
                is_empty = false;
                if !holds_for(&found?.into_kv()?, compare) {
                    return Ok(false);
                }
            }
            Ok(!is_empty || holds_for_absent(compare))
        }
    }
}

/// All numbers of an absent key are zero, but it has no value, not even an empty one.
fn holds_for_absent(compare: &Compare) -> bool {
    match compare.operand {
        Operand::Value(_) => false,
        Operand::Version(_) | Operand::Create(_) | Operand::Mod(_) | Operand::Lease(_) | Operand::Unknown => {
            holds_for(&KeyValue::default(), compare)
        }
    }
}

fn holds_for(kv: &KeyValue, compare: &Compare) -> bool {
    #[cfg(seeded_bugs)]
    if model::seeded_bug("comparison that always holds") {
        return true;
    }
    let ordering = match &compare.operand {
        Operand::Version(version) => kv.version.cmp(version),
        Operand::Create(revision) => kv.create_revision.get().cmp(revision),
        Operand::Mod(revision) => kv.mod_revision.get().cmp(revision),
        Operand::Value(value) => kv.value.cmp(value),
        Operand::Lease(lease) => kv.lease.get().cmp(lease),
        Operand::Unknown => Ordering::Equal,
    };
    match compare.result {
        CompareResult::Equal => ordering.is_eq(),
        CompareResult::NotEqual => ordering.is_ne(),
        CompareResult::Greater => ordering.is_gt(),
        CompareResult::Less => ordering.is_lt(),
        CompareResult::Unknown => true,
    }
}
