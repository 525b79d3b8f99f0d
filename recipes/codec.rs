//! Binary form of a [`Command`]: what `model::Command::Recipe` carries.
//!
//! ```text
//! command = 1 open                             tags below, each once and for ever; a new meaning is a new tag
//!         | 2 prefix:bytes session enqueue value:bytes
//!         | 3 key:bytes (0 | 1 token:i64)
//! open    = lease:i64 ttl:i64 (0 | 1 key:bytes value:bytes)
//! session = 0 lease:i64 | 1 open
//! enqueue = 0 | 1 | 2 waiting_max:u32          try only, in line, in a line of a bounded length
//! bytes   = length:u32 octets                  tags are one byte; integers are little-endian, signed ones in two's complement
//! ```
//!
//! Decoding takes slices of the input instead of copying, refuses unknown tags, lengths that cannot fit and trailing bytes, and
//! never panics. Whether what it returns makes sense is for [`Command::check`] to say.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};
use thiserror::Error;

use crate::{Acquire, Command, Enqueue, OpenSession, Release, Session, SessionRecord};

/// The bytes are not a command that this version knows. Coming from our own log this is a fault, from a peer a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed recipe: {what}")]
pub struct CodecError {
    what: &'static str,
}

const fn malformed(what: &'static str) -> CodecError {
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
                put_open(&mut out, open);
            }
            Self::Acquire(acquire) => {
                out.put_u8(2);
                put_acquire(&mut out, acquire);
            }
            Self::Release(release) => {
                out.put_u8(3);
                put_release(&mut out, release);
            }
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
            1 => Self::OpenSession(get_open(from)?),
            2 => Self::Acquire(get_acquire(from)?),
            3 => Self::Release(get_release(from)?),
            _ => return Err(malformed("unknown command")),
        };
        if from.has_remaining() { Err(malformed("bytes after the command")) } else { Ok(command) }
    }
}

fn put_open(out: &mut BytesMut, open: &OpenSession) {
    out.put_i64_le(open.lease.get());
    out.put_i64_le(open.ttl);
    match &open.record {
        None => out.put_u8(0),
        Some(record) => {
            out.put_u8(1);
            put_bytes(out, &record.key);
            put_bytes(out, &record.value);
        }
    }
}

fn get_open(from: &mut Bytes) -> Result<OpenSession, CodecError> {
    let lease = get_lease(from)?;
    let ttl = get_i64(from)?;
    let record = match get_u8(from)? {
        0 => None,
        1 => Some(SessionRecord { key: get_bytes(from)?, value: get_bytes(from)? }),
        _ => return Err(malformed("unknown kind of session record")),
    };
    Ok(OpenSession { lease, ttl, record })
}

fn put_acquire(out: &mut BytesMut, acquire: &Acquire) {
    put_bytes(out, &acquire.prefix);
    match &acquire.session {
        Session::Existing(lease) => {
            out.put_u8(0);
            out.put_i64_le(lease.get());
        }
        Session::New(open) => {
            out.put_u8(1);
            put_open(out, open);
        }
    }
    match acquire.enqueue {
        Enqueue::TryOnly => out.put_u8(0),
        Enqueue::Enqueue { waiting_max: None } => out.put_u8(1),
        Enqueue::Enqueue { waiting_max: Some(max) } => {
            out.put_u8(2);
            out.put_u32_le(max);
        }
    }
    put_bytes(out, &acquire.value);
}

fn get_acquire(from: &mut Bytes) -> Result<Acquire, CodecError> {
    let prefix = get_bytes(from)?;
    let session = match get_u8(from)? {
        0 => Session::Existing(get_lease(from)?),
        1 => Session::New(get_open(from)?),
        _ => return Err(malformed("unknown kind of session")),
    };
    let enqueue = match get_u8(from)? {
        0 => Enqueue::TryOnly,
        1 => Enqueue::Enqueue { waiting_max: None },
        2 => Enqueue::Enqueue { waiting_max: Some(get_u32(from)?) },
        _ => return Err(malformed("unknown way to stand in line")),
    };
    Ok(Acquire { prefix, session, enqueue, value: get_bytes(from)? })
}

fn put_release(out: &mut BytesMut, release: &Release) {
    put_bytes(out, &release.key);
    match release.token {
        None => out.put_u8(0),
        Some(token) => {
            out.put_u8(1);
            out.put_i64_le(token.get());
        }
    }
}

fn get_release(from: &mut Bytes) -> Result<Release, CodecError> {
    let key = get_bytes(from)?;
    let token = match get_u8(from)? {
        0 => None,
        1 => Some(Revision::new(get_i64(from)?)),
        _ => return Err(malformed("unknown kind of token")),
    };
    Ok(Release { key, token })
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).expect("the edge bounds a request far below 4 GiB"));
    out.put_slice(bytes);
}

fn get_bytes(from: &mut Bytes) -> Result<Bytes, CodecError> {
    let length = get_u32(from)? as usize;
    if length > from.remaining() {
        return Err(malformed("a field is longer than the command"));
    }
    Ok(from.split_to(length))
}

fn get_lease(from: &mut Bytes) -> Result<LeaseId, CodecError> {
    get_i64(from).map(LeaseId::new)
}

fn get_u8(from: &mut Bytes) -> Result<u8, CodecError> {
    from.try_get_u8().map_err(|_| malformed("cut short"))
}

fn get_u32(from: &mut Bytes) -> Result<u32, CodecError> {
    from.try_get_u32_le().map_err(|_| malformed("cut short"))
}

fn get_i64(from: &mut Bytes) -> Result<i64, CodecError> {
    from.try_get_i64_le().map_err(|_| malformed("cut short"))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
