//! Leader completeness: who acts as the leader of a new term has on its platter all that was committed before.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::committed::Committed;
use crate::cluster::Cluster;
use crate::network::Place;
use crate::trace::violation;
use crate::wire::{Wire, WireObserver};

/// Terms whose leader was looked at.
pub(crate) struct NewLeaders {
    cluster: Cluster,
    committed: Arc<Mutex<Committed>>,
    known: BTreeSet<u64>,
}

impl NewLeaders {
    pub(crate) fn new(cluster: Cluster, committed: Arc<Mutex<Committed>>) -> Self {
        Self { cluster, committed, known: BTreeSet::new() }
    }
}

impl WireObserver for NewLeaders {
    fn sent(&mut self, from: Place, _to: Place, frame: &Wire<'_>) {
        let (Wire::Append(request) | Wire::Heartbeat(request)) = frame else { return };
        let Some(vote) = request.vote.as_ref().filter(|vote| self.known.insert(vote.term)) else { return };
        // What an earlier leader still calls committed is older than the vote for this one.
        let Some(last) = self.committed.lock().last().filter(|last| last.term < vote.term) else { return };
        let Some(disk) = self.cluster.disk(from) else { return };
        let holds = disk.platter().is_some_and(|log| log.holds(last));
        if !holds {
            let term = vote.term;
            violation!(self.cluster.trace, "leader completeness", "{from} leads term {term} without {last:?}");
        }
    }
}
