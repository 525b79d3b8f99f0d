//! State-machine safety: members at one revision, with the same history forgotten, hold the same.

use std::collections::BTreeMap;

use model::Revision;

use crate::cluster::Cluster;
use crate::trace::violation;

/// Compares all members at the newest revision that all of them have.
pub(crate) async fn look(cluster: &Cluster) {
    let processes = cluster.processes();
    let Some(common) = processes.iter().map(|(_, process)| process.handle.revision()).min() else { return };
    let mut by_history: BTreeMap<Revision, (u64, u32)> = BTreeMap::new();
    for (place, process) in processes {
        let Ok(hash) = process.life.run(process.handle.hash_kv(common)).await else { continue };
        let (other, known) = *by_history.entry(hash.compact_revision).or_insert((place, hash.hash));
        if known != hash.hash {
            violation!(cluster.trace, "equal hash", "{place} and {other} differ at revision {common}");
        }
    }
}
