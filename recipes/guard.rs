//! Guards: a write that happens only under a claim that still stands.
//!
//! The token is compared in the log entry of the write itself, so a holder that lost its lock while it was paused cannot
//! write, whenever its write arrives.

use bytes::{BufMut, Bytes, BytesMut};
use model::Revision;

use crate::Ledger;
use crate::codec::{CodecError, get_bytes, get_revision, get_u32, put_bytes};
use crate::invalid::{Invalid, check_key};

/// A claim that must hold: a contender's key that was created at the revision that its token is, and is the first of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The claim's key.
    pub key: Bytes,
    /// Its fencing token.
    pub token: Revision,
}

impl Guard {
    /// What the keys of the claim's line begin with: its own up to the last slash.
    fn prefix(&self) -> Option<Bytes> {
        let slash = self.key.iter().rposition(|byte| *byte == b'/')?;
        Some(self.key.slice(..=slash))
    }
}

/// Most guards of one command.
pub const GUARDS_MAX: usize = 16;

pub(crate) fn check_guards(guards: &[Guard]) -> Result<(), Invalid> {
    if guards.len() > GUARDS_MAX {
        return Err(Invalid::TooMany);
    }
    guards.iter().try_for_each(|guard| {
        check_key(&guard.key)?;
        guard.prefix().map(|_| ()).ok_or(Invalid::BadName)
    })
}

/// The first guard that does not hold, and the token of the claim that does, if there is one.
pub(crate) fn broken_guard<L: Ledger>(
    ledger: &mut L,
    guards: &[Guard],
) -> Result<Option<(usize, Option<Revision>)>, L::Fault> {
    for (at, guard) in guards.iter().enumerate() {
        let Some(prefix) = guard.prefix() else { return Ok(Some((at, None))) };
        let holder = ledger.contenders(&prefix)?.head();
        if holder.is_none_or(|holder| holder.key != guard.key || holder.create_revision != guard.token) {
            return Ok(Some((at, holder.map(|holder| holder.create_revision))));
        }
    }
    Ok(None)
}

pub(crate) fn put_guards(out: &mut BytesMut, guards: &[Guard]) {
    out.put_u32_le(u32::try_from(guards.len()).expect("there are few guards"));
    for guard in guards {
        put_bytes(out, &guard.key);
        out.put_i64_le(guard.token.get());
    }
}

pub(crate) fn get_guards(from: &mut Bytes) -> Result<Vec<Guard>, CodecError> {
    let count = get_u32(from)?;
    (0..count).map(|_| Ok(Guard { key: get_bytes(from)?, token: get_revision(from)? })).collect()
}
