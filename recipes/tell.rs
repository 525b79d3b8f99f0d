//! Telling a session something about one of its claims: that somebody would like it released.
//!
//! Nothing is taken away. The notice is a key on the session's lease, which its streams follow, and goes with the session.

use bytes::{BufMut, Bytes, BytesMut};
use model::Revision;

use crate::codec::{CodecError, get_bytes, get_option, get_revision, put_bytes, put_option};
use crate::give_up::token_of;
use crate::invalid::{Invalid, check_key};
use crate::{ClaimRecord, Ledger, Notice, Outcome};

/// Tells the session of a claim something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// The key of the claim's record.
    pub record: Bytes,
    /// Only if the claim has this token; `None` is whichever there is.
    pub token: Option<Revision>,
    /// What to tell.
    pub notice: Notice,
}

/// What came of telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TellOutcome {
    /// The session of this claim is told.
    Told {
        /// The claim's token.
        token: Revision,
    },
    /// There is no such claim.
    NotHeld,
    /// The session has a newer claim. Nothing was written.
    Stale {
        /// Token of the claim that there is.
        current: Revision,
    },
}

impl Tell {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.notice.check(&self.record)?;
        check_key(&self.record)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let Some(kv) = ledger.get(&self.record)? else { return Ok(Outcome::Tell(TellOutcome::NotHeld)) };
        let current = token_of(&kv, &ClaimRecord::read(&kv.value), ledger)?;
        if self.token.is_some_and(|token| token != current) {
            return Ok(Outcome::Tell(TellOutcome::Stale { current }));
        }
        self.notice.write(kv.lease, ledger)?;
        Ok(Outcome::Tell(TellOutcome::Told { token: current }))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.record);
        put_option(out, self.token.as_ref(), |out, token| out.put_i64_le(token.get()));
        self.notice.put(out);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { record: get_bytes(from)?, token: get_option(from, get_revision)?, notice: Notice::get(from)? })
    }
}
