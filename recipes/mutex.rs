//! The mutex, in the layout of etcd's own: one key `<prefix><lease in hex>` for each contender, attached to its lease; the
//! contender with the lowest create revision holds, and that revision is its fencing token.
//!
//! - Who holds is a function of the keys alone, decided by committed commands in log order: there is no second record to
//!   disagree with, and contenders that came as plain transactions stand in the same line.
//! - A session has one claim on a lock. Asking again returns that claim, place and token unchanged, and writes nothing.
//! - Tokens rise with every change of the holder, because the line is served in the order in which it was joined.
//! - A claim that is refused writes nothing, not even the session that was to be opened with it.
//!
//! The value of a claim is the claimant's to use; etcd's clients ignore it. A prefix is taken as it is and so by custom ends
//! with a slash: `a` is also the prefix of `ab/…`, and every key below counts, that of a nested lock too.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId, Revision};

use crate::codec::{
    CodecError, get_bytes, get_option, get_revision, get_u8, get_u32, malformed, put_bytes, put_option,
};
use crate::invalid::{Invalid, check_key};
use crate::{Contender, Ledger, Outcome, Session};

/// Claims a lock for a session, or returns the claim that the session has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// What the keys of all contenders begin with; not empty.
    pub prefix: Bytes,
    /// For whom.
    pub session: Session,
    /// What to do when another holds the lock.
    pub enqueue: Enqueue,
    /// Value of the claim's key, when the claim is new.
    pub value: Bytes,
}

/// What to do when another contender holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueue {
    /// Give up.
    TryOnly,
    /// Stand in line, unless so many are waiting already; the holder does not count.
    Enqueue {
        /// Most that may wait, this contender included; `None` is no bound.
        waiting_max: Option<u32>,
    },
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcquireOutcome {
    /// The session holds the lock.
    Granted {
        /// The claim; its create revision is the fencing token.
        claim: KeyValue,
        /// Whether this command made the claim.
        is_new: bool,
    },
    /// The session stands in line.
    Queued {
        /// The claim; its create revision will be the fencing token.
        claim: KeyValue,
        /// Whether this command made the claim.
        is_new: bool,
        /// How many come before it, the holder included: 1 for the first in line.
        ahead: usize,
        /// Who holds.
        holder: KeyValue,
    },
    /// Another holds and the claimant would not wait. Nothing was written.
    Busy {
        /// Who holds.
        holder: KeyValue,
    },
    /// The line is as long as the claimant would accept. Nothing was written.
    QueueFull {
        /// Who holds.
        holder: KeyValue,
        /// How many wait, the holder not included.
        waiting: usize,
    },
    /// No such session: it expired, was closed, or never was. Nothing was written.
    SessionExpired,
    /// The session to be opened exists and has no claim on this lock. Nothing was written.
    SessionConflict,
}

/// Gives a claim up, held or waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The claim's key.
    pub key: Bytes,
    /// Only the claim of this token; `None` takes whichever there is.
    pub token: Option<Revision>,
}

/// What came of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// The claim is gone by this command.
    Released {
        /// Its token.
        token: Revision,
    },
    /// There was no claim: it was released before, or its session ended.
    NotHeld,
    /// The session has a newer claim, which stays.
    Stale {
        /// Token of the claim that there is.
        current: Revision,
    },
}

/// The key of a session's claim: the prefix and the lease in lower-case hexadecimal without padding, as etcd's clients write it.
#[must_use]
pub fn contender_key(prefix: &[u8], lease: LeaseId) -> Bytes {
    [prefix, format!("{:x}", lease.get()).as_bytes()].concat().into()
}

impl Acquire {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
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

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let key = contender_key(&self.prefix, self.session.lease());
        let outcome = match ledger.get(&key)? {
            Some(claim) => self.present(claim, ledger)?,
            None => self.claim(key, ledger)?,
        };
        Ok(Outcome::Acquire(outcome))
    }

    /// The state of a claim that there is.
    fn present<L: Ledger>(&self, claim: KeyValue, ledger: &mut L) -> Result<AcquireOutcome, L::Fault> {
        let queue = ledger.contenders(&self.prefix)?;
        let ahead = queue.ahead_of(claim.create_revision, &claim.key);
        let head = queue.head().cloned();
        Ok(match head.filter(|_| ahead > 0) {
            None => AcquireOutcome::Granted { claim, is_new: false },
            Some(head) => AcquireOutcome::Queued { claim, is_new: false, ahead, holder: holder(ledger, &head)? },
        })
    }

    /// Makes a claim, if session, holder and line allow.
    fn claim<L: Ledger>(&self, key: Bytes, ledger: &mut L) -> Result<AcquireOutcome, L::Fault> {
        match (&self.session, ledger.lease_ttl(self.session.lease())) {
            (Session::Existing(_), None) => return Ok(AcquireOutcome::SessionExpired),
            (Session::New(_), Some(_)) => return Ok(AcquireOutcome::SessionConflict),
            (Session::Existing(_), Some(_)) | (Session::New(_), None) => {}
        }
        let queue = ledger.contenders(&self.prefix)?;
        let ahead = queue.len();
        let Some(head) = queue.head().cloned() else {
            return Ok(AcquireOutcome::Granted { claim: self.write(key, ledger)?, is_new: true });
        };
        let holder = holder(ledger, &head)?;
        let waiting = ahead - 1;
        match self.enqueue {
            Enqueue::TryOnly => return Ok(AcquireOutcome::Busy { holder }),
            Enqueue::Enqueue { waiting_max: Some(max) } if waiting >= max as usize => {
                return Ok(AcquireOutcome::QueueFull { holder, waiting });
            }
            Enqueue::Enqueue { .. } => {}
        }
        Ok(AcquireOutcome::Queued { claim: self.write(key, ledger)?, is_new: true, ahead, holder })
    }

    /// Writes the claim, its session first if that is new.
    fn write<L: Ledger>(&self, key: Bytes, ledger: &mut L) -> Result<KeyValue, L::Fault> {
        if let Session::New(open) = &self.session {
            open.write(ledger)?;
        }
        let (value, lease, revision) = (self.value.clone(), self.session.lease(), ledger.revision());
        ledger.put(key.clone(), value.clone(), lease)?;
        Ok(KeyValue { key, value, create_revision: revision, mod_revision: revision, version: 1, lease })
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        self.session.put(out);
        self.enqueue.put(out);
        put_bytes(out, &self.value);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (prefix, session) = (get_bytes(from)?, Session::get(from)?);
        Ok(Self { prefix, session, enqueue: Enqueue::get(from)?, value: get_bytes(from)? })
    }
}

impl Enqueue {
    pub(crate) fn put(self, out: &mut BytesMut) {
        match self {
            Self::TryOnly => out.put_u8(0),
            Self::Enqueue { waiting_max: None } => out.put_u8(1),
            Self::Enqueue { waiting_max: Some(max) } => {
                out.put_u8(2);
                out.put_u32_le(max);
            }
        }
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        match get_u8(from)? {
            0 => Ok(Self::TryOnly),
            1 => Ok(Self::Enqueue { waiting_max: None }),
            2 => Ok(Self::Enqueue { waiting_max: Some(get_u32(from)?) }),
            _ => Err(malformed("unknown way to stand in line")),
        }
    }
}

/// The key of the contender that holds.
fn holder<L: Ledger>(ledger: &L, head: &Contender) -> Result<KeyValue, L::Fault> {
    Ok(ledger.get(&head.key)?.expect("a ledger's contenders are keys that exist"))
}

impl Release {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_key(&self.key)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let Some(claim) = ledger.get(&self.key)? else {
            return Ok(Outcome::Release(ReleaseOutcome::NotHeld));
        };
        let current = claim.create_revision;
        if self.token.is_some_and(|token| token != current) {
            return Ok(Outcome::Release(ReleaseOutcome::Stale { current }));
        }
        ledger.delete(&self.key)?;
        Ok(Outcome::Release(ReleaseOutcome::Released { token: current }))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.key);
        put_option(out, self.token.as_ref(), |out, token| out.put_i64_le(token.get()));
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { key: get_bytes(from)?, token: get_option(from, get_revision)? })
    }
}

#[cfg(test)]
#[path = "mutex_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "mutex_history_tests.rs"]
mod history_tests;
