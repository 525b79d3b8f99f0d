//! What a member looks after by itself, in tasks of their own: history that is old enough, the quota, the store's shape, and whether all
//! members hold the same.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::compactor::Compactor;
use crate::config::AutoCompaction;
use crate::corruption::CorruptionWatch;
use crate::defragmenter::Defragmenter;
use crate::handle::Handle;
use crate::space::SpaceWatch;
use crate::start::spawn;

/// Begins to look after what the member is configured for.
pub(crate) fn begin(handle: &Handle, tasks: &mut JoinSet<&'static str>) {
    let inner = handle.inner();
    let stopping = || inner.stopping.clone();
    let defragmenter = Defragmenter {
        wanted: Arc::clone(&inner.defragment),
        consensus: inner.consensus.clone(),
        reader: inner.reader.clone(),
        execution: inner.execution.clone(),
        measures: Arc::clone(&inner.measures),
    };
    spawn(tasks, "defragmenter", defragmenter.run(stopping()));
    let upkeep = inner.config.upkeep;
    if let Some(quota) = upkeep.quota_bytes {
        let watch = SpaceWatch {
            member: inner.identity.member,
            quota,
            upkeep,
            reader: inner.reader.clone(),
            proposer: Arc::clone(&inner.proposer),
            leadership: inner.consensus.leadership(),
        };
        spawn(tasks, "watch of the space", watch.run(stopping()));
    }
    if let Some(every) = upkeep.corrupt_check_interval {
        let watch = CorruptionWatch {
            every,
            comparison: inner.comparison.clone(),
            proposer: Arc::clone(&inner.proposer),
            leadership: inner.consensus.leadership(),
        };
        spawn(tasks, "watch against corruption", watch.run(stopping()));
    }
    if inner.config.auto_compaction != AutoCompaction::Off {
        let compactor = Compactor {
            mode: inner.config.auto_compaction,
            reader: inner.reader.clone(),
            proposer: Arc::clone(&inner.proposer),
            leadership: inner.consensus.leadership(),
        };
        spawn(tasks, "compactor", compactor.run(stopping()));
    }
}
