//! Sessions: a session is a lease, and its record is a key on that lease.
//!
//! Opening one grants the lease and writes the record in the same revision, so that nobody sees one without the other. Closing
//! one is revoking the lease, which takes the record and all claims with it; that needs no recipe.

use bytes::{BufMut, Bytes, BytesMut};
use model::LeaseId;

use crate::codec::{self, CodecError, get_bytes, get_i64, get_lease, get_option, get_u8, put_bytes, put_option};
use crate::invalid::{Invalid, TTL_SECONDS_MAX, check_key};
use crate::{Ledger, Outcome};

/// On whose behalf a claim is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// A session that is open.
    Existing(LeaseId),
    /// One that is opened together with the claim, or not at all.
    New(OpenSession),
}

impl Session {
    /// The lease that the session is.
    #[must_use]
    pub const fn lease(&self) -> LeaseId {
        match self {
            Self::Existing(lease) => *lease,
            Self::New(open) => open.lease,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Existing(lease) => check_lease(*lease),
            Self::New(open) => open.check(),
        }
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Existing(lease) => {
                out.put_u8(0);
                out.put_i64_le(lease.get());
            }
            Self::New(open) => {
                out.put_u8(1);
                open.put(out);
            }
        }
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        match get_u8(from)? {
            0 => get_lease(from).map(Self::Existing),
            1 => OpenSession::get(from).map(Self::New),
            _ => Err(codec::malformed("unknown kind of session")),
        }
    }
}

/// Opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Its id, chosen by the proposer: 1 to 2^63-1.
    pub lease: LeaseId,
    /// Its life in seconds without a sign of life: 1 to [`TTL_SECONDS_MAX`].
    pub ttl: i64,
    /// What people and tools shall find about it.
    pub record: Option<SessionRecord>,
}

/// A key that lives as long as its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Where.
    pub key: Bytes,
    /// What; not interpreted here.
    pub value: Bytes,
}

/// What came of opening a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionOutcome {
    /// It is open.
    Opened {
        /// Its id.
        lease: LeaseId,
        /// Its life in seconds.
        ttl: i64,
    },
    /// A lease of that id exists; nothing was changed. After a lost reply this may be the session itself: its record tells.
    Conflict {
        /// The id.
        lease: LeaseId,
        /// The life in seconds of the lease that exists.
        ttl: i64,
    },
}

impl OpenSession {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_lease(self.lease)?;
        if !(1..=TTL_SECONDS_MAX).contains(&self.ttl) {
            return Err(Invalid::TtlOutOfRange);
        }
        self.record.as_ref().map_or(Ok(()), |record| check_key(&record.key))
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let lease = self.lease;
        if let Some(ttl) = ledger.lease_ttl(lease) {
            return Ok(Outcome::Session(SessionOutcome::Conflict { lease, ttl }));
        }
        self.write(ledger)?;
        Ok(Outcome::Session(SessionOutcome::Opened { lease, ttl: self.ttl }))
    }

    /// Opens the session; the caller has seen that the lease does not exist.
    pub(crate) fn write<L: Ledger>(&self, ledger: &mut L) -> Result<(), L::Fault> {
        ledger.grant_lease(self.lease, self.ttl);
        match &self.record {
            Some(record) => ledger.put(record.key.clone(), record.value.clone(), self.lease),
            None => Ok(()),
        }
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        out.put_i64_le(self.lease.get());
        out.put_i64_le(self.ttl);
        put_option(out, self.record.as_ref(), |out, record| {
            put_bytes(out, &record.key);
            put_bytes(out, &record.value);
        });
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (lease, ttl) = (get_lease(from)?, get_i64(from)?);
        let record = |from: &mut Bytes| Ok(SessionRecord { key: get_bytes(from)?, value: get_bytes(from)? });
        Ok(Self { lease, ttl, record: get_option(from, record)? })
    }
}

pub(crate) fn check_lease(lease: LeaseId) -> Result<(), Invalid> {
    if lease.get() >= 1 { Ok(()) } else { Err(Invalid::LeaseOutOfRange) }
}
