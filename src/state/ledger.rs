//! The recipes' port, over a draft: their reads see the state before the command, their writes become visible with it.
//!
//! Here is checked what the recipe's user may do, key by key as the recipe touches them: it needs to be allowed to read what it looks
//! at, which is what it may show, and to write what it writes. No recipe has to think of it.

use bytes::Bytes;
use model::{KeyRange, KeyValue, LeaseId, PutRequest, Revision};
use recipes::{Ledger, Queue};

use crate::auth::Rights;
use crate::draft::Draft;
use crate::permission::may_write_lease;
use crate::queues::Queues;
use crate::{Fault, ReadError};

/// What a recipe is given.
pub(crate) struct Book<'a, 'd> {
    pub(crate) draft: &'a mut Draft<'d>,
    pub(crate) queues: &'a mut Queues,
    pub(crate) rights: &'a Rights,
}

impl Ledger for Book<'_, '_> {
    type Fault = ReadError;

    fn revision(&self) -> Revision {
        self.draft.revision()
    }

    fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, ReadError> {
        self.rights.may_read_key(key)?;
        Ok(self.draft.get(&Bytes::copy_from_slice(key))?)
    }

    fn contenders(&mut self, prefix: &Bytes) -> Result<&Queue, ReadError> {
        self.rights.may_read(&KeyRange::prefix(prefix.clone()))?;
        Ok(self.queues.get(self.draft.sight(), prefix)?)
    }

    fn lease_ttl(&self, id: LeaseId) -> Option<i64> {
        self.draft.lease_ttl(id)
    }

    fn put(&mut self, key: Bytes, value: Bytes, lease: LeaseId) -> Result<(), ReadError> {
        self.rights.may_write_key(&key)?;
        may_write_lease(self.rights, self.draft.leases(), lease)?;
        let put = PutRequest { key, value, lease, ..PutRequest::default() };
        self.draft.check_put(&put).map_err(|_| Fault::Recipe("a put that a client may not make"))?;
        match self.draft.put(&put) {
            Ok(_) => Ok(()),
            Err(ReadError::Rejected(_)) => Err(Fault::Recipe("a key written twice").into()),
            Err(fault @ ReadError::Fault(_)) => Err(fault),
        }
    }

    fn delete(&mut self, key: &Bytes) -> Result<(), ReadError> {
        self.rights.may_write_key(key)?;
        let victim = self.draft.get(key)?.ok_or(Fault::Recipe("a deletion of a key that does not exist"))?;
        if victim.mod_revision == self.draft.revision() {
            return Err(Fault::Recipe("a deletion of a key that it wrote").into());
        }
        self.draft.delete_live(victim);
        Ok(())
    }

    fn grant_lease(&mut self, id: LeaseId, ttl: i64) {
        self.draft.grant_lease(id, ttl);
    }

    fn range(&self, prefix: &Bytes) -> Result<Vec<KeyValue>, ReadError> {
        self.rights.may_read(&KeyRange::prefix(prefix.clone()))?;
        Ok(self.draft.read_prefix(prefix)?)
    }
}
