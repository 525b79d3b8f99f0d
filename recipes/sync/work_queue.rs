//! The work queue: messages in the order in which they came, each on loan to one consumer until that says what became of it.
//!
//! ```text
//! <messages><id>   a message, raw; its version is one more than the times it was taken
//! <holds><id>      it cannot be taken now: on the lease of the consumer that has it, or of a delay that has not passed
//! <dead><id>       a message of another queue, that of dead letters
//! ```
//!
//! - Taking a message lends it (T36): when the consumer's lease ends, the hold goes with it, and the message can be taken again.
//! - A loan has a token, the create revision of its hold. A consumer that lost its loan settles nothing any more.
//! - All time is that of leases, so the log alone decides what can be taken when.
//! - A message that was taken as often as the queue allows, and was never settled, is a dead letter the next time it would be taken.
//!
//! The keys of messages are those of etcd's recipe: its consumers take by deleting, and so at most once.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId, Revision};

use super::{Absent, absent, below, fields, open, write};
use crate::codec::{CodecError, get_bytes, get_option, get_revision, get_u8, malformed, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};
use crate::{Ledger, OpenSession, Session};

/// Most messages that one taking finds dead; the next taking goes on from there.
const DEAD_AT_ONCE: usize = 16;

/// Value of a hold that is a delay.
const DELAY: &[u8] = b"delay";

/// Puts a message in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// What the keys of messages begin with; not empty.
    pub messages: Bytes,
    /// What the keys of holds begin with; not empty.
    pub holds: Bytes,
    /// The message.
    pub value: Bytes,
    /// A lease of its own, after whose end the message can be taken.
    pub delay: Option<OpenSession>,
}

/// Takes the oldest message that can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// What the keys of messages begin with; not empty.
    pub messages: Bytes,
    /// What the keys of holds begin with; not empty.
    pub holds: Bytes,
    /// What the keys of dead letters begin with; not empty.
    pub dead: Bytes,
    /// Key with the most times that a message is taken; without it there is no limit.
    pub attempts_max: Bytes,
    /// For whom: the loan lasts as long as this session, which may be a lease for this one loan.
    pub session: Session,
}

/// Says what became of a message on loan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The message's key.
    pub message: Bytes,
    /// The hold's key.
    pub hold: Bytes,
    /// The loan: create revision of the hold.
    pub token: Revision,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done with.
    Done,
    /// It can be taken again: at once, or after the end of a lease of its own.
    Return {
        /// That lease.
        delay: Option<OpenSession>,
    },
}

/// What came of taking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOutcome {
    /// A message is on loan.
    Taken {
        /// The message.
        message: KeyValue,
        /// The hold: its create revision is the loan's token.
        hold: KeyValue,
        /// How often the message was taken, this time included.
        attempt: u64,
    },
    /// There is none that can be taken.
    Empty {
        /// Whether there may be one nonetheless, behind those that were found dead.
        try_again: bool,
    },
    /// The session cannot take part. Nothing was written.
    Absent(Absent),
}

/// What came of settling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    /// So it is.
    Settled,
    /// The loan is over: settled, or its lease ended. Nothing was written.
    Lost,
}

/// Whether the value of a hold says that it is a delay, and not a loan.
#[must_use]
pub fn is_delay(value: &[u8]) -> bool {
    value == DELAY
}

fn check_prefixes(prefixes: &[&Bytes]) -> Result<(), Invalid> {
    for (at, prefix) in prefixes.iter().enumerate() {
        if prefix.is_empty() {
            return Err(Invalid::EmptyPrefix);
        }
        let nests = |other: &&Bytes| other.starts_with(prefix) || prefix.starts_with(other);
        if prefixes[at + 1..].iter().any(nests) {
            return Err(Invalid::RecordContends);
        }
        check_key(&below(prefix, &[b'0'; ID_BYTES]))?;
    }
    Ok(())
}

/// Length of an id.
const ID_BYTES: usize = 16;

/// A message is called after the revision at which it came, so that names are in order.
fn id(revision: Revision) -> String {
    format!("{:016}", revision.get())
}

fn delay_is_plain(delay: Option<&OpenSession>) -> Result<(), Invalid> {
    match delay {
        Some(OpenSession { record: Some(_), .. }) => Err(Invalid::RecordContends),
        Some(lease) => lease.check(),
        None => Ok(()),
    }
}

impl Send {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_prefixes(&[&self.messages, &self.holds])?;
        delay_is_plain(self.delay.as_ref())
    }

    /// A delay whose lease exists already is none: the id was chosen for this message, and is never in use.
    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<KeyValue, L::Fault> {
        let id = id(ledger.revision());
        let key = below(&self.messages, id.as_bytes());
        let before = ledger.get(&key)?;
        let delay = self.delay.as_ref().filter(|delay| ledger.lease_ttl(delay.lease).is_none());
        if let Some(delay) = delay {
            delay.write(ledger)?;
            ledger.put(below(&self.holds, id.as_bytes()), Bytes::from_static(DELAY), delay.lease)?;
        }
        write(ledger, before.as_ref(), key, self.value.clone(), LeaseId::NONE)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.messages);
        put_bytes(out, &self.holds);
        put_bytes(out, &self.value);
        put_option(out, self.delay.as_ref(), |out, delay| delay.put(out));
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (messages, holds, value) = (get_bytes(from)?, get_bytes(from)?, get_bytes(from)?);
        Ok(Self { messages, holds, value, delay: get_option(from, OpenSession::get)? })
    }
}

impl Take {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_prefixes(&[&self.messages, &self.holds, &self.dead])?;
        let is_inside = |key: &Bytes| [&self.messages, &self.holds, &self.dead].iter().any(|at| key.starts_with(at));
        if is_inside(&self.attempts_max) {
            return Err(Invalid::RecordContends);
        }
        if let Session::New(open) = &self.session
            && open.record.as_ref().is_some_and(|record| is_inside(&record.key))
        {
            return Err(Invalid::RecordContends);
        }
        check_key(&self.attempts_max)?;
        self.session.check()
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<TakeOutcome, L::Fault> {
        if let Some(absent) = absent(&self.session, ledger) {
            return Ok(TakeOutcome::Absent(absent));
        }
        let attempts_max = self.attempts_max(ledger)?;
        let mut dead = Vec::new();
        let mut taken = None;
        let open_messages = self.open_messages(ledger)?;
        let may_be_more = open_messages.len() > DEAD_AT_ONCE;
        for key in open_messages {
            let Some(message) = ledger.get(&key)? else { continue };
            if times_taken(&message) < attempts_max {
                taken = Some(message);
                break;
            }
            dead.push(message);
        }
        let id_of = |message: &KeyValue| message.key.slice(self.messages.len()..);
        for letter in &dead {
            ledger.delete(&letter.key)?;
            ledger.put(below(&self.dead, &id_of(letter)), letter.value.clone(), LeaseId::NONE)?;
        }
        let Some(before) = taken else { return Ok(TakeOutcome::Empty { try_again: may_be_more && !dead.is_empty() }) };
        open(ledger, &self.session)?;
        let attempt = times_taken(&before) + 1;
        let hold = below(&self.holds, &id_of(&before));
        let hold = write(ledger, None, hold, attempt.to_string().into(), self.session.lease())?;
        let message = write(ledger, Some(&before), before.key.clone(), before.value.clone(), before.lease)?;
        Ok(TakeOutcome::Taken { message, hold, attempt })
    }

    fn attempts_max<L: Ledger>(&self, ledger: &L) -> Result<u64, L::Fault> {
        let setting = ledger.get(&self.attempts_max)?.and_then(|kv| fields::read(&kv.value));
        Ok(setting.map_or(u64::MAX, |[attempts]| attempts.max(1)))
    }

    /// The oldest messages that nobody holds, as many as one taking looks at.
    fn open_messages<L: Ledger>(&self, ledger: &mut L) -> Result<Vec<Bytes>, L::Fault> {
        let holds = ledger.contenders(&self.holds)?;
        let held: BTreeSet<Bytes> = holds.iter().map(|hold| hold.key.slice(self.holds.len()..)).collect();
        let messages = ledger.contenders(&self.messages)?.iter();
        // Another client may have called its message anything: what no key can be made of is never taken.
        let fits = |name: &[u8]| [&self.holds, &self.dead].iter().all(|at| check_key(&below(at, name)).is_ok());
        let open = messages.filter(|message| {
            let name = &message.key[self.messages.len()..];
            !held.contains(name) && fits(name)
        });
        Ok(open.take(DEAD_AT_ONCE + 1).map(|message| message.key.clone()).collect())
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        for bytes in [&self.messages, &self.holds, &self.dead, &self.attempts_max] {
            put_bytes(out, bytes);
        }
        self.session.put(out);
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (messages, holds, dead) = (get_bytes(from)?, get_bytes(from)?, get_bytes(from)?);
        Ok(Self { messages, holds, dead, attempts_max: get_bytes(from)?, session: Session::get(from)? })
    }
}

/// Each taking writes the message once more.
fn times_taken(message: &KeyValue) -> u64 {
    u64::try_from(message.version - 1).unwrap_or(0)
}

impl Settle {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_key(&self.message)?;
        check_key(&self.hold)?;
        if self.message == self.hold {
            return Err(Invalid::RecordContends);
        }
        match &self.verdict {
            Verdict::Done => Ok(()),
            Verdict::Return { delay } => delay_is_plain(delay.as_ref()),
        }
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<SettleOutcome, L::Fault> {
        let hold = ledger.get(&self.hold)?;
        let Some(hold) = hold.filter(|hold| hold.create_revision == self.token && hold.value != DELAY) else {
            return Ok(SettleOutcome::Lost);
        };
        match &self.verdict {
            Verdict::Done => {
                let is_there = ledger.get(&self.message)?.is_some();
                ledger.delete(&hold.key)?;
                if is_there {
                    ledger.delete(&self.message)?;
                }
            }
            Verdict::Return { delay: Some(delay) } if ledger.lease_ttl(delay.lease).is_none() => {
                delay.write(ledger)?;
                ledger.put(hold.key, Bytes::from_static(DELAY), delay.lease)?;
            }
            Verdict::Return { .. } => ledger.delete(&hold.key)?,
        }
        Ok(SettleOutcome::Settled)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.message);
        put_bytes(out, &self.hold);
        out.put_i64_le(self.token.get());
        match &self.verdict {
            Verdict::Done => out.put_u8(0),
            Verdict::Return { delay } => {
                out.put_u8(1);
                put_option(out, delay.as_ref(), |out, delay| delay.put(out));
            }
        }
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (message, hold, token) = (get_bytes(from)?, get_bytes(from)?, get_revision(from)?);
        let verdict = match get_u8(from)? {
            0 => Verdict::Done,
            1 => Verdict::Return { delay: get_option(from, OpenSession::get)? },
            _ => return Err(malformed("unknown verdict")),
        };
        Ok(Self { message, hold, token, verdict })
    }
}
