//! Giving a claim up: the whole, one of its holds, only if nobody was told of it but the request that made it, or somebody else's.
//!
//! All keys of a claim go in one revision. A claim's lease stays, and with it the session's other claims.
//!
//! *If unseen.* A request that makes a claim and whose client hangs up gives the claim back. Another request of the same session may
//! have been told of it in between, at any member; then it stays. Asking again writes the record once more (`claim.rs`), so its
//! version tells, in the log's order.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId, Revision};

use crate::codec::{CodecError, get_bytes, get_option, get_revision, get_u8, malformed, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};
use crate::{ClaimRecord, Ledger, Outcome};

/// Gives a claim up, held or waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiveUp {
    /// The key of the claim's record.
    pub record: Bytes,
    /// Only the claim of this token; `None` takes whichever there is.
    pub token: Option<Revision>,
    /// What of it, and on whose behalf.
    pub extent: Extent,
}

/// How much is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The claim, with all its holds.
    Whole,
    /// One hold; the claim goes with the last.
    Hold(Bytes),
    /// The claim, unless it was asked for again since it was made.
    IfUnseen,
    /// Somebody else's claim; its session is told.
    Broken(Notice),
}

/// What a session is told: a key on its lease, which its streams follow. A lease that is nobody's is told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub key: Bytes,
    /// What; not interpreted here.
    pub value: Bytes,
}

/// What came of giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUpOutcome {
    /// The claim is gone by this command.
    Gone {
        /// Its token.
        token: Revision,
    },
    /// The claim is there: other holds remain, or another request was told of it.
    Stays {
        /// How many holds there are.
        holds: usize,
    },
    /// There was no claim: it was given up before, or its session ended.
    NotHeld,
    /// The session has a newer claim, which stays.
    Stale {
        /// Token of the claim that there is.
        current: Revision,
    },
}

impl GiveUp {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if let Extent::Broken(notice) = &self.extent {
            notice.check(&self.record)?;
        }
        check_key(&self.record)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        Ok(Outcome::GiveUp(self.give_up(ledger)?))
    }

    fn give_up<L: Ledger>(&self, ledger: &mut L) -> Result<GiveUpOutcome, L::Fault> {
        let Some(kv) = ledger.get(&self.record)? else { return Ok(GiveUpOutcome::NotHeld) };
        let mut record = ClaimRecord::read(&kv.value);
        let token = token_of(&kv, &record, ledger)?;
        if self.token.is_some_and(|meant| meant != token) {
            return Ok(GiveUpOutcome::Stale { current: token });
        }
        let holds = record.hold_count();
        match &self.extent {
            Extent::Whole | Extent::Broken(_) => {}
            Extent::IfUnseen if kv.version == 1 => {}
            Extent::IfUnseen => return Ok(GiveUpOutcome::Stays { holds }),
            Extent::Hold(name) => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                if !record.is_held_as(name) {
                    return Ok(GiveUpOutcome::Stays { holds });
                }
                if record.drop_hold(name) {
                    ledger.put(kv.key, record.write(), kv.lease)?;
                    return Ok(GiveUpOutcome::Stays { holds: record.hold_count() });
                }
            }
        }
        let keys = keys_of(&kv, &record, ledger)?;
        keys.iter().try_for_each(|key| ledger.delete(key))?;
        if let Extent::Broken(notice) = &self.extent {
            notice.write(kv.lease, ledger)?;
        }
        Ok(GiveUpOutcome::Gone { token })
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.record);
        put_option(out, self.token.as_ref(), |out, token| out.put_i64_le(token.get()));
        match &self.extent {
            Extent::Whole => out.put_u8(0),
            Extent::Hold(name) => {
                out.put_u8(1);
                put_bytes(out, name);
            }
            Extent::IfUnseen => out.put_u8(2),
            Extent::Broken(notice) => {
                out.put_u8(3);
                notice.put(out);
            }
        }
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (record, token) = (get_bytes(from)?, get_option(from, get_revision)?);
        let extent = match get_u8(from)? {
            0 => Extent::Whole,
            1 => Extent::Hold(get_bytes(from)?),
            2 => Extent::IfUnseen,
            3 => Extent::Broken(Notice::get(from)?),
            _ => return Err(malformed("unknown extent of giving up")),
        };
        Ok(Self { record, token, extent })
    }
}

impl Notice {
    pub(crate) fn check(&self, record: &Bytes) -> Result<(), Invalid> {
        if self.key == *record {
            return Err(Invalid::RecordMisplaced);
        }
        check_key(&self.key)
    }

    /// Tells the session of `lease`.
    pub(crate) fn write<L: Ledger>(&self, lease: LeaseId, ledger: &mut L) -> Result<(), L::Fault> {
        if lease.is_some() { ledger.put(self.key.clone(), self.value.clone(), lease) } else { Ok(()) }
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        put_bytes(out, &self.value);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { key: get_bytes(from)?, value: get_bytes(from)? })
    }
}

/// The claim's token: the create revision of its first key. The record itself stands in for one that somebody deleted.
pub(crate) fn token_of<L: Ledger>(kv: &KeyValue, record: &ClaimRecord, ledger: &L) -> Result<Revision, L::Fault> {
    let first = match record.keys.first() {
        Some(key) => ledger.get(key.as_bytes())?,
        None => None,
    };
    Ok(first.filter(|first| first.lease == kv.lease).map_or(kv.create_revision, |first| first.create_revision))
}

/// All keys of the claim that there are: what its record lists is its own only on its own lease.
fn keys_of<L: Ledger>(kv: &KeyValue, record: &ClaimRecord, ledger: &L) -> Result<Vec<Bytes>, L::Fault> {
    let mut keys = vec![kv.key.clone()];
    for key in record.keys.iter().chain(&record.shared) {
        let other = ledger.get(key.as_bytes())?;
        if let Some(other) = other.filter(|other| kv.lease.is_some() && other.lease == kv.lease)
            && !keys.contains(&other.key)
        {
            keys.push(other.key);
        }
    }
    Ok(keys)
}
