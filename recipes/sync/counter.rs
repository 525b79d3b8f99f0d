//! The counter: a key with a decimal number. One command adds and checks the bounds, so nobody has to try again.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId, Revision};

use super::write;
use crate::Ledger;
use crate::codec::{CodecError, get_bytes, get_i64, get_option, get_revision, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};

/// Adds to a counter. One that does not exist is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// Its key.
    pub key: Bytes,
    /// How much; may be negative.
    pub by: i64,
    /// Least that may come of it.
    pub min: Option<i64>,
    /// Most that may come of it.
    pub max: Option<i64>,
}

/// Gives a counter a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCounter {
    /// Its key.
    pub key: Bytes,
    /// The value.
    pub value: i64,
    /// Only if the key was last written then; zero: only if it does not exist.
    pub expect: Option<Revision>,
}

/// What came of changing a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CounterOutcome {
    /// It has this value now.
    Changed {
        /// The value.
        value: i64,
        /// The key.
        counter: KeyValue,
    },
    /// The sum would be out of bounds. Nothing was written.
    OutOfBounds {
        /// The value as it is.
        value: i64,
    },
    /// The key was written at another revision. Nothing was written.
    Conflict {
        /// At which; zero if it does not exist.
        current: Revision,
    },
    /// What is in the key is not a number. Nothing was written.
    NotANumber,
}

/// The number in a counter's key, if it is one, in the one way to write it.
#[must_use]
pub fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn changed<L: Ledger>(
    ledger: &mut L,
    before: Option<&KeyValue>,
    key: &Bytes,
    value: i64,
) -> Result<CounterOutcome, L::Fault> {
    let lease = before.map_or(LeaseId::NONE, |kv| kv.lease);
    let counter = write(ledger, before, key.clone(), value.to_string().into(), lease)?;
    Ok(CounterOutcome::Changed { value, counter })
}

impl Increment {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_key(&self.key)
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<CounterOutcome, L::Fault> {
        let before = ledger.get(&self.key)?;
        let value = match &before {
            None => 0,
            Some(kv) => match number(&kv.value) {
                Some(value) => value,
                None => return Ok(CounterOutcome::NotANumber),
            },
        };
        let sum = value.checked_add(self.by);
        let (min, max) = (self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX));
        match sum.filter(|sum| (min..=max).contains(sum)) {
            Some(sum) => changed(ledger, before.as_ref(), &self.key, sum),
            None => Ok(CounterOutcome::OutOfBounds { value }),
        }
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        out.put_i64_le(self.by);
        for bound in [self.min, self.max] {
            put_option(out, bound.as_ref(), |out, bound| out.put_i64_le(*bound));
        }
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (key, by) = (get_bytes(from)?, get_i64(from)?);
        Ok(Self { key, by, min: get_option(from, get_i64)?, max: get_option(from, get_i64)? })
    }
}

impl SetCounter {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_key(&self.key)
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<CounterOutcome, L::Fault> {
        let before = ledger.get(&self.key)?;
        let current = before.as_ref().map_or(Revision::ZERO, |kv| kv.mod_revision);
        if self.expect.is_some_and(|expected| expected != current) {
            return Ok(CounterOutcome::Conflict { current });
        }
        changed(ledger, before.as_ref(), &self.key, self.value)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        out.put_i64_le(self.value);
        put_option(out, self.expect.as_ref(), |out, expected| out.put_i64_le(expected.get()));
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (key, value) = (get_bytes(from)?, get_i64(from)?);
        Ok(Self { key, value, expect: get_option(from, get_revision)? })
    }
}
