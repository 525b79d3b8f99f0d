//! Leader election, in the layout of etcd's own: one key `<prefix><lease in hex>` for each candidate, attached to its lease; the
//! candidate with the lowest create revision leads, that revision is the term, and the key's value is what the leader proclaims.
//!
//! - A candidacy is a claim, so it stands in the same kind of line as a claim on a mutex: whoever is in line follows
//!   ([`crate::Queue`]), and a candidate whose session ended is in line no more.
//! - The value stays raw, because etcd's clients read it. What is to be known about it, such as its media type, is a record of its
//!   own on the same lease, written in the same revision: it holds while the `mod_revision` of both is the same, so a value that
//!   another client proclaims is never described by an old record.
//! - To proclaim takes the term. One that was leader once changes nothing any more.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, Revision};

use crate::codec::{CodecError, get_bytes, get_option, get_revision, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};
use crate::{Acquire, AcquireOutcome, Enqueue, Ledger, OpenSession, Outcome, Session, contender_key};

/// Makes a session a candidate, or changes the value of the candidate that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// What the keys of all candidates begin with; not empty.
    pub prefix: Bytes,
    /// For whom.
    pub session: Session,
    /// What it proclaims once it leads.
    pub value: Bytes,
    /// What is to be known about the value.
    pub about: Option<About>,
}

/// What is to be known about a candidate's value, for who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What the keys of such records begin with; the session in hexadecimal follows.
    pub prefix: Bytes,
    /// The record; not interpreted here.
    pub value: Bytes,
}

/// Changes the leader's value, if it still leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proclaim {
    /// What the keys of all candidates begin with; not empty.
    pub prefix: Bytes,
    /// Whose leadership: the create revision of the leader's key.
    pub term: Revision,
    /// The new value.
    pub value: Bytes,
    /// What is to be known about it.
    pub about: Option<About>,
}

/// What came of proclaiming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProclaimOutcome {
    /// The value is the leader's.
    Proclaimed {
        /// The leader's key as it is now.
        leader: KeyValue,
    },
    /// Somebody else leads, or nobody. Nothing was written.
    NotLeader {
        /// Who.
        leader: Option<KeyValue>,
    },
}

impl Campaign {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.claim().check()?;
        check_about(self.about.as_ref(), &self.prefix)?;
        match (&self.session, &self.about) {
            (Session::New(OpenSession { lease, record: Some(record), .. }), Some(about))
                if record.key == contender_key(&about.prefix, *lease) =>
            {
                Err(Invalid::RecordContends)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let key = contender_key(&self.prefix, self.session.lease());
        let present = ledger.get(&key)?;
        let says_so = match &present {
            Some(candidacy) => self.says_so(candidacy, ledger)?,
            None => false,
        };
        if present.is_some() && !says_so && ledger.lease_ttl(self.session.lease()).is_none() {
            return Ok(Outcome::Acquire(AcquireOutcome::SessionExpired));
        }
        let mut outcome = self.claim().apply(ledger)?;
        if let Outcome::Acquire(
            AcquireOutcome::Granted { claim, is_new } | AcquireOutcome::Queued { claim, is_new, .. },
        ) = &mut outcome
        {
            match (*is_new, says_so) {
                (true, _) => self.describe(ledger)?,
                (false, true) => {}
                (false, false) => {
                    *claim = rewritten(claim, self.value.clone(), ledger.revision());
                    claim.lease = self.session.lease();
                    ledger.put(key, self.value.clone(), claim.lease)?;
                    self.describe(ledger)?;
                }
            }
        }
        Ok(outcome)
    }

    /// The claim that a candidacy is.
    fn claim(&self) -> Acquire {
        let (prefix, session, value) = (self.prefix.clone(), self.session.clone(), self.value.clone());
        Acquire { prefix, session, enqueue: Enqueue::Enqueue { waiting_max: None }, value }
    }

    /// Whether a candidacy has this value and is described so.
    fn says_so<L: Ledger>(&self, candidacy: &KeyValue, ledger: &L) -> Result<bool, L::Fault> {
        let Some(about) = &self.about else { return Ok(candidacy.value == self.value) };
        let record = ledger.get(&contender_key(&about.prefix, self.session.lease()))?;
        let is_described =
            record.is_some_and(|record| record.mod_revision == candidacy.mod_revision && record.value == about.value);
        Ok(is_described && candidacy.value == self.value)
    }

    fn describe<L: Ledger>(&self, ledger: &mut L) -> Result<(), L::Fault> {
        let Some(about) = &self.about else { return Ok(()) };
        let lease = self.session.lease();
        ledger.put(contender_key(&about.prefix, lease), about.value.clone(), lease)
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        self.session.put(out);
        put_bytes(out, &self.value);
        put_option(out, self.about.as_ref(), put_about);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (prefix, session) = (get_bytes(from)?, Session::get(from)?);
        Ok(Self { prefix, session, value: get_bytes(from)?, about: get_option(from, get_about)? })
    }
}

impl Proclaim {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.prefix.is_empty() {
            return Err(Invalid::EmptyPrefix);
        }
        check_about(self.about.as_ref(), &self.prefix)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let head = ledger.contenders(&self.prefix)?.head().cloned();
        let leader = match head {
            Some(head) => ledger.get(&head.key)?,
            None => None,
        };
        let outcome = match leader {
            Some(leader) if leader.create_revision == self.term => {
                let leader = rewritten(&leader, self.value.clone(), ledger.revision());
                ledger.put(leader.key.clone(), self.value.clone(), leader.lease)?;
                // A candidate without a lease came from elsewhere; a record of it would stay for ever.
                if let Some(about) = self.about.as_ref().filter(|_| leader.lease.is_some()) {
                    ledger.put(contender_key(&about.prefix, leader.lease), about.value.clone(), leader.lease)?;
                }
                ProclaimOutcome::Proclaimed { leader }
            }
            leader => ProclaimOutcome::NotLeader { leader },
        };
        Ok(Outcome::Proclaim(outcome))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.prefix);
        out.put_i64_le(self.term.get());
        put_bytes(out, &self.value);
        put_option(out, self.about.as_ref(), put_about);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (prefix, term) = (get_bytes(from)?, get_revision(from)?);
        Ok(Self { prefix, term, value: get_bytes(from)?, about: get_option(from, get_about)? })
    }
}

/// A key after one more write of it.
fn rewritten(kv: &KeyValue, value: Bytes, revision: Revision) -> KeyValue {
    KeyValue { value, mod_revision: revision, version: kv.version + 1, ..kv.clone() }
}

/// A record below the prefix contended for would itself be a candidate.
fn check_about(about: Option<&About>, contended: &Bytes) -> Result<(), Invalid> {
    let Some(about) = about else { return Ok(()) };
    if about.prefix.starts_with(contended) || contended.starts_with(&about.prefix) {
        return Err(Invalid::RecordContends);
    }
    check_key(&contender_key(&about.prefix, model::LeaseId::new(i64::MAX)))
}

fn put_about(out: &mut BytesMut, about: &About) {
    put_bytes(out, &about.prefix);
    put_bytes(out, &about.value);
}

fn get_about(from: &mut Bytes) -> Result<About, CodecError> {
    Ok(About { prefix: get_bytes(from)?, value: get_bytes(from)? })
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
