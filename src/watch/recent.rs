//! The latest changes, kept in memory so that a watcher that is a little behind needs no read of the history: one created at a
//! revision read a moment ago (every contender for a lock does that), or one whose stream was full for a while.

use std::collections::VecDeque;

use model::{Change, Event, KeyValue, Revision};

/// Changes that the hub keeps at most.
pub(crate) const CHANGES_MAX: usize = 1024;

/// Bytes kept at most, by [`size_of_change`].
const BYTES_MAX: usize = 4 << 20;

/// The changes of the revisions from [`start`](Self::start) to just below [`next`](Self::next), without a gap.
pub(crate) struct Recent {
    kept: VecDeque<Kept>,
    bytes: usize,
    next: Revision,
    changes_max: usize,
}

pub(crate) struct Kept {
    pub(crate) change: Change,
    pub(crate) bytes: usize,
}

impl Recent {
    /// Nothing yet; the first change to come is that of `next`.
    pub(crate) fn new(next: Revision, changes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, next, changes_max }
    }

    /// Forgets everything and goes on with a change to come that is not the next one.
    pub(crate) fn skip_to(&mut self, next: Revision) {
        *self = Self::new(next, self.changes_max);
    }

    /// Revision of the first change kept; `next` if there is none.
    pub(crate) fn start(&self) -> Revision {
        self.kept.front().map_or(self.next, |kept| kept.change.revision)
    }

    /// Revision of the next change to come.
    pub(crate) fn next(&self) -> Revision {
        self.next
    }

    /// Takes the next change and lets go of the oldest ones that no longer fit.
    pub(crate) fn push(&mut self, change: Change, bytes: usize) {
        assert!(change.revision == self.next, "change {} where {} is due", change.revision, self.next);
        self.next = change.revision.next();
        self.bytes += bytes;
        self.kept.push_back(Kept { change, bytes });
        while self.kept.len() > self.changes_max || self.bytes > BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// The changes from revision `from` on, which is not older than the first one kept.
    pub(crate) fn since(&self, from: Revision) -> impl Iterator<Item = &Kept> {
        let skipped = usize::try_from(from.get() - self.start().get()).unwrap_or(0);
        self.kept.range(skipped.min(self.kept.len())..)
    }
}

/// What a change occupies, roughly: keys, values and what surrounds them.
pub(crate) fn size_of_change(change: &Change) -> usize {
    let version = |kv: &KeyValue| kv.key.len() + kv.value.len();
    let event = |event: &Event| size_of::<Event>() + version(&event.kv) + event.previous.as_ref().map_or(0, version);
    change.events.iter().map(event).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use model::EventKind;

    use super::*;

    fn change(revision: i64, value_bytes: usize) -> Change {
        let revision = Revision::new(revision);
        let kv = KeyValue { mod_revision: revision, value: vec![0; value_bytes].into(), ..KeyValue::default() };
        let kv = KeyValue { key: Bytes::from_static(b"k"), ..kv };
        Change { revision, events: Arc::new([Event { kind: EventKind::Put, kv, previous: None }]) }
    }

    fn push(recent: &mut Recent, change: Change) {
        let bytes = size_of_change(&change);
        recent.push(change, bytes);
    }

    #[test]
    fn keeps_the_latest_by_count_and_by_bytes() {
        let mut recent = Recent::new(Revision::new(2), 1024);
        assert_eq!((recent.start().get(), recent.next().get(), recent.since(Revision::new(2)).count()), (2, 2, 0));
        for revision in 2..2 + 2 * 1024 {
            push(&mut recent, change(revision, 1));
        }
        assert_eq!((recent.start().get(), recent.next().get()), (2 + 1024, 2 + 2 * 1024));
        assert_eq!(recent.since(Revision::new(2048)).next().map(|kept| kept.change.revision.get()), Some(2048));
        assert_eq!(recent.since(recent.next()).count(), 0);

        push(&mut recent, change(2050, BYTES_MAX / 2));
        push(&mut recent, change(2051, BYTES_MAX / 2 + 1));
        assert_eq!((recent.start().get(), recent.since(Revision::new(2051)).count()), (2051, 1));
        push(&mut recent, change(2052, 2 * BYTES_MAX));
        assert_eq!((recent.start().get(), recent.bytes), (2053, 0), "a huge one is not kept at all");
    }
}
