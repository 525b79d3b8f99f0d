//! The group: a key `<prefix><lease in hex>` for each member, attached to its session, with a value of the member's own.

use bytes::{Bytes, BytesMut};
use model::KeyValue;

use super::{Absent, absent, write, write_party};
use crate::codec::{CodecError, get_bytes, put_bytes};
use crate::invalid::{Invalid, check_key};
use crate::{Ledger, Session, contender_key};

/// Joins a group, or changes the value of the member that the session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// What the keys of all members begin with; not empty.
    pub prefix: Bytes,
    /// Who joins.
    pub session: Session,
    /// What others shall know of it.
    pub value: Bytes,
}

/// What came of joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinOutcome {
    /// It is a member.
    Joined {
        /// The member's key.
        member: KeyValue,
        /// Whether this command made it.
        is_new: bool,
    },
    /// The session cannot take part. Nothing was written.
    Absent(Absent),
}

impl Join {
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
        check_key(&contender_key(&self.prefix, self.session.lease()))
    }

    pub(super) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<JoinOutcome, L::Fault> {
        let (key, lease) = (contender_key(&self.prefix, self.session.lease()), self.session.lease());
        let present = ledger.get(&key)?;
        if let Some(member) = present.as_ref().filter(|member| member.value == self.value && member.lease == lease) {
            return Ok(JoinOutcome::Joined { member: member.clone(), is_new: false });
        }
        match (present, absent(&self.session, ledger)) {
            // The session that was to be opened is open, and is the member: its first request has come before.
            (Some(before), None | Some(Absent::Conflict)) => {
                let member = write(ledger, Some(&before), key, self.value.clone(), lease)?;
                Ok(JoinOutcome::Joined { member, is_new: false })
            }
            (_, Some(absent)) => Ok(JoinOutcome::Absent(absent)),
            (None, None) => {
                let member = write_party(ledger, &self.session, key, self.value.clone())?;
                Ok(JoinOutcome::Joined { member, is_new: true })
            }
        }
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        self.session.put(out);
        put_bytes(out, &self.value);
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { prefix: get_bytes(from)?, session: Session::get(from)?, value: get_bytes(from)? })
    }
}
