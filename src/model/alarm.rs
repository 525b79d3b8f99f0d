//! Alarms: what the whole cluster is told to be careful about, until somebody says that it is over.

use std::fmt;

use crate::MemberId;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The space that a member may use is used up: nothing that takes more is admitted.
    NoSpace,
    /// A member's data differ from the others': nothing is admitted that would spread them.
    Corrupt,
}

impl AlarmKind {
    /// etcd's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::NoSpace => 1,
            Self::Corrupt => 2,
        }
    }

    /// The kind of that number.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::NoSpace),
            2 => Some(Self::Corrupt),
            _ => None,
        }
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        })
    }
}

/// Who raised an alarm, and so may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmCause {
    /// Somebody who asked for it: it stays until it is ended by request.
    Request,
    /// A member that looked: it may also end when the reason is gone.
    Watch,
}

/// An alarm. There is one of each kind for a member at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// With whom; zero if nobody can tell.
    pub member: MemberId,
    /// Who says so.
    pub cause: AlarmCause,
}

/// As etcd writes it in the errors of a member's status.
impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memberID:{} alarm:{}", self.member, self.kind)
    }
}

/// A change of the alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmChange {
    /// There is this alarm; a request takes over one that was raised by a watch.
    Raise(Alarm),
    /// There is none of this kind for this member.
    End {
        /// What was wrong.
        kind: AlarmKind,
        /// With whom.
        member: MemberId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_etcds() {
        for kind in [AlarmKind::NoSpace, AlarmKind::Corrupt] {
            assert_eq!(AlarmKind::of_number(kind.number()), Some(kind));
        }
        assert_eq!((AlarmKind::of_number(0), AlarmKind::of_number(3)), (None, None));
        let alarm = Alarm { kind: AlarmKind::NoSpace, member: MemberId::new(7), cause: AlarmCause::Watch };
        assert_eq!(alarm.to_string(), "memberID:7 alarm:NOSPACE");
    }
}
