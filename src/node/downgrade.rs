//! The version that the cluster is to go back to. It is kept and shown, as tools expect it; the data of this program do not change with
//! the version of etcd that it speaks like, so that nothing else follows from it.

use bytes::Bytes;
use model::{Command, Identity};
use state::Outcome;

use crate::error::Error;
use crate::handle::Handle;

impl Handle {
    /// The version that the cluster is to go back to, if it is.
    #[must_use]
    pub fn downgrade_target(&self) -> Option<String> {
        self.inner().reader.downgrade_target().map(|target| String::from_utf8_lossy(&target).into_owned())
    }

    /// Notes a version to go back to, unless there is one, or that there is none. Returns whether there was one before.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn set_downgrade_target(&self, identity: Identity, target: Option<String>) -> Result<bool, Error> {
        let target = target.map(Bytes::from);
        match self.propose(identity, Command::Downgrade { target }).await? {
            (_, Outcome::Downgrade { before }) => Ok(before.is_some()),
            (_, other) => unreachable!("a downgrade was answered by {other:?}"),
        }
    }
}
