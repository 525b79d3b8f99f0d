//! A command while it is executed: what it sees, and what it has written so far.
//!
//! Nothing of the state is touched until the command is through. One that is refused on the way is dropped, so nothing ever has to
//! be undone. Every write carries the next revision, each key at most once.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{
    DeleteRequest, DeleteResponse, Event, EventKind, KeyRange, KeyValue, LeaseId, PutRequest, PutResponse,
    RangeRequest, RangeResponse, Rejection, Revision,
};
use parking_lot::RwLock;

use crate::layers::Sight;
use crate::lease::LeaseTable;
use crate::range;
use crate::scan::{self, Candidate, Lane, Merge, Version};
use crate::{Fault, ReadError};

/// Up to so many events are looked through one by one: commands with more are rare, and an index costs more than that.
const UNINDEXED_MAX: usize = 16;

/// See the top of this file.
pub(crate) struct Draft<'a> {
    sight: &'a Sight,
    leases: &'a RwLock<LeaseTable>,
    events: Vec<Event>,
    /// Places of the events by key, once they are many.
    index: BTreeMap<Bytes, usize>,
    granted: Vec<(LeaseId, i64)>,
}

/// What a command has written.
pub(crate) struct Written {
    pub(crate) events: Vec<Event>,
    /// Leases granted along with it, with their TTL.
    pub(crate) granted: Vec<(LeaseId, i64)>,
}

impl<'a> Draft<'a> {
    pub(crate) const fn new(sight: &'a Sight, leases: &'a RwLock<LeaseTable>) -> Self {
        Self { sight, leases, events: Vec::new(), index: BTreeMap::new(), granted: Vec::new() }
    }

    pub(crate) const fn sight(&self) -> &'a Sight {
        self.sight
    }

    pub(crate) const fn leases(&self) -> &'a RwLock<LeaseTable> {
        self.leases
    }

    /// The revision that its writes carry.
    pub(crate) const fn revision(&self) -> Revision {
        self.sight.revision.next()
    }

    /// The revision that an answer given now carries: the new one once something has been written.
    pub(crate) const fn header(&self) -> Revision {
        if self.events.is_empty() { self.sight.revision } else { self.revision() }
    }

    pub(crate) fn finish(self) -> Written {
        Written { events: self.events, granted: self.granted }
    }

    fn find(&self, key: &[u8]) -> Option<&Event> {
        if self.index.is_empty() {
            return self.events.iter().find(|event| event.kv.key == key);
        }
        self.index.get(key).map(|at| &self.events[*at])
    }

    fn push(&mut self, event: Event) {
        self.events.push(event);
        if !self.index.is_empty() || self.events.len() > UNINDEXED_MAX {
            let indexed = self.index.len();
            let new = self.events[indexed..].iter().enumerate();
            self.index.extend(new.map(|(at, event)| (event.kv.key.clone(), indexed + at)));
        }
    }

    /// The key as it is now, in memory that may be kept.
    pub(crate) fn get(&self, key: &Bytes) -> Result<Option<KeyValue>, Fault> {
        match self.find(key) {
            Some(event) => Ok(Some(&event.kv).filter(|_| event.kind == EventKind::Put).cloned()),
            None => self.sight.newest_to_keep(key),
        }
    }

    pub(crate) fn lease_ttl(&self, id: LeaseId) -> Option<i64> {
        let granted = self.granted.iter().find(|(granted, _)| *granted == id);
        granted.map(|(_, ttl)| *ttl).or_else(|| self.leases.read().ttl(id))
    }

    pub(crate) fn grant_lease(&mut self, id: LeaseId, ttl: i64) {
        self.granted.push((id, ttl));
    }

    /// Whether anything was written that takes space.
    pub(crate) fn takes_space(&self) -> bool {
        !self.granted.is_empty() || self.events.iter().any(|event| event.kind == EventKind::Put)
    }

    /// Refuses a put that cannot be executed: its own faults, then an unknown lease.
    pub(crate) fn check_put(&self, put: &PutRequest) -> Result<(), Rejection> {
        put.check()?;
        #[cfg(seeded_bugs)]
        if model::seeded_bug("key on a dead lease") {
            return Ok(());
        }
        if put.lease.is_some() && self.lease_ttl(put.lease).is_none() {
            return Err(Rejection::LeaseNotFound);
        }
        Ok(())
    }

    /// Executes a put that passed [`Self::check_put`].
    pub(crate) fn put(&mut self, put: &PutRequest) -> Result<PutResponse, ReadError> {
        if self.find(&put.key).is_some() {
            return Err(Rejection::DuplicateKey.into());
        }
        let previous = self.sight.newest_to_keep(&put.key)?;
        if previous.is_none() && (put.ignore_value || put.ignore_lease) {
            return Err(Rejection::KeyNotFound.into());
        }
        let revision = self.revision();
        let answer = previous.clone().filter(|_| put.prev_kv);
        self.push(put_event(put, previous, revision));
        Ok(PutResponse { revision, previous: answer })
    }

    /// Executes a delete, in byte order.
    pub(crate) fn delete(&mut self, delete: &DeleteRequest) -> Result<DeleteResponse, ReadError> {
        let victims: Vec<KeyValue> = match &delete.range {
            KeyRange::Single(key) => self.get(key)?.into_iter().collect(),
            range => {
                self.scan(range, self.sight.revision).map(|found| found?.into_owned_kv()).collect::<Result<_, _>>()?
            }
        };
        if victims.iter().any(|victim| victim.mod_revision == self.revision()) {
            return Err(Rejection::DuplicateKey.into());
        }
        let deleted = i64::try_from(victims.len()).unwrap_or(i64::MAX);
        let previous = if delete.prev_kv { victims.clone() } else { Vec::new() };
        for victim in victims {
            self.delete_live(victim);
        }
        Ok(DeleteResponse { revision: self.header(), deleted, previous })
    }

    /// Deletes a key that is as given.
    pub(crate) fn delete_live(&mut self, victim: KeyValue) {
        let kv = KeyValue { key: victim.key.clone(), mod_revision: self.revision(), ..KeyValue::default() };
        self.push(Event { kind: EventKind::Delete, kv, previous: Some(victim) });
    }

    /// Executes a read: of what is there now, this command's writes included, or of an older revision.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, ReadError> {
        if request.revision > Revision::ZERO {
            let at = self.sight.resolve(request.revision)?;
            return Ok(range::read(self.sight, request, at, self.header())?);
        }
        let now = self.sight.revision;
        if self.events.is_empty() {
            return Ok(range::read(self.sight, request, now, now)?);
        }
        Ok(range::select(self.scan(&request.range, now), request, self.header())?)
    }

    /// The keys that begin with `prefix` as they are now, in memory that may be kept.
    pub(crate) fn read_prefix(&self, prefix: &Bytes) -> Result<Vec<KeyValue>, Fault> {
        let range = KeyRange::prefix(prefix.clone());
        self.scan(&range, self.sight.revision).map(|found| found?.into_owned_kv()).collect()
    }

    /// The keys of a range as they are now.
    fn scan<'s>(&'s self, range: &'s KeyRange, now: Revision) -> Merge<'s> {
        let mut written: Vec<&Event> = self.events.iter().filter(|event| range.contains(&event.kv.key)).collect();
        written.sort_by(|a, b| a.kv.key.cmp(&b.kv.key));
        let written = written.into_iter().map(|event| {
            let version = (event.kind == EventKind::Put).then(|| Version::Whole(event.kv.clone()));
            Ok(Candidate { key: event.kv.key.clone(), version })
        });
        let mut lanes: Vec<Lane<'s>> = vec![Box::new(written)];
        lanes.extend(scan::lanes(self.sight, range, now));
        Merge::new(lanes)
    }
}

/// What a put makes of the version before it.
fn put_event(put: &PutRequest, previous: Option<KeyValue>, revision: Revision) -> Event {
    let mut kv = KeyValue {
        key: put.key.clone(),
        value: put.value.clone(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        lease: put.lease,
    };
    if let Some(previous) = &previous {
        kv.create_revision = previous.create_revision;
        kv.version = previous.version + 1;
        if put.ignore_value {
            kv.value = previous.value.clone();
        }
        if put.ignore_lease {
            kv.lease = previous.lease;
        }
    }
    Event { kind: EventKind::Put, kv, previous }
}
