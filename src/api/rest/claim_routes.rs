//! The routes of claims, the same for every sort of lock: one text for all, because they differ in nothing but their path.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::claim::ClaimDocument;
use super::claim_changes::{self, ClaimPatch, Reason, RevocationRequest};
use super::claim_request::ClaimRequest;
use super::claims;
use super::path::{OfClaim, OfNewClaim};
use super::problem::{Problem, ProblemDocument};
use super::query::Query;

/// The routes of the claims on one sort of lock: the path of a claim, what the path calls the lock, and the names of the operations.
macro_rules! claims_of {
    ($module:ident, $path:tt, $revocations:tt, $part:tt, $example:tt, $tag:tt,
     [$claim:tt, $show:tt, $amend:tt, $release:tt, $revoke:tt]) => {
        pub(crate) mod $module {
            use super::*;

            /// Takes a lock, or a place in its line. `session` is `new` to open a session in the same step. Asking again is safe.
            #[utoipa::path(
                put,
                path = $path,
                operation_id = $claim,
                tag = $tag,
                params(
                    ($part = String, Path, description = "Its name; a slash in it is written %2F", example = $example),
                    ("session" = String, Path, description = "A session that is open, or `new`", example = "new"),
                ),
                request_body = ClaimRequest,
                responses(
                    (status = 201, description = "Held, by this request", body = ClaimDocument, headers(
                        ("Location" = String, description = "The claim"), ("ETag" = String, description = "The fencing token"),
                    )),
                    (status = 200, description = "Held already, under the same token. For a stream (`Accept: \
                        text/event-stream` or `application/x-ndjson`): the events `queued`, `granted`, `lost`, each with the \
                        claim; hanging up gives back a place that the request made, held or not", content(
                        (ClaimDocument = "application/json"),
                        (String = "text/event-stream"),
                    )),
                    (status = 202, description = "Still queued when the wait ended; the place is kept", body = ClaimDocument),
                    (status = 404, description = "`session-not-found`, `semaphore-not-found`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                    (status = 409, description = "`lock-held`, `lock-wait-timeout`, `claim-lost`, `claim-conflict` or \
                        `permits-exceed-limit`", body = ProblemDocument, content_type = "application/problem+json"),
                    (status = 429, description = "`queue-full`, or `too-many-requests`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                )
            )]
            pub(crate) async fn claim(
                State(rest): State<Rest>,
                caller: Caller,
                of: OfNewClaim,
                query: Query,
                headers: HeaderMap,
                Json(request): Json<ClaimRequest>,
            ) -> Result<Response, Problem> {
                query.finish()?;
                claims::claim(rest, caller, of, headers, request).await
            }

            /// A session's claim as it stands; with `wait`, as soon as it does not wait any more, or with `If-None-Match` as soon as
            /// it stands otherwise than that says.
            #[utoipa::path(
                get,
                path = $path,
                operation_id = $show,
                tag = $tag,
                params(
                    ($part = String, Path, description = "Its name", example = $example),
                    ("session" = String, Path, description = "The session", example = "694d805f7877a227"),
                    ("wait" = Option<String>, Query, description = "How long to wait: up to `10m`", example = "30s"),
                    ("state_not" = Option<String>, Query, description = "With `wait`: `queued`, which is also what is meant \
                        without it", example = "queued"),
                    ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the answer before"),
                ),
                responses(
                    (status = 200, description = "Held or queued", body = ClaimDocument),
                    (status = 304, description = "It stands as `If-None-Match` says, also at the end of the wait"),
                    (status = 404, description = "`claim-not-found`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                )
            )]
            pub(crate) async fn show(
                State(rest): State<Rest>,
                caller: Caller,
                of: OfClaim,
                query: Query,
                headers: HeaderMap,
            ) -> Result<Response, Problem> {
                claims::show(rest, caller, of, query, headers).await
            }

            /// Changes a claim: the mode in which it holds, or what it says about itself.
            #[utoipa::path(
                patch,
                path = $path,
                operation_id = $amend,
                tag = $tag,
                params(
                    ($part = String, Path, description = "Its name", example = $example),
                    ("session" = String, Path, description = "The session", example = "694d805f7877a227"),
                    ("If-Match" = Option<String>, Header, description = "The fencing token in quotes", example = "\"1842\""),
                ),
                request_body = ClaimPatch,
                responses(
                    (status = 200, description = "The claim as it is now", body = ClaimDocument),
                    (status = 404, description = "`claim-not-found`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                    (status = 409, description = "`upgrade-not-possible`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                    (status = 412, description = "`fencing-token-stale`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                )
            )]
            pub(crate) async fn amend(
                State(rest): State<Rest>,
                caller: Caller,
                of: OfClaim,
                query: Query,
                headers: HeaderMap,
                Json(patch): Json<ClaimPatch>,
            ) -> Result<Response, Problem> {
                query.finish()?;
                claim_changes::amend(rest, caller, of, headers, patch).await
            }

            /// Gives a claim up, held or waiting. With `If-Match` only that of this token, so that a repeated release cannot hit a
            /// newer claim. Doing it twice is safe. With `force` somebody else's claim is broken; its session is told.
            #[utoipa::path(
                delete,
                path = $path,
                operation_id = $release,
                tag = $tag,
                params(
                    ($part = String, Path, description = "Its name", example = $example),
                    ("session" = String, Path, description = "The session", example = "694d805f7877a227"),
                    ("hold" = Option<String>, Query, description = "Only the hold of this name; the claim goes with the last"),
                    ("force" = Option<bool>, Query, description = "`true`: it is somebody else's"),
                    ("If-Match" = Option<String>, Header, description = "The fencing token in quotes", example = "\"1842\""),
                ),
                request_body(content = Reason, description = "Only with `force`: why"),
                responses(
                    (status = 204, description = "There is no such claim, or no such hold, any more"),
                    (status = 412, description = "`fencing-token-stale`: the session's claim is a newer one, and stays",
                        body = ProblemDocument, content_type = "application/problem+json"),
                )
            )]
            pub(crate) async fn release(
                State(rest): State<Rest>,
                caller: Caller,
                of: OfClaim,
                mut query: Query,
                headers: HeaderMap,
                Json(reason): Json<Reason>,
            ) -> Result<Response, Problem> {
                let hold = query.text("hold")?;
                let force = query.choice("force", &[("true", true), ("false", false)])?.unwrap_or(false);
                query.finish()?;
                match (force, hold) {
                    (true, None) => claim_changes::force(rest, caller, of, headers, reason).await,
                    (true, Some(_)) => Err(Problem::invalid("force breaks the whole claim, not one hold of it")),
                    (false, _) if reason.reason.is_some() => {
                        Err(Problem::invalid("a reason is given with force=true"))
                    }
                    (false, hold) => claims::release(rest, caller, of, hold, headers).await,
                }
            }

            /// Asks the session to release its claim: its streams hear `revoke-requested`. Nothing is taken away.
            #[utoipa::path(
                post,
                path = $revocations,
                operation_id = $revoke,
                tag = $tag,
                params(
                    ($part = String, Path, description = "Its name", example = $example),
                    ("session" = String, Path, description = "The session", example = "694d805f7877a227"),
                ),
                request_body = Reason,
                responses(
                    (status = 202, description = "The session is told", body = RevocationRequest),
                    (status = 404, description = "`claim-not-found`", body = ProblemDocument,
                        content_type = "application/problem+json"),
                )
            )]
            pub(crate) async fn request_revocation(
                State(rest): State<Rest>,
                caller: Caller,
                of: OfClaim,
                query: Query,
                Json(reason): Json<Reason>,
            ) -> Result<Response, Problem> {
                query.finish()?;
                claim_changes::request_revocation(rest, caller, of, reason).await
            }
        }
    };
}

claims_of!(
    lock_claims,
    "/locks/{name}/claims/{session}",
    "/locks/{name}/claims/{session}/revocation-requests",
    "name",
    "orders",
    "locks",
    ["claimLock", "getClaim", "amendClaim", "releaseClaim", "requestRevocation"]
);

claims_of!(
    rw_lock_claims,
    "/rw-locks/{rw_lock}/claims/{session}",
    "/rw-locks/{rw_lock}/claims/{session}/revocation-requests",
    "rw_lock",
    "catalog",
    "rw-locks",
    ["claimRwLock", "getRwClaim", "amendRwClaim", "releaseRwClaim", "requestRwRevocation"]
);

claims_of!(
    semaphore_claims,
    "/semaphores/{semaphore}/claims/{session}",
    "/semaphores/{semaphore}/claims/{session}/revocation-requests",
    "semaphore",
    "workers",
    "semaphores",
    ["claimPermits", "getPermits", "amendPermits", "releasePermits", "requestPermits"]
);

claims_of!(
    lock_set_claims,
    "/lock-sets/{lock_set}/claims/{session}",
    "/lock-sets/{lock_set}/claims/{session}/revocation-requests",
    "lock_set",
    "transfer",
    "lock-sets",
    ["claimLockSet", "getLockSetClaim", "amendLockSetClaim", "releaseLockSetClaim", "requestLockSetRevocation"]
);
