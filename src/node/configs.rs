//! Configuration: the commands of its recipe, proposed and answered.
//!
//! What a command means is `recipes::config`; what is read, keys and ranges of keys, is read as any other.

use model::{Identity, Revision};
use recipes::config::{
    AckOutcome, Acknowledge, ControlOutcome, ControlRollout, EditDraft, EditOutcome, LabelOutcome, MoveLabel, Publish,
    PublishOutcome,
};
use recipes::{Command, Outcome};

use crate::error::Error;
use crate::handle::Handle;

impl Handle {
    /// Edits a draft: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn edit_draft(&self, identity: Identity, edit: EditDraft) -> Result<(Revision, EditOutcome), Error> {
        match self.recipe(identity, Command::EditDraft(edit)).await? {
            (revision, Outcome::EditDraft(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("an edit was answered by {other:?}"),
        }
    }

    /// Makes a release: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the outcome is unknown, the list of releases tells; with an expected newest release it is safe to ask again.
    pub async fn publish(&self, identity: Identity, publish: Publish) -> Result<(Revision, PublishOutcome), Error> {
        match self.recipe(identity, Command::Publish(publish)).await? {
            (revision, Outcome::Publish(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("publishing was answered by {other:?}"),
        }
    }

    /// Has a label name another release: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn move_label(&self, identity: Identity, label: MoveLabel) -> Result<(Revision, LabelOutcome), Error> {
        match self.recipe(identity, Command::MoveLabel(label)).await? {
            (revision, Outcome::MoveLabel(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a label's move was answered by {other:?}"),
        }
    }

    /// Notes what a client says of a release: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Saying it again is safe.
    pub async fn acknowledge(&self, identity: Identity, ack: Acknowledge) -> Result<(Revision, AckOutcome), Error> {
        match self.recipe(identity, Command::Acknowledge(ack)).await? {
            (revision, Outcome::Acknowledge(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("an acknowledgement was answered by {other:?}"),
        }
    }

    /// Says how a rollout shall go on: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Saying it again is safe.
    pub async fn control_rollout(
        &self,
        identity: Identity,
        control: ControlRollout,
    ) -> Result<(Revision, ControlOutcome), Error> {
        match self.recipe(identity, Command::ControlRollout(control)).await? {
            (revision, Outcome::ControlRollout(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a rollout was answered by {other:?}"),
        }
    }

    /// Milliseconds since 1970 by this member's wall clock: for records that people read, never for a decision.
    #[must_use]
    pub fn wall_clock_ms(&self) -> u64 {
        self.inner().proposer.wall_clock_ms()
    }
}
