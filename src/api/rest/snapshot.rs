//! All keys that a follower covers, as of one revision, read and told in pieces.
//!
//! The first piece decides the revision, the others are read as of it. A follower that covers too many keys is refused: each
//! piece counts what is left of the range, so the work grows with the square of the number of pieces.

use bytes::Bytes;
use model::{Identity, KeyRange, RangeRequest, Revision};

use super::Rest;
use super::problem::{Kind, Problem};
use super::value::{KeyDocument, Wanted};

/// Most keys of a snapshot.
const KEYS_MAX: i64 = 50_000;

/// Keys of a piece.
const PIECE_KEYS: i64 = 500;

/// A piece of a snapshot.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) items: Vec<KeyDocument>,
    /// The revision of the whole.
    pub(crate) revision: Revision,
    /// Where the next piece begins; `None`: this was the last.
    pub(crate) next: Option<Bytes>,
}

/// Reads the first piece.
pub(crate) async fn begin(rest: &Rest, caller: &Identity, range: &KeyRange, wanted: Wanted) -> Result<Piece, Problem> {
    let piece = read(rest, caller, RangeRequest::new(range.clone()), wanted).await?;
    let (piece, count) = piece;
    if count > KEYS_MAX {
        let detail = format!("the watch covers {count} keys; a snapshot has at most {KEYS_MAX}");
        return Err(Problem::new(Kind::SnapshotTooLarge, detail).seen_at(piece.revision));
    }
    Ok(piece)
}

/// Reads the piece that begins with key `start`.
pub(crate) async fn go_on(
    rest: &Rest,
    caller: &Identity,
    range: &KeyRange,
    wanted: Wanted,
    (start, revision): (Bytes, Revision),
) -> Result<Piece, Problem> {
    let from_here = KeyRange::from_wire(start, range.range_end());
    // The revision was confirmed for the first piece, and this member has it.
    let request = RangeRequest { serializable: true, ..RangeRequest::new(from_here).at(revision) };
    let (piece, _) = read(rest, caller, request, wanted).await?;
    Ok(Piece { revision, ..piece })
}

async fn read(rest: &Rest, caller: &Identity, request: RangeRequest, wanted: Wanted) -> Result<(Piece, i64), Problem> {
    let read = rest.handle.range(caller, request.with_limit(PIECE_KEYS)).await.map_err(Problem::of_read)?;
    let last = read.kvs.last().filter(|_| read.more);
    let next = last.map(|kv| Bytes::from([kv.key.as_ref(), &[0]].concat()));
    let items = read.kvs.iter().map(|kv| wanted.document(kv)).collect();
    Ok((Piece { items, revision: read.revision, next }, read.count))
}
