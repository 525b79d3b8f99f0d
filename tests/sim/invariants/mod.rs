//! What must hold at all times, one invariant a file; and how each is told of what happens.
//!
//! Those about Raft listen on the wire. Those about members look at them every few milliseconds of virtual time. Those about disks read
//! the platter, that is, what a power cut at this moment would leave.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::Cluster;

mod committed;
mod election_safety;
mod equal_hash;
mod leader_completeness;
mod lease_keys;
mod monotone;
pub(crate) mod no_deposing;
mod one_vote;
mod same_bytes;

/// How often members are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How often what is costly is looked at.
const LOOK_CLOSELY: Duration = Duration::from_millis(200);

/// What is being watched.
pub(crate) struct Invariants {
    entries: Arc<Mutex<same_bytes::Entries>>,
    committed: Arc<Mutex<committed::Committed>>,
    _looking: JoinSet<()>,
}

impl Invariants {
    /// Begins to watch a cluster, before its first member starts.
    pub(crate) fn watch(cluster: &Cluster) -> Self {
        let trace = &cluster.trace;
        let entries = Arc::new(Mutex::new(same_bytes::Entries::new(trace.clone())));
        let committed = Arc::new(Mutex::new(committed::Committed::new(trace.clone())));
        let new_leaders = leader_completeness::NewLeaders::new(cluster.clone(), committed.clone());
        cluster.network.observe(Box::new(new_leaders));
        cluster.network.observe(Box::new(committed::Listener(committed.clone())));
        cluster.network.observe(Box::new(election_safety::Leaders::new(trace.clone())));
        cluster.network.observe(Box::new(one_vote::Votes::new(trace.clone())));
        cluster.network.observe(Box::new(same_bytes::Listener(entries.clone())));
        let mut looking = JoinSet::new();
        looking.spawn(look(cluster.clone()));
        looking.spawn(look_closely(cluster.clone(), entries.clone(), committed.clone()));
        Self { entries, committed, _looking: looking }
    }
}

async fn look(cluster: Cluster) {
    let mut monotone = monotone::Monotone::new(cluster.trace.clone());
    loop {
        for (place, process) in cluster.processes() {
            monotone.look(place, &process);
            lease_keys::look(&cluster.trace, place, &process).await;
        }
        sleep(LOOK).await;
    }
}

async fn look_closely(
    cluster: Cluster,
    entries: Arc<Mutex<same_bytes::Entries>>,
    committed: Arc<Mutex<committed::Committed>>,
) {
    loop {
        sleep(LOOK_CLOSELY).await;
        committed.lock().look(&cluster);
        entries.lock().read(&cluster);
        equal_hash::look(&cluster).await;
    }
}

/// What must hold once everyone has everything.
pub(crate) async fn at_the_end(cluster: &Cluster, invariants: &Invariants) {
    invariants.committed.lock().look(cluster);
    invariants.entries.lock().read(cluster);
    equal_hash::look(cluster).await;
}
