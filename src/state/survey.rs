//! A state in pieces, looked through without being stored: whether it is whole, and what is in it.

use model::{LogId, Revision};

use crate::Fault;
use crate::format;
use crate::piece::Decoder;
use crate::resident::Intake;

/// A state that is being looked through. Holds one record in memory, and the leases.
#[derive(Debug, Default)]
pub struct Survey {
    decoder: Decoder,
    intake: Intake,
    keys: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// The last entry whose effects are in it.
    pub applied: Option<LogId>,
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision that can be read; zero if history was never compacted.
    pub compact_revision: Revision,
    /// Keys that live at the newest revision.
    pub keys: u64,
}

impl Survey {
    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// As [`Import::write`](crate::Import::write), but for those of a storage. The survey is at its end.
    pub fn read(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.decoder.feed(piece)?;
        while let Some((key, value)) = self.decoder.next()? {
            self.keys += u64::from(format::is_current(&key));
            self.intake.take(&key, &value)?;
        }
        Ok(())
    }

    /// Ends, after the last piece.
    ///
    /// # Errors
    ///
    /// [`Fault::MalformedPiece`] when pieces are missing; [`Fault::Damaged`].
    pub fn finish(self) -> Result<Surveyed, Fault> {
        self.decoder.finish()?;
        let head = self.intake.finish()?.head;
        let format::Head { applied, revision, compact_revision, live_bytes: _ } = head;
        Ok(Surveyed { applied, revision, compact_revision, keys: self.keys })
    }
}
