//! The kinds of problems: name, status, title and a short text each. Names are part of the API and never change meaning.

use axum::http::StatusCode;

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidRequest,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    KeyNotFound,
    SessionNotFound,
    SessionConflict,
    ClaimNotFound,
    ClaimLost,
    ClaimConflict,
    UpgradeNotPossible,
    SemaphoreNotFound,
    PermitsExceedLimit,
    LockHeld,
    LockWaitTimeout,
    QueueFull,
    RevisionCompacted,
    RevisionInFuture,
    PageExpired,
    VersionConflict,
    FencingTokenStale,
    NotLeader,
    BarrierFull,
    BarrierMismatch,
    CounterOutOfBounds,
    NotANumber,
    PreconditionRequired,
    ValueTooLarge,
    RequestTooLarge,
    SnapshotTooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    NoQuorum,
    LeaderChanged,
    NotReady,
    DeadlineExceeded,
    StorageFull,
    ClusterCorrupt,
    Internal,
    ConfigNotFound,
    DraftChanged,
    RolloutActive,
    RolloutEnded,
    SchemaViolation,
    SecretHidden,
    SecretUnreadable,
}

/// What is the same for all problems of a kind.
struct Entry {
    slug: &'static str,
    status: StatusCode,
    title: &'static str,
    text: &'static str,
}

impl Kind {
    /// All kinds, in the order in which they are listed to readers.
    pub(crate) const ALL: [Self; 48] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::KeyNotFound,
        Self::SessionNotFound,
        Self::SessionConflict,
        Self::ClaimNotFound,
        Self::ClaimLost,
        Self::ClaimConflict,
        Self::UpgradeNotPossible,
        Self::SemaphoreNotFound,
        Self::PermitsExceedLimit,
        Self::LockHeld,
        Self::LockWaitTimeout,
        Self::QueueFull,
        Self::RevisionCompacted,
        Self::RevisionInFuture,
        Self::PageExpired,
        Self::VersionConflict,
        Self::FencingTokenStale,
        Self::NotLeader,
        Self::BarrierFull,
        Self::BarrierMismatch,
        Self::CounterOutOfBounds,
        Self::NotANumber,
        Self::PreconditionRequired,
        Self::ValueTooLarge,
        Self::RequestTooLarge,
        Self::SnapshotTooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
        Self::NoQuorum,
        Self::LeaderChanged,
        Self::NotReady,
        Self::DeadlineExceeded,
        Self::StorageFull,
        Self::ClusterCorrupt,
        Self::Internal,
        Self::ConfigNotFound,
        Self::DraftChanged,
        Self::RolloutActive,
        Self::RolloutEnded,
        Self::SchemaViolation,
        Self::SecretHidden,
        Self::SecretUnreadable,
    ];

    /// The kind of that name.
    pub(crate) fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.slug() == slug)
    }

    /// Its name.
    pub(crate) fn slug(self) -> &'static str {
        self.entry().slug
    }

    /// Where it is explained; also its identity.
    pub(crate) fn type_uri(self) -> String {
        format!("/problems/{}", self.slug())
    }

    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        self.entry().status
    }

    /// The kind in words.
    pub(crate) fn title(self) -> &'static str {
        self.entry().title
    }

    /// What it means, and what to do.
    pub(crate) fn text(self) -> &'static str {
        self.entry().text
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_retryable(self) -> bool {
        match self {
            Self::RequestTimeout
            | Self::BarrierFull
            | Self::LockHeld
            | Self::LockWaitTimeout
            | Self::QueueFull
            | Self::TooManyRequests
            | Self::NoQuorum
            | Self::LeaderChanged
            | Self::NotReady
            | Self::DeadlineExceeded
            | Self::DraftChanged => true,
            Self::InvalidRequest
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::KeyNotFound
            | Self::SessionNotFound
            | Self::SessionConflict
            | Self::ClaimNotFound
            | Self::ClaimLost
            | Self::ClaimConflict
            | Self::UpgradeNotPossible
            | Self::SemaphoreNotFound
            | Self::PermitsExceedLimit
            | Self::RevisionCompacted
            | Self::RevisionInFuture
            | Self::PageExpired
            | Self::VersionConflict
            | Self::FencingTokenStale
            | Self::NotLeader
            | Self::BarrierMismatch
            | Self::CounterOutOfBounds
            | Self::NotANumber
            | Self::PreconditionRequired
            | Self::ValueTooLarge
            | Self::RequestTooLarge
            | Self::SnapshotTooLarge
            | Self::UnsupportedMediaType
            | Self::StorageFull
            | Self::ClusterCorrupt
            | Self::Internal
            | Self::ConfigNotFound
            | Self::RolloutActive
            | Self::RolloutEnded
            | Self::SchemaViolation
            | Self::SecretHidden
            | Self::SecretUnreadable => false,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table, one row a kind")]
    const fn entry(self) -> Entry {
        match self {
            Self::InvalidRequest => row(
                "invalid-request",
                StatusCode::BAD_REQUEST,
                "The request makes no sense",
                "A path, parameter, header or body is malformed, out of bounds, unknown, or contradicts another. `detail` \
                 names it; for a JSON body `line` and `column` say where. Nothing happened.",
            ),
            Self::Unauthenticated => row(
                "unauthenticated",
                StatusCode::UNAUTHORIZED,
                "The request does not say who makes it",
                "Authentication is on. Send a token as `Authorization: Bearer …`; POST /v3/auth/authenticate gives one for a name and a \
                 password. One that is unknown, ran out, or was made before users or roles changed is refused as well. Nothing \
                 happened.",
            ),
            Self::PermissionDenied => row(
                "permission-denied",
                StatusCode::FORBIDDEN,
                "The user may not do that",
                "No role of the user has the permission for all the keys that the request reads or writes. A lock needs reading on all \
                 its claims and writing on the session's own. Nothing happened.",
            ),
            Self::NotFound => row(
                "not-found",
                StatusCode::NOT_FOUND,
                "There is no such resource",
                "The path leads nowhere, or to something that was never set up or is gone. /docs lists what there is.",
            ),
            Self::MethodNotAllowed => row(
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The resource has no such method",
                "`Allow` lists the methods that it has.",
            ),
            Self::RequestTimeout => row(
                "request-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body of the request did not arrive",
                "The body took longer than a request may take to arrive. Nothing happened.",
            ),
            Self::KeyNotFound => row(
                "key-not-found",
                StatusCode::NOT_FOUND,
                "There is no such key",
                "The key does not exist, or did not at the revision asked for.",
            ),
            Self::SessionNotFound => row(
                "session-not-found",
                StatusCode::NOT_FOUND,
                "There is no such session",
                "The session expired, was closed, or never was. All its claims and keys are gone with it. Open a new one, and \
                 stop whatever was done under a lock of the old one.",
            ),
            Self::SessionConflict => row(
                "session-conflict",
                StatusCode::CONFLICT,
                "A session of that id exists and is another",
                "A lease of this id exists with another TTL, name or labels, or without a record in this namespace. Choose \
                 another id, or let the server choose.",
            ),
            Self::ClaimNotFound => row(
                "claim-not-found",
                StatusCode::NOT_FOUND,
                "The session has no claim on the lock",
                "It was never made, was released, or went with its session.",
            ),
            Self::ClaimLost => row(
                "claim-lost",
                StatusCode::CONFLICT,
                "The claim went away while it waited",
                "The session ended, or the claim was released from elsewhere, before the lock was granted. Ask again with a \
                 session that lives.",
            ),
            Self::ClaimConflict => row(
                "claim-conflict",
                StatusCode::CONFLICT,
                "The session has another claim here",
                "A session has one claim on a thing: this one is in another mode, for other permits or locks, or on one of the \
                 locks of the set by itself. Nothing was written. Change the claim with PATCH, or release it first.",
            ),
            Self::UpgradeNotPossible => row(
                "upgrade-not-possible",
                StatusCode::CONFLICT,
                "The claim cannot hold in that mode now",
                "Only the one holder of a read-write lock can become its writer, a reader only while nobody waits; and only a claim \
                 that holds can let others in. Nothing was written.",
            ),
            Self::SemaphoreNotFound => row(
                "semaphore-not-found",
                StatusCode::NOT_FOUND,
                "The semaphore has no limit",
                "A semaphore is there once it was given a limit: PUT /semaphores/{name}.",
            ),
            Self::PermitsExceedLimit => row(
                "permits-exceed-limit",
                StatusCode::CONFLICT,
                "The semaphore has not so many permits",
                "A claim on more permits than the limit would wait for ever. Nothing was written. Ask for less, or raise the limit.",
            ),
            Self::LockHeld => row(
                "lock-held",
                StatusCode::CONFLICT,
                "Another session holds the lock",
                "The request did not want to stand in line. `holder` says who holds. Nothing was written.",
            ),
            Self::LockWaitTimeout => row(
                "lock-wait-timeout",
                StatusCode::CONFLICT,
                "The lock did not become free in time",
                "The wait ended and the place in line was given back, as asked for with on_timeout=leave, which is the \
                 default for a new session.",
            ),
            Self::QueueFull => row(
                "queue-full",
                StatusCode::TOO_MANY_REQUESTS,
                "The line of the lock is full",
                "As many claims wait as the request accepts with max_queue. Nothing was written. Try again later.",
            ),
            Self::RevisionCompacted => row(
                "revision-compacted",
                StatusCode::GONE,
                "The revision is no longer kept",
                "History before the compact revision is gone. Read at the latest revision and go on from there.",
            ),
            Self::RevisionInFuture => row(
                "revision-in-future",
                StatusCode::BAD_REQUEST,
                "The revision does not exist yet",
                "The store has not reached that revision. After a restore from a backup, revisions seen before may be such.",
            ),
            Self::PageExpired => row(
                "page-expired",
                StatusCode::GONE,
                "The list can no longer be continued",
                "All pages of a list show the revision of the first, and that was compacted. Start again without page_token.",
            ),
            Self::VersionConflict => row(
                "version-conflict",
                StatusCode::PRECONDITION_FAILED,
                "The key is not in the state that the request requires",
                "If-Match or If-None-Match does not hold. `current_revision` is the key's mod_revision, 0 if there is no such \
                 key. Nothing was written. Read, decide again, try again.",
            ),
            Self::FencingTokenStale => row(
                "fencing-token-stale",
                StatusCode::PRECONDITION_FAILED,
                "The fencing token is not that of the present claim",
                "The session's claim is a newer one than the token is of. It was left alone. `current_token` is its token.",
            ),
            Self::NotLeader => row(
                "not-leader",
                StatusCode::PRECONDITION_FAILED,
                "The term is not that of the present leader",
                "Somebody else leads by now, or nobody. `current_token` is the term of who leads. Nothing was written. Stop whatever \
                 was done as the leader.",
            ),
            Self::BarrierFull => row(
                "barrier-full",
                StatusCode::CONFLICT,
                "All parties of the round are there without this one",
                "The round ends when all its parties have left; then another begins. Nothing was written. Try again later.",
            ),
            Self::BarrierMismatch => row(
                "barrier-mismatch",
                StatusCode::CONFLICT,
                "The others wait for something else",
                "Parties of a barrier must agree on their number, and on the generation; a latch begins with one count. `detail` says \
                 what the others expect. Nothing was written.",
            ),
            Self::CounterOutOfBounds => row(
                "counter-out-of-bounds",
                StatusCode::CONFLICT,
                "The sum would be out of bounds",
                "The counter stays as it is, because what would come of it is below min, above max, or not a 64-bit number.",
            ),
            Self::NotANumber => row(
                "not-a-number",
                StatusCode::CONFLICT,
                "The counter's key does not hold a number",
                "Another client wrote something else there. Setting the counter to a value replaces it.",
            ),
            Self::PreconditionRequired => row(
                "precondition-required",
                StatusCode::PRECONDITION_REQUIRED,
                "The request must say what it expects",
                "This write is only safe together with what it builds on: send If-Match, as `detail` says. Nothing was written.",
            ),
            Self::ValueTooLarge => row(
                "value-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The key or its value is too large",
                "A write must fit into one log entry (--max-request-bytes, 1.5 MiB unless set otherwise), a key into 65,000 bytes.",
            ),
            Self::RequestTooLarge => row(
                "request-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body of the request is too large",
                "Bodies in JSON are bounded to 64 KiB.",
            ),
            Self::SnapshotTooLarge => row(
                "snapshot-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too many keys to begin with a snapshot",
                "A watch without a usable cursor begins with all keys that it covers, and these are too many. Watch a longer \
                 prefix; or list the keys page by page under /v1/kv and watch from the list's cursor.",
            ),
            Self::UnsupportedMediaType => row(
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON",
                "Send Content-Type: application/json. (curl: --json, or -H; -d alone says it is a form.)",
            ),
            Self::TooManyRequests => row(
                "too-many-requests",
                StatusCode::TOO_MANY_REQUESTS,
                "The member has more to do than it admits",
                "Nothing happened. Slow down, and try again after `Retry-After`.",
            ),
            Self::NoQuorum => row(
                "no-quorum",
                StatusCode::SERVICE_UNAVAILABLE,
                "No leader is known",
                "Less than half of the members can be reached, or an election is under way. Nothing happened. Try again, or \
                 another member.",
            ),
            Self::LeaderChanged => row(
                "leader-changed",
                StatusCode::SERVICE_UNAVAILABLE,
                "Leadership moved while the request waited",
                "With outcome=unknown a write may have happened: repeating the same PUT or DELETE is safe and tells.",
            ),
            Self::NotReady => row(
                "not-ready",
                StatusCode::SERVICE_UNAVAILABLE,
                "The member is stopping",
                "Ask another member, or this one when it is back. With outcome=unknown a write may have happened.",
            ),
            Self::DeadlineExceeded => row(
                "deadline-exceeded",
                StatusCode::GATEWAY_TIMEOUT,
                "No answer in time",
                "With outcome=unknown a write may have happened, or may still happen: repeating the same PUT or DELETE is \
                 safe and tells.",
            ),
            Self::StorageFull => row(
                "storage-full",
                StatusCode::INSUFFICIENT_STORAGE,
                "The quota of the store is used up",
                "Nothing was written. Delete keys; writing goes on by itself once there is space again, unless that was turned off.",
            ),
            Self::ClusterCorrupt => row(
                "cluster-corrupt",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Members have different data",
                "Nothing was written, so that what is wrong does not spread. An operator has to find the member that differs, \
                 replace it, and end the alarm.",
            ),
            Self::Internal => row(
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "The member cannot go on",
                "Its disk or its data failed and it is about to stop. With outcome=unknown a write may have happened. The \
                 member's log says more under the request's time.",
            ),
            Self::ConfigNotFound => row(
                "config-not-found",
                StatusCode::NOT_FOUND,
                "There is no such part of the configuration",
                "Nothing was released there, or there is no such item, release, label, schema or rollout. `detail` says which.",
            ),
            Self::DraftChanged => row(
                "draft-changed",
                StatusCode::CONFLICT,
                "The draft was changed while it was being published",
                "What is published is what was read and checked; others kept changing it meanwhile. Nothing was written. Try again.",
            ),
            Self::RolloutActive => row(
                "rollout-active",
                StatusCode::CONFLICT,
                "A release is being rolled out",
                "The label is where a rollout is going to, so nothing else may move it. `current_version` is the release that is rolled out. Wait, or abort the rollout.",
            ),
            Self::RolloutEnded => row(
                "rollout-ended",
                StatusCode::CONFLICT,
                "The rollout has ended",
                "A rollout that is completed, rolled back or aborted cannot be paused or resumed. Publish again.",
            ),
            Self::SchemaViolation => row(
                "schema-violation",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The items do not satisfy their schema",
                "`errors` says where and how; or the schema itself is none. Nothing was written.",
            ),
            Self::SecretHidden => row(
                "secret-hidden",
                StatusCode::FORBIDDEN,
                "The item is a secret",
                "It is shown only to who asks for it with secrets=reveal.",
            ),
            Self::SecretUnreadable => row(
                "secret-unreadable",
                StatusCode::CONFLICT,
                "The secret cannot be sealed or opened here",
                "The member was started without --config-secret-key-file, or with another key than the secret was sealed with, or the secret was sealed for another item. Nothing was written.",
            ),
        }
    }
}

const fn row(slug: &'static str, status: StatusCode, title: &'static str, text: &'static str) -> Entry {
    Entry { slug, status, title, text }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_words_of_a_path() {
        let slugs: BTreeSet<&str> = Kind::ALL.into_iter().map(Kind::slug).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(kind.slug().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", kind.slug());
            assert_eq!(Kind::of_slug(kind.slug()), Some(kind));
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
        }
        assert_eq!(Kind::of_slug("no-such-kind"), None);
    }
}
