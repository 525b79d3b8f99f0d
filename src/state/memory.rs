//! Storage in memory, for tests and simulations: the same contract, gone with the last handle.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::Fault;
use crate::storage::{Edit, Entries, Storage, View, is_empty};

type Map = BTreeMap<Bytes, Bytes>;

/// A map in memory. What would survive a crash is what was ingested: open a second machine on the same storage to try it.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    map: ArcSwap<Map>,
    bytes: AtomicU64,
}

impl MemoryStorage {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Storage for MemoryStorage {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(MemoryView(self.map.load_full()))
    }

    fn ingest(&self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault> {
        let mut map = Map::clone(&self.map.load());
        for (key, value) in group {
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
        }
        self.replace(map);
        Ok(())
    }

    fn discard(&self, start: &[u8], end: &[u8]) -> Result<(), Fault> {
        let mut map = Map::clone(&self.map.load());
        map.retain(|key, _| key < start || key >= end);
        self.replace(map);
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl MemoryStorage {
    fn replace(&self, map: Map) {
        let bytes = map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        self.bytes.store(bytes, Ordering::Relaxed);
        self.map.store(Arc::new(map));
    }
}

struct MemoryView(Arc<Map>);

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Entries<'_> {
        if is_empty(start, end) {
            return Box::new(std::iter::empty());
        }
        Box::new(self.0.range::<[u8], _>((start, end)).map(|(key, value)| Ok((key.clone(), value.clone()))))
    }
}
