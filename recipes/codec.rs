//! Binary form of a [`Command`]: what `model::Command::Recipe` carries.
//!
//! ```text
//! command = 1 open                             tags below, each once and for ever; a new meaning is a new tag
//!         | 2 prefix:bytes session enqueue value:bytes
//!         | 3 key:bytes (0 | 1 token:i64)
//!         | 4 session count:u8 place* (0 | 1 record:bytes) enqueue hold:bytes meta:bytes
//!         | 5 record:bytes (0 | 1 token:i64) (0 | 1 hold:bytes | 2 | 3 notice)       whole, one hold, if unseen, broken
//!         | 6 record:bytes (0 | 1 token:i64) (0 meta:bytes | 1 prefix:bytes | 2 prefix:bytes)         down, up
//!         | 7 prefix:bytes key:bytes limit:u32
//!         | 8 record:bytes (0 | 1 token:i64) notice
//! place   = 0 prefix:bytes | 1 prefix:bytes | 2 prefix:bytes         mutex, writer, reader
//!         | 3 prefix:bytes limit:bytes permits:u32
//! notice  = key:bytes value:bytes
//!         | 50 edit | 51 publish | 52 label | 53 ack | 54 control     configuration: see the files in config/
//!         | 20 prefix:bytes session value:bytes (0 | 1 about)
//!         | 21 prefix:bytes term:i64 value:bytes (0 | 1 about)
//!         | 25 … 37 synchronisers: see the files in sync/
//! open    = lease:i64 ttl:i64 (0 | 1 key:bytes value:bytes)
//! session = 0 lease:i64 | 1 open
//! about   = prefix:bytes value:bytes
//! enqueue = 0 | 1 | 2 waiting_max:u32          try only, in line, in a line of a bounded length
//! bytes   = length:u32 octets                  tags are one byte; integers are little-endian, signed ones in two's complement
//! ```
//!
//! Here are the tags and the primitives; each recipe's form is in the recipe's own file, as a pair of `put` and `get`. The tags are
//! given out in ranges: locks and sessions 1 to 19, elections 20 to 24, synchronisers 25 to 49, configuration 50 to 69, HTTP 70 to 79.
//!
//! Decoding takes slices of the input instead of copying, refuses unknown tags, lengths that cannot fit and trailing bytes, and
//! never panics. Whether what it returns makes sense is for [`Command::check`] to say.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};
use thiserror::Error;

use crate::config::{Acknowledge, ControlRollout, EditDraft, MoveLabel, Publish};
use crate::sync::SyncCommand;
use crate::{Acquire, Amend, Campaign, Claim, Command, GiveUp, OpenSession, Proclaim, Release, SetLimit, Tell};

/// The bytes are not a command that this version knows. Coming from our own log this is a fault, from a peer a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed recipe: {what}")]
pub struct CodecError {
    what: &'static str,
}

pub(crate) const fn malformed(what: &'static str) -> CodecError {
    CodecError { what }
}

impl Command {
    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        match self {
            Self::OpenSession(open) => {
                out.put_u8(1);
                open.put(&mut out);
            }
            Self::Acquire(acquire) => {
                out.put_u8(2);
                acquire.put(&mut out);
            }
            Self::Release(release) => {
                out.put_u8(3);
                release.put(&mut out);
            }
            Self::Claim(claim) => {
                out.put_u8(4);
                claim.put(&mut out);
            }
            Self::GiveUp(give_up) => {
                out.put_u8(5);
                give_up.put(&mut out);
            }
            Self::Amend(amend) => {
                out.put_u8(6);
                amend.put(&mut out);
            }
            Self::SetLimit(limit) => {
                out.put_u8(7);
                limit.put(&mut out);
            }
            Self::Tell(tell) => {
                out.put_u8(8);
                tell.put(&mut out);
            }
            Self::EditDraft(edit) => {
                out.put_u8(50);
                edit.put(&mut out);
            }
            Self::Publish(publish) => {
                out.put_u8(51);
                publish.put(&mut out);
            }
            Self::MoveLabel(label) => {
                out.put_u8(52);
                label.put(&mut out);
            }
            Self::Acknowledge(ack) => {
                out.put_u8(53);
                ack.put(&mut out);
            }
            Self::ControlRollout(control) => {
                out.put_u8(54);
                control.put(&mut out);
            }
            Self::Campaign(campaign) => {
                out.put_u8(20);
                campaign.put(&mut out);
            }
            Self::Proclaim(proclaim) => {
                out.put_u8(21);
                proclaim.put(&mut out);
            }
            Self::Sync(sync) => sync.put(&mut out),
        }
        out.freeze()
    }

    /// The command in `input`, whose memory it shares.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the bytes are anything else than exactly one command.
    pub fn decode(mut input: Bytes) -> Result<Self, CodecError> {
        let from = &mut input;
        let command = match get_u8(from)? {
            1 => Self::OpenSession(OpenSession::get(from)?),
            2 => Self::Acquire(Acquire::get(from)?),
            3 => Self::Release(Release::get(from)?),
            4 => Self::Claim(Claim::get(from)?),
            5 => Self::GiveUp(GiveUp::get(from)?),
            6 => Self::Amend(Amend::get(from)?),
            7 => Self::SetLimit(SetLimit::get(from)?),
            8 => Self::Tell(Tell::get(from)?),
            50 => Self::EditDraft(EditDraft::get(from)?),
            51 => Self::Publish(Publish::get(from)?),
            52 => Self::MoveLabel(MoveLabel::get(from)?),
            53 => Self::Acknowledge(Acknowledge::get(from)?),
            54 => Self::ControlRollout(ControlRollout::get(from)?),
            20 => Self::Campaign(Campaign::get(from)?),
            21 => Self::Proclaim(Proclaim::get(from)?),
            tag @ 25..=49 => Self::Sync(SyncCommand::get(tag, from)?),
            _ => return Err(malformed("unknown command")),
        };
        if from.has_remaining() { Err(malformed("bytes after the command")) } else { Ok(command) }
    }
}

pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).expect("the edge bounds a request far below 4 GiB"));
    out.put_slice(bytes);
}

pub(crate) fn get_bytes(from: &mut Bytes) -> Result<Bytes, CodecError> {
    let length = get_u32(from)? as usize;
    if length > from.remaining() {
        return Err(malformed("a field is longer than the command"));
    }
    Ok(from.split_to(length))
}

pub(crate) fn get_lease(from: &mut Bytes) -> Result<LeaseId, CodecError> {
    get_i64(from).map(LeaseId::new)
}

pub(crate) fn get_u8(from: &mut Bytes) -> Result<u8, CodecError> {
    from.try_get_u8().map_err(|_| malformed("cut short"))
}

pub(crate) fn get_u32(from: &mut Bytes) -> Result<u32, CodecError> {
    from.try_get_u32_le().map_err(|_| malformed("cut short"))
}

pub(crate) fn get_i64(from: &mut Bytes) -> Result<i64, CodecError> {
    from.try_get_i64_le().map_err(|_| malformed("cut short"))
}

pub(crate) fn get_revision(from: &mut Bytes) -> Result<Revision, CodecError> {
    get_i64(from).map(Revision::new)
}

/// An optional part: 0, or 1 and the part.
pub(crate) fn put_option<T>(out: &mut BytesMut, part: Option<&T>, put: impl FnOnce(&mut BytesMut, &T)) {
    match part {
        None => out.put_u8(0),
        Some(part) => {
            out.put_u8(1);
            put(out, part);
        }
    }
}

pub(crate) fn get_option<T>(
    from: &mut Bytes,
    get: impl FnOnce(&mut Bytes) -> Result<T, CodecError>,
) -> Result<Option<T>, CodecError> {
    match get_u8(from)? {
        0 => Ok(None),
        1 => get(from).map(Some),
        _ => Err(malformed("neither a part nor the lack of it")),
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
