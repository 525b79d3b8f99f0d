//! Checks of a request that need no state: made at the edge, before anything is proposed, in etcd's order.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{Compare, DeleteRequest, KeyRange, Op, PutRequest, RangeRequest, Rejection, TxnRequest};

/// Longest key in bytes, each zero byte counted twice: the storage below takes 65,535 with its own prefix, escapes and suffix.
pub const KEY_BYTES_MAX: usize = 65_000;

/// Bounds that an operator may set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most conditions, and most operations of a branch, that a transaction may have.
    pub txn_ops_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { txn_ops_max: 128 }
    }
}

fn check_key(key: &Bytes) -> Result<(), Rejection> {
    if key.is_empty() {
        return Err(Rejection::EmptyKey);
    }
    let stored = key.len() + key.iter().filter(|byte| **byte == 0).count();
    if stored > KEY_BYTES_MAX { Err(Rejection::RequestTooLarge) } else { Ok(()) }
}

/// A bound of a range may be longer than a key can be: it only has to be there.
fn check_range(range: &KeyRange) -> Result<(), Rejection> {
    if range.start().is_empty() { Err(Rejection::EmptyKey) } else { Ok(()) }
}

impl RangeRequest {
    /// Checks what needs no state.
    ///
    /// # Errors
    ///
    /// [`Rejection::EmptyKey`].
    pub fn check(&self) -> Result<(), Rejection> {
        check_range(&self.range)
    }
}

impl PutRequest {
    /// Checks what needs no state.
    ///
    /// # Errors
    ///
    /// Empty or oversized key; a value or a lease together with the flag that ignores it.
    pub fn check(&self) -> Result<(), Rejection> {
        check_key(&self.key)?;
        if self.ignore_value && !self.value.is_empty() {
            return Err(Rejection::ValueProvided);
        }
        if self.ignore_lease && self.lease.is_some() {
            return Err(Rejection::LeaseProvided);
        }
        Ok(())
    }
}

impl DeleteRequest {
    /// Checks what needs no state.
    ///
    /// # Errors
    ///
    /// [`Rejection::EmptyKey`].
    pub fn check(&self) -> Result<(), Rejection> {
        check_range(&self.range)
    }
}

impl Compare {
    fn check(&self) -> Result<(), Rejection> {
        check_range(&self.range)
    }
}

impl TxnRequest {
    /// Checks what needs no state: sizes, each condition and operation, and that no branch can write a key twice.
    ///
    /// # Errors
    ///
    /// [`Rejection::TooManyOps`], [`Rejection::DuplicateKey`], or what a condition or operation is refused for.
    pub fn check(&self, limits: Limits) -> Result<(), Rejection> {
        self.check_sizes(limits.txn_ops_max)?;
        Writes::of_branch(&self.success)?;
        Writes::of_branch(&self.failure)?;
        Ok(())
    }

    /// What a transaction inside may still use shrinks by the largest list around it.
    fn check_sizes(&self, ops_max: usize) -> Result<(), Rejection> {
        let largest = self.compares.len().max(self.success.len()).max(self.failure.len());
        let Some(left) = ops_max.checked_sub(largest) else {
            return Err(Rejection::TooManyOps);
        };
        self.compares.iter().try_for_each(Compare::check)?;
        self.success.iter().chain(&self.failure).try_for_each(|op| match op {
            Op::Range(range) => range.check(),
            Op::Put(put) => put.check(),
            Op::Delete(delete) => delete.check(),
            Op::Txn(txn) => txn.check_sizes(left),
        })
    }
}

/// What one branch may write: a static over-approximation, the same whichever branch of an inner transaction runs.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a Bytes>,
    deletes: Vec<&'a KeyRange>,
}

impl<'a> Writes<'a> {
    fn of_branch(ops: &'a [Op]) -> Result<Self, Rejection> {
        let mut writes = Self::default();
        for op in ops {
            if let Op::Delete(delete) = op {
                writes.deletes.push(&delete.range);
            }
        }
        for op in ops {
            if let Op::Txn(txn) = op {
                // The two branches of one inner transaction exclude each other, so they may write the same key; two inner
                // transactions may not.
                let mut inner = Self::of_branch(&txn.success)?;
                inner.join(Self::of_branch(&txn.failure)?);
                if inner.puts.iter().any(|key| writes.puts.contains(*key) || writes.deletes_key(key)) {
                    return Err(Rejection::DuplicateKey);
                }
                if writes.puts.iter().any(|key| inner.deletes_key(key)) {
                    return Err(Rejection::DuplicateKey);
                }
                writes.join(inner);
            }
        }
        for op in ops {
            if let Op::Put(put) = op
                && (writes.deletes_key(&put.key) || !writes.puts.insert(&put.key))
            {
                return Err(Rejection::DuplicateKey);
            }
        }
        Ok(writes)
    }

    fn join(&mut self, other: Self) {
        self.puts.extend(other.puts);
        self.deletes.extend(other.deletes);
    }

    fn deletes_key(&self, key: &Bytes) -> bool {
        self.deletes.iter().any(|range| range.contains(key))
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
