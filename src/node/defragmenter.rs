//! Defragmentation on request: the store is rewritten in the background, one shelf after the other, while everything goes on. It is hardly
//! ever needed, because the store merges its tables by itself.

use std::sync::Arc;
use std::time::Instant;

use consensus::Execution;
use state::Reader;
use tokio::sync::{Notify, watch as latest};

use crate::handle::Handle;
use crate::measures::Measures;

impl Handle {
    /// Has the store rewritten and does not wait for it. What is asked for while one is under way is the next one.
    pub fn defragment(&self) {
        self.inner().defragment.notify_one();
    }
}

/// The task.
pub(crate) struct Defragmenter {
    pub(crate) wanted: Arc<Notify>,
    pub(crate) consensus: consensus::Handle,
    pub(crate) reader: Reader,
    pub(crate) execution: Execution,
    pub(crate) measures: Arc<Measures>,
}

impl Defragmenter {
    /// Runs until `stop` changes; what is being rewritten then is left to the end of the process, which loses nothing.
    pub(crate) async fn run(self, mut stop: latest::Receiver<bool>) {
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                () = self.wanted.notified() => {}
            }
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                () = self.defragment() => {}
            }
        }
    }

    async fn defragment(&self) {
        tracing::info!("defragmenting");
        let started = Instant::now();
        self.measures.defragmentation.begin();
        // What is in memory comes to the disk first, and what it supersedes there can go.
        let flushed = self.consensus.flush().await;
        let reader = self.reader.clone();
        let rewritten = self.execution.blocking(move || reader.compact_storage()).await;
        self.measures.defragmentation.end(started.elapsed());
        match (flushed, rewritten) {
            (Ok(()), Ok(Ok(()))) => tracing::info!(took = ?started.elapsed(), "finished defragmenting"),
            (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "could not defragment"),
            (_, Ok(Err(fault))) => tracing::error!(%fault, "could not defragment"),
        }
    }
}
