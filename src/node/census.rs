//! Counting a line in which more than one can hold: how many claims there are, and which of them hold.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use model::{Identity, KeyRange, RangeRequest, Revision};
use recipes::{Census, Lines, Place, Queue, SemaphoreLimit, sharers};

use crate::error::Error;
use crate::handle::Handle;

/// The claims of a line at one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCensus {
    /// How many there are, and how many of them hold.
    pub counts: Census,
    /// Create revision of the last that holds; zero when none does.
    pub last_holder: Revision,
}

/// Lines as they were at one revision.
#[derive(Default)]
struct Snapshot {
    lines: BTreeMap<Bytes, Queue>,
    limit: Option<SemaphoreLimit>,
    nobody: Queue,
}

impl Lines for Snapshot {
    type Fault = Infallible;

    fn line(&mut self, prefix: &Bytes) -> Result<&Queue, Infallible> {
        Ok(self.lines.get(prefix).unwrap_or(&self.nobody))
    }

    fn limit(&mut self, _: &Bytes) -> Result<Option<SemaphoreLimit>, Infallible> {
        Ok(self.limit)
    }
}

impl Handle {
    /// Counts the line of a place, at a revision that this member has. Reads the whole line.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn census(&self, identity: &Identity, place: &Place, revision: Revision) -> Result<LineCensus, Error> {
        let mut snapshot = Snapshot::default();
        let read = |range| RangeRequest { serializable: true, ..RangeRequest::new(range).at(revision) };
        for prefix in place.lines() {
            let mut queue = Queue::default();
            for kv in &self.range(identity, read(KeyRange::prefix(prefix.clone()))).await?.kvs {
                queue.join(kv);
            }
            snapshot.lines.insert(prefix, queue);
        }
        if let Place::Permits { limit, .. } = place {
            let kvs = self.range(identity, read(KeyRange::Single(limit.clone()))).await?.kvs;
            snapshot.limit = kvs.first().map(|kv| SemaphoreLimit::read(&kv.value));
        }
        let Ok(counts) = place.census(&mut snapshot);
        let Ok(line) = snapshot.line(place.line());
        let sharers = sharers(place.line());
        let mut places = line.iter().filter(|contender| !contender.key.starts_with(&sharers));
        let last = counts.holders.checked_sub(1).and_then(|ahead| places.nth(ahead));
        Ok(LineCensus { counts, last_holder: last.map_or(Revision::ZERO, |last| last.create_revision) })
    }
}
