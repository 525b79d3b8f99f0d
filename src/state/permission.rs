//! What a command needs, checked before it is executed: every key that it could read, show or write, whatever its conditions come to.
//!
//! Recipes are not looked at here: their port checks each key as they touch it (`ledger.rs`).

use model::{Command, DeleteRequest, Identity, KeyRange, LeaseId, Op, PutRequest, Rejection, TxnRequest};
use parking_lot::RwLock;

use crate::auth::{Auth, Rights};
use crate::lease::LeaseTable;

/// Refuses what `identity` may not do.
pub(crate) fn permit(
    auth: &Auth,
    leases: &RwLock<LeaseTable>,
    identity: &Identity,
    command: &Command,
) -> Result<(), Rejection> {
    match command {
        Command::Put(put) => may_put(auth.rights(identity)?, leases, put),
        Command::Delete(delete) => may_delete(auth.rights(identity)?, delete),
        Command::Txn(txn) => may_txn(auth.rights(identity)?, leases, txn),
        Command::LeaseRevoke { id } => may_write_lease(auth.rights(identity)?, leases, *id),
        // A lease without keys shows and changes nothing; etcd asks for nothing either.
        Command::LeaseGrant { .. } | Command::Recipe(_) => Ok(()),
        Command::Compact { .. }
        | Command::LeaseCheckpoint(_)
        | Command::Auth(_)
        | Command::Alarm(_)
        | Command::Downgrade { .. } => auth.permit_root(identity),
    }
}

fn may_put(rights: &Rights, leases: &RwLock<LeaseTable>, put: &PutRequest) -> Result<(), Rejection> {
    if rights.is_all() {
        return Ok(());
    }
    rights.may_write_key(&put.key)?;
    if put.prev_kv {
        rights.may_read_key(&put.key)?;
    }
    may_write_lease(rights, leases, put.lease)
}

/// Who attaches a key to a lease, or ends it, decides over all keys of the lease.
pub(crate) fn may_write_lease(rights: &Rights, leases: &RwLock<LeaseTable>, id: LeaseId) -> Result<(), Rejection> {
    if rights.is_all() || !id.is_some() {
        return Ok(());
    }
    leases.read().each_key(id).try_for_each(|key| rights.may_write_key(key))
}

fn may_delete(rights: &Rights, delete: &DeleteRequest) -> Result<(), Rejection> {
    rights.may_write(&delete.range)?;
    if delete.prev_kv { rights.may_read(&delete.range) } else { Ok(()) }
}

/// Both branches, and those of transactions inside: which one runs must not tell what may not be read.
fn may_txn(rights: &Rights, leases: &RwLock<LeaseTable>, txn: &TxnRequest) -> Result<(), Rejection> {
    if rights.is_all() {
        return Ok(());
    }
    may_compare(rights, txn)?;
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Range(range) => rights.may_read(&range.range)?,
            Op::Put(put) => may_put(rights, leases, put)?,
            Op::Delete(delete) => may_delete(rights, delete)?,
            Op::Txn(inner) => may_txn(rights, leases, inner)?,
        }
    }
    Ok(())
}

fn may_compare(rights: &Rights, txn: &TxnRequest) -> Result<(), Rejection> {
    txn.compares.iter().try_for_each(|compare| rights.may_read(&compare.range))
}

impl Rights {
    /// Refuses a transaction that only reads, if some of it may not be read.
    ///
    /// # Errors
    ///
    /// [`Rejection::PermissionDenied`].
    pub fn may_read_txn(&self, txn: &TxnRequest) -> Result<(), Rejection> {
        may_compare(self, txn)?;
        let ranges = txn.success.iter().chain(&txn.failure).filter_map(|op| match op {
            Op::Range(range) => Some(&range.range),
            Op::Put(_) | Op::Delete(_) | Op::Txn(_) => None,
        });
        ranges.into_iter().try_for_each(|range: &KeyRange| self.may_read(range))
    }
}
