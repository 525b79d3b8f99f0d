//! The countdown latch: a key with what remains and what it began with, `<remaining> <count>`, open for good once nothing remains.
//!
//! A party that has a name counts once, however often it says so: its name is a key. Parties without one count every time, so it is
//! for who asks to make sure that a repeated request is not a second one.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId};

use super::{below, fields, write};
use crate::Ledger;
use crate::codec::{CodecError, get_bytes, get_option, get_u32, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};

/// Most that a latch can count: its parties are deleted in one revision.
pub const LATCH_COUNT_MAX: u32 = 65_536;

/// Sets a latch up, if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLatch {
    /// Its key.
    pub key: Bytes,
    /// What the keys of the parties begin with that counted.
    pub parties: Bytes,
    /// What it begins with: 1 to [`LATCH_COUNT_MAX`].
    pub count: u32,
}

/// Counts a latch down by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountDown {
    /// The latch's key.
    pub key: Bytes,
    /// What the keys of the parties begin with that counted.
    pub parties: Bytes,
    /// Who counts; it does so once.
    pub by: Option<Bytes>,
}

/// Takes a latch away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropLatch {
    /// The latch's key.
    pub key: Bytes,
    /// What the keys of the parties begin with that counted.
    pub parties: Bytes,
}

/// How a latch stands after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatchOutcome {
    /// It is there.
    Standing {
        /// What remains.
        remaining: u64,
        /// What it began with.
        count: u64,
        /// Whether this command changed it.
        is_changed: bool,
    },
    /// It began with another count than is asked for. Nothing was written.
    Mismatch {
        /// What it began with.
        count: u64,
    },
    /// There is none, or none any more.
    Missing,
}

/// What remains, and what it began with, in the value of a latch's key; what other clients wrote there says nothing.
#[must_use]
pub fn remaining(value: &[u8]) -> Option<(u64, u64)> {
    fields::read(value).map(|[remaining, count]| (remaining, count))
}

fn check(key: &Bytes, parties: &Bytes) -> Result<(), Invalid> {
    if parties.is_empty() {
        return Err(Invalid::EmptyPrefix);
    }
    if key.starts_with(parties) {
        return Err(Invalid::RecordContends);
    }
    check_key(key)?;
    check_key(parties)
}

/// The latch's key, what remains, and what it began with. What other clients wrote there is no latch.
fn standing<L: Ledger>(ledger: &L, key: &Bytes) -> Result<Option<(KeyValue, u64, u64)>, L::Fault> {
    let Some(kv) = ledger.get(key)? else { return Ok(None) };
    Ok(remaining(&kv.value).map(|(remaining, count)| (kv, remaining, count)))
}

fn parties<L: Ledger>(ledger: &mut L, prefix: &Bytes) -> Result<Vec<Bytes>, L::Fault> {
    Ok(ledger.contenders(prefix)?.iter().map(|party| party.key.clone()).collect())
}

impl SetLatch {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if !(1..=LATCH_COUNT_MAX).contains(&self.count) {
            return Err(Invalid::CountOutOfRange);
        }
        check(&self.key, &self.parties)
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<LatchOutcome, L::Fault> {
        let count = u64::from(self.count);
        match standing(ledger, &self.key)? {
            Some((_, remaining, began)) if began == count => {
                return Ok(LatchOutcome::Standing { remaining, count, is_changed: false });
            }
            Some((_, _, began)) => return Ok(LatchOutcome::Mismatch { count: began }),
            None => {}
        }
        // Of a latch that was deleted as a key.
        let counted = parties(ledger, &self.parties)?;
        ledger.put(self.key.clone(), fields::write([count, count]), LeaseId::NONE)?;
        counted.iter().try_for_each(|party| ledger.delete(party))?;
        Ok(LatchOutcome::Standing { remaining: count, count, is_changed: true })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        put_bytes(out, &self.parties);
        out.put_u32_le(self.count);
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { key: get_bytes(from)?, parties: get_bytes(from)?, count: get_u32(from)? })
    }
}

impl CountDown {
    fn party(&self) -> Option<Bytes> {
        self.by.as_ref().map(|by| below(&self.parties, by))
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        check(&self.key, &self.parties)?;
        self.party().map_or(Ok(()), |party| check_key(&party))
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<LatchOutcome, L::Fault> {
        let Some((latch, remaining, count)) = standing(ledger, &self.key)? else { return Ok(LatchOutcome::Missing) };
        let party = self.party();
        let has_counted = match &party {
            Some(party) => ledger.get(party)?.is_some(),
            None => false,
        };
        if remaining == 0 || has_counted {
            return Ok(LatchOutcome::Standing { remaining, count, is_changed: false });
        }
        let remaining = remaining - 1;
        write(ledger, Some(&latch), self.key.clone(), fields::write([remaining, count]), LeaseId::NONE)?;
        if let Some(party) = party {
            ledger.put(party, Bytes::new(), LeaseId::NONE)?;
        }
        Ok(LatchOutcome::Standing { remaining, count, is_changed: true })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        put_bytes(out, &self.parties);
        put_option(out, self.by.as_ref(), |out, by| put_bytes(out, by));
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (key, parties) = (get_bytes(from)?, get_bytes(from)?);
        Ok(Self { key, parties, by: get_option(from, get_bytes)? })
    }
}

impl DropLatch {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check(&self.key, &self.parties)
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<LatchOutcome, L::Fault> {
        let is_there = ledger.get(&self.key)?.is_some();
        let counted = parties(ledger, &self.parties)?;
        if is_there {
            ledger.delete(&self.key)?;
        }
        counted.iter().try_for_each(|party| ledger.delete(party))?;
        Ok(LatchOutcome::Missing)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        put_bytes(out, &self.parties);
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { key: get_bytes(from)?, parties: get_bytes(from)? })
    }
}
