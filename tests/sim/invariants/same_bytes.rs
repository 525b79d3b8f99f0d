//! Log matching: the same term and index name the same bytes after the same predecessor, on every disk and on the wire. So two logs that
//! have an entry in common are equal up to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::quoratepb::AppendRequest;

use crate::cluster::Cluster;
use crate::disk::LogImage;
use crate::network::Place;
use crate::trace::{Trace, violation};
use crate::wire::{Wire, WireObserver};

/// Term and index.
type Id = (u64, u64);

/// Every entry that was ever seen.
pub(crate) struct Entries {
    trace: Trace,
    seen: BTreeMap<Id, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    bytes: u32,
    /// The term of the entry before, if that is known.
    before: Option<u64>,
    /// Who was first seen with it.
    first: Place,
}

/// Listens to what leaders send.
pub(crate) struct Listener(pub(crate) Arc<Mutex<Entries>>);

impl WireObserver for Listener {
    fn sent(&mut self, from: Place, _to: Place, frame: &Wire<'_>) {
        if let Wire::Append(request) = frame {
            self.0.lock().hear(from, request);
        }
    }
}

impl Entries {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, seen: BTreeMap::new() }
    }

    fn hear(&mut self, from: Place, request: &AppendRequest) {
        let mut before = request.prev_log_id.as_ref().map(|id| id.term);
        for entry in &request.entries {
            let Some(id) = &entry.log_id else { continue };
            // On the wire a kind stands beside the payload, on disk before it: the two are hashed apart.
            self.see(from, "wire", (id.term, id.index), &entry.payload, before);
            before = Some(id.term);
        }
    }

    /// Reads every log, as far as it was written.
    pub(crate) fn read(&mut self, cluster: &Cluster) {
        for (place, disk) in cluster.disks() {
            if let Some(LogImage { purged, entries, .. }) = disk.written() {
                let mut before = purged.map(|id| id.term);
                for entry in entries {
                    self.see(place, "disk", (entry.term, entry.index), &entry.payload, before);
                    before = Some(entry.term);
                }
            }
        }
    }

    fn see(&mut self, place: Place, kind: &str, id: Id, payload: &[u8], before: Option<u64>) {
        // The store's encoding differs from the wire's, so that each kind is compared with its own.
        let key = if kind == "wire" { (id.0, id.1 * 2) } else { (id.0, id.1 * 2 + 1) };
        let bytes = payload.iter().fold(1_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        let known = self.seen.entry(key).or_insert(Entry { bytes, before, first: place });
        if known.bytes != bytes || (known.before.is_some() && before.is_some() && known.before != before) {
            let first = known.first;
            violation!(self.trace, "log matching", "{place} has another entry {id:?} on its {kind} than {first}");
        }
        known.before = known.before.or(before);
    }
}
