//! What the store holds, byte by byte.
//!
//! ```text
//! key                                      value
//! 00                                       magic:8 (= "quorate" 00) format:u32 (= 1)             always there
//! 01                                       head                                                  always there
//! 02                                       membership, opaque                                    if there ever was one
//! 10 lease:u64                             ttl:i64 remaining:i64                                 a lease
//! 11 lease:u64 key                         -                                                     key is attached to lease
//! 12 name                                  value, opaque                                         a fact
//! 20 key                                   version                                               newest version, if live
//! ---------------------------------------------------------------------------------------------- second shelf
//! 28                                       cursor = floor:u64 revision:u64 sub:u32               if anything was cleaned up
//! 30 escaped(key) 00 00 successor:u64      version                                               lived in [its mod revision, successor)
//! ---------------------------------------------------------------------------------------------- third shelf
//! 40 revision:u64 sub:u32                  event                                                 one event of a revision
//!
//! head      = applied:u8 (0 none, 1 some) term:u64 index:u64 revision:u64 compact_revision:u64 live_bytes:u64
//! version   = mod_revision:v (mod_revision - create_revision):v version:v lease:v value
//! event     = 00 key                                                                             a delete
//!           | 01 key_length:v key version                                                        a put
//! escaped   = key with each 00 as 00 ff, so that 00 00 ends it and order is kept
//! v         = LEB128 of the number as u64; all other integers are big-endian
//! ```
//!
//! Every flush writes the head, and the head's shelf comes last: what is on it is exactly what the entries up to the head's applied
//! one have made. The other shelves lack what compaction has dropped, and may be ahead of the head by one flush that was cut off.
//! That does no harm: events after the head's revision are not looked at; a version with a successor after it is the one that is
//! the newest on the first shelf, or is newer than anything that can be asked for; and the entries after the head, applied once
//! more, write the same again.
//!
//! A new store gets its marks, format and head, before anything else, so that a first flush that is cut off leaves them behind too.
//!
//! An unknown format number is refused: a new layout is a new number.
//!
//! A key of the user is at most [`model::KEY_BYTES_MAX`] long after escaping, so none of these exceeds what the storage takes.

use std::ops::Bound;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::{Event, EventKind, KeyRange, KeyValue, LeaseId, LogId, LogIndex, Revision, Term};

use crate::Fault;
use crate::storage::Edit;

const MAGIC: &[u8; 8] = b"quorate\0";

/// The number of this layout.
const FORMAT: u32 = 1;

const TAG_LEASE: u8 = 0x10;
const TAG_ATTACHMENT: u8 = 0x11;
const TAG_FACT: u8 = 0x12;
const TAG_CURRENT: u8 = 0x20;
const TAG_HISTORY: u8 = 0x30;
const TAG_LOG: u8 = 0x40;

/// Key of the format record.
pub(crate) const FORMAT_KEY: Bytes = Bytes::from_static(&[0x00]);
/// Key of the head record.
pub(crate) const HEAD_KEY: Bytes = Bytes::from_static(&[0x01]);
/// Key of the membership record.
pub(crate) const MEMBERSHIP_KEY: Bytes = Bytes::from_static(&[0x02]);
/// Key of the cleanup cursor.
pub(crate) const CURSOR_KEY: Bytes = Bytes::from_static(&[0x28]);

const ESCAPED_END: [u8; 2] = [0, 0];

/// The bounds of what is always in memory, but for the cursor.
pub(crate) const RESIDENT: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Excluded(&[TAG_CURRENT]));

/// Where the machine stands: one record, rewritten by each flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) applied: Option<LogId>,
    pub(crate) revision: Revision,
    pub(crate) compact_revision: Revision,
    /// Bytes of all live keys and values.
    pub(crate) live_bytes: u64,
}

/// How far cleanup has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The first event that has not been looked at.
    pub(crate) next: Position,
    /// The compact revision that it worked for: history below this may be missing, whatever the head says. It can be ahead of
    /// the head's, because the head is as of the last flush, until the log has been replayed.
    pub(crate) floor: Revision,
}

/// A place in the log of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) revision: Revision,
    pub(crate) sub: u32,
}

/// The record that marks a store as ours.
pub(crate) fn format_record() -> Bytes {
    let mut out = BytesMut::with_capacity(12);
    out.put_slice(MAGIC);
    out.put_u32(FORMAT);
    out.freeze()
}

/// The records that are always there.
pub(crate) fn marks(head: &Head) -> [Edit; 2] {
    [(FORMAT_KEY, Some(format_record())), (HEAD_KEY, Some(head.encode()))]
}

/// Whether a key is that of a newest version that lives.
pub(crate) fn is_current(key: &[u8]) -> bool {
    key.first() == Some(&TAG_CURRENT)
}

/// Refuses what [`format_record`] did not write.
pub(crate) fn check_format(record: &[u8]) -> Result<(), Fault> {
    let Some((magic, mut number)) = record.split_at_checked(MAGIC.len()) else { return Err(Fault::ForeignData) };
    if magic != MAGIC || number.len() != 4 {
        return Err(Fault::ForeignData);
    }
    match number.get_u32() {
        FORMAT => Ok(()),
        found => Err(Fault::UnknownFormat { found, known: FORMAT }),
    }
}

impl Head {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(41);
        out.put_u8(u8::from(self.applied.is_some()));
        let applied = self.applied.unwrap_or_default();
        out.put_u64(applied.term.get());
        out.put_u64(applied.index.get());
        out.put_i64(self.revision.get());
        out.put_i64(self.compact_revision.get());
        out.put_u64(self.live_bytes);
        out.freeze()
    }

    pub(crate) fn decode(mut record: &[u8]) -> Result<Self, Fault> {
        if record.len() != 41 {
            return Err(Fault::Damaged("head"));
        }
        let is_some = record.get_u8() == 1;
        let applied = LogId { term: Term::new(record.get_u64()), index: LogIndex::new(record.get_u64()) };
        Ok(Self {
            applied: is_some.then_some(applied),
            revision: Revision::new(record.get_i64()),
            compact_revision: Revision::new(record.get_i64()),
            live_bytes: record.get_u64(),
        })
    }
}

impl Cursor {
    pub(crate) fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(20);
        out.put_i64(self.floor.get());
        out.put_i64(self.next.revision.get());
        out.put_u32(self.next.sub);
        out.freeze()
    }

    pub(crate) fn decode(mut record: &[u8]) -> Result<Self, Fault> {
        if record.len() != 20 {
            return Err(Fault::Damaged("cursor"));
        }
        let floor = Revision::new(record.get_i64());
        Ok(Self { next: Position { revision: Revision::new(record.get_i64()), sub: record.get_u32() }, floor })
    }
}

pub(crate) fn is_lease(key: &[u8]) -> bool {
    key.first() == Some(&TAG_LEASE)
}

pub(crate) fn is_attachment(key: &[u8]) -> bool {
    key.first() == Some(&TAG_ATTACHMENT)
}

pub(crate) fn lease_key(id: LeaseId) -> Bytes {
    let mut out = BytesMut::with_capacity(9);
    out.put_u8(TAG_LEASE);
    out.put_i64(id.get());
    out.freeze()
}

pub(crate) fn lease_record(ttl: i64, remaining: i64) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    out.put_i64(ttl);
    out.put_i64(remaining);
    out.freeze()
}

/// (id, ttl, remaining) of a lease.
pub(crate) fn decode_lease(key: &[u8], mut record: &[u8]) -> Result<(LeaseId, i64, i64), Fault> {
    if key.len() != 9 || record.len() != 16 {
        return Err(Fault::Damaged("lease"));
    }
    Ok((LeaseId::new((&key[1..]).get_i64()), record.get_i64(), record.get_i64()))
}

pub(crate) fn attachment_key(id: LeaseId, key: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(9 + key.len());
    out.put_u8(TAG_ATTACHMENT);
    out.put_i64(id.get());
    out.put_slice(key);
    out.freeze()
}

/// The lease and the key that are attached, the key in memory of its own.
pub(crate) fn decode_attachment(key: &[u8]) -> Result<(LeaseId, Bytes), Fault> {
    match key.split_at_checked(9) {
        Some((head, key)) => Ok((LeaseId::new((&head[1..]).get_i64()), Bytes::copy_from_slice(key))),
        None => Err(Fault::Damaged("attachment")),
    }
}

pub(crate) fn is_fact(key: &[u8]) -> bool {
    key.first() == Some(&TAG_FACT)
}

pub(crate) fn fact_key(name: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + name.len());
    out.put_u8(TAG_FACT);
    out.put_slice(name);
    out.freeze()
}

/// The name of a fact, in memory of its own.
pub(crate) fn decode_fact_key(key: &[u8]) -> Result<Bytes, Fault> {
    key.get(1..).map(Bytes::copy_from_slice).ok_or(Fault::Damaged("fact"))
}

pub(crate) fn current_key(key: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + key.len());
    out.put_u8(TAG_CURRENT);
    out.put_slice(key);
    out.freeze()
}

/// The user's key in a key of a newest version.
pub(crate) fn key_of_current(stored: &Bytes) -> Bytes {
    stored.slice(1..)
}

/// The bounds of the newest versions of the keys in `range`.
pub(crate) fn current_bounds(range: &KeyRange) -> (Bytes, Bound<Bytes>) {
    let end = match range {
        KeyRange::Single(key) => Bound::Included(current_key(key)),
        KeyRange::From(_) => Bound::Excluded(Bytes::from_static(&[TAG_CURRENT + 1])),
        KeyRange::Span { end, .. } => Bound::Excluded(current_key(end)),
    };
    (current_key(range.start()), end)
}

/// The bounds of the superseded versions of the keys in `range`.
pub(crate) fn history_bounds(range: &KeyRange) -> (Bytes, Bound<Bytes>) {
    let end = match range {
        KeyRange::Single(key) => Bound::Included(history_key(key, Revision::new(i64::MAX))),
        KeyRange::From(_) => Bound::Excluded(Bytes::from_static(&[TAG_HISTORY + 1])),
        KeyRange::Span { end, .. } => Bound::Excluded(history_prefix(end).freeze()),
    };
    (history_prefix(range.start()).freeze(), end)
}

/// Tag and escaped key: every superseded version of this key and of those after it lies at or after this.
fn history_prefix(key: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(key.len() + 11);
    out.put_u8(TAG_HISTORY);
    let mut rest = key;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        out.put_slice(&rest[..=zero]);
        out.put_u8(0xff);
        rest = &rest[zero + 1..];
    }
    out.put_slice(rest);
    out
}

pub(crate) fn history_key(key: &[u8], successor: Revision) -> Bytes {
    let mut out = history_prefix(key);
    out.put_slice(&ESCAPED_END);
    out.put_i64(successor.get());
    out.freeze()
}

/// What a key of a superseded version says.
pub(crate) struct HistoryKey {
    /// Tag, escaped key and its end: equal for all versions of one key.
    pub(crate) prefix: Bytes,
    /// The revision that superseded this version.
    pub(crate) successor: Revision,
}

impl HistoryKey {
    pub(crate) fn decode(stored: &Bytes) -> Result<Self, Fault> {
        let Some(at) = stored.len().checked_sub(8).filter(|at| *at >= 3) else {
            return Err(Fault::Damaged("key of a superseded version"));
        };
        Ok(Self { prefix: stored.slice(..at), successor: Revision::new((&stored[at..]).get_i64()) })
    }

    /// The place of the version that a successor supersedes.
    pub(crate) fn with_successor(&self, successor: Revision) -> Bytes {
        let mut out = BytesMut::with_capacity(self.prefix.len() + 8);
        out.put_slice(&self.prefix);
        out.put_i64(successor.get());
        out.freeze()
    }

    /// The user's key.
    pub(crate) fn key(&self) -> Bytes {
        let escaped = &self.prefix[1..self.prefix.len() - ESCAPED_END.len()];
        if !escaped.contains(&0) {
            return self.prefix.slice(1..self.prefix.len() - ESCAPED_END.len());
        }
        let mut out = BytesMut::with_capacity(escaped.len());
        let mut is_mark = false;
        for byte in escaped {
            if !is_mark {
                out.put_u8(*byte);
            }
            is_mark = !is_mark && *byte == 0;
        }
        out.freeze()
    }
}

/// Where the events begin.
pub(crate) const LOG_START: &[u8] = &[TAG_LOG];

pub(crate) fn log_key(position: Position) -> Bytes {
    let mut out = BytesMut::with_capacity(13);
    out.put_u8(TAG_LOG);
    out.put_i64(position.revision.get());
    out.put_u32(position.sub);
    out.freeze()
}

pub(crate) fn decode_log_key(stored: &[u8]) -> Result<Position, Fault> {
    if stored.len() != 13 {
        return Err(Fault::Damaged("key of an event"));
    }
    let mut position = &stored[1..];
    Ok(Position { revision: Revision::new(position.get_i64()), sub: position.get_u32() })
}

pub(crate) fn version_record(kv: &KeyValue) -> Bytes {
    let mut out = BytesMut::with_capacity(version_bytes_max(kv));
    put_version(&mut out, kv);
    out.freeze()
}

const fn version_bytes_max(kv: &KeyValue) -> usize {
    40 + kv.value.len()
}

fn put_version(out: &mut BytesMut, kv: &KeyValue) {
    let (modified, created) = (kv.mod_revision.get(), kv.create_revision.get());
    put_varint(out, modified.cast_unsigned());
    put_varint(out, modified.wrapping_sub(created).cast_unsigned());
    put_varint(out, kv.version.cast_unsigned());
    put_varint(out, kv.lease.get().cast_unsigned());
    out.put_slice(&kv.value);
}

/// The mod revision alone, without looking at the rest.
pub(crate) fn mod_revision_of(mut record: &[u8]) -> Result<Revision, Fault> {
    get_varint(&mut record).map(|raw| Revision::new(raw.cast_signed()))
}

/// The version of `key` that `record` holds; the value shares its memory.
pub(crate) fn decode_version(key: Bytes, mut record: Bytes) -> Result<KeyValue, Fault> {
    let rest = &mut &record[..];
    let modified = get_varint(rest)?.cast_signed();
    let created = modified.wrapping_sub(get_varint(rest)?.cast_signed());
    let version = get_varint(rest)?.cast_signed();
    let lease = LeaseId::new(get_varint(rest)?.cast_signed());
    let head = record.len() - rest.len();
    record.advance(head);
    let (create_revision, mod_revision) = (Revision::new(created), Revision::new(modified));
    Ok(KeyValue { key, value: record, create_revision, mod_revision, version, lease })
}

pub(crate) fn event_record(event: &Event) -> Bytes {
    let kv = &event.kv;
    match event.kind {
        EventKind::Delete => {
            let mut out = BytesMut::with_capacity(1 + kv.key.len());
            out.put_u8(0);
            out.put_slice(&kv.key);
            out.freeze()
        }
        EventKind::Put => {
            let mut out = BytesMut::with_capacity(4 + kv.key.len() + version_bytes_max(kv));
            out.put_u8(1);
            put_varint(&mut out, kv.key.len() as u64);
            out.put_slice(&kv.key);
            put_version(&mut out, kv);
            out.freeze()
        }
    }
}

/// The event that `record` holds, which happened at `revision`; it shares the memory.
pub(crate) fn decode_event(revision: Revision, mut record: Bytes) -> Result<Event, Fault> {
    const DAMAGED: Fault = Fault::Damaged("event");
    match record.try_get_u8().map_err(|_| DAMAGED)? {
        0 => {
            let kv = KeyValue { key: record, mod_revision: revision, ..KeyValue::default() };
            Ok(Event { kind: EventKind::Delete, kv, previous: None })
        }
        1 => {
            let rest = &mut &record[..];
            let length =
                usize::try_from(get_varint(rest)?).ok().filter(|length| *length <= rest.len()).ok_or(DAMAGED)?;
            record.advance(record.len() - rest.len());
            let key = record.split_to(length);
            Ok(Event { kind: EventKind::Put, kv: decode_version(key, record)?, previous: None })
        }
        _ => Err(DAMAGED),
    }
}

fn put_varint(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8((number & 0x7f) as u8);
}

fn get_varint(from: &mut &[u8]) -> Result<u64, Fault> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = from.split_first() else { break };
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Fault::Damaged("number"))
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
