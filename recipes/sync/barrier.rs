//! The barrier, in the layout of etcd's recipe: it stands while its one key exists. Releasing it is deleting the key.
//!
//! Exactly that key: a barrier whose name only begins alike is another one (T27).

use bytes::{Bytes, BytesMut};

use super::{SyncOutcome, write};
use crate::Ledger;
use crate::codec::{CodecError, get_bytes, put_bytes};
use crate::invalid::{Invalid, check_key};

/// Holds a barrier, if it does not stand already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldBarrier {
    /// Its key.
    pub key: Bytes,
}

impl HoldBarrier {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_key(&self.key)
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<SyncOutcome, L::Fault> {
        Ok(match ledger.get(&self.key)? {
            Some(barrier) => SyncOutcome::Held { barrier, is_new: false },
            None => {
                let barrier = write(ledger, None, self.key.clone(), Bytes::new(), model::LeaseId::NONE)?;
                SyncOutcome::Held { barrier, is_new: true }
            }
        })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { key: get_bytes(from)? })
    }
}
