//! Synchronisers: barriers, a latch, a counter, groups, a work queue. One recipe a file; their commands are one family in the log.
//!
//! What a recipe must remember beside the keys that stand for its parties is a text of decimal numbers under a key of its own, which
//! anybody can read. All of it decides by keys and leases alone: a party whose session ends is simply not there any more.

mod barrier;
mod counter;
mod cyclic_barrier;
mod double_barrier;
mod fields;
mod group;
mod latch;
mod work_queue;

pub use barrier::HoldBarrier;
pub use counter::{CounterOutcome, Increment, SetCounter, number};
pub use cyclic_barrier::{Arrive, ArriveOutcome, generation};
pub use double_barrier::{Enter, EnterOutcome, Leave, Round};
pub use group::{Join, JoinOutcome};
pub use latch::{CountDown, DropLatch, LATCH_COUNT_MAX, LatchOutcome, SetLatch, remaining};
pub use work_queue::{Send, Settle, SettleOutcome, Take, TakeOutcome, Verdict, is_delay};

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId};

use crate::codec::{CodecError, malformed};
use crate::invalid::Invalid;
use crate::{Ledger, Outcome, Session};

/// A command of a synchroniser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncCommand {
    /// Hold a barrier.
    HoldBarrier(HoldBarrier),
    /// Enter a double barrier.
    Enter(Enter),
    /// Leave a double barrier.
    Leave(Leave),
    /// Set up a latch.
    SetLatch(SetLatch),
    /// Count a latch down.
    CountDown(CountDown),
    /// Take a latch away.
    DropLatch(DropLatch),
    /// Arrive at a cyclic barrier.
    Arrive(Arrive),
    /// Add to a counter.
    Increment(Increment),
    /// Give a counter a value.
    SetCounter(SetCounter),
    /// Join a group.
    Join(Join),
    /// Put a message into a work queue.
    Send(Send),
    /// Take a message out of a work queue, on loan.
    Take(Take),
    /// Say what became of a message.
    Settle(Settle),
}

/// What came of a synchroniser's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// A barrier is held.
    Held {
        /// Its key.
        barrier: KeyValue,
        /// Whether this command made it.
        is_new: bool,
    },
    /// Of [`Enter`].
    Enter(EnterOutcome),
    /// Of [`Leave`]: the party is not there any more.
    Left {
        /// The generation that was left.
        generation: u64,
        /// How many of it have not left yet.
        remaining: usize,
        /// Whether it had become ready.
        was_ready: bool,
    },
    /// Of [`SetLatch`], [`CountDown`] and [`DropLatch`].
    Latch(LatchOutcome),
    /// Of [`Arrive`].
    Arrive(ArriveOutcome),
    /// Of [`Increment`] and [`SetCounter`].
    Counter(CounterOutcome),
    /// Of [`Join`].
    Join(JoinOutcome),
    /// Of [`Send`].
    Sent {
        /// The message.
        message: KeyValue,
    },
    /// Of [`Take`].
    Take(TakeOutcome),
    /// Of [`Settle`].
    Settle(SettleOutcome),
}

impl SyncCommand {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::HoldBarrier(hold) => hold.check(),
            Self::Enter(enter) => enter.check(),
            Self::Leave(leave) => leave.check(),
            Self::SetLatch(set) => set.check(),
            Self::CountDown(count) => count.check(),
            Self::DropLatch(drop) => drop.check(),
            Self::Arrive(arrive) => arrive.check(),
            Self::Increment(increment) => increment.check(),
            Self::SetCounter(set) => set.check(),
            Self::Join(join) => join.check(),
            Self::Send(send) => send.check(),
            Self::Take(take) => take.check(),
            Self::Settle(settle) => settle.check(),
        }
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        Ok(Outcome::Sync(match self {
            Self::HoldBarrier(hold) => hold.apply(ledger)?,
            Self::Enter(enter) => SyncOutcome::Enter(enter.apply(ledger)?),
            Self::Leave(leave) => leave.apply(ledger)?,
            Self::SetLatch(set) => SyncOutcome::Latch(set.apply(ledger)?),
            Self::CountDown(count) => SyncOutcome::Latch(count.apply(ledger)?),
            Self::DropLatch(drop) => SyncOutcome::Latch(drop.apply(ledger)?),
            Self::Arrive(arrive) => SyncOutcome::Arrive(arrive.apply(ledger)?),
            Self::Increment(increment) => SyncOutcome::Counter(increment.apply(ledger)?),
            Self::SetCounter(set) => SyncOutcome::Counter(set.apply(ledger)?),
            Self::Join(join) => SyncOutcome::Join(join.apply(ledger)?),
            Self::Send(send) => SyncOutcome::Sent { message: send.apply(ledger)? },
            Self::Take(take) => SyncOutcome::Take(take.apply(ledger)?),
            Self::Settle(settle) => SyncOutcome::Settle(settle.apply(ledger)?),
        }))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        match self {
            Self::HoldBarrier(hold) => hold.put(tagged(out, 25)),
            Self::Enter(enter) => enter.put(tagged(out, 26)),
            Self::Leave(leave) => leave.put(tagged(out, 27)),
            Self::SetLatch(set) => set.put(tagged(out, 28)),
            Self::CountDown(count) => count.put(tagged(out, 29)),
            Self::DropLatch(drop) => drop.put(tagged(out, 30)),
            Self::Arrive(arrive) => arrive.put(tagged(out, 31)),
            Self::Increment(increment) => increment.put(tagged(out, 32)),
            Self::SetCounter(set) => set.put(tagged(out, 33)),
            Self::Join(join) => join.put(tagged(out, 34)),
            Self::Send(send) => send.put(tagged(out, 35)),
            Self::Take(take) => take.put(tagged(out, 36)),
            Self::Settle(settle) => settle.put(tagged(out, 37)),
        }
    }

    /// The command of tag `tag`, 25 to 49.
    pub(crate) fn get(tag: u8, from: &mut Bytes) -> Result<Self, CodecError> {
        match tag {
            25 => HoldBarrier::get(from).map(Self::HoldBarrier),
            26 => Enter::get(from).map(Self::Enter),
            27 => Leave::get(from).map(Self::Leave),
            28 => SetLatch::get(from).map(Self::SetLatch),
            29 => CountDown::get(from).map(Self::CountDown),
            30 => DropLatch::get(from).map(Self::DropLatch),
            31 => Arrive::get(from).map(Self::Arrive),
            32 => Increment::get(from).map(Self::Increment),
            33 => SetCounter::get(from).map(Self::SetCounter),
            34 => Join::get(from).map(Self::Join),
            35 => Send::get(from).map(Self::Send),
            36 => Take::get(from).map(Self::Take),
            37 => Settle::get(from).map(Self::Settle),
            _ => Err(malformed("unknown command")),
        }
    }
}

fn tagged(out: &mut BytesMut, tag: u8) -> &mut BytesMut {
    out.put_u8(tag);
    out
}

/// Why a session cannot take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is no such session.
    Expired,
    /// The id of the session to be opened is in use.
    Conflict,
}

/// Whether a session can take part.
fn absent<L: Ledger>(session: &Session, ledger: &L) -> Option<Absent> {
    match (session, ledger.lease_ttl(session.lease())) {
        (Session::Existing(_), None) => Some(Absent::Expired),
        (Session::New(_), Some(_)) => Some(Absent::Conflict),
        (Session::Existing(_), Some(_)) | (Session::New(_), None) => None,
    }
}

/// Writes a party's key, which does not exist, and its session first if that is new.
fn write_party<L: Ledger>(ledger: &mut L, session: &Session, key: Bytes, value: Bytes) -> Result<KeyValue, L::Fault> {
    open(ledger, session)?;
    write(ledger, None, key, value, session.lease())
}

/// Opens the session if it is new.
fn open<L: Ledger>(ledger: &mut L, session: &Session) -> Result<(), L::Fault> {
    match session {
        Session::New(open) => open.write(ledger),
        Session::Existing(_) => Ok(()),
    }
}

/// Writes a key that was `before`, and says what it is then.
fn write<L: Ledger>(
    ledger: &mut L,
    before: Option<&KeyValue>,
    key: Bytes,
    value: Bytes,
    lease: LeaseId,
) -> Result<KeyValue, L::Fault> {
    let revision = ledger.revision();
    ledger.put(key.clone(), value.clone(), lease)?;
    let create_revision = before.map_or(revision, |kv| kv.create_revision);
    let version = before.map_or(0, |kv| kv.version) + 1;
    Ok(KeyValue { key, value, create_revision, mod_revision: revision, version, lease })
}

/// The key below `prefix` that is called `name`.
fn below(prefix: &[u8], name: &[u8]) -> Bytes {
    [prefix, name].concat().into()
}

#[cfg(test)]
mod tests;
