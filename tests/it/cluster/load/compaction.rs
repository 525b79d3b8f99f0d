//! Compaction all the while: everything that all watchers have seen already, but for a little.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto::etcdserverpb::CompactionRequest;
use proto::etcdserverpb::kv_client::KvClient;

use super::super::client::{Client, Habit, TIMEOUT};
use super::{Recorded, Shared};

/// Revisions that are kept behind the last watcher.
const KEEP: i64 = 20;

const EVERY_MS: u64 = 300;

pub(super) async fn compact(shared: Arc<Shared>) -> Recorded {
    let mut client = Client::new(&shared.urls, 0, Habit::Roams, shared.clock);
    while !shared.is_over() {
        shared.pause(EVERY_MS).await;
        let reached = shared.reached.iter().map(|reached| reached.load(Ordering::Relaxed)).min().unwrap_or(0);
        let revision = reached - KEEP;
        if revision > shared.compacted.load(Ordering::Relaxed) {
            shared.compacted.store(revision, Ordering::Relaxed);
            let mut kv = KvClient::new(client.channel());
            let compacted = kv.compact(CompactionRequest { revision, physical: false });
            if !matches!(tokio::time::timeout(TIMEOUT, compacted).await, Ok(Ok(_))) {
                client.turn_away();
            }
        }
    }
    Recorded::default()
}
