//! Changing a claim that there is: what it says about itself, or the mode in which it holds a read-write lock.
//!
//! *Down* to shared: the writer keeps its place and its token, and lets in the readers behind it, up to the next writer. *Up* to
//! exclusive: a writer that let readers in takes that back once none is left; a reader must be alone in the line, and its claim is made
//! anew as a writer's, with a new token. Both are one revision: at no moment can another get between.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, Revision};
use serde_json::Value;

use crate::codec::{CodecError, get_bytes, get_option, get_revision, get_u8, malformed, put_bytes, put_option};
use crate::give_up::token_of;
use crate::invalid::{Invalid, check_key};
use crate::place::sharers;
use crate::{ClaimRecord, Ledger, Outcome, Place, Standing, contender_key};

/// Changes a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amend {
    /// The key of the claim's record.
    pub record: Bytes,
    /// Only the claim of this token; `None` takes whichever there is.
    pub token: Option<Revision>,
    /// How.
    pub change: Amendment,
}

/// A change of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amendment {
    /// It says this about itself: JSON, or nothing.
    Meta(Bytes),
    /// A writer of the read-write lock of this prefix lets readers in.
    Downgrade(Bytes),
    /// A holder of the read-write lock of this prefix becomes its only one.
    Upgrade(Bytes),
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmendOutcome {
    /// The claim is as asked for.
    Amended {
        /// Its token, which an upgrade may change.
        token: Revision,
        /// What its record says.
        value: Bytes,
    },
    /// It waits, or others hold too. Nothing was written.
    NotPossible,
    /// There is no such claim.
    NotHeld,
    /// The session has a newer claim. Nothing was written.
    Stale {
        /// Token of the claim that there is.
        current: Revision,
    },
}

impl Amend {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        match &self.change {
            Amendment::Meta(meta) if meta.is_empty() || serde_json::from_slice::<Value>(meta).is_ok() => {}
            Amendment::Meta(_) => return Err(Invalid::Meta),
            Amendment::Downgrade(prefix) | Amendment::Upgrade(prefix) if prefix.is_empty() => {
                return Err(Invalid::EmptyPrefix);
            }
            Amendment::Downgrade(prefix) | Amendment::Upgrade(prefix) if self.record.starts_with(prefix) => {
                return Err(Invalid::RecordContends);
            }
            Amendment::Downgrade(_) | Amendment::Upgrade(_) => {}
        }
        check_key(&self.record)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        Ok(Outcome::Amend(self.amend(ledger)?))
    }

    fn amend<L: Ledger>(&self, ledger: &mut L) -> Result<AmendOutcome, L::Fault> {
        let Some(kv) = ledger.get(&self.record)? else { return Ok(AmendOutcome::NotHeld) };
        let mut record = ClaimRecord::read(&kv.value);
        let token = token_of(&kv, &record, ledger)?;
        if self.token.is_some_and(|meant| meant != token) {
            return Ok(AmendOutcome::Stale { current: token });
        }
        match &self.change {
            Amendment::Meta(meta) => {
                record.meta = serde_json::from_slice(meta).ok();
                finish(kv, &record, token, ledger)
            }
            Amendment::Downgrade(prefix) => downgrade(prefix, kv, record, ledger),
            Amendment::Upgrade(prefix) => upgrade(prefix, kv, record, ledger),
        }
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.record);
        put_option(out, self.token.as_ref(), |out, token| out.put_i64_le(token.get()));
        let (tag, bytes) = match &self.change {
            Amendment::Meta(meta) => (0, meta),
            Amendment::Downgrade(prefix) => (1, prefix),
            Amendment::Upgrade(prefix) => (2, prefix),
        };
        out.put_u8(tag);
        put_bytes(out, bytes);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (record, token) = (get_bytes(from)?, get_option(from, get_revision)?);
        let change = match (get_u8(from)?, get_bytes(from)?) {
            (0, meta) => Amendment::Meta(meta),
            (1, prefix) => Amendment::Downgrade(prefix),
            (2, prefix) => Amendment::Upgrade(prefix),
            _ => return Err(malformed("unknown change of a claim")),
        };
        Ok(Self { record, token, change })
    }
}

/// Writes the record.
fn finish<L: Ledger>(
    kv: KeyValue,
    record: &ClaimRecord,
    token: Revision,
    ledger: &mut L,
) -> Result<AmendOutcome, L::Fault> {
    let value = record.write();
    ledger.put(kv.key, value.clone(), kv.lease)?;
    Ok(AmendOutcome::Amended { token, value })
}

/// The claim's place, if it is this one and holds.
fn held<L: Ledger>(place: &Place, kv: &KeyValue, ledger: &mut L) -> Result<Option<KeyValue>, L::Fault> {
    let Some(own) = ledger.get(&place.key(kv.lease))?.filter(|own| own.lease == kv.lease) else { return Ok(None) };
    let standing = place.standing(ledger, own.create_revision, &own.key)?;
    Ok(Some(own).filter(|_| standing == Standing::Granted))
}

fn downgrade<L: Ledger>(
    prefix: &Bytes,
    kv: KeyValue,
    mut record: ClaimRecord,
    ledger: &mut L,
) -> Result<AmendOutcome, L::Fault> {
    let writer = held(&Place::Writer { prefix: prefix.clone() }, &kv, ledger)?;
    let Some(writer) = writer else {
        let reader = held(&Place::Reader { prefix: prefix.clone() }, &kv, ledger)?;
        return Ok(match reader {
            Some(reader) => AmendOutcome::Amended { token: reader.create_revision, value: kv.value },
            None => AmendOutcome::NotPossible,
        });
    };
    if record.shared.is_some() {
        return Ok(AmendOutcome::Amended { token: writer.create_revision, value: kv.value });
    }
    let shared = contender_key(&sharers(prefix), kv.lease);
    record.shared = Some(String::from_utf8_lossy(&shared).into_owned());
    ledger.put(shared, Bytes::new(), kv.lease)?;
    finish(kv, &record, writer.create_revision, ledger)
}

fn upgrade<L: Ledger>(
    prefix: &Bytes,
    kv: KeyValue,
    mut record: ClaimRecord,
    ledger: &mut L,
) -> Result<AmendOutcome, L::Fault> {
    let writer = Place::Writer { prefix: prefix.clone() };
    if let Some(own) = held(&writer, &kv, ledger)? {
        let Some(shared) = record.shared.take() else {
            return Ok(AmendOutcome::Amended { token: own.create_revision, value: kv.value });
        };
        if writer.census(ledger)?.holders > 1 {
            return Ok(AmendOutcome::NotPossible);
        }
        if let Some(marker) = ledger.get(shared.as_bytes())? {
            ledger.delete(&marker.key)?;
        }
        return finish(kv, &record, own.create_revision, ledger);
    }
    let reader = held(&Place::Reader { prefix: prefix.clone() }, &kv, ledger)?;
    let alone = writer.census(ledger)?.places == 1;
    let Some(reader) = reader.filter(|_| alone) else { return Ok(AmendOutcome::NotPossible) };
    let (key, revision) = (writer.key(kv.lease), ledger.revision());
    record.keys = vec![String::from_utf8_lossy(&key).into_owned()];
    ledger.delete(&reader.key)?;
    ledger.put(key, reader.value, kv.lease)?;
    finish(kv, &record, revision, ledger)
}

#[cfg(test)]
#[path = "amend_tests.rs"]
mod tests;
