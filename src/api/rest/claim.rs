//! A claim as a document: one session's place in the line of one lock.

use model::{Identity, LeaseId, Revision};
use node::{Claim, ClaimState};
use recipes::{ClaimRecord, Place};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::holder::{Holder, Mode};
use super::names::{Lock, SessionId, Sort, claimed_by};
use super::sessions::Session;

/// A session's place in the line of a lock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Claim)]
pub(crate) struct ClaimDocument {
    /// The lock; absent where it is a semaphore or a set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("orders"))]
    pub(crate) lock: Option<String>,
    /// The semaphore.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("workers"))]
    pub(crate) semaphore: Option<String>,
    /// The set of locks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("transfer"))]
    pub(crate) lock_set: Option<String>,
    /// Whether the claim holds the lock or waits for it.
    pub(crate) state: Standing,
    /// The fencing token, valid while `state` is `held`. It rises with every change of the holder: give it to whatever the lock
    /// protects, and let that refuse any lower one.
    #[schema(examples(1842))]
    pub(crate) token: i64,
    /// Place in the line, counted from the claim that is first in it: of a lock, 1 is the next. 0 when the claim holds.
    #[schema(examples(0))]
    pub(crate) position: usize,
    /// How many claims are before this one in the line, those that hold included. 0 when the claim holds.
    #[schema(examples(0))]
    pub(crate) ahead: usize,
    /// The session.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// How a read-write lock is held, or shall be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// How many permits of a semaphore the claim is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples(2))]
    pub(crate) permits: Option<u32>,
    /// The locks of a set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locks: Option<Vec<String>>,
    /// Under how many names the session holds the claim: it is released with the last.
    #[schema(examples(1))]
    pub(crate) holds: usize,
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
    /// The claim's key; of a set, that on its first lock.
    #[schema(examples("/default/locks/orders/694d805f7877a227"))]
    pub(crate) etcd_key: String,
    /// The name under which etcd's clients take the same lock: `etcdctl lock <this>`. A semaphore is none of theirs, a set is
    /// many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("/default/locks/orders"))]
    pub(crate) etcd_prefix: Option<String>,
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
            Some(kv) if !claim.is_held() => Some(Holder::of(rest, caller, lock, kv).await),
            _ => None,
        };
        let record = ClaimRecord::read(&claim.value);
        let named = |sort| (lock.sort == sort).then(|| lock.name.clone());
        let locks = || record.keys.iter().filter_map(|key| name_of_key(lock, key)).collect();
        Self {
            lock: named(Sort::Lock).or_else(|| named(Sort::RwLock)),
            semaphore: named(Sort::Semaphore),
            lock_set: named(Sort::LockSet),
            state: if claim.is_held() { Standing::Held } else { Standing::Queued },
            token: claim.token.get(),
            position: claim.ahead(),
            ahead: claim.ahead(),
            session: SessionId::of(claim.lease).to_string(),
            mode: mode_of(claim, &record),
            permits: record.permits,
            locks: (lock.sort == Sort::LockSet).then(locks),
            holds: record.hold_count(),
            meta: record.meta.filter(Value::is_object),
            holder,
            opened_session,
            etcd_key: String::from_utf8_lossy(&claim.key).into_owned(),
            etcd_prefix: matches!(lock.sort, Sort::Lock | Sort::RwLock).then(|| lock.etcd_name()),
            revision: claim.revision.get(),
        }
    }
}

/// How a claim on a read-write lock holds it, or wants to.
fn mode_of(claim: &Claim, record: &ClaimRecord) -> Option<Mode> {
    match claim.places.first()? {
        Place::Writer { .. } if record.shared.is_none() => Some(Mode::Exclusive),
        Place::Writer { .. } | Place::Reader { .. } => Some(Mode::Shared),
        Place::Mutex { .. } | Place::Permits { .. } => None,
    }
}

/// The name of the lock that a key of a set's claim is on. In the namespace of names that are etcd prefixes it is that.
fn name_of_key(lock: &Lock, key: &str) -> Option<String> {
    match claimed_by(&lock.namespace, key.as_bytes()) {
        Some((lock, _)) => Some(lock.name),
        None => key.rsplit_once('/').map(|(name, _)| name.to_owned()),
    }
}

/// The same claim, as it stands after a change that was seen at `revision`.
pub(crate) fn moved(claim: &Claim, standing: recipes::Standing, revision: Revision) -> Claim {
    Claim { standing, holder: None, revision, ..claim.clone() }
}

/// How a claim in that state stands; `None` if it is gone.
pub(crate) const fn standing_in(state: ClaimState) -> Option<recipes::Standing> {
    match state {
        ClaimState::Queued { ahead } => Some(recipes::Standing::Queued { ahead }),
        ClaimState::Granted => Some(recipes::Standing::Granted),
        ClaimState::Lost => None,
    }
}

/// The last thing that a claim's stream says about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LostClaim {
    /// The lock, semaphore or set.
    pub(crate) lock: String,
    /// Where it is.
    #[schema(examples("/v1/locks/orders"))]
    pub(crate) resource: String,
    /// The session.
    pub(crate) session: String,
    /// The token, which is worth nothing any more.
    pub(crate) token: i64,
    /// Why.
    pub(crate) reason: LossReason,
    /// What whoever broke the claim said about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// Why a claim is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LossReason {
    /// Its session expired or was closed.
    SessionEnded,
    /// It was released, by its owner over another connection or by somebody who deleted its key.
    Released,
    /// Somebody with the right to do so broke it.
    Broken,
}

impl LostClaim {
    /// Says that the claim of `lease` on `lock` is gone.
    pub(crate) fn new(
        lock: &Lock,
        lease: LeaseId,
        token: Revision,
        (reason, detail): (LossReason, Option<String>),
    ) -> Self {
        Self {
            lock: lock.name.clone(),
            resource: lock.url(),
            session: SessionId::of(lease).to_string(),
            token: token.get(),
            reason,
            detail,
        }
    }
}
