//! The store's log as watchers of the whole store saw it: every revision with its events, and when it was first seen.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Violation;
use super::history::{Event, Instant, Revision, WatchRecord};

/// Every revision that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    revisions: BTreeMap<Revision, Seen>,
}

/// One revision.
#[derive(Clone, Debug)]
struct Seen {
    events: Vec<Event>,
    first: Instant,
}

impl Log {
    /// Joins what the watchers of the whole store saw. Watchers that saw different things at one revision, or a revision that
    /// nobody saw, are violations.
    pub(crate) fn of(watches: &[WatchRecord]) -> (Self, Vec<Violation>) {
        let mut log = Self::default();
        let mut violations = Vec::new();
        for watch in watches.iter().filter(|watch| watch.prefix.is_empty()) {
            for delivery in &watch.deliveries {
                for events in delivery.events.chunk_by(|a, b| a.revision == b.revision) {
                    log.join(&watch.name, delivery.at, events, &mut violations);
                }
            }
        }
        let mut expected = 2;
        for revision in log.revisions.keys() {
            if *revision != expected {
                violations.push(violation(format!("revisions {expected} to {} were seen by nobody", revision - 1)));
            }
            expected = revision + 1;
        }
        (log, violations)
    }

    fn join(&mut self, watcher: &str, at: Instant, events: &[Event], violations: &mut Vec<Violation>) {
        let Some(first) = events.first() else { return };
        match self.revisions.entry(first.revision) {
            Entry::Vacant(vacant) => drop(vacant.insert(Seen { events: events.to_vec(), first: at })),
            Entry::Occupied(mut occupied) => {
                let seen = occupied.get_mut();
                seen.first = seen.first.min(at);
                if !same(&seen.events, events) {
                    let (revision, others) = (first.revision, &seen.events);
                    violations.push(violation(format!("{watcher} saw {events:?} at {revision}, others {others:?}")));
                }
            }
        }
    }

    /// The events of a revision; none for one that was not seen.
    pub(crate) fn events(&self, revision: Revision) -> &[Event] {
        self.revisions.get(&revision).map_or(&[], |seen| &seen.events)
    }

    /// When a watcher first saw a revision.
    pub(crate) fn first_seen(&self, revision: Revision) -> Option<Instant> {
        self.revisions.get(&revision).map(|seen| seen.first)
    }

    /// Everything, by revision.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Revision, &[Event])> {
        self.revisions.iter().map(|(revision, seen)| (*revision, seen.events.as_slice()))
    }

    /// The last revision; 1 for a store that nothing was written to.
    pub(crate) fn head(&self) -> Revision {
        self.revisions.last_key_value().map_or(1, |(revision, _)| *revision)
    }
}

/// Whether two watchers saw the same changes; what was before them may be forgotten by one of them.
pub(crate) fn same(a: &[Event], b: &[Event]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && a.revision == b.revision && a.put == b.put)
}

fn violation(what: String) -> Violation {
    Violation { check: "log", what }
}
