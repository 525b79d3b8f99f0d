//! Contenders by prefix, for the recipes: an index derived from the keys, kept because a lock is asked for again and again.
//!
//! A queue is built by one scan when a recipe first asks for its prefix and follows every event from then on. It may be dropped at
//! any time, since it can be built again; which ones are here never changes an outcome.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use model::{Event, EventKind, KeyRange, Revision};
use recipes::Queue;

use crate::Fault;
use crate::layers::Sight;
use crate::scan::Merge;

/// Prefixes that are followed. When there would be more, those without contenders go, and if that is not enough, all.
const QUEUES_MAX: usize = 16_384;

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_prefix: BTreeMap<Bytes, Queue>,
}

impl Queues {
    /// The queue of a prefix, as of the state in sight.
    pub(crate) fn get(&mut self, sight: &Sight, prefix: &Bytes) -> Result<&Queue, Fault> {
        if !self.by_prefix.contains_key(prefix) {
            self.make_room();
            let mut queue = Queue::default();
            let range = KeyRange::prefix(prefix.clone());
            for found in Merge::open(sight, &range, sight.revision) {
                let kv = found?.into_kv()?;
                queue.join(&kv);
            }
            self.by_prefix.insert(Bytes::copy_from_slice(prefix), queue);
        }
        Ok(&self.by_prefix[prefix])
    }

    /// Takes an event into account.
    pub(crate) fn follow(&mut self, event: &Event) {
        if self.by_prefix.is_empty() {
            return;
        }
        let key = &event.kv.key;
        let created = event.previous.as_ref().map(|previous| previous.create_revision);
        self.for_each_prefix_of(key, |queue| match (event.kind, created) {
            (EventKind::Put, _) => queue.join(&event.kv),
            (EventKind::Delete, created) => queue.remove(created.unwrap_or(Revision::ZERO), key),
        });
    }

    /// Visits the queues that `key` contends in, the longest prefix first. Each step goes to the greatest prefix that can still be
    /// one of the key's, so others between them cost at most one step each.
    fn for_each_prefix_of(&mut self, key: &[u8], mut visit: impl FnMut(&mut Queue)) {
        let mut bound = Bound::Included(key);
        while let Some((prefix, queue)) = self.by_prefix.range_mut::<[u8], _>((Bound::Unbounded, bound)).next_back() {
            let common = prefix.iter().zip(key).take_while(|(a, b)| a == b).count();
            if common == prefix.len() {
                visit(queue);
                bound = Bound::Excluded(&key[..common]);
            } else {
                bound = Bound::Included(&key[..common]);
            }
        }
    }

    fn make_room(&mut self) {
        if self.by_prefix.len() >= QUEUES_MAX {
            self.by_prefix.retain(|_, queue| !queue.is_empty());
        }
        if self.by_prefix.len() >= QUEUES_MAX {
            self.by_prefix.clear();
        }
    }
}
