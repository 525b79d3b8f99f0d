//! A snapshot is the state as it was last flushed: durable already, so that building one costs nothing.
//!
//! The machine's owner flushes when enough was applied (`machine`); each flush that ends is reported here, and openraft is told
//! to take a snapshot, which makes it purge the log behind. What a purge may drop is therefore always on disk in the state.

use std::io;

use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use tokio::sync::watch;

use crate::maintenance::Flushed;
use crate::types::{Raft, RaftLogId, StoredMembership, TypeConfig};

/// Names a flushed state; what a peer is sent is read from the storage under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHandle {
    /// Last entry in it.
    pub(crate) last: RaftLogId,
}

/// The newest state that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    /// Last entry in it.
    pub(crate) last: RaftLogId,
    /// The membership as of that entry.
    pub(crate) membership: StoredMembership,
}

impl Durable {
    pub(crate) fn snapshot(self) -> SnapshotOf<TypeConfig, SnapshotHandle> {
        let meta = SnapshotMetaOf::<TypeConfig> { last_log_id: Some(self.last), last_membership: self.membership };
        SnapshotOf::<TypeConfig, SnapshotHandle> { meta, snapshot: SnapshotHandle { last: self.last } }
    }
}

/// Builds a snapshot: waits until every flush that was under way has ended.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    pub(crate) flushed: watch::Receiver<Flushed>,
    /// How many flushes must have ended.
    pub(crate) started: u64,
}

impl openraft::RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotHandle;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotHandle>, io::Error> {
        let started = self.started;
        let flushed = self
            .flushed
            .wait_for(|flushed| flushed.count >= started)
            .await
            .map_err(|_stopped| io::Error::other("stopped while the state was being flushed"))?;
        let durable = flushed.durable.clone().ok_or_else(|| io::Error::other("nothing was ever applied"))?;
        Ok(durable.snapshot())
    }
}

/// Makes openraft take a snapshot whenever a newer state is durable. Runs until either side stops.
pub(crate) async fn trigger(raft: Raft, mut flushed: watch::Receiver<Flushed>) {
    while flushed.changed().await.is_ok() {
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}
