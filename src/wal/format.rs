//! The bytes on disk. All integers are little-endian.
//!
//! A **segment** is a file of a fixed, preallocated size named `%016x-%016x.wal`: its sequence number and the index of the entry
//! that was to be appended next when it was cut. It opens with a header of 40 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | magic `QUORWAL\n` |
//! | 8..12 | format number, 1 |
//! | 12..16 | CRC-32C of the header without these four bytes |
//! | 16..24 | sequence number, as in the name |
//! | 24..32 | first index, as in the name |
//! | 32..40 | size of the file in bytes, a multiple of 512: a shorter file was cut by something other than a crash |
//!
//! **Frames** follow, each beginning at a multiple of 8, each holding one record:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | length of the body, 1 to 64 MiB |
//! | 4 | record type |
//! | 5 | zero |
//! | 6..8 | guard: the low half of the CRC-32C of bytes 0..6 |
//! | 8..12 | checksum: CRC-32C of sequence number (8 bytes), offset in the segment (8 bytes), bytes 0..8, bytes 16..20, body |
//! | 12..16 | chain: CRC-32C of the checksum, continued from the chain of the record before, across segments |
//! | 16..20 | durable: all bytes of the segment below this offset were on disk before this frame was written |
//! | 20.. | body |
//! | to a multiple of 8 | 1 to 8 bytes `0xA5`, so that an entire frame never ends in a zero |
//!
//! Eight zeros in place of bytes 0..8 are the end of the records; all after them is zero. Each part serves recovery (`tail`): the
//! guard, because a head lies within one sector and is therefore written whole or not at all; the checksum stands alone, so that
//! records beyond a hole can be told from noise, and names its place, so that an image of a frame inside a payload, or a write gone
//! astray, is not one; the chain ties records to one history; `durable` says whether a hole may be there at all.
//!
//! | type | record | body |
//! |---|---|---|
//! | 1 | metadata | bytes of the owner |
//! | 2 | entry | term (8), index (8), payload |
//! | 3 | state | term (8), flags (1: 1 = voted, 2 = vote committed, 4 = commit known), voted for (8), commit term (8), commit index (8) |
//! | 4 | crc | chain up to here (4) |
//! | 5 | snapshot | term (8), index (8), bytes of the owner |
//! | 6 | purge | term (8), index (8): entries up to here are forgotten |
//!
//! Every segment opens with crc, metadata, the last snapshot and the last purge if there are any, and the state, so that reading
//! never depends on a segment that was deleted. They are on disk before the segment has its name.

use crate::record::{LogId, State};

/// A position within a segment, in bytes. Segments stay below 4 GiB.
pub(crate) type Offset = u32;

/// Largest body of a record, in bytes (64 MiB).
pub const MAX_BODY: usize = 64 << 20;
/// Largest payload of an entry, in bytes.
pub const MAX_PAYLOAD: usize = MAX_BODY - ENTRY_HEADER;
/// The format number this build reads and writes.
pub(crate) const FORMAT: u32 = 1;
/// Bytes before the first frame.
pub(crate) const SEGMENT_HEADER: usize = 40;
/// Bytes before a frame's body.
pub(crate) const FRAME_HEADER: usize = 20;
/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;
/// Frames begin at multiples of this.
pub(crate) const ALIGN: usize = 8;

const MAGIC: [u8; 8] = *b"QUORWAL\n";
const PAD: u8 = 0xA5;
const ENTRY_HEADER: usize = 16;
const STATE_BODY: usize = 33;
const HAS_VOTED: u8 = 1;
const VOTE_COMMITTED: u8 = 2;
const HAS_COMMIT: u8 = 4;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) sequence: u64,
    pub(crate) first: u64,
    pub(crate) size: u64,
}

/// Why the opening bytes of a file are not a segment's header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Magic,
    Format(u32),
    Checksum,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.size.to_le_bytes());
        let checksum = Self::checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self, BadHeader> {
        if bytes[..8] != MAGIC {
            return Err(BadHeader::Magic);
        }
        // Before the checksum: another format may keep it elsewhere, and must still be called by its name.
        let format = u32_at(bytes, 8);
        if format != FORMAT {
            return Err(BadHeader::Format(format));
        }
        if u32_at(bytes, 12) != Self::checksum(bytes) {
            return Err(BadHeader::Checksum);
        }
        Ok(Self { sequence: u64_at(bytes, 16), first: u64_at(bytes, 24), size: u64_at(bytes, 32) })
    }

    fn checksum(bytes: &[u8; SEGMENT_HEADER]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
    }
}

/// A record, borrowing its bytes: from the caller when written, from the read buffer when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Metadata(&'a [u8]),
    Entry { log_id: LogId, payload: &'a [u8] },
    State(State),
    Crc(u32),
    Snapshot { log_id: LogId, data: &'a [u8] },
    Purge(LogId),
}

impl<'a> Record<'a> {
    /// Bytes of the body that [`encode`] will write.
    pub(crate) fn body_len(&self) -> usize {
        match self {
            Record::Metadata(bytes) => bytes.len(),
            Record::Entry { payload, .. } => ENTRY_HEADER + payload.len(),
            Record::State(_) => STATE_BODY,
            Record::Crc(_) => 4,
            Record::Snapshot { data, .. } => ENTRY_HEADER + data.len(),
            Record::Purge(_) => ENTRY_HEADER,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Record::Metadata(_) => 1,
            Record::Entry { .. } => 2,
            Record::State(_) => 3,
            Record::Crc(_) => 4,
            Record::Snapshot { .. } => 5,
            Record::Purge(_) => 6,
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Record::Metadata(bytes) => out.extend_from_slice(bytes),
            Record::Entry { log_id, payload: bytes } | Record::Snapshot { log_id, data: bytes } => {
                write_log_id(*log_id, out);
                out.extend_from_slice(bytes);
            }
            Record::State(state) => write_state(state, out),
            Record::Crc(chain) => out.extend_from_slice(&chain.to_le_bytes()),
            Record::Purge(log_id) => write_log_id(*log_id, out),
        }
    }

    /// Reads a body whose checksum was right.
    pub(crate) fn decode(kind: u8, body: &'a [u8]) -> Result<Self, &'static str> {
        match kind {
            1 => Ok(Record::Metadata(body)),
            2 => split_log_id(body).map(|(log_id, payload)| Record::Entry { log_id, payload }),
            3 => read_state(body).map(Record::State),
            4 if body.len() == 4 => Ok(Record::Crc(u32_at(body, 0))),
            5 => split_log_id(body).map(|(log_id, data)| Record::Snapshot { log_id, data }),
            6 if body.len() == ENTRY_HEADER => split_log_id(body).map(|(log_id, _)| Record::Purge(log_id)),
            4 | 6 => Err("a record of the wrong length"),
            _ => Err("a record of an unknown type"),
        }
    }
}

/// Where a frame is, or is to be: part of its checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) offset: Offset,
}

/// The first eight bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// Eight zeros: nothing was written here.
    Zero,
    /// Bytes that never were a head.
    Invalid,
    /// The head of a frame whose body has `length` bytes.
    Valid { kind: u8, length: usize },
}

impl Head {
    /// `bytes` holds at least eight.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let head = &bytes[..ALIGN];
        if u64_at(head, 0) == 0 {
            return Head::Zero;
        }
        let length = u32_at(head, 0) as usize;
        if guard(head) != [head[6], head[7]] || head[5] != 0 || length == 0 || length > MAX_BODY {
            return Head::Invalid;
        }
        Head::Valid { kind: head[4], length }
    }
}

/// A frame whose bytes are as they were written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) checksum: u32,
    pub(crate) chain: u32,
    pub(crate) durable: Offset,
    pub(crate) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Checks the frame that begins `bytes` and stands at `place`; `None` if it is not whole.
    pub(crate) fn parse(bytes: &'a [u8], place: Place) -> Option<Self> {
        if bytes.len() < ALIGN {
            return None;
        }
        let Head::Valid { kind, length } = Head::parse(bytes) else { return None };
        let frame = bytes.get(..frame_len(length))?;
        let body_end = FRAME_HEADER + length;
        let checksum = u32_at(frame, 8);
        if frame_checksum(&frame[..body_end], place) != checksum || frame[body_end..].iter().any(|&byte| byte != PAD) {
            return None;
        }
        let body = &frame[FRAME_HEADER..body_end];
        Some(Self { kind, checksum, chain: u32_at(frame, 12), durable: u32_at(frame, 16), body })
    }
}

/// Bytes a frame takes on disk for a body of `length`.
pub(crate) fn frame_len(length: usize) -> usize {
    (FRAME_HEADER + length + 1).next_multiple_of(ALIGN)
}

/// Appends `record`, framed for `place`, to `out`, and returns the chain after it. The caller has checked the body against
/// [`MAX_BODY`].
pub(crate) fn encode(record: &Record<'_>, place: Place, durable: Offset, chain: u32, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    let length = record.body_len();
    out.extend_from_slice(&u32::try_from(length).expect("bounded by MAX_BODY").to_le_bytes());
    out.extend_from_slice(&[record.kind(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&durable.to_le_bytes());
    record.write_body(out);
    let frame = &mut out[start..];
    let guard = guard(frame);
    frame[6..8].copy_from_slice(&guard);
    let checksum = frame_checksum(frame, place);
    let chain = next_chain(chain, checksum);
    frame[8..12].copy_from_slice(&checksum.to_le_bytes());
    frame[12..16].copy_from_slice(&chain.to_le_bytes());
    out.resize(start + frame_len(length), PAD);
    chain
}

/// The chain after a record with this checksum.
pub(crate) fn next_chain(chain: u32, checksum: u32) -> u32 {
    crc32c::crc32c_append(chain, &checksum.to_le_bytes())
}

/// `frame` is the frame without its padding.
fn frame_checksum(frame: &[u8], place: Place) -> u32 {
    let mut prefix = [0; 24];
    prefix[..8].copy_from_slice(&place.sequence.to_le_bytes());
    prefix[8..16].copy_from_slice(&u64::from(place.offset).to_le_bytes());
    prefix[16..].copy_from_slice(&frame[..ALIGN]);
    crc32c::crc32c_append(crc32c::crc32c(&prefix), &frame[16..])
}

fn guard(head: &[u8]) -> [u8; 2] {
    let [low, high, ..] = crc32c::crc32c(&head[..6]).to_le_bytes();
    [low, high]
}

fn write_log_id(log_id: LogId, out: &mut Vec<u8>) {
    out.extend_from_slice(&log_id.term.to_le_bytes());
    out.extend_from_slice(&log_id.index.to_le_bytes());
}

fn split_log_id(body: &[u8]) -> Result<(LogId, &[u8]), &'static str> {
    if body.len() < ENTRY_HEADER {
        return Err("a record of the wrong length");
    }
    Ok((LogId { term: u64_at(body, 0), index: u64_at(body, 8) }, &body[ENTRY_HEADER..]))
}

fn write_state(state: &State, out: &mut Vec<u8>) {
    let commit = state.commit.unwrap_or(LogId { term: 0, index: 0 });
    let mut flags = 0;
    if state.voted_for.is_some() {
        flags |= HAS_VOTED;
    }
    if state.is_vote_committed {
        flags |= VOTE_COMMITTED;
    }
    if state.commit.is_some() {
        flags |= HAS_COMMIT;
    }
    out.extend_from_slice(&state.term.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(&state.voted_for.unwrap_or(0).to_le_bytes());
    write_log_id(commit, out);
}

fn read_state(body: &[u8]) -> Result<State, &'static str> {
    if body.len() != STATE_BODY {
        return Err("a record of the wrong length");
    }
    let flags = body[8];
    if flags & !(HAS_VOTED | VOTE_COMMITTED | HAS_COMMIT) != 0 {
        return Err("a state with unknown flags");
    }
    Ok(State {
        term: u64_at(body, 0),
        voted_for: (flags & HAS_VOTED != 0).then(|| u64_at(body, 9)),
        is_vote_committed: flags & VOTE_COMMITTED != 0,
        commit: (flags & HAS_COMMIT != 0).then(|| LogId { term: u64_at(body, 17), index: u64_at(body, 25) }),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a range of four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { sequence: 3, offset: 640 };

    fn samples() -> Vec<Record<'static>> {
        let log_id = LogId { term: 7, index: u64::MAX };
        let voted = State { term: 9, voted_for: Some(0), is_vote_committed: true, commit: Some(log_id) };
        vec![
            Record::Metadata(b"member"),
            Record::Entry { log_id, payload: b"" },
            Record::Entry { log_id, payload: &[0; 700] },
            Record::State(State::default()),
            Record::State(voted),
            Record::Crc(0xdead_beef),
            Record::Snapshot { log_id, data: b"members" },
            Record::Purge(log_id),
        ]
    }

    #[test]
    fn records_come_back_as_they_went() {
        for record in samples() {
            let mut bytes = Vec::new();
            let chain = encode(&record, PLACE, 600, 42, &mut bytes);
            assert_eq!(bytes.len(), frame_len(record.body_len()), "{record:?}");
            let frame = Frame::parse(&bytes, PLACE).expect("whole");
            assert_eq!((frame.durable, frame.chain), (600, chain));
            assert_eq!(chain, next_chain(42, frame.checksum));
            assert_eq!(Record::decode(frame.kind, frame.body), Ok(record));
        }
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        for record in samples() {
            let mut bytes = Vec::new();
            encode(&record, PLACE, 600, 42, &mut bytes);
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                let seen = match Frame::parse(&bytes, PLACE) {
                    None => true,
                    Some(frame) => frame.chain != next_chain(42, frame.checksum),
                };
                assert!(seen, "bit {bit} of {record:?}");
                let is_head = bit < 64;
                assert!(!is_head || Head::parse(&bytes) == Head::Invalid, "the guard missed bit {bit} of {record:?}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_frame_is_valid_in_its_place_only() {
        let mut bytes = Vec::new();
        encode(&Record::Metadata(b"m"), PLACE, 0, 0, &mut bytes);
        assert!(Frame::parse(&bytes, Place { sequence: 4, ..PLACE }).is_none());
        assert!(Frame::parse(&bytes, Place { offset: 648, ..PLACE }).is_none());
        assert!(Frame::parse(&bytes[..bytes.len() - 1], PLACE).is_none());
    }

    #[test]
    fn bodies_of_wrong_shape_are_refused() {
        assert!(Record::decode(2, &[0; 15]).is_err());
        assert!(Record::decode(3, &[0; 32]).is_err());
        assert!(Record::decode(3, &[0xff; STATE_BODY]).is_err());
        assert!(Record::decode(4, &[0; 5]).is_err());
        assert!(Record::decode(6, &[0; 17]).is_err());
        assert!(Record::decode(7, &[0; 16]).is_err());
    }

    #[test]
    fn headers_come_back_and_every_flip_is_seen() {
        let header = SegmentHeader { sequence: 1, first: 2, size: 4096 };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0..8 => BadHeader::Magic,
                8..12 => BadHeader::Format(FORMAT ^ 1 << (bit - 64)),
                _ => BadHeader::Checksum,
            };
            assert_eq!(SegmentHeader::decode(&bytes), Err(expected), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
