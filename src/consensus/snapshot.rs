//! Snapshots: the state as it was last flushed, durable already, so that building one costs nothing; and on its way to a peer.
//!
//! The machine's owner flushes when enough was applied (`machine`); each flush that ends is reported here, and openraft is told
//! to take a snapshot, which makes it purge the log behind. What a purge may drop is therefore always on disk in the state. What a
//! peer is sent is read from a view of the store, taken when openraft asks for the snapshot.

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use futures::stream;
use openraft::alias::{SnapshotMetaOf, SnapshotOf, VoteOf};
use proto::quoratepb::{SnapshotChunk, SnapshotHead};
use state::{Export, Imported};
use tokio::sync::{mpsc, watch};
use transport::{Header, PIECE_BYTES_MAX, Requests};

use crate::execution::Execution;
use crate::format::{decode_stored_membership, encode_membership};
use crate::frames;
use crate::maintenance::Flushed;
use crate::types::{Raft, RaftLogId, StoredMembership, TypeConfig, raft_log_id};

/// How long a peer that is sent a snapshot may take nothing before it is given up: installing it takes a while.
pub(crate) const IDLE: Duration = Duration::from_secs(30);

/// Bytes of a snapshot that are sent in a second: the disks and the network have clients to serve meanwhile.
const BYTES_PER_SECOND: NonZeroU64 = NonZeroU64::new(64 << 20).expect("above zero");

/// Pieces read ahead of what the peer has taken.
const PIECES_AHEAD: usize = 2;

/// What openraft hands around as the content of a snapshot.
#[derive(Debug)]
pub(crate) enum SnapshotData {
    /// Of this member, to be sent.
    Export { export: Export, execution: Execution },
    /// Of another, to be installed.
    Imported(Box<Imported>),
    /// Of this member, on its disk: nobody asked for the content.
    OnDisk,
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
    pub(crate) fn with(self, data: SnapshotData) -> SnapshotOf<TypeConfig, SnapshotData> {
        let meta = SnapshotMetaOf::<TypeConfig> { last_log_id: Some(self.last), last_membership: self.membership };
        SnapshotOf::<TypeConfig, SnapshotData> { meta, snapshot: data }
    }
}

/// The snapshot that an export is; none when nothing was ever applied.
///
/// # Errors
///
/// What the store holds as membership cannot be read.
pub(crate) fn of_export(
    export: Export,
    execution: Execution,
) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, crate::Error> {
    let membership = decode_stored_membership(export.membership())?;
    let durable = export.applied().map(|last| Durable { last: raft_log_id(last), membership });
    Ok(durable.map(|durable| durable.with(SnapshotData::Export { export, execution })))
}

/// Builds a snapshot: waits until every flush that was under way has ended.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    pub(crate) flushed: watch::Receiver<Flushed>,
    /// How many flushes must have ended.
    pub(crate) started: u64,
}

impl openraft::RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        let started = self.started;
        let flushed = self
            .flushed
            .wait_for(|flushed| flushed.count >= started)
            .await
            .map_err(|_stopped| io::Error::other("stopped while the state was being flushed"))?;
        let durable = flushed.durable.clone().ok_or_else(|| io::Error::other("nothing was ever applied"))?;
        Ok(durable.with(SnapshotData::OnDisk))
    }
}

/// Returns when all that was applied before the call is on the disk.
///
/// # Errors
///
/// [`crate::Error::Stopped`] when the consensus ends first.
pub(crate) async fn flush(raft: &Raft) -> Result<(), crate::Error> {
    let stopped = || crate::Error::Stopped("stopped while the state was being flushed".to_owned());
    // One that is under way reaches less far: after it, the rest.
    for _ in 0..2 {
        let progress = raft.with_state_machine(|machine| Box::pin(std::future::ready(machine.flush()))).await;
        let (mut flushed, started) = progress.map_err(|_fatal| stopped())?;
        flushed.wait_for(|flushed| flushed.count >= started).await.map_err(|_gone| stopped())?;
    }
    Ok(())
}

/// Makes openraft take a snapshot whenever a newer state is durable. Runs until either side stops.
pub(crate) async fn trigger(raft: Raft, mut flushed: watch::Receiver<Flushed>) {
    while flushed.changed().await.is_ok() {
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// The frames of a snapshot for a peer. They are read as they are taken; an error of the store cuts them short, which the peer
/// notices by the missing end.
pub(crate) fn chunks(
    header: Header,
    vote: Option<&VoteOf<TypeConfig>>,
    snapshot: SnapshotOf<TypeConfig, SnapshotData>,
) -> Requests<SnapshotChunk> {
    let head = SnapshotHead {
        header: Some(header),
        vote: vote.map(frames::vote),
        last_log_id: snapshot.meta.last_log_id.map(frames::log_id),
        membership_log_id: (*snapshot.meta.last_membership.log_id()).map(frames::log_id),
        membership: encode_membership(snapshot.meta.last_membership.membership()),
    };
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    if let SnapshotData::Export { export, execution } = snapshot.snapshot {
        crate::runtime::spawn(read_pieces(export, execution, sender));
    }
    let pieces = stream::unfold(pieces, |mut pieces| async move { pieces.recv().await.map(|piece| (piece, pieces)) });
    transport::snapshot_frames(head, pieces, Some(BYTES_PER_SECOND))
}

/// Reads one piece after the other, as they are taken.
async fn read_pieces(export: Export, execution: Execution, sender: mpsc::Sender<io::Result<bytes::Bytes>>) {
    let mut pieces = Some(export.pieces(PIECE_BYTES_MAX));
    while let Some(mut reading) = pieces.take() {
        let read = execution.blocking(move || (reading.next(), reading)).await;
        let piece = match read {
            Ok((Some(Ok(piece)), rest)) => {
                pieces = Some(rest);
                Ok(piece)
            }
            Ok((None, _)) => return,
            Ok((Some(Err(fault)), _)) => {
                tracing::error!(%fault, "a snapshot cannot be read from the store");
                Err(io::Error::other(fault))
            }
            Err(error) => Err(io::Error::other(error)),
        };
        // A peer that takes no more, or an error, ends it.
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}
