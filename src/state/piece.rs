//! A store cut into pieces for the way to another member, in a form that shows when anything of it was lost or altered.
//!
//! ```text
//! piece   = checksum:u32 part of the stream
//! stream  = record* end
//! record  = key_length:u16 (never 0) value_length:u32 key value              by strictly ascending key, the format record first
//! end     = 0:u16 records:u64
//! ```
//!
//! Records go across the ends of pieces, so a piece is never larger than asked for. The checksum is the CRC-32C of all that the stream
//! had up to the end of the piece: a piece that is missing, doubled or out of its place is noticed as surely as one that is damaged.
//! The format number of the store (`format.rs`) covers this form too. Integers are big-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Fault;
use crate::storage::STORED_KEY_BYTES_MAX;

const CHECKSUM_BYTES: usize = 4;
const RECORD_HEAD_BYTES: usize = 6;
const END_BYTES: usize = 10;

/// Makes pieces.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    checksum: u32,
    records: u64,
    /// The stream after the last piece that was cut.
    stream: BytesMut,
}

impl Encoder {
    /// Appends a record.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let (Ok(key_length @ 1..), Ok(value_length)) = (u16::try_from(key.len()), u32::try_from(value.len())) else {
            return Err(Fault::Damaged("a record shorter or longer than any can be"));
        };
        self.stream.put_u16(key_length);
        self.stream.put_u32(value_length);
        self.stream.put_slice(key);
        self.stream.put_slice(value);
        self.records += 1;
        Ok(())
    }

    /// Appends the end.
    pub(crate) fn end(&mut self) {
        self.stream.put_u16(0);
        self.stream.put_u64(self.records);
    }

    /// Whether a piece of `bytes_max` bytes would be full.
    pub(crate) fn fills(&self, bytes_max: usize) -> bool {
        CHECKSUM_BYTES + self.stream.len() >= bytes_max
    }

    /// Cuts a piece of at most `bytes_max` bytes off; none if nothing is left.
    pub(crate) fn cut(&mut self, bytes_max: usize) -> Option<Bytes> {
        let length = self.stream.len().min(bytes_max.saturating_sub(CHECKSUM_BYTES).max(1));
        if self.stream.is_empty() {
            return None;
        }
        let part = self.stream.split_to(length);
        self.checksum = crc32c::crc32c_append(self.checksum, &part);
        let mut piece = BytesMut::with_capacity(CHECKSUM_BYTES + length);
        piece.put_u32(self.checksum);
        piece.put_slice(&part);
        Some(piece.freeze())
    }
}

/// Takes pieces apart, trusting none of them.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    checksum: u32,
    records: u64,
    /// The stream after the last record that was taken.
    stream: BytesMut,
    last: Bytes,
    is_ended: bool,
}

impl Decoder {
    /// Takes the next piece in. Take all records out before the next one.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let Some((mut checksum, part)) = piece.split_at_checked(CHECKSUM_BYTES).filter(|(_, part)| !part.is_empty())
        else {
            return Err(Fault::MalformedPiece("it is too short"));
        };
        if self.is_ended {
            return Err(Fault::MalformedPiece("it comes after the last one"));
        }
        let expected = crc32c::crc32c_append(self.checksum, part);
        if checksum.get_u32() != expected {
            return Err(Fault::MalformedPiece("it is damaged, or one before it is missing"));
        }
        self.checksum = expected;
        self.stream.extend_from_slice(part);
        Ok(())
    }

    /// Takes a record out, if one is there whole.
    pub(crate) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let Some(mut head) = self.stream.get(..RECORD_HEAD_BYTES) else { return Ok(None) };
        let (key_length, value_length) = (usize::from(head.get_u16()), head.get_u32() as usize);
        if key_length == 0 {
            return self.end().map(|()| None);
        }
        if self.stream.len() - RECORD_HEAD_BYTES < key_length.saturating_add(value_length) {
            return Ok(None);
        }
        let mut record = self.stream.split_to(RECORD_HEAD_BYTES + key_length + value_length).freeze();
        record.advance(RECORD_HEAD_BYTES);
        let key = record.split_to(key_length);
        if key <= self.last {
            return Err(Fault::MalformedPiece("its records are out of order"));
        }
        self.last = key.clone();
        self.records += 1;
        Ok(Some((key, record)))
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(mut end) = self.stream.get(2..END_BYTES) else { return Ok(()) };
        if end.get_u64() != self.records {
            return Err(Fault::MalformedPiece("records are missing before it"));
        }
        if self.stream.len() > END_BYTES {
            return Err(Fault::MalformedPiece("it goes on after the end"));
        }
        self.is_ended = true;
        self.stream.clear();
        Ok(())
    }

    /// Refuses a stream that is not complete.
    pub(crate) fn finish(&self) -> Result<(), Fault> {
        if self.is_ended { Ok(()) } else { Err(Fault::MalformedPiece("the last one is missing")) }
    }
}

const _: () = assert!(STORED_KEY_BYTES_MAX == u16::MAX as usize, "the length of a key says exactly what can be stored");
