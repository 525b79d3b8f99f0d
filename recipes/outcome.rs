//! What came of a command: the same on every member, never sent or stored, because each member finds it by applying.

use crate::config::{AckOutcome, ControlOutcome, EditOutcome, LabelOutcome, PublishOutcome};
use crate::sync::SyncOutcome;
use crate::{
    AcquireOutcome, AmendOutcome, ClaimOutcome, GiveUpOutcome, Invalid, LimitOutcome, ProclaimOutcome, ReleaseOutcome,
    SessionOutcome, TellOutcome,
};

/// What came of a command, by recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command makes no sense in any state. Nothing was written.
    Invalid(Invalid),
    /// Of [`OpenSession`](crate::OpenSession).
    Session(SessionOutcome),
    /// Of [`Acquire`](crate::Acquire), and of [`Campaign`](crate::Campaign): a candidacy is a claim.
    Acquire(AcquireOutcome),
    /// Of [`Release`](crate::Release).
    Release(ReleaseOutcome),
    /// Of [`Claim`](crate::Claim).
    Claim(ClaimOutcome),
    /// Of [`GiveUp`](crate::GiveUp).
    GiveUp(GiveUpOutcome),
    /// Of [`Amend`](crate::Amend).
    Amend(AmendOutcome),
    /// Of [`SetLimit`](crate::SetLimit).
    Limit(LimitOutcome),
    /// Of [`Tell`](crate::Tell).
    Tell(TellOutcome),
    /// Of [`EditDraft`](crate::config::EditDraft).
    EditDraft(EditOutcome),
    /// Of [`Publish`](crate::config::Publish).
    Publish(PublishOutcome),
    /// Of [`MoveLabel`](crate::config::MoveLabel).
    MoveLabel(LabelOutcome),
    /// Of [`Acknowledge`](crate::config::Acknowledge).
    Acknowledge(AckOutcome),
    /// Of [`ControlRollout`](crate::config::ControlRollout).
    ControlRollout(ControlOutcome),
    /// Of [`Proclaim`](crate::Proclaim).
    Proclaim(ProclaimOutcome),
    /// Of [`SyncCommand`](crate::sync::SyncCommand).
    Sync(SyncOutcome),
}
