//! Opening sessions: a lease with a record of what it is.

use bytes::Bytes;
use model::{Identity, LeaseId};
use recipes::{OpenSession, SessionOutcome, SessionRecord, contender_key};

use crate::claim_outcome::Session;
use crate::error::Error;
use crate::handle::Handle;

impl Handle {
    /// Opens a session: a lease of this id, or of one that nobody has, with a record of it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn open_session(
        &self,
        identity: Identity,
        id: Option<LeaseId>,
        ttl: i64,
        record_prefix: Bytes,
        record: Bytes,
    ) -> Result<Session, Error> {
        let open = self.session(id.unwrap_or_else(|| self.new_lease_id()), ttl, &record_prefix, record)?;
        match self.recipe(identity, recipes::Command::OpenSession(open)).await? {
            (revision, recipes::Outcome::Session(SessionOutcome::Opened { lease, ttl })) => {
                Ok(Session { lease, ttl, revision, is_new: true })
            }
            (revision, recipes::Outcome::Session(SessionOutcome::Conflict { lease, ttl })) => {
                Ok(Session { lease, ttl, revision, is_new: false })
            }
            (_, other) => unreachable!("the opening of a session was answered by {other:?}"),
        }
    }

    pub(crate) fn session(
        &self,
        lease: LeaseId,
        ttl: i64,
        record_prefix: &Bytes,
        value: Bytes,
    ) -> Result<OpenSession, Error> {
        let record = SessionRecord { key: contender_key(record_prefix, lease), value };
        Ok(OpenSession { lease, ttl: self.lease_ttl(ttl)?, record: Some(record) })
    }
}
