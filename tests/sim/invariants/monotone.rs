//! Terms never go back, not even over a crash; what is committed, applied and readable never goes back within a life. And nothing is
//! applied that was not committed.

use std::collections::BTreeMap;

use consensus::SimLife;

use crate::cluster::Process;
use crate::network::Place;
use crate::trace::{Trace, violation};

/// What was seen of each member.
pub(crate) struct Monotone {
    trace: Trace,
    seen: BTreeMap<Place, Seen>,
}

struct Seen {
    life: SimLife,
    term: u64,
    committed: u64,
    applied: u64,
    revision: i64,
}

impl Monotone {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, seen: BTreeMap::new() }
    }

    pub(crate) fn look(&mut self, place: Place, process: &Process) {
        let status = process.handle.status();
        let now = Seen {
            life: process.life.clone(),
            term: status.term.get(),
            committed: status.committed.get(),
            applied: status.applied.get(),
            revision: process.handle.revision().get(),
        };
        if now.applied > now.committed {
            violation!(self.trace, "monotone", "{place} applied {} of {}", now.applied, now.committed);
        }
        if let Some(before) = self.seen.get(&place) {
            if now.term < before.term {
                violation!(self.trace, "monotone", "the term of {place} fell from {} to {}", before.term, now.term);
            }
            let is_same_life = before.life.is(&now.life);
            let pairs = [
                ("commit", before.committed, now.committed),
                ("applied", before.applied, now.applied),
                ("revision", before.revision.unsigned_abs(), now.revision.unsigned_abs()),
            ];
            for (what, before, now) in pairs.into_iter().filter(|(_, before, now)| is_same_life && now < before) {
                violation!(self.trace, "monotone", "the {what} of {place} fell from {before} to {now}");
            }
        }
        self.seen.insert(place, now);
    }
}
