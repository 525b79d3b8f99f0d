//! What a command may add to the store, as a quota counts it (etcd's figures). A command that costs nothing is admitted when there is no
//! space left, because it may be what makes some.

use crate::{Command, Op, PutRequest, TxnRequest};

/// Bytes that a pair takes besides its key and its value.
const PUT_OVERHEAD: u64 = 256;

/// Bytes that a lease takes.
const LEASE_BYTES: u64 = 64;

impl PutRequest {
    fn cost(&self) -> u64 {
        PUT_OVERHEAD + (self.key.len() + self.value.len()) as u64
    }
}

impl TxnRequest {
    /// That of the dearer branch, whichever is going to run.
    fn cost(&self) -> u64 {
        let branch = |ops: &[Op]| {
            ops.iter()
                .map(|op| match op {
                    Op::Put(put) => put.cost(),
                    Op::Txn(inner) => inner.cost(),
                    Op::Range(_) | Op::Delete(_) => 0,
                })
                .sum::<u64>()
        };
        branch(&self.success).max(branch(&self.failure))
    }
}

impl Command {
    /// Bytes that the command may add. What a recipe writes is known only when it is executed, so that it costs nothing here.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self {
            Self::Put(put) => put.cost(),
            Self::Txn(txn) => txn.cost(),
            Self::LeaseGrant { .. } => LEASE_BYTES,
            Self::Delete(_)
            | Self::Compact { .. }
            | Self::LeaseRevoke { .. }
            | Self::LeaseCheckpoint(_)
            | Self::Recipe(_)
            | Self::Alarm(_)
            | Self::Downgrade { .. }
            | Self::Auth(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{DeleteRequest, KeyRange};

    fn put(value: &'static str) -> PutRequest {
        PutRequest {
            key: Bytes::from_static(b"key"),
            value: Bytes::from_static(value.as_bytes()),
            ..PutRequest::default()
        }
    }

    fn txn(success: Vec<Op>, failure: Vec<Op>) -> TxnRequest {
        TxnRequest { compares: Vec::new(), success, failure }
    }

    #[test]
    fn a_transaction_costs_what_its_dearer_branch_does() {
        assert_eq!(Command::Put(put("12345")).cost(), 264);
        let delete = DeleteRequest { range: KeyRange::From(Bytes::from_static(b"k")), prev_kv: false };
        let delete = || Op::Delete(delete.clone());
        assert_eq!(Command::Txn(txn(vec![delete()], Vec::new())).cost(), 0);
        assert_eq!(Command::Txn(txn(vec![delete()], vec![Op::Put(put(""))])).cost(), 259);
        let inner = txn(vec![Op::Put(put("1")), Op::Put(put("2"))], Vec::new());
        assert_eq!(Command::Txn(txn(vec![Op::Txn(inner), Op::Put(put(""))], vec![delete()])).cost(), 260 + 260 + 259);
    }
}
