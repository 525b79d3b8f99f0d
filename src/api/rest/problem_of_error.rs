//! The one table from what a member answers to kinds of problems.
//!
//! Reads and writes differ in one thing: of a write that was not answered nobody knows whether it happened.

use std::time::Duration;

use model::Rejection;
use node::{Error, Unavailable};

use super::problem::{Facts, Kind, Problem};

/// When to try again after an election or an overload: a little longer than either takes to pass.
const RETRY_DELAY: Duration = Duration::from_millis(500);

impl Problem {
    /// Why a read has no answer.
    pub(crate) fn of_read(error: impl Into<Error>) -> Self {
        Self::of_error(&error.into())
    }

    /// Why a write has no answer, and whether it may have happened.
    pub(crate) fn of_write(error: impl Into<Error>) -> Self {
        let error = error.into();
        let outcome_unknown = match error {
            Error::Unavailable(unavailable) => unavailable.outcome_unknown(),
            Error::Fault => true,
            Error::Rejected(_) | Error::Invalid(_) | Error::PasswordTooLong | Error::VerifyOnly => false,
        };
        let problem = Self::of_error(&error);
        if outcome_unknown { problem.with(Facts { outcome: Some("unknown"), ..Facts::default() }) } else { problem }
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::Rejected(rejection) => Self::new(kind_of_rejection(*rejection), error.to_string()),
            Error::Invalid(_) | Error::PasswordTooLong | Error::VerifyOnly => Self::invalid(error.to_string()),
            Error::Unavailable(unavailable) => {
                Self::new(kind_of_unavailable(*unavailable), error.to_string()).retry_after(RETRY_DELAY)
            }
            Error::Fault => Self::new(Kind::Internal, error.to_string()),
        }
    }
}

const fn kind_of_rejection(rejection: Rejection) -> Kind {
    match rejection {
        Rejection::EmptyKey
        | Rejection::ValueProvided
        | Rejection::LeaseProvided
        | Rejection::TooManyOps
        | Rejection::DuplicateKey
        | Rejection::InvalidSortOption
        | Rejection::LeaseTtlTooLarge
        // Users and roles are not changed over this API; these are never answers here.
        | Rejection::RootUserNotExist
        | Rejection::RootRoleNotGranted
        | Rejection::UserExists
        | Rejection::UserNotFound
        | Rejection::RoleExists
        | Rejection::RoleNotFound
        | Rejection::RoleNameEmpty
        | Rejection::PermissionNotGiven
        | Rejection::RoleNotGranted
        | Rejection::PermissionNotGranted
        | Rejection::AuthNotEnabled
        | Rejection::PasswordNotWanted
        | Rejection::InvalidAuthManagement => Kind::InvalidRequest,
        Rejection::UserNameEmpty
        | Rejection::AuthFailed
        | Rejection::InvalidAuthToken
        | Rejection::AuthOldRevision => Kind::Unauthenticated,
        Rejection::PermissionDenied => Kind::PermissionDenied,
        Rejection::KeyNotFound => Kind::KeyNotFound,
        Rejection::RequestTooLarge => Kind::ValueTooLarge,
        Rejection::Compacted => Kind::RevisionCompacted,
        Rejection::FutureRevision => Kind::RevisionInFuture,
        Rejection::NoSpace => Kind::StorageFull,
        Rejection::Corrupt => Kind::ClusterCorrupt,
        Rejection::LeaseNotFound => Kind::SessionNotFound,
        Rejection::LeaseExists => Kind::SessionConflict,
    }
}

const fn kind_of_unavailable(unavailable: Unavailable) -> Kind {
    match unavailable {
        Unavailable::NoLeader => Kind::NoQuorum,
        Unavailable::LeaderChanged => Kind::LeaderChanged,
        Unavailable::Timeout => Kind::DeadlineExceeded,
        Unavailable::TooManyRequests => Kind::TooManyRequests,
        Unavailable::Stopped => Kind::NotReady,
    }
}

#[cfg(test)]
mod tests {
    use model::Revision;

    use super::*;

    /// Every answer of a member: kind, status, and whether a write that got it may have happened.
    #[test]
    fn every_error_has_its_kind() {
        let table: [(Error, &str, u16, bool); 26] = [
            (Rejection::UserNameEmpty.into(), "unauthenticated", 401, false),
            (Rejection::InvalidAuthToken.into(), "unauthenticated", 401, false),
            (Rejection::AuthOldRevision.into(), "unauthenticated", 401, false),
            (Rejection::PermissionDenied.into(), "permission-denied", 403, false),
            (Rejection::EmptyKey.into(), "invalid-request", 400, false),
            (Rejection::KeyNotFound.into(), "key-not-found", 404, false),
            (Rejection::ValueProvided.into(), "invalid-request", 400, false),
            (Rejection::LeaseProvided.into(), "invalid-request", 400, false),
            (Rejection::TooManyOps.into(), "invalid-request", 400, false),
            (Rejection::DuplicateKey.into(), "invalid-request", 400, false),
            (Rejection::InvalidSortOption.into(), "invalid-request", 400, false),
            (Rejection::RequestTooLarge.into(), "value-too-large", 413, false),
            (Rejection::Compacted.into(), "revision-compacted", 410, false),
            (Rejection::FutureRevision.into(), "revision-in-future", 400, false),
            (Rejection::NoSpace.into(), "storage-full", 507, false),
            (Rejection::Corrupt.into(), "cluster-corrupt", 500, false),
            (Rejection::LeaseNotFound.into(), "session-not-found", 404, false),
            (Rejection::LeaseExists.into(), "session-conflict", 409, false),
            (Rejection::LeaseTtlTooLarge.into(), "invalid-request", 400, false),
            (recipes::Invalid::RecordContends.into(), "invalid-request", 400, false),
            (Unavailable::NoLeader.into(), "no-quorum", 503, false),
            (Unavailable::LeaderChanged.into(), "leader-changed", 503, true),
            (Unavailable::Timeout.into(), "deadline-exceeded", 504, true),
            (Unavailable::TooManyRequests.into(), "too-many-requests", 429, false),
            (Unavailable::Stopped.into(), "not-ready", 503, true),
            (Error::Fault, "internal", 500, true),
        ];
        for (error, slug, status, outcome_unknown) in table {
            let document = |problem: Problem| problem.into_document("id".to_owned(), Revision::new(7));
            let of_write = document(Problem::of_write(error.clone()));
            assert_eq!((of_write.code, of_write.status), (slug, status), "{error}");
            assert_eq!(of_write.facts.outcome.is_some(), outcome_unknown, "{error}");
            assert_eq!(of_write.detail, error.to_string());
            assert_eq!(of_write.revision, 7);
            assert_eq!(document(Problem::of_read(error)).facts.outcome, None, "a read changes nothing");
        }
    }

    #[test]
    fn what_passes_says_when_to_come_back() {
        let problem = Problem::of_read(Unavailable::NoLeader).into_document(String::new(), Revision::FIRST);
        assert!(problem.retryable);
        assert_eq!(problem.retry_after_ms, Some(500));
    }
}
