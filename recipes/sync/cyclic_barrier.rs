//! The cyclic barrier: parties arrive and wait, the last one trips it, and it stands again for the next generation.
//!
//! `<prefix>parties/<lease in hex>` for each that waits, `<prefix>generation` with the present generation and the number of parties.
//! Tripping deletes the parties and raises the generation in one revision, so who waits for generation `g` to be over cannot miss
//! it, however late it looks. A party whose session ends is not waited for any more and has not arrived.
//!
//! A party that does not know whether it arrived names the generation that it meant: one that has tripped meanwhile is not mistaken
//! for the next.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId};

use super::{Absent, absent, below, fields, open, write_party};
use crate::codec::{CodecError, get_bytes, get_i64, get_option, get_u32, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};
use crate::{Ledger, Session, contender_key};

/// Arrives at a barrier, or returns how the generation stands that the session waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrive {
    /// What the keys of the barrier begin with; not empty.
    pub prefix: Bytes,
    /// Who arrives.
    pub session: Session,
    /// How many trip it: at least 1, and the same for all parties of a generation.
    pub parties: u32,
    /// The generation that is meant; `None` is the present one.
    pub generation: Option<u64>,
}

/// What came of arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArriveOutcome {
    /// Not all are there yet.
    Waiting {
        /// The party's key.
        party: KeyValue,
        /// Whether this command made it.
        is_new: bool,
        /// The generation.
        generation: u64,
        /// How many are there.
        arrived: usize,
    },
    /// All were there.
    Tripped {
        /// The generation that is over.
        generation: u64,
    },
    /// The others wait for another number of parties. Nothing was written.
    Mismatch {
        /// How many they wait for.
        parties: u64,
    },
    /// The generation that is meant has not begun. Nothing was written.
    NotYet {
        /// The present one.
        generation: u64,
    },
    /// The session cannot take part. Nothing was written.
    Absent(Absent),
}

/// The present generation in the value of a cyclic barrier's record; what other clients wrote there says nothing.
#[must_use]
pub fn generation(value: &[u8]) -> Option<u64> {
    fields::read(value).map(|[generation, _parties]| generation)
}

impl Arrive {
    fn parties_prefix(&self) -> Bytes {
        below(&self.prefix, b"parties/")
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.prefix.is_empty() {
            return Err(Invalid::EmptyPrefix);
        }
        self.session.check()?;
        if let Session::New(open) = &self.session
            && open.record.as_ref().is_some_and(|record| record.key.starts_with(&self.prefix))
        {
            return Err(Invalid::RecordContends);
        }
        if self.parties == 0 {
            return Err(Invalid::CountOutOfRange);
        }
        check_key(&contender_key(&self.parties_prefix(), self.session.lease()))
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<ArriveOutcome, L::Fault> {
        let (record, prefix) = (below(&self.prefix, b"generation"), self.parties_prefix());
        let known = ledger.get(&record)?.and_then(|kv| fields::read(&kv.value));
        let [generation, parties] = known.unwrap_or([1, 0]);
        match self.generation {
            Some(meant) if meant < generation => return Ok(ArriveOutcome::Tripped { generation: meant }),
            Some(meant) if meant > generation => return Ok(ArriveOutcome::NotYet { generation }),
            Some(_) | None => {}
        }
        let key = contender_key(&prefix, self.session.lease());
        let party = ledger.get(&key)?;
        let waiting: Vec<Bytes> = ledger.contenders(&prefix)?.iter().map(|party| party.key.clone()).collect();
        let others = waiting.len() - usize::from(party.is_some());
        if others > 0 && parties != u64::from(self.parties) && parties != 0 {
            return Ok(ArriveOutcome::Mismatch { parties });
        }
        if party.is_none()
            && let Some(absent) = absent(&self.session, ledger)
        {
            return Ok(ArriveOutcome::Absent(absent));
        }
        let present = fields::write([generation, self.parties.into()]);
        if others + 1 >= self.parties as usize {
            if party.is_none() {
                open(ledger, &self.session)?;
            }
            ledger.put(record, fields::write([generation + 1, self.parties.into()]), LeaseId::NONE)?;
            waiting.iter().try_for_each(|party| ledger.delete(party))?;
            return Ok(ArriveOutcome::Tripped { generation });
        }
        let (arrived, is_new) = (others + 1, party.is_none());
        let party = match party {
            Some(party) => party,
            None => write_party(ledger, &self.session, key, Bytes::new())?,
        };
        if parties != u64::from(self.parties) {
            ledger.put(record, present, LeaseId::NONE)?;
        }
        Ok(ArriveOutcome::Waiting { party, is_new, generation, arrived })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        self.session.put(out);
        out.put_u32_le(self.parties);
        put_option(out, self.generation.as_ref(), |out, generation| out.put_u64_le(*generation));
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (prefix, session, parties) = (get_bytes(from)?, Session::get(from)?, get_u32(from)?);
        let generation = get_option(from, |from| Ok(get_i64(from)?.cast_unsigned()))?;
        Ok(Self { prefix, session, parties, generation })
    }
}
