//! From the bytes of a snapshot to its frames: a head, data with a running checksum, a tail with the total.

use std::io;
use std::num::NonZeroU64;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use proto::quoratepb::snapshot_chunk::Part;
use proto::quoratepb::{SnapshotChunk, SnapshotData, SnapshotHead, SnapshotTail};

use crate::Requests;
use crate::pace::Pace;

/// Largest piece in one frame. Small enough that a reader's buffers are, large enough that a frame costs little.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;

/// The frames of a snapshot whose state is `pieces`, of any sizes. With a rate in bytes of state a second, they come no faster.
///
/// After the first error of `pieces` there are no more frames, and so no tail: the receiver stays as it was. The error itself is
/// for whoever made `pieces` to report.
#[must_use]
pub fn snapshot_frames(
    head: SnapshotHead,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    bytes_per_second: Option<NonZeroU64>,
) -> Requests<SnapshotChunk> {
    let writer = Writer {
        pieces: pieces.boxed(),
        rest: Bytes::new(),
        sum: Sum::default(),
        pace: bytes_per_second.map(Pace::new),
    };
    let body = stream::unfold(Some(writer), |writer| async move { writer?.next().await });
    stream::once(async move { chunk(Part::Head(head)) }).chain(body).boxed()
}

/// Checksum and count of all bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) crc32c: u32,
    pub(crate) total_bytes: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, data: &[u8]) {
        self.crc32c = crc32c::crc32c_append(self.crc32c, data);
        self.total_bytes += data.len() as u64;
    }
}

struct Writer {
    pieces: stream::BoxStream<'static, io::Result<Bytes>>,
    /// What of the latest piece is still to be sent.
    rest: Bytes,
    sum: Sum,
    pace: Option<Pace>,
}

impl Writer {
    /// The next frame, and who writes the one after it.
    async fn next(mut self) -> Option<(SnapshotChunk, Option<Self>)> {
        while self.rest.is_empty() {
            match self.pieces.next().await {
                Some(piece) => self.rest = piece.ok()?,
                None => return Some((chunk(Part::Tail(SnapshotTail { total_bytes: self.sum.total_bytes })), None)),
            }
        }
        let data = self.rest.split_to(self.rest.len().min(PIECE_BYTES_MAX));
        if let Some(pace) = &mut self.pace {
            pace.pass(data.len()).await;
        }
        self.sum.add(&data);
        Some((chunk(Part::Data(SnapshotData { data, crc32c: self.sum.crc32c })), Some(self)))
    }
}

fn chunk(part: Part) -> SnapshotChunk {
    SnapshotChunk { part: Some(part) }
}
