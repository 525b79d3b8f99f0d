//! A backup of a running member: its state as of now, as one file, part by part.
//!
//! The state is flushed first, and read from a view of the store then: what is written meanwhile is not in it and is not kept waiting.
//! Little more than one part is in memory. Dropped, it ends.

use bytes::Bytes;
use consensus::Execution;

use crate::backup_file::{CHECKSUM_BYTES, Encoder};
use crate::error::{Error, Unavailable};
use crate::handle::Handle;

/// See the top of this file.
pub struct Backup {
    /// None while a part is being read, and after the last.
    encoder: Option<Encoder>,
    execution: Execution,
    bytes_estimate: u64,
    sent: u64,
}

/// A part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupPart {
    /// Its bytes.
    pub bytes: Bytes,
    /// About how many bytes come after it. Zero with the last part, and with no other.
    pub remaining: u64,
}

impl Handle {
    /// Begins a backup of all that is applied here.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Stopped`]; [`Error::Fault`] when the store cannot be read.
    pub async fn backup(&self) -> Result<Backup, Error> {
        let inner = self.inner();
        inner.consensus.flush().await.map_err(|_stopped| Unavailable::Stopped)?;
        let export = inner.reader.export().map_err(state::ReadError::from)?;
        let bytes_estimate = export.bytes_estimate();
        tracing::info!(last = ?export.applied(), bytes_estimate, "a backup begins");
        let encoder = Some(Encoder::new(export));
        Ok(Backup { encoder, execution: inner.execution.clone(), bytes_estimate, sent: 0 })
    }
}

impl Backup {
    /// The next part; none after the last.
    ///
    /// # Errors
    ///
    /// As [`Handle::backup`]. There is nothing after an error.
    pub async fn next(&mut self) -> Result<Option<BackupPart>, Error> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(None) };
        let read = self.execution.blocking(move || (encoder.next(), encoder)).await;
        let (part, encoder) = read.map_err(|_stopped| Unavailable::Stopped)?;
        let Some(bytes) = part.transpose().map_err(state::ReadError::from)? else { return Ok(None) };
        self.sent += bytes.len() as u64;
        // The estimate may be too low, but there is a checksum to come at least.
        let remaining = if encoder.is_done() {
            0
        } else {
            self.bytes_estimate.saturating_sub(self.sent).max(CHECKSUM_BYTES as u64)
        };
        self.encoder = Some(encoder);
        Ok(Some(BackupPart { bytes, remaining }))
    }
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("sent", &self.sent).finish_non_exhaustive()
    }
}
