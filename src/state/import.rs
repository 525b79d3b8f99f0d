//! Taking in the state of another member: pieces become a store beside the current one, which is untouched until the machine
//! [installs](crate::Machine::install) the new one.

use std::sync::Arc;

use bytes::Bytes;
use model::{LogId, Revision};

use crate::Fault;
use crate::format::{self, Head};
use crate::piece::Decoder;
use crate::place::{Place, Staging};
use crate::resident::{Intake, Resident};
use crate::storage::{Edit, Storage};

/// Bytes of memory in records after which they are written: tables as large as a flush makes them.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// What a record takes besides its key and value.
const RECORD_BYTES: usize = size_of::<Edit>();

/// How far the revision is set forward on the way in, so that what clients saw after a backup cannot come back with another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisionBump(
    /// By how much. All before counts as compacted, so that watches from there are told.
    pub u64,
);

/// A state on its way in. Holds a bounded part of it in memory, and its leases. Dropped, it leaves nothing behind.
pub struct Import {
    staging: Box<dyn Staging>,
    decoder: Decoder,
    intake: Intake,
    group: Vec<Edit>,
    group_bytes: usize,
    group_bytes_max: usize,
    /// What is stored in the place of the membership that comes in.
    membership: Option<Bytes>,
    bump: Option<RevisionBump>,
    is_refused: bool,
}

impl Import {
    /// Begins; an earlier import into the same place that was not installed is given up.
    ///
    /// # Errors
    ///
    /// [`Fault::Storage`].
    pub fn new(place: &Arc<dyn Place>) -> Result<Self, Fault> {
        Ok(Self {
            staging: place.stage()?,
            decoder: Decoder::default(),
            intake: Intake::default(),
            group: Vec::new(),
            group_bytes: 0,
            group_bytes_max: GROUP_BYTES,
            membership: None,
            bump: None,
            is_refused: false,
        })
    }

    /// The same import with `membership` in the place of the one that comes in, for another cluster. To be said before the first piece.
    #[must_use]
    pub fn with_membership(self, membership: Bytes) -> Self {
        Self { membership: Some(membership), ..self }
    }

    /// The same import with its revision set forward. To be said before the first piece.
    #[must_use]
    pub fn with_bump(self, bump: Option<RevisionBump>) -> Self {
        Self { bump, ..self }
    }

    /// The same import, in groups that a test can fill.
    #[cfg(test)]
    pub(crate) fn in_groups_of(self, group_bytes_max: usize) -> Self {
        Self { group_bytes_max, ..self }
    }

    /// Takes the next piece. Now and then this waits for the disk, for as long as some tens of megabytes take.
    ///
    /// # Errors
    ///
    /// [`Fault::MalformedPiece`], [`Fault::UnknownFormat`], [`Fault::ForeignData`], [`Fault::Damaged`]: what was sent cannot be used.
    /// [`Fault::Storage`]: it cannot be written. In any case this import is at its end; the current state is as it was.
    pub fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        if self.is_refused {
            return Err(Fault::MalformedPiece("it comes after one that was refused"));
        }
        self.is_refused = true;
        self.decoder.feed(&piece)?;
        while let Some((key, mut value)) = self.decoder.next()? {
            if key == format::HEAD_KEY
                && let Some(bump) = self.bump
            {
                value = bump.of(&value)?;
            }
            match self.membership.clone() {
                Some(_) if key == format::MEMBERSHIP_KEY => {}
                // The membership's place is right behind the head, which is always there.
                Some(membership) if key == format::HEAD_KEY => {
                    self.take(key, value)?;
                    self.take(format::MEMBERSHIP_KEY, membership)?;
                }
                Some(_) | None => self.take(key, value)?,
            }
        }
        self.is_refused = false;
        Ok(())
    }

    fn take(&mut self, key: Bytes, value: Bytes) -> Result<(), Fault> {
        self.intake.take(&key, &value)?;
        self.group_bytes += RECORD_BYTES + key.len() + value.len();
        self.group.push((key, Some(value)));
        if self.group_bytes >= self.group_bytes_max {
            self.ingest()?;
        }
        Ok(())
    }

    fn ingest(&mut self) -> Result<(), Fault> {
        self.group_bytes = 0;
        self.staging.ingest(&mut self.group.drain(..))
    }

    /// Ends, after the last piece.
    ///
    /// # Errors
    ///
    /// As [`Self::write`]; [`Fault::MalformedPiece`] also when pieces are missing.
    pub fn finish(mut self) -> Result<Imported, Fault> {
        if self.is_refused {
            return Err(Fault::MalformedPiece("it was refused"));
        }
        self.decoder.finish()?;
        self.ingest()?;
        Ok(Imported { staging: self.staging, resident: self.intake.finish()? })
    }
}

impl RevisionBump {
    /// The record of the head, set forward.
    fn of(self, head: &[u8]) -> Result<Bytes, Fault> {
        let head = Head::decode(head)?;
        let forward = i64::try_from(self.0).ok().and_then(|by| head.revision.get().checked_add(by));
        let revision = Revision::new(forward.ok_or(Fault::Damaged("a revision beyond all that there are"))?);
        Ok(Head { revision, compact_revision: revision, ..head }.encode())
    }
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

/// A state that has arrived whole, for [`crate::Machine::install`]. Dropped, it leaves nothing behind.
pub struct Imported {
    staging: Box<dyn Staging>,
    resident: Resident,
}

impl Imported {
    /// The last entry whose effects are in it.
    #[must_use]
    pub const fn applied(&self) -> Option<LogId> {
        self.resident.head.applied
    }

    /// The newest membership up to that entry, empty if there was none.
    #[must_use]
    pub fn membership(&self) -> Bytes {
        self.resident.membership.clone()
    }

    /// Makes it the current store of its place.
    pub(crate) fn publish(self) -> Result<(Arc<dyn Storage>, Resident), Fault> {
        Ok((self.staging.publish()?, self.resident))
    }
}

impl std::fmt::Debug for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imported").field("head", &self.resident.head).finish_non_exhaustive()
    }
}
