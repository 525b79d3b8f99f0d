//! A snapshot from a leader, on its way in: pieces become a store beside the current one; then openraft decides whether to install it.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use proto::quoratepb as pb;
use state::{Import, Imported, Place};
use tokio::sync::Semaphore;
use transport::{CallError, Requests, Responses};

use crate::execution::Execution;
use crate::format::decode_membership;
use crate::frames::{self, Malformed};
use crate::service::Service;
use crate::snapshot::{Durable, SnapshotData};
use crate::types::{StoredMembership, Vote, raft_log_id};

/// Where snapshots come in. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Intake {
    place: Arc<dyn Place>,
    execution: Execution,
    /// One at a time: an older one must be given up before another can be built.
    turn: Arc<Semaphore>,
}

impl Intake {
    pub(crate) fn new(place: Arc<dyn Place>, execution: Execution) -> Self {
        Self { place, execution, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Builds a store from the rest of the frames.
    pub(crate) async fn take(&self, mut pieces: Responses<Bytes>) -> Result<Imported, CallError> {
        let place = self.place.clone();
        let mut import = self.run(move || Import::new(&place)).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            import = self.run(move || import.write(piece).map(|()| import)).await?;
        }
        self.run(move || import.finish()).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, state::Fault> + Send + 'static,
    ) -> Result<T, CallError> {
        let done = self.execution.blocking(job).await.map_err(|_stopped| CallError::NotServing)?;
        done.map_err(|fault| {
            // Nothing of this member's is touched yet: the sender may try again.
            tracing::warn!(%fault, "a snapshot could not be taken in");
            CallError::Malformed(fault.to_string())
        })
    }
}

impl Service {
    pub(crate) async fn receive_snapshot(
        self,
        chunks: Requests<pb::SnapshotChunk>,
    ) -> Result<pb::SnapshotResponse, CallError> {
        let (head, pieces) = transport::read_snapshot(chunks).await?;
        let header = self.check(head.header)?;
        let (vote, durable) = read_head(head)?;
        let _turn = self.intake.turn.acquire().await.map_err(|_closed| CallError::NotServing)?;
        tracing::info!(from = format_args!("{:x}", header.from), last = %durable.last, "a snapshot is coming in");
        let imported = self.intake.take(pieces).await?;
        if imported.applied().map(raft_log_id) != Some(durable.last) {
            return Err(Malformed("a snapshot of another entry than its head says").into());
        }
        let snapshot = durable.with(SnapshotData::Imported(Box::new(imported)));
        let installed = self.handle.raft().install_full_snapshot(vote, snapshot).await;
        let response = installed.map_err(|_stopped| CallError::NotServing)?;
        self.contact.heard();
        Ok(pb::SnapshotResponse { vote: Some(frames::vote(&response.vote)) })
    }
}

fn read_head(head: pb::SnapshotHead) -> Result<(Vote, Durable), Malformed> {
    let vote = frames::read_vote(head.vote)?;
    let last = frames::read_log_id(frames::due(head.last_log_id, "a snapshot of nothing")?);
    let membership = decode_membership(head.membership).map_err(|_| Malformed("a membership"))?;
    let membership = StoredMembership::new(head.membership_log_id.map(frames::read_log_id), membership);
    // openraft stops at what no leader can have sent; a frame must not be able to do that.
    if !vote.is_committed() || last.leader_id.term > vote.leader_id().term {
        return Err(Malformed("a snapshot that its sender cannot own"));
    }
    Ok((vote, Durable { last, membership }))
}
