//! A claim as a document: one session's place in the line of one lock.

use model::{Identity, LeaseId, Revision};
use node::{Claim, ClaimState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::holder::{Holder, meta_of};
use super::names::{Lock, SessionId};
use super::sessions::Session;

/// A session's place in the line of a lock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Claim)]
pub(crate) struct ClaimDocument {
    /// The lock.
    #[schema(examples("orders"))]
    pub(crate) lock: String,
    /// Whether the claim holds the lock or waits for it.
    pub(crate) state: Standing,
    /// The fencing token, valid while `state` is `held`. It rises with every change of the holder: give it to whatever the lock
    /// protects, and let that refuse any lower one.
    #[schema(examples(1842))]
    pub(crate) token: i64,
    /// Place among those who wait: 1 is the next. 0 when the claim holds.
    #[schema(examples(0))]
    pub(crate) position: usize,
    /// How many claims must go before this one holds, the holder's included.
    #[schema(examples(0))]
    pub(crate) ahead: usize,
    /// The session.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// What the claimant said about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Map<String, Value>>)]
    pub(crate) meta: Option<Value>,
    /// Who holds the lock, when the claim waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<Holder>,
    /// The session in full, when it was opened together with the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opened_session: Option<Session>,
    /// The claim's key.
    #[schema(examples("/default/locks/orders/694d805f7877a227"))]
    pub(crate) etcd_key: String,
    /// The name under which etcd's clients take the same lock: `etcdctl lock <this>`.
    #[schema(examples("/default/locks/orders"))]
    pub(crate) etcd_prefix: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// It holds.
    Held,
    /// It waits.
    Queued,
}

impl ClaimDocument {
    /// The document of `claim` on `lock`.
    pub(crate) async fn of(
        rest: &Rest,
        caller: &Identity,
        lock: &Lock,
        claim: &Claim,
        opened_session: Option<Session>,
    ) -> Self {
        let holder = match &claim.holder {
            Some(kv) if claim.ahead > 0 => Some(Holder::of(rest, caller, lock, kv).await),
            _ => None,
        };
        Self {
            lock: lock.name.clone(),
            state: Standing::of(claim.ahead),
            token: claim.token.get(),
            position: claim.ahead,
            ahead: claim.ahead,
            session: SessionId::of(claim.lease).to_string(),
            meta: meta_of(&claim.value),
            holder,
            opened_session,
            etcd_key: String::from_utf8_lossy(&claim.key).into_owned(),
            etcd_prefix: lock.etcd_name(),
            revision: claim.revision.get(),
        }
    }
}

impl Standing {
    const fn of(ahead: usize) -> Self {
        if ahead == 0 { Self::Held } else { Self::Queued }
    }
}

/// The same claim, as it stands after a change that was seen at `revision`.
pub(crate) fn moved(claim: &Claim, ahead: usize, revision: Revision) -> Claim {
    Claim { ahead, holder: None, revision, ..claim.clone() }
}

/// How many are before a claim in that state; `None` if it is gone.
pub(crate) const fn ahead_in(state: ClaimState) -> Option<usize> {
    match state {
        ClaimState::Queued { ahead } => Some(ahead),
        ClaimState::Granted => Some(0),
        ClaimState::Lost => None,
    }
}

/// The last thing that a claim's stream says about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LostClaim {
    /// The lock.
    pub(crate) lock: String,
    /// The session.
    pub(crate) session: String,
    /// The token, which is worth nothing any more.
    pub(crate) token: i64,
    /// Why.
    pub(crate) reason: LossReason,
}

/// Why a claim is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LossReason {
    /// Its session expired or was closed.
    SessionEnded,
    /// It was released, by its owner over another connection or by somebody who deleted its key.
    Released,
}

impl LostClaim {
    /// Says that the claim of `lease` on `lock` is gone.
    pub(crate) fn new(lock: &Lock, lease: LeaseId, token: Revision, reason: LossReason) -> Self {
        Self { lock: lock.name.clone(), session: SessionId::of(lease).to_string(), token: token.get(), reason }
    }
}
