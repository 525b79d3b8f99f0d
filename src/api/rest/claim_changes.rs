//! What is done to claims that there are: changed by their session, broken or asked for by somebody else.

use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use node::{AmendOutcome, Claim, GiveUpOutcome, TellOutcome};
use recipes::{Amendment, Extent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Rest;
use super::caller::Caller;
use super::claim::ClaimDocument;
use super::claim_request::meta_value;
use super::claims::{not_found, stale, token_in};
use super::holder::Mode;
use super::names::{Lock, SessionId, Sort};
use super::notice::{Notice, NoticeKind};
use super::path::OfClaim;
use super::problem::{Kind, Problem};
use super::reply::reply;

/// Longest reason in bytes.
const REASON_BYTES_MAX: usize = 1024;

/// A change of a claim: its mode, or what it says about itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"meta": {"pod": "billing-8"}}))]
pub(crate) struct ClaimPatch {
    /// Of a read-write lock: `shared` lets readers in and keeps place and token; `exclusive` is possible for the only holder,
    /// and for a reader only while nobody waits; it then has a new token.
    pub(crate) mode: Option<Mode>,
    /// What holder and waiters say about themselves to others, in place of what they said before: an object of at most 4096 bytes.
    #[schema(value_type = Option<serde_json::Map<String, Value>>)]
    pub(crate) meta: Option<Map<String, Value>>,
}

/// Why somebody else's claim shall go.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "maintenance of the billing database"}))]
pub(crate) struct Reason {
    /// In words, for whoever holds the claim: at most 1024 bytes.
    pub(crate) reason: Option<String>,
}

/// A request that a claim be released, on its way to the session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevocationRequest {
    /// The session.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// The token of the claim that it is about.
    #[schema(examples(1842))]
    pub(crate) token: i64,
    /// The revision at which the session is told.
    pub(crate) revision: i64,
}

impl Reason {
    fn check(self) -> Result<Option<String>, Problem> {
        if self.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            return Err(Problem::invalid(format!("a reason has at most {REASON_BYTES_MAX} bytes")));
        }
        Ok(self.reason)
    }
}

/// Changes a claim.
pub(crate) async fn amend(
    rest: Rest,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    headers: HeaderMap,
    patch: ClaimPatch,
) -> Result<Response, Problem> {
    let change = match (patch.mode, patch.meta) {
        (None, Some(meta)) => Amendment::Meta(meta_value(Some(meta))?),
        (Some(_), None) if lock.sort != Sort::RwLock => {
            return Err(Problem::invalid("only a read-write lock is held in one mode or another"));
        }
        (Some(Mode::Shared), None) => Amendment::Downgrade(lock.prefix()),
        (Some(Mode::Exclusive), None) => Amendment::Upgrade(lock.prefix()),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Problem::invalid("a change is of mode or of meta, one at a time"));
        }
    };
    let token = token_in(&headers)?;
    let record = lock.claimable().record_key(session.lease());
    let amended = rest.handle.amend_claim(caller.identity(), record, token, change).await;
    match amended.map_err(Problem::of_write)?.1 {
        AmendOutcome::Amended { .. } => {}
        AmendOutcome::NotPossible => {
            let detail = format!("{}: the claim waits, or others hold or wait as well", lock.name);
            return Err(Problem::new(Kind::UpgradeNotPossible, detail));
        }
        AmendOutcome::NotHeld => return Err(not_found(&lock, session)),
        AmendOutcome::Stale { current } => return Err(stale(&lock, current)),
    }
    let claim = find(&rest, &caller, &lock, session).await?;
    let document = ClaimDocument::of(&rest, &caller, &lock, &claim, None).await;
    Ok(reply(StatusCode::OK, claim.revision, [(ETAG, format!("\"{}\"", claim.token))], &document))
}

async fn find(rest: &Rest, caller: &Caller, lock: &Lock, session: SessionId) -> Result<Claim, Problem> {
    let found = rest.handle.claim_state(caller, &lock.claimable(), session.lease()).await;
    found.map_err(Problem::of_read)?.ok_or_else(|| not_found(lock, session))
}

/// Takes a claim away from its session, which is told. The session's other claims stay.
pub(crate) async fn force(
    rest: Rest,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    headers: HeaderMap,
    reason: Reason,
) -> Result<Response, Problem> {
    let (meant, reason) = (token_in(&headers)?, reason.check()?);
    let claim = match find(&rest, &caller, &lock, session).await {
        Ok(claim) => claim,
        Err(problem) if problem.kind() == Kind::ClaimNotFound => return Ok(StatusCode::NO_CONTENT.into_response()),
        Err(problem) => return Err(problem),
    };
    if meant.is_some_and(|meant| meant != claim.token) {
        return Err(stale(&lock, claim.token));
    }
    let notice = notice(NoticeKind::Broken, &caller, &lock, &claim, reason);
    let extent = Extent::Broken(notice.stored(&lock.namespace, session));
    let broken = rest.handle.give_up(caller.identity(), claim.record.clone(), Some(claim.token), extent).await;
    match broken.map_err(Problem::of_write)? {
        GiveUpOutcome::Gone { token } => {
            tracing::warn!(
                resource = notice.resource, session = %session, token = token.get(), by = notice.by,
                reason = notice.reason, "a claim was broken"
            );
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        GiveUpOutcome::NotHeld | GiveUpOutcome::Stays { .. } => Ok(StatusCode::NO_CONTENT.into_response()),
        GiveUpOutcome::Stale { current } => Err(stale(&lock, current)),
    }
}

/// Asks the session of a claim to release it.
pub(crate) async fn request_revocation(
    rest: Rest,
    caller: Caller,
    OfClaim { lock, session }: OfClaim,
    reason: Reason,
) -> Result<Response, Problem> {
    let reason = reason.check()?;
    let claim = find(&rest, &caller, &lock, session).await?;
    let notice = notice(NoticeKind::RevokeRequested, &caller, &lock, &claim, reason);
    let stored = notice.stored(&lock.namespace, session);
    let told = rest.handle.tell_claimant(caller.identity(), claim.record, Some(claim.token), stored).await;
    let (revision, outcome) = told.map_err(Problem::of_write)?;
    match outcome {
        TellOutcome::Told { token } => {
            let request =
                RevocationRequest { session: session.to_string(), token: token.get(), revision: revision.get() };
            Ok(reply(StatusCode::ACCEPTED, revision, [], &request))
        }
        TellOutcome::NotHeld | TellOutcome::Stale { .. } => Err(not_found(&lock, session)),
    }
}

fn notice(kind: NoticeKind, caller: &Caller, lock: &Lock, claim: &Claim, reason: Option<String>) -> Notice {
    Notice {
        kind,
        claim: String::from_utf8_lossy(&claim.record).into_owned(),
        token: claim.token.get(),
        resource: lock.url(),
        reason,
        by: caller.user.clone(),
    }
}
