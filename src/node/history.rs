//! History for the watch hub, read from the state.

use model::{Change, KeyValue, Revision};
use state::{ReadError, Reader};
use watch::{History, HistoryError};

/// The state's reader as the hub's port.
#[derive(Debug)]
pub(crate) struct StateHistory(pub(crate) Reader);

impl History for StateHistory {
    fn revision(&self) -> Revision {
        self.0.revision()
    }

    fn compact_revision(&self) -> Revision {
        self.0.compact_revision()
    }

    fn changes(&self, from: Revision, bytes_max: usize) -> Result<Vec<Change>, HistoryError> {
        self.0.changes(from, bytes_max).map_err(|error| self.history_error(error))
    }

    fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<KeyValue>, HistoryError> {
        self.0.get_at(key, revision).map_err(|error| self.history_error(error))
    }
}

impl StateHistory {
    fn history_error(&self, error: ReadError) -> HistoryError {
        match error {
            ReadError::Rejected(_) => HistoryError::Compacted(self.0.compact_revision()),
            ReadError::Fault(fault) => HistoryError::Fault(fault.to_string()),
        }
    }
}
