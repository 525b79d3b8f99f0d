//! Alarms: what this member knows of them, and changing them.

use model::{Alarm, AlarmChange, Command, Identity, Revision};
use state::{Outcome, ReadError};

use crate::error::Error;
use crate::handle::Handle;

impl Handle {
    /// All alarms, by kind and member, as of what is applied here.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`].
    pub fn alarms(&self) -> Result<Vec<Alarm>, Error> {
        Ok(self.inner().reader.alarms().map_err(ReadError::from)?)
    }

    /// Raises or ends an alarm. Returns the store's revision, and the alarm that this was about, if there is or was one.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn change_alarm(
        &self,
        identity: Identity,
        change: AlarmChange,
    ) -> Result<(Revision, Option<Alarm>), Error> {
        match self.propose(identity, Command::Alarm(change)).await? {
            (revision, Outcome::Alarm(alarm)) => Ok((revision, alarm)),
            (_, other) => unreachable!("a change of an alarm was answered by {other:?}"),
        }
    }
}
