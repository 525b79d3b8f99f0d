//! Alarms, kept as facts: which commands they refuse is decided here, from the log alone, so that all members refuse the same.

use bytes::{BufMut, Bytes, BytesMut};
use model::{Alarm, AlarmCause, AlarmChange, AlarmKind, Command, MemberId, Rejection};

use crate::Fault;
use crate::facts::{FactBook, Facts};

/// What the names of alarms begin with; kind and member follow. The value says who raised it.
const PREFIX: &[u8] = b"alarm/";

/// The kinds of alarm that there are, to be asked with every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alarms {
    no_space: bool,
    corrupt: bool,
}

impl Alarms {
    /// Those among `facts`.
    pub(crate) fn of(facts: &Facts) -> Result<Self, Fault> {
        let alarms = list(facts)?;
        let has = |kind| alarms.iter().any(|alarm| alarm.kind == kind);
        Ok(Self { no_space: has(AlarmKind::NoSpace), corrupt: has(AlarmKind::Corrupt) })
    }

    /// Refuses a command that an alarm stands against.
    pub(crate) fn check(self, command: &Command) -> Result<(), Rejection> {
        let is_of_client = match command {
            Command::Put(_)
            | Command::Delete(_)
            | Command::Txn(_)
            | Command::Recipe(_)
            | Command::Compact { .. }
            | Command::LeaseGrant { .. }
            | Command::LeaseRevoke { .. } => true,
            Command::LeaseCheckpoint(_) | Command::Alarm(_) | Command::Auth(_) | Command::Downgrade { .. } => false,
        };
        if self.corrupt && is_of_client {
            return Err(Rejection::Corrupt);
        }
        if self.no_space && command.cost() > 0 {
            return Err(Rejection::NoSpace);
        }
        Ok(())
    }

    /// Whether what takes space is refused. Of a recipe it shows only when it is executed.
    pub(crate) const fn is_space_used_up(self) -> bool {
        self.no_space
    }
}

/// All alarms among `facts`, by kind and member.
pub(crate) fn list(facts: &Facts) -> Result<Vec<Alarm>, Fault> {
    facts.under(PREFIX).map(|(name, value)| decode(name, value)).collect()
}

/// Changes the alarms and returns the one that the change is about, if there is or was one.
pub(crate) fn change(book: &mut FactBook, change: AlarmChange) -> Result<Option<Alarm>, Fault> {
    match change {
        AlarmChange::Raise(alarm) => {
            let name = name(alarm.kind, alarm.member);
            let known = book.facts().get(&name).map(|value| decode(&name, value)).transpose()?;
            match known {
                Some(known) if known.cause <= alarm.cause => Ok(Some(known)),
                Some(_) | None => {
                    book.set(name, Bytes::from_static(value(alarm.cause)));
                    Ok(Some(alarm))
                }
            }
        }
        AlarmChange::End { kind, member } => {
            let name = name(kind, member);
            let known = book.facts().get(&name).map(|value| decode(&name, value)).transpose()?;
            book.remove(&name);
            Ok(known)
        }
    }
}

fn name(kind: AlarmKind, member: MemberId) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX.len() + 9);
    out.put_slice(PREFIX);
    out.put_u8(kind.number());
    out.put_u64(member.get());
    out.freeze()
}

const fn value(cause: AlarmCause) -> &'static [u8] {
    match cause {
        AlarmCause::Request => &[0],
        AlarmCause::Watch => &[1],
    }
}

fn decode(name: &[u8], value: &[u8]) -> Result<Alarm, Fault> {
    const DAMAGED: Fault = Fault::Damaged("alarm");
    let (kind, member) = name.get(PREFIX.len()..).and_then(<[u8]>::split_first).ok_or(DAMAGED)?;
    let member = u64::from_be_bytes(member.try_into().map_err(|_| DAMAGED)?);
    let cause = match value {
        [0] => AlarmCause::Request,
        [1] => AlarmCause::Watch,
        _ => return Err(DAMAGED),
    };
    let kind = AlarmKind::of_number(*kind).ok_or(DAMAGED)?;
    Ok(Alarm { kind, member: MemberId::new(member), cause })
}
