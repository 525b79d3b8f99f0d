//! The limit of a semaphore: state of the server, not an argument of its clients, who could not agree on one.
//!
//! Claims are served first come, first served: those at the front of the line hold that fit within the limit together. When the
//! limit falls below what is in use, nobody loses a permit; `settled` notes the last claim that held then, and new ones wait
//! until the line has drained.

use bytes::{BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};
use serde::{Deserialize, Serialize};

use crate::codec::{CodecError, get_bytes, get_u32, put_bytes};
use crate::invalid::{Invalid, check_key};
use crate::{Ledger, Outcome, Queue};

/// What the value of a semaphore's limit says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemaphoreLimit {
    /// How many permits there are.
    pub limit: u32,
    /// Claims up to this create revision hold whatever the limit is.
    #[serde(default)]
    settled: i64,
}

/// Gives a semaphore its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLimit {
    /// What all keys of its claims begin with; not empty.
    pub prefix: Bytes,
    /// The key of the limit, outside that prefix.
    pub key: Bytes,
    /// How many permits there shall be; with zero nobody gets any.
    pub limit: u32,
}

/// What came of setting a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOutcome {
    /// The limit before, if there was one. The same again: nothing was written.
    pub previous: Option<u32>,
}

impl SemaphoreLimit {
    /// The limit in a value; what cannot be read is a limit of zero.
    #[must_use]
    pub fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    fn write(self) -> Bytes {
        serde_json::to_vec(&self).expect("numbers are always JSON").into()
    }

    /// The last claim that holds whatever the limit is.
    pub(crate) fn settled(self) -> Revision {
        Revision::new(self.settled.clamp(0, i64::MAX - 1))
    }

    /// How many at the front of the line hold.
    pub(crate) fn holders(self, line: &Queue) -> usize {
        line.ahead_of(self.settled().next(), b"").max(line.within(u64::from(self.limit)))
    }
}

impl SetLimit {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.prefix.is_empty() {
            return Err(Invalid::EmptyPrefix);
        }
        if self.key.starts_with(&self.prefix) {
            return Err(Invalid::RecordContends);
        }
        check_key(&self.key)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let known = ledger.get(&self.key)?.map(|kv| SemaphoreLimit::read(&kv.value));
        let previous = known.map(|known| known.limit);
        if previous != Some(self.limit) {
            let line = ledger.contenders(&self.prefix)?;
            let holders = known.unwrap_or_default().holders(line);
            let last = holders.checked_sub(1).and_then(|ahead| line.nth(ahead));
            let settled = last.map_or(0, |last| last.create_revision.get());
            ledger.put(self.key.clone(), SemaphoreLimit { limit: self.limit, settled }.write(), LeaseId::NONE)?;
        }
        Ok(Outcome::Limit(LimitOutcome { previous }))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        put_bytes(out, &self.key);
        out.put_u32_le(self.limit);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { prefix: get_bytes(from)?, key: get_bytes(from)?, limit: get_u32(from)? })
    }
}
