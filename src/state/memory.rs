//! Storage and its place in memory, for tests and simulations: the same contracts, gone with the last handle.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::Fault;
use crate::place::{Place, Staging};
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
        apply(&mut map, group);
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

fn apply(map: &mut Map, group: &mut dyn Iterator<Item = Edit>) {
    for (key, value) in group {
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
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

/// A place in memory. Clones are the same place: what a process that ends leaves to the next one.
#[derive(Clone)]
pub struct MemoryPlace {
    slot: Arc<Mutex<Slot>>,
}

struct Slot {
    current: Arc<dyn Storage>,
    /// Number of the only store that may be published.
    staged: u64,
}

impl MemoryPlace {
    /// One with an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Arc::new(MemoryStorage::new()))
    }

    /// One whose current store is given.
    #[must_use]
    pub fn over(storage: Arc<dyn Storage>) -> Self {
        Self { slot: Arc::new(Mutex::new(Slot { current: storage, staged: 0 })) }
    }
}

impl Default for MemoryPlace {
    fn default() -> Self {
        Self::new()
    }
}

impl Place for MemoryPlace {
    fn open(&self) -> Result<Arc<dyn Storage>, Fault> {
        let mut slot = self.slot.lock();
        slot.staged += 1;
        Ok(Arc::clone(&slot.current))
    }

    fn stage(&self) -> Result<Box<dyn Staging>, Fault> {
        let mut slot = self.slot.lock();
        slot.staged += 1;
        Ok(Box::new(MemoryStaging { place: self.clone(), number: slot.staged, map: Map::new() }))
    }
}

impl std::fmt::Debug for MemoryPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPlace").finish_non_exhaustive()
    }
}

struct MemoryStaging {
    place: MemoryPlace,
    number: u64,
    map: Map,
}

impl Staging for MemoryStaging {
    fn ingest(&mut self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault> {
        apply(&mut self.map, group);
        Ok(())
    }

    fn publish(self: Box<Self>) -> Result<Arc<dyn Storage>, Fault> {
        let mut slot = self.place.slot.lock();
        if slot.staged != self.number {
            return Err(Fault::Superseded);
        }
        let storage = MemoryStorage::new();
        storage.replace(self.map);
        slot.current = Arc::new(storage);
        Ok(Arc::clone(&slot.current))
    }
}
