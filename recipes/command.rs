//! The commands of all recipes, and how one is applied.

use crate::config::{Acknowledge, ControlRollout, EditDraft, MoveLabel, Publish};
use crate::sync::SyncCommand;
use crate::{
    Acquire, Amend, Campaign, Claim, GiveUp, Invalid, Ledger, OpenSession, Outcome, Proclaim, Release, SetLimit, Tell,
};

/// A recipe to carry out. A changed behaviour arrives as a new variant, never as a new meaning of an old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a session.
    OpenSession(OpenSession),
    /// Claim a mutex, as etcd's own clients do.
    Acquire(Acquire),
    /// Delete a claim's key.
    Release(Release),
    /// Claim places in lines of any kind.
    Claim(Claim),
    /// Give a claim up, or a part of it.
    GiveUp(GiveUp),
    /// Change a claim.
    Amend(Amend),
    /// Give a semaphore its limit.
    SetLimit(SetLimit),
    /// Tell a session something about one of its claims.
    Tell(Tell),
    /// Write and delete keys of a configuration's draft.
    EditDraft(EditDraft),
    /// Make a release of a configuration.
    Publish(Publish),
    /// Have a label name another release.
    MoveLabel(MoveLabel),
    /// Say how a client fared with a release.
    Acknowledge(Acknowledge),
    /// Stop a rollout, go on with it, end it.
    ControlRollout(ControlRollout),
    /// Stand for election.
    Campaign(Campaign),
    /// Change the leader's value.
    Proclaim(Proclaim),
    /// Barriers, latches, counters, groups, queues.
    Sync(SyncCommand),
}

impl Command {
    /// Checks what needs no state.
    ///
    /// # Errors
    ///
    /// What is wrong; the command would be answered with it in any state, so do not propose it.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::OpenSession(open) => open.check(),
            Self::Acquire(acquire) => acquire.check(),
            Self::Release(release) => release.check(),
            Self::Claim(claim) => claim.check(),
            Self::GiveUp(give_up) => give_up.check(),
            Self::Amend(amend) => amend.check(),
            Self::SetLimit(limit) => limit.check(),
            Self::Tell(tell) => tell.check(),
            Self::EditDraft(edit) => edit.check(),
            Self::Publish(publish) => publish.check(),
            Self::MoveLabel(label) => label.check(),
            Self::Acknowledge(ack) => ack.check(),
            Self::ControlRollout(control) => control.check(),
            Self::Campaign(campaign) => campaign.check(),
            Self::Proclaim(proclaim) => proclaim.check(),
            Self::Sync(sync) => sync.check(),
        }
    }
}

/// Carries a command out on `ledger`: its outcome and its writes depend on the command and the ledger alone.
///
/// # Errors
///
/// A local failure of the ledger. The command is then half done: give the ledger up.
pub fn apply<L: Ledger>(command: &Command, ledger: &mut L) -> Result<Outcome, L::Fault> {
    if let Err(invalid) = command.check() {
        return Ok(Outcome::Invalid(invalid));
    }
    match command {
        Command::OpenSession(open) => open.apply(ledger),
        Command::Acquire(acquire) => acquire.apply(ledger),
        Command::Release(release) => release.apply(ledger),
        Command::Claim(claim) => claim.apply(ledger),
        Command::GiveUp(give_up) => give_up.apply(ledger),
        Command::Amend(amend) => amend.apply(ledger),
        Command::SetLimit(limit) => limit.apply(ledger),
        Command::Tell(tell) => tell.apply(ledger),
        Command::EditDraft(edit) => edit.apply(ledger),
        Command::Publish(publish) => publish.apply(ledger),
        Command::MoveLabel(label) => label.apply(ledger),
        Command::Acknowledge(ack) => ack.apply(ledger),
        Command::ControlRollout(control) => control.apply(ledger),
        Command::Campaign(campaign) => campaign.apply(ledger),
        Command::Proclaim(proclaim) => proclaim.apply(ledger),
        Command::Sync(sync) => sync.apply(ledger),
    }
}
