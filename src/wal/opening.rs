//! The records every segment opens with: all that a reader must know of the segments before it.

use crate::error::Error;
use crate::format::{
    FRAME_HEADER, MAX_BODY, Offset, Place, Record, SECTOR, SEGMENT_HEADER, SegmentHeader, encode, frame_len,
};
use crate::record::{LogId, Snapshot, State};
use crate::segment::SegmentName;

/// Largest size of a segment without regard to its first record, in bytes (1 GiB).
pub(crate) const SEGMENT_MAX: Offset = 1 << 30;

/// What the next segment is told.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) name: SegmentName,
    /// The chain at the end of the segment before; 0 for the first.
    pub(crate) chain: u32,
    pub(crate) metadata: &'a [u8],
    pub(crate) snapshot: Option<&'a Snapshot>,
    pub(crate) purged: Option<LogId>,
    pub(crate) state: State,
}

/// The beginning of a segment, ready to be written.
#[derive(Debug)]
pub(crate) struct OpeningBytes {
    pub(crate) bytes: Vec<u8>,
    /// The chain after it.
    pub(crate) chain: u32,
    /// How large the segment's file must be.
    pub(crate) size: Offset,
}

impl Opening<'_> {
    /// Encodes the header and the records, for a segment of at least `size_min` bytes with room for a frame of `needed` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the metadata is.
    pub(crate) fn encode(&self, size_min: Offset, needed: usize) -> Result<OpeningBytes, Error> {
        if self.metadata.len() > MAX_BODY {
            return Err(Error::TooLarge { bytes: self.metadata.len(), limit: MAX_BODY });
        }
        let records = self.records();
        let length = SEGMENT_HEADER + records.iter().map(|record| frame_len(record.body_len())).sum::<usize>();
        let size = (length + needed).max(size_min.min(SEGMENT_MAX) as usize).next_multiple_of(SECTOR);
        let SegmentName { sequence, first } = self.name;
        let mut bytes = SegmentHeader { sequence, first, size: size as u64 }.encode().to_vec();
        let mut chain = self.chain;
        for record in &records {
            let place = Place { sequence, offset: offset(bytes.len()) };
            chain = encode(record, place, offset(SEGMENT_HEADER), chain, &mut bytes);
        }
        Ok(OpeningBytes { bytes, chain, size: offset(size) })
    }

    fn records(&self) -> Vec<Record<'_>> {
        let mut records = vec![Record::Crc(self.chain), Record::Metadata(self.metadata)];
        records
            .extend(self.snapshot.map(|snapshot| Record::Snapshot { log_id: snapshot.log_id, data: &snapshot.data }));
        records.extend(self.purged.map(Record::Purge));
        records.push(Record::State(self.state));
        records
    }
}

/// Three records of the largest size and a minimum of 1 GiB stay far below 4 GiB.
const _: () = assert!(SEGMENT_MAX as u64 + 4 * (MAX_BODY + FRAME_HEADER + SECTOR) as u64 <= Offset::MAX as u64);

fn offset(within: usize) -> Offset {
    Offset::try_from(within).expect("bounded by the limits above")
}
