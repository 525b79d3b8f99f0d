//! Acknowledgements: a client says what it made of a release.
//!
//! ```text
//! form = set:bytes client:bytes lease:i64 version:i64 status:u8 value:bytes
//! ```
//!
//! What a client said last is a key on its session's lease, so clients that are gone are not counted among those that run
//! something. A rollout counts each client once, by a key that outlives the session: a client that fails, restarts and fails
//! again is one failure. Saying the same again changes nothing.

use bytes::{BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};

use super::publish::{get_version, put_version};
use super::rollout::Rollout;
use super::{acks_prefix, below, check_name, check_set, release_key};
use crate::codec::{CodecError, get_bytes, get_lease, get_u8, malformed, put_bytes};
use crate::invalid::Invalid;
use crate::session::check_lease;
use crate::{Ledger, Outcome};

/// A client's word on a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// What all keys of the set begin with; ends with a slash.
    pub set: Bytes,
    /// The client's name, one part of a path.
    pub client: Bytes,
    /// Its session.
    pub lease: LeaseId,
    /// The release.
    pub version: u64,
    /// How it fared.
    pub status: AckStatus,
    /// The value of the client's key; not interpreted here.
    pub value: Bytes,
}

/// How a client fared with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckStatus {
    /// It runs with it.
    Applied,
    /// It tried, and could not.
    Failed,
    /// It would not.
    Rejected,
}

/// What came of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    /// It is noted.
    Noted {
        /// When the client's key was last written.
        revision: Revision,
        /// Whether the client had said nothing before in a session that lives.
        is_new: bool,
    },
    /// No such session. Nothing was written.
    SessionExpired,
    /// There is no such release. Nothing was written.
    NoSuchRelease,
}

impl AckStatus {
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::Applied => b"applied",
            Self::Failed | Self::Rejected => b"failed",
        }
    }
}

impl Acknowledge {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_set(&self.set)?;
        check_lease(self.lease)?;
        check_name(&self.set, &acks_prefix(b"", self.version), &self.client)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        self.note(ledger).map(Outcome::Acknowledge)
    }

    fn note<L: Ledger>(&self, ledger: &mut L) -> Result<AckOutcome, L::Fault> {
        if ledger.lease_ttl(self.lease).is_none() {
            return Ok(AckOutcome::SessionExpired);
        }
        if ledger.get(&release_key(&self.set, self.version))?.is_none() {
            return Ok(AckOutcome::NoSuchRelease);
        }
        let key = below(&self.set, &[b"clients/", &*self.client].concat());
        let before = ledger.get(&key)?;
        let counted = self.count(ledger)?;
        let same = before.as_ref().filter(|kv| kv.value == self.value && kv.lease == self.lease);
        let revision = same.map_or(ledger.revision(), |kv| kv.mod_revision);
        let is_new = before.is_none();
        if revision == ledger.revision() {
            ledger.put(key, self.value.clone(), self.lease)?;
        }
        if let Some((ack, rollout)) = counted {
            ledger.put(ack, Bytes::from_static(self.status.mark()), LeaseId::NONE)?;
            rollout.write_with_label(ledger, &self.set)?;
        }
        Ok(AckOutcome::Noted { revision, is_new })
    }

    /// What the rollout becomes by it, if the release is being rolled out and the client did not say so before: with the key that
    /// says so from now on.
    fn count<L: Ledger>(&self, ledger: &L) -> Result<Option<(Bytes, Rollout)>, L::Fault> {
        let rollout = Rollout::read(ledger, &self.set)?;
        let Some(mut rollout) = rollout.filter(|rollout| rollout.version == self.version && rollout.state.is_active())
        else {
            return Ok(None);
        };
        let key = below(&acks_prefix(&self.set, self.version), &self.client);
        let before = ledger.get(&key)?.map(|kv| kv.value);
        if before.as_deref() == Some(self.status.mark()) {
            return Ok(None);
        }
        match before.as_deref() {
            Some(b"applied") => rollout.applied = rollout.applied.saturating_sub(1),
            Some(b"failed") => rollout.failed = rollout.failed.saturating_sub(1),
            Some(_) | None => {}
        }
        match self.status {
            AckStatus::Applied => rollout.applied += 1,
            AckStatus::Failed | AckStatus::Rejected => rollout.failed += 1,
        }
        rollout.forgiven = rollout.forgiven.min(rollout.failed);
        rollout.advance();
        Ok(Some((key, rollout)))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.set);
        put_bytes(out, &self.client);
        out.put_i64_le(self.lease.get());
        put_version(out, self.version);
        out.put_u8(match self.status {
            AckStatus::Applied => 0,
            AckStatus::Failed => 1,
            AckStatus::Rejected => 2,
        });
        put_bytes(out, &self.value);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (set, client, lease, version) = (get_bytes(from)?, get_bytes(from)?, get_lease(from)?, get_version(from)?);
        let status = match get_u8(from)? {
            0 => AckStatus::Applied,
            1 => AckStatus::Failed,
            2 => AckStatus::Rejected,
            _ => return Err(malformed("unknown status")),
        };
        Ok(Self { set, client, lease, version, status, value: get_bytes(from)? })
    }
}
