//! The recipes' port, over a draft: their reads see the state before the command, their writes become visible with it.

use bytes::Bytes;
use model::{KeyValue, LeaseId, PutRequest, Revision};
use recipes::{Ledger, Queue};

use crate::draft::Draft;
use crate::queues::Queues;
use crate::{Fault, ReadError};

/// What a recipe is given.
pub(crate) struct Book<'a, 'd> {
    pub(crate) draft: &'a mut Draft<'d>,
    pub(crate) queues: &'a mut Queues,
}

impl Ledger for Book<'_, '_> {
    type Fault = Fault;

    fn revision(&self) -> Revision {
        self.draft.revision()
    }

    fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, Fault> {
        self.draft.get(&Bytes::copy_from_slice(key))
    }

    fn contenders(&mut self, prefix: &Bytes) -> Result<&Queue, Fault> {
        self.queues.get(self.draft.sight(), prefix)
    }

    fn lease_ttl(&self, id: LeaseId) -> Option<i64> {
        self.draft.lease_ttl(id)
    }

    fn put(&mut self, key: Bytes, value: Bytes, lease: LeaseId) -> Result<(), Fault> {
        let put = PutRequest { key, value, lease, ..PutRequest::default() };
        self.draft.check_put(&put).map_err(|_| Fault::Recipe("a put that a client may not make"))?;
        match self.draft.put(&put) {
            Ok(_) => Ok(()),
            Err(ReadError::Rejected(_)) => Err(Fault::Recipe("a key written twice")),
            Err(ReadError::Fault(fault)) => Err(fault),
        }
    }

    fn delete(&mut self, key: &Bytes) -> Result<(), Fault> {
        let victim = self.draft.get(key)?.ok_or(Fault::Recipe("a deletion of a key that does not exist"))?;
        if victim.mod_revision == self.draft.revision() {
            return Err(Fault::Recipe("a deletion of a key that it wrote"));
        }
        self.draft.delete_live(victim);
        Ok(())
    }

    fn grant_lease(&mut self, id: LeaseId, ttl: i64) {
        self.draft.grant_lease(id, ttl);
    }

    fn range(&self, prefix: &Bytes) -> Result<Vec<KeyValue>, Fault> {
        self.draft.read_prefix(prefix)
    }
}
