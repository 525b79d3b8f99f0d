//! The reference: the rules of etcd written down in the plainest way, every version of every key kept for ever.
//!
//! Nothing is shared with the machine but the vocabulary. Transactions work on a copy of everything, ranges look at every key, leases
//! find their keys by looking for them.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{
    Change, Command, Compare, CompareResult, DeleteRequest, DeleteResponse, Event, EventKind, KeyRange, KeyValue,
    LeaseId, Op, OpResponse, Operand, PutRequest, PutResponse, RangeRequest, RangeResponse, Rejection, Revision,
    SortOrder, SortTarget, TxnRequest, TxnResponse,
};
use recipes::{Ledger, Queue};

use crate::{Outcome, Reply};

#[derive(Clone, Default)]
pub(super) struct Reference {
    pub(super) revision: Revision,
    pub(super) compact_revision: Revision,
    pub(super) leases: BTreeMap<LeaseId, (i64, i64)>,
    versions: BTreeMap<Bytes, Vec<(Revision, Option<KeyValue>)>>,
    events: Vec<Event>,
    queue: Queue,
}

type Answer<T> = Result<T, Rejection>;

impl Reference {
    pub(super) fn new() -> Self {
        Self { revision: Revision::FIRST, ..Self::default() }
    }

    pub(super) fn reply(&mut self, command: &Command) -> Reply {
        let mut next = self.clone();
        let result = next.execute(command);
        if result.is_ok() {
            if next.events.len() > self.events.len() {
                next.revision = self.revision.next();
            }
            *self = next;
        }
        Reply { revision: self.revision, result }
    }

    fn execute(&mut self, command: &Command) -> Answer<Outcome> {
        match command {
            Command::Put(put) => {
                self.check_lease(put)?;
                self.put(put).map(Outcome::Put)
            }
            Command::Delete(delete) => self.delete(delete).map(Outcome::Delete),
            Command::Txn(txn) => {
                let before = self.clone();
                before.check_puts(txn, &before)?;
                before.check_ranges(txn, &before)?;
                let mut response = self.txn(txn, &before)?;
                response.revision = self.header();
                Ok(Outcome::Txn(response))
            }
            Command::Compact { revision } => {
                let is_first = self.compact_revision == Revision::ZERO;
                if *revision > self.revision {
                    return Err(Rejection::FutureRevision);
                }
                if revision < &self.compact_revision || (*revision == self.compact_revision && !is_first) {
                    return Err(Rejection::Compacted);
                }
                self.compact_revision = *revision;
                Ok(Outcome::Compacted)
            }
            Command::LeaseGrant { id, ttl } => match self.leases.insert(*id, (*ttl, 0)) {
                Some(_) => Err(Rejection::LeaseExists),
                None => Ok(Outcome::LeaseGranted { id: *id, ttl: *ttl }),
            },
            Command::LeaseRevoke { id } => {
                self.leases.remove(id).ok_or(Rejection::LeaseNotFound)?;
                for key in self.keys_of(*id) {
                    self.delete(&DeleteRequest { range: KeyRange::Single(key), prev_kv: false })?;
                }
                Ok(Outcome::LeaseRevoked)
            }
            Command::LeaseCheckpoint(checkpoints) => {
                for checkpoint in checkpoints {
                    if let Some(lease) = self.leases.get_mut(&checkpoint.id) {
                        lease.1 = checkpoint.remaining;
                    }
                }
                Ok(Outcome::LeasesCheckpointed)
            }
            Command::Auth(_) => unreachable!("users and roles have a reference of their own"),
            Command::Recipe(encoded) => {
                let recipe = recipes::Command::decode(encoded.clone()).unwrap();
                Ok(Outcome::Recipe(recipes::apply(&recipe, self).unwrap()))
            }
            Command::Alarm(_) | Command::Downgrade { .. } => panic!("programs change no facts"),
        }
    }

    pub(super) fn keys_of(&self, id: LeaseId) -> Vec<Bytes> {
        let all = self.live(&KeyRange::From(Bytes::new()), Revision::new(i64::MAX));
        all.into_iter().filter(|kv| kv.lease == id).map(|kv| kv.key).collect()
    }

    fn next(&self) -> Revision {
        self.revision.next()
    }

    fn is_written(&self) -> bool {
        self.events.last().is_some_and(|event| event.kv.mod_revision == self.next())
    }

    fn header(&self) -> Revision {
        if self.is_written() { self.next() } else { self.revision }
    }

    pub(super) fn get(&self, key: &[u8], at: Revision) -> Option<KeyValue> {
        self.versions.get(key)?.iter().rfind(|(revision, _)| *revision <= at)?.1.clone()
    }

    fn live(&self, range: &KeyRange, at: Revision) -> Vec<KeyValue> {
        self.versions.keys().filter(|key| range.contains(key)).filter_map(|key| self.get(key, at)).collect()
    }

    fn now(&self, key: &[u8]) -> Option<KeyValue> {
        self.get(key, Revision::new(i64::MAX))
    }

    fn write(&mut self, kind: EventKind, kv: KeyValue) {
        let version = Some(kv.clone()).filter(|_| kind == EventKind::Put);
        let previous = self.now(&kv.key);
        self.versions.entry(kv.key.clone()).or_default().push((kv.mod_revision, version));
        self.events.push(Event { kind, kv, previous });
    }

    fn check_lease(&self, put: &PutRequest) -> Answer<()> {
        let is_known = put.lease == LeaseId::NONE || self.leases.contains_key(&put.lease);
        if is_known { Ok(()) } else { Err(Rejection::LeaseNotFound) }
    }

    fn put(&mut self, put: &PutRequest) -> Answer<PutResponse> {
        let before = self.now(&put.key);
        if self.versions.get(&put.key).is_some_and(|versions| versions.last().unwrap().0 == self.next()) {
            return Err(Rejection::DuplicateKey);
        }
        if before.is_none() && (put.ignore_value || put.ignore_lease) {
            return Err(Rejection::KeyNotFound);
        }
        let old = before.clone().unwrap_or(KeyValue { create_revision: self.next(), ..KeyValue::default() });
        let kv = KeyValue {
            key: put.key.clone(),
            value: if put.ignore_value { old.value } else { put.value.clone() },
            create_revision: old.create_revision,
            mod_revision: self.next(),
            version: old.version + 1,
            lease: if put.ignore_lease { old.lease } else { put.lease },
        };
        self.write(EventKind::Put, kv);
        Ok(PutResponse { revision: self.next(), previous: before.filter(|_| put.prev_kv) })
    }

    fn delete(&mut self, delete: &DeleteRequest) -> Answer<DeleteResponse> {
        let victims = self.live(&delete.range, Revision::new(i64::MAX));
        for victim in &victims {
            if victim.mod_revision == self.next() {
                return Err(Rejection::DuplicateKey);
            }
            let kv = KeyValue { key: victim.key.clone(), mod_revision: self.next(), ..KeyValue::default() };
            self.write(EventKind::Delete, kv);
        }
        let deleted = victims.len() as i64;
        let previous = if delete.prev_kv { victims } else { Vec::new() };
        Ok(DeleteResponse { revision: self.header(), deleted, previous })
    }

    pub(super) fn check_revision(&self, revision: Revision) -> Answer<()> {
        match revision {
            latest if latest <= Revision::ZERO => Ok(()),
            future if future > self.revision => Err(Rejection::FutureRevision),
            old if old < self.compact_revision => Err(Rejection::Compacted),
            _ => Ok(()),
        }
    }

    pub(super) fn range(&self, request: &RangeRequest) -> Answer<RangeResponse> {
        self.check_revision(request.revision)?;
        let at = if request.revision > Revision::ZERO { request.revision } else { Revision::new(i64::MAX) };
        let all = self.live(&request.range, at);
        let mut response =
            RangeResponse { revision: self.header(), count: all.len() as i64, ..RangeResponse::default() };
        if request.count_only {
            return Ok(response);
        }
        let is_off = |bound: Revision| bound == Revision::ZERO;
        let mut kvs = all.clone();
        kvs.retain(|kv| is_off(request.min_mod_revision) || kv.mod_revision >= request.min_mod_revision);
        kvs.retain(|kv| is_off(request.max_mod_revision) || kv.mod_revision <= request.max_mod_revision);
        kvs.retain(|kv| is_off(request.min_create_revision) || kv.create_revision >= request.min_create_revision);
        kvs.retain(|kv| is_off(request.max_create_revision) || kv.create_revision <= request.max_create_revision);
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let bounds = [
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        ];
        if request.order == SortOrder::None && bounds.into_iter().all(is_off) {
            kvs.truncate(limit.saturating_add(1));
        }
        match request.target {
            SortTarget::Key => {}
            SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
            SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
            SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
            SortTarget::Value => kvs.sort_by_key(|kv| kv.value.clone()),
        }
        response.more = kvs.len() > limit;
        if request.order == SortOrder::Descend {
            // What is equal keeps its order in both directions.
            kvs.reverse();
            match request.target {
                SortTarget::Key => {}
                SortTarget::Version => kvs.chunk_by_mut(|a, b| a.version == b.version).for_each(<[_]>::reverse),
                SortTarget::Create => {
                    kvs.chunk_by_mut(|a, b| a.create_revision == b.create_revision).for_each(<[_]>::reverse)
                }
                SortTarget::Mod => kvs.chunk_by_mut(|a, b| a.mod_revision == b.mod_revision).for_each(<[_]>::reverse),
                SortTarget::Value => kvs.chunk_by_mut(|a, b| a.value == b.value).for_each(<[_]>::reverse),
            }
        }
        kvs.truncate(limit);
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
        }
        response.kvs = kvs;
        Ok(response)
    }

    /// Every change since `from`, with the versions before.
    pub(super) fn changes(&self, from: Revision) -> Vec<Change> {
        let groups = self.events.chunk_by(|a, b| a.kv.mod_revision == b.kv.mod_revision);
        let changes =
            groups.map(|events| Change { revision: events[0].kv.mod_revision, events: events.to_vec().into() });
        changes.filter(|change| change.revision >= from).collect()
    }

    fn branch<'t>(&self, txn: &'t TxnRequest) -> (bool, &'t [Op]) {
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        (succeeded, if succeeded { &txn.success } else { &txn.failure })
    }

    fn check_puts(&self, txn: &TxnRequest, before: &Self) -> Answer<()> {
        let ops = before.branch(txn).1;
        for op in ops {
            if let Op::Put(put) = op {
                if (put.ignore_value || put.ignore_lease) && before.now(&put.key).is_none() {
                    return Err(Rejection::KeyNotFound);
                }
                before.check_lease(put)?;
            }
        }
        ops.iter().try_for_each(|op| if let Op::Txn(txn) = op { self.check_puts(txn, before) } else { Ok(()) })
    }

    fn check_ranges(&self, txn: &TxnRequest, before: &Self) -> Answer<()> {
        let ops = before.branch(txn).1;
        for op in ops {
            if let Op::Range(range) = op {
                before.check_revision(range.revision)?;
            }
        }
        ops.iter().try_for_each(|op| if let Op::Txn(txn) = op { self.check_ranges(txn, before) } else { Ok(()) })
    }

    fn txn(&mut self, txn: &TxnRequest, before: &Self) -> Answer<TxnResponse> {
        let (succeeded, ops) = before.branch(txn);
        let mut responses = Vec::new();
        for op in ops {
            responses.push(match op {
                Op::Range(range) => OpResponse::Range(self.range(range)?),
                Op::Put(put) => OpResponse::Put(self.put(put)?),
                Op::Delete(delete) => OpResponse::Delete(self.delete(delete)?),
                Op::Txn(txn) => OpResponse::Txn(self.txn(txn, before)?),
            });
        }
        Ok(TxnResponse { revision: Revision::ZERO, succeeded, responses })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let mut kvs = self.live(&compare.range, Revision::new(i64::MAX));
        if kvs.is_empty() {
            if matches!(compare.operand, Operand::Value(_)) {
                return false;
            }
            kvs.push(KeyValue::default());
        }
        kvs.iter().all(|kv| {
            let ordering = match &compare.operand {
                Operand::Version(operand) => kv.version.cmp(operand),
                Operand::Create(operand) => kv.create_revision.get().cmp(operand),
                Operand::Mod(operand) => kv.mod_revision.get().cmp(operand),
                Operand::Lease(operand) => kv.lease.get().cmp(operand),
                Operand::Value(operand) => kv.value.cmp(operand),
                Operand::Unknown => 0.cmp(&0),
            };
            match compare.result {
                CompareResult::Equal => ordering.is_eq(),
                CompareResult::NotEqual => ordering.is_ne(),
                CompareResult::Greater => ordering.is_gt(),
                CompareResult::Less => ordering.is_lt(),
                CompareResult::Unknown => true,
            }
        })
    }
}

impl Ledger for Reference {
    type Fault = Rejection;

    fn revision(&self) -> Revision {
        self.next()
    }

    fn get(&self, key: &[u8]) -> Answer<Option<KeyValue>> {
        Ok(self.now(key))
    }

    fn contenders(&mut self, prefix: &Bytes) -> Answer<&Queue> {
        self.queue = Queue::default();
        for kv in self.live(&KeyRange::prefix(prefix.clone()), Revision::new(i64::MAX)) {
            self.queue.join(&kv);
        }
        Ok(&self.queue)
    }

    fn lease_ttl(&self, id: LeaseId) -> Option<i64> {
        self.leases.get(&id).map(|lease| lease.0)
    }

    fn put(&mut self, key: Bytes, value: Bytes, lease: LeaseId) -> Answer<()> {
        Self::put(self, &PutRequest { key, value, lease, ..PutRequest::default() }).map(drop)
    }

    fn delete(&mut self, key: &Bytes) -> Answer<()> {
        Self::delete(self, &DeleteRequest { range: KeyRange::Single(key.clone()), prev_kv: false }).map(drop)
    }

    fn grant_lease(&mut self, id: LeaseId, ttl: i64) {
        self.leases.insert(id, (ttl, 0));
    }

    fn range(&self, prefix: &Bytes) -> Answer<Vec<KeyValue>> {
        Ok(self.live(&KeyRange::prefix(prefix.clone()), Revision::new(i64::MAX)))
    }
}
