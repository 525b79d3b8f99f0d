//! Where the good records of a segment end: is it the end, an interrupted write, or damage?
//!
//! A group of records is written at once and is on disk only after its fdatasync. If the machine dies in between, each 512-byte
//! sector of the group is either as written or still zero; if the process dies within a write, a prefix of it is there. So an
//! interrupted write leaves zeros, never other bytes, and all of them behind the last fdatasync. The rules, for the first bad frame:
//!
//! 1. Nothing but zeros to the end of the segment: the end.
//! 2. A zero head: torn if the rest of its sector is zero too (the sector is missing).
//! 3. An invalid head: torn if nothing follows it (a prefix of it was written).
//! 4. A whole head with a bad frame: torn if a whole sector of the frame is zero, or if the frame's end and all after it are.
//! 5. Whatever looks torn is damage nonetheless if any whole frame behind it says (`durable`) that these bytes had been on disk.
//! 6. All else is damage.
//!
//! **What this guarantees.** A crash never makes a log unreadable, and never costs a record that was synced. A flipped bit in a record
//! is refused, with one exception: if the record holds a whole sector of zeros of its own *and* no frame of a later group is in the
//! segment, it cannot be told from a torn write, and its group, the last one, is cut off (which recovery reports). A flipped bit in
//! the unused space is refused or wiped. A segment that was cut short is refused, for a crash cannot do that.

use crate::format::{ALIGN, Frame, Head, Offset, Place, SECTOR, frame_len};

/// The judgement on the rest of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Only zeros.
    Clean,
    /// An interrupted write; the last byte that is not zero is just below this offset.
    Torn { dirty_end: Offset },
    /// Damage, and what kind.
    Damaged(&'static str),
}

/// Judges `rest`, the bytes of a segment from `place`, where the first bad frame is, to the end of the file.
pub(crate) fn judge(rest: &[u8], place: Place) -> Verdict {
    let Some(last) = rest.iter().rposition(|&byte| byte != 0) else { return Verdict::Clean };
    let dirty = last + 1;
    let head = Head::parse(rest);
    if !looks_torn(rest, place, head, dirty) {
        return Verdict::Damaged(match head {
            Head::Zero => "bytes after the end of the records",
            Head::Invalid => "the head of a record does not match its guard",
            Head::Valid { .. } => "the checksum does not match",
        });
    }
    let beyond = match head {
        Head::Zero | Head::Invalid => ALIGN,
        Head::Valid { length, .. } => frame_len(length),
    };
    if was_durable(rest, place, beyond) {
        return Verdict::Damaged("a record is missing or broken, although a later one proves that it was on disk");
    }
    Verdict::Torn { dirty_end: place.offset + offset(dirty) }
}

fn looks_torn(rest: &[u8], place: Place, head: Head, dirty: usize) -> bool {
    // Sectors are counted in the file, not in `rest`.
    let first_boundary = SECTOR - place.offset as usize % SECTOR;
    match head {
        Head::Zero => is_zero(&rest[..first_boundary]),
        Head::Invalid => dirty <= ALIGN,
        Head::Valid { length, .. } => {
            let end = frame_len(length).min(rest.len());
            let is_cut_short = dirty < end;
            let lost_sector = (first_boundary..end)
                .step_by(SECTOR)
                .any(|sector| is_zero(&rest[sector..(sector + SECTOR).min(rest.len())]));
            is_cut_short || lost_sector
        }
    }
}

/// Whether a whole frame at or after `from` says that the bytes at `place` were on disk.
fn was_durable(rest: &[u8], place: Place, from: usize) -> bool {
    (from..rest.len().saturating_sub(ALIGN)).step_by(ALIGN).any(|at| {
        let offset = place.offset + offset(at);
        Frame::parse(&rest[at..], Place { offset, ..place }).is_some_and(|frame| frame.durable > place.offset)
    })
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn offset(within: usize) -> Offset {
    Offset::try_from(within).expect("segments are below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Record, encode};

    const PLACE: Place = Place { sequence: 1, offset: 400 };

    /// A frame of 800 bytes at 400, a small one behind it, both written after all below `durable` was on disk, then zeros.
    fn rest(durable: Offset) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&Record::Metadata(&[7; 779]), PLACE, durable, 0, &mut bytes);
        let behind = Place { offset: PLACE.offset + 800, ..PLACE };
        encode(&Record::Metadata(b"x"), behind, durable, 0, &mut bytes);
        bytes.resize(4096 - 400, 0);
        bytes
    }

    fn judged(durable: Offset, zeros: std::ops::Range<usize>) -> Verdict {
        let mut bytes = rest(durable);
        bytes[zeros].fill(0);
        judge(&bytes, PLACE)
    }

    #[test]
    fn each_rule_holds() {
        let torn = |dirty_end| Verdict::Torn { dirty_end };
        assert_eq!(judged(400, 0..3696), Verdict::Clean);
        assert_eq!(judged(400, 0..112), torn(1224), "the sector of the head is missing");
        assert!(matches!(judged(400, 0..100), Verdict::Damaged(_)), "zeros, but not a sector of them");
        assert_eq!(judged(400, 5..3696), torn(405), "five bytes were written");
        assert!(matches!(judged(400, 5..8), Verdict::Damaged(_)), "a broken head, and bytes behind it");
        assert_eq!(judged(400, 112..624), torn(1224), "a sector of the frame is missing");
        assert_eq!(judged(400, 300..3696), torn(700), "300 bytes were written");
        assert!(matches!(judged(400, 300..700), Verdict::Damaged(_)), "zeros, but not a sector of them");
        assert!(
            matches!(judged(408, 112..624), Verdict::Damaged(_)),
            "the record behind knows that the sector was there"
        );
    }
}
