//! From the frames of a snapshot back to its bytes, checked.
//!
//! Guarantees that damage, loss, disorder and a cut are errors: the bytes end without one only if they are whole.

use bytes::Bytes;
use futures::{StreamExt, stream};
use proto::quoratepb::snapshot_chunk::Part;
use proto::quoratepb::{SnapshotChunk, SnapshotHead, SnapshotTail};

use crate::snapshot_writer::Sum;
use crate::{CallError, Requests, Responses};

/// Reads the head of a snapshot; the stream that comes with it is its state. Only when that stream has ended without an error is
/// the state whole.
///
/// # Errors
///
/// [`CallError::Malformed`], which names what is wrong: here when the first frame is no head; from the stream for a checksum or
/// total that does not fit, a frame out of place, an empty one, or a missing tail.
pub async fn read_snapshot(mut chunks: Requests<SnapshotChunk>) -> Result<(SnapshotHead, Responses<Bytes>), CallError> {
    let head = match chunks.next().await.map(|chunk| chunk.part) {
        Some(Some(Part::Head(head))) => head,
        Some(Some(Part::Data(_))) => return Err(malformed("data before its head")),
        Some(Some(Part::Tail(_))) => return Err(malformed("a tail before its head")),
        Some(None) => return Err(malformed("an empty frame")),
        None => return Err(malformed("no head")),
    };
    let reader = Reader { chunks, sum: Sum::default() };
    let pieces = stream::unfold(Some(reader), |reader| async move { reader?.next().await });
    Ok((head, pieces.boxed()))
}

struct Reader {
    chunks: Requests<SnapshotChunk>,
    sum: Sum,
}

impl Reader {
    /// The next piece, and who reads the one after it.
    async fn next(mut self) -> Option<(Result<Bytes, CallError>, Option<Self>)> {
        match self.read().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(self))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }

    /// The next piece; none after the tail.
    async fn read(&mut self) -> Result<Option<Bytes>, CallError> {
        match self.chunks.next().await.map(|chunk| chunk.part) {
            Some(Some(Part::Data(piece))) => {
                self.sum.add(&piece.data);
                if self.sum.crc32c != piece.crc32c {
                    return Err(malformed(&format!("a bad checksum before byte {}", self.sum.total_bytes)));
                }
                Ok(Some(piece.data))
            }
            Some(Some(Part::Tail(tail))) => self.finish(tail).await.map(|()| None),
            Some(Some(Part::Head(_))) => Err(malformed("a second head")),
            Some(None) => Err(malformed("an empty frame")),
            None => Err(malformed("no tail")),
        }
    }

    async fn finish(&mut self, tail: SnapshotTail) -> Result<(), CallError> {
        if tail.total_bytes != self.sum.total_bytes {
            let (announced, read) = (tail.total_bytes, self.sum.total_bytes);
            return Err(malformed(&format!("a total of {announced} bytes where {read} came")));
        }
        match self.chunks.next().await {
            None => Ok(()),
            Some(_) => Err(malformed("a frame after the tail")),
        }
    }
}

fn malformed(what: &str) -> CallError {
    CallError::Malformed(format!("snapshot: {what}"))
}
