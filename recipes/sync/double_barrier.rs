//! The double barrier, in the layout of etcd's recipe: `<prefix>waiters/<lease in hex>` for each party, `<prefix>ready` once all
//! are there.
//!
//! - Each round has a generation, remembered beside the layout, so that a party that looks late still learns that its round became
//!   ready, and nobody enters a round that others are leaving (T26).
//! - A party whose session ends before all are there lowers their number; after that it counts as one that left.
//! - The party that is one too many is refused and writes nothing.
//! - A round begins when a party enters where nobody is, so what a round left behind, because the last of its parties ended with
//!   their sessions, is cleared up then.
//!
//! Parties of etcd's own recipe count like any other; the generation is safe only among those that come through this one.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId};

use super::{Absent, SyncOutcome, absent, below, fields, write_party};
use crate::codec::{CodecError, get_bytes, get_i64, get_lease, get_option, get_u32, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};
use crate::session::check_lease;
use crate::{Ledger, Session, contender_key};

/// Enters a round, or returns how the round stands that the session is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enter {
    /// What the keys of the barrier begin with; not empty.
    pub prefix: Bytes,
    /// Where its rounds are remembered.
    pub record: Bytes,
    /// Who enters.
    pub session: Session,
    /// How many make it ready: at least 1, and the same for all parties of a round.
    pub count: u32,
}

/// Leaves a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// What the keys of the barrier begin with; not empty.
    pub prefix: Bytes,
    /// Where its rounds are remembered.
    pub record: Bytes,
    /// Who leaves.
    pub lease: LeaseId,
    /// Which round; `None` is the present one. One that is over was left by all.
    pub generation: Option<u64>,
}

/// What came of entering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnterOutcome {
    /// Not all are there yet.
    Entering {
        /// The party's key.
        party: KeyValue,
        /// Whether this command made it.
        is_new: bool,
        /// The round.
        generation: u64,
        /// How many are there.
        present: usize,
    },
    /// All are there, or were.
    Ready {
        /// The party's key.
        party: KeyValue,
        /// Whether this command made it.
        is_new: bool,
        /// The round.
        generation: u64,
    },
    /// All are there without this one. Nothing was written.
    Full {
        /// The round.
        generation: u64,
    },
    /// The others of the round wait for another number of parties. Nothing was written.
    Mismatch {
        /// How many they wait for.
        count: u64,
    },
    /// The session cannot take part. Nothing was written.
    Absent(Absent),
}

/// What is remembered of a double barrier's rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The present round, counted from 1; 0 before the first.
    pub generation: u64,
    /// How many parties make it ready; 0 if no party of this recipe has said.
    pub count: u64,
    /// The last round that became ready; 0 if none has.
    pub ready: u64,
}

impl Round {
    /// The round in the value of a record; what other clients wrote there says nothing.
    #[must_use]
    pub fn read(value: &[u8]) -> Self {
        let [generation, count, ready] = fields::read(value).unwrap_or_default();
        Self { generation, count, ready }
    }

    fn of<L: Ledger>(ledger: &L, record: &[u8]) -> Result<Self, L::Fault> {
        Ok(ledger.get(record)?.map_or_else(Self::default, |kv| Self::read(&kv.value)))
    }

    fn write(self) -> Bytes {
        fields::write([self.generation, self.count, self.ready])
    }
}

fn waiters(prefix: &Bytes) -> Bytes {
    below(prefix, b"waiters/")
}

fn ready_key(prefix: &Bytes) -> Bytes {
    below(prefix, b"ready")
}

fn check(prefix: &Bytes, record: &Bytes, lease: LeaseId) -> Result<(), Invalid> {
    if prefix.is_empty() {
        return Err(Invalid::EmptyPrefix);
    }
    if record.starts_with(prefix) {
        return Err(Invalid::RecordContends);
    }
    check_key(record)?;
    check_key(&contender_key(&waiters(prefix), lease))
}

impl Enter {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.session.check()?;
        if let Session::New(open) = &self.session
            && open.record.as_ref().is_some_and(|own| own.key.starts_with(&self.prefix) || own.key == self.record)
        {
            return Err(Invalid::RecordContends);
        }
        if self.count == 0 {
            return Err(Invalid::CountOutOfRange);
        }
        check(&self.prefix, &self.record, self.session.lease())
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<EnterOutcome, L::Fault> {
        let waiters = waiters(&self.prefix);
        let (key, count) = (contender_key(&waiters, self.session.lease()), u64::from(self.count));
        let round = Round::of(ledger, &self.record)?;
        let is_ready = ledger.get(&ready_key(&self.prefix))?.is_some();
        let party = ledger.get(&key)?;
        let present = ledger.contenders(&waiters)?.len();
        let others = present - usize::from(party.is_some());
        if round.count != count && round.count != 0 && others > 0 {
            return Ok(EnterOutcome::Mismatch { count: round.count });
        }
        let generation = round.generation;
        match party {
            Some(party) if is_ready => return Ok(EnterOutcome::Ready { party, is_new: false, generation }),
            Some(party) if (present as u64) < count => {
                if round.count != count {
                    ledger.put(self.record.clone(), Round { count, ..round }.write(), LeaseId::NONE)?;
                }
                return Ok(EnterOutcome::Entering { party, is_new: false, generation, present });
            }
            // The only party there is lowered the number to what is there.
            Some(party) => {
                self.make_ready(ledger, Round { count, ..round })?;
                return Ok(EnterOutcome::Ready { party, is_new: false, generation });
            }
            None => {}
        }
        if let Some(absent) = absent(&self.session, ledger) {
            return Ok(EnterOutcome::Absent(absent));
        }
        if present > 0 && (is_ready || present as u64 >= count) {
            return Ok(EnterOutcome::Full { generation });
        }
        let begins = present == 0 || generation == 0;
        let round = Round { generation: generation + u64::from(begins), count, ready: round.ready };
        let party = write_party(ledger, &self.session, key, Bytes::new())?;
        let (generation, present) = (round.generation, present + 1);
        if present as u64 == count {
            self.make_ready(ledger, round)?;
            return Ok(EnterOutcome::Ready { party, is_new: true, generation });
        }
        if is_ready {
            ledger.delete(&ready_key(&self.prefix))?;
        }
        ledger.put(self.record.clone(), round.write(), LeaseId::NONE)?;
        Ok(EnterOutcome::Entering { party, is_new: true, generation, present })
    }

    fn make_ready<L: Ledger>(&self, ledger: &mut L, round: Round) -> Result<(), L::Fault> {
        let round = Round { ready: round.generation, ..round };
        ledger.put(ready_key(&self.prefix), round.generation.to_string().into(), LeaseId::NONE)?;
        ledger.put(self.record.clone(), round.write(), LeaseId::NONE)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        put_bytes(out, &self.record);
        self.session.put(out);
        out.put_u32_le(self.count);
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (prefix, record) = (get_bytes(from)?, get_bytes(from)?);
        Ok(Self { prefix, record, session: Session::get(from)?, count: get_u32(from)? })
    }
}

impl Leave {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_lease(self.lease)?;
        check(&self.prefix, &self.record, self.lease)
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<SyncOutcome, L::Fault> {
        let waiters = waiters(&self.prefix);
        let key = contender_key(&waiters, self.lease);
        let round = Round::of(ledger, &self.record)?;
        let generation = self.generation.unwrap_or(round.generation);
        if generation != round.generation {
            let was_ready = generation <= round.ready;
            return Ok(SyncOutcome::Left { generation, remaining: 0, was_ready });
        }
        let ready = ready_key(&self.prefix);
        let is_ready = ledger.get(&ready)?.is_some();
        let was_ready = is_ready || round.ready == generation;
        let is_there = ledger.get(&key)?.is_some();
        let remaining = ledger.contenders(&waiters)?.len() - usize::from(is_there);
        if is_there {
            ledger.delete(&key)?;
            if remaining == 0 && is_ready {
                ledger.delete(&ready)?;
            }
        }
        Ok(SyncOutcome::Left { generation, remaining, was_ready })
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        put_bytes(out, &self.record);
        out.put_i64_le(self.lease.get());
        put_option(out, self.generation.as_ref(), |out, generation| out.put_u64_le(*generation));
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (prefix, record, lease) = (get_bytes(from)?, get_bytes(from)?, get_lease(from)?);
        let generation = get_option(from, |from| Ok(get_i64(from)?.cast_unsigned()))?;
        Ok(Self { prefix, record, lease, generation })
    }
}
