//! The one table from what a member answers to gRPC codes; the texts are those of the errors themselves, because clients
//! match on both.

use model::Rejection;
use node::{Error, MembersError, TransferError, Unavailable};
use tonic::{Code, Status};

/// The status that says `error`.
pub(crate) fn status(error: impl Into<Error>) -> Status {
    let error = error.into();
    Status::new(code(&error), error.to_string())
}

/// The status of a request that its client may not ask yet: etcd's words, and the code that they are declared with.
pub(crate) fn too_many_requests() -> Status {
    Status::resource_exhausted(Unavailable::TooManyRequests.to_string())
}

/// The status that says why the membership was not changed.
pub(crate) fn members_status(error: MembersError) -> Status {
    Status::new(code_of_members(error), format!("etcdserver: {error}"))
}

/// The status that says why the leadership did not move.
pub(crate) fn transfer_status(error: TransferError) -> Status {
    let code = match error {
        TransferError::NotLeader | TransferError::NotAVoter => Code::FailedPrecondition,
        TransferError::Timeout => Code::Unavailable,
    };
    Status::new(code, format!("etcdserver: {error}"))
}

const fn code_of_members(error: MembersError) -> Code {
    match error {
        MembersError::NotFound => Code::NotFound,
        MembersError::IdExists
        | MembersError::PeerUrlExists
        | MembersError::TooManyLearners
        | MembersError::NotLearner
        | MembersError::LearnerNotReady => Code::FailedPrecondition,
        // As with too many requests: declared otherwise, sent as Unknown.
        MembersError::NotEnoughStarted => Code::Unknown,
        MembersError::Unhealthy | MembersError::NoLeader | MembersError::Unknown => Code::Unavailable,
    }
}

/// The code that etcd gives `error`.
pub(crate) fn code(error: &Error) -> Code {
    match error {
        Error::Rejected(rejection) => code_of_rejection(*rejection),
        Error::Invalid(_) => Code::InvalidArgument,
        // Go's library and etcd's own package speak here, without a code.
        Error::PasswordTooLong | Error::VerifyOnly => Code::Unknown,
        Error::Unavailable(unavailable) => code_of_unavailable(*unavailable),
        Error::Fault => Code::Unavailable,
    }
}

const fn code_of_rejection(rejection: Rejection) -> Code {
    match rejection {
        Rejection::EmptyKey
        | Rejection::KeyNotFound
        | Rejection::ValueProvided
        | Rejection::LeaseProvided
        | Rejection::TooManyOps
        | Rejection::DuplicateKey
        | Rejection::InvalidSortOption
        | Rejection::UserNameEmpty
        | Rejection::RoleNameEmpty
        | Rejection::AuthFailed
        | Rejection::PermissionNotGiven
        | Rejection::InvalidAuthManagement
        | Rejection::AuthOldRevision
        | Rejection::RequestTooLarge => Code::InvalidArgument,
        Rejection::Compacted | Rejection::FutureRevision | Rejection::LeaseTtlTooLarge => Code::OutOfRange,
        Rejection::NoSpace => Code::ResourceExhausted,
        Rejection::Corrupt => Code::DataLoss,
        Rejection::LeaseNotFound => Code::NotFound,
        Rejection::LeaseExists
        | Rejection::RootUserNotExist
        | Rejection::RootRoleNotGranted
        | Rejection::UserExists
        | Rejection::UserNotFound
        | Rejection::RoleExists
        | Rejection::RoleNotFound
        | Rejection::RoleNotGranted
        | Rejection::PermissionNotGranted
        | Rejection::AuthNotEnabled => Code::FailedPrecondition,
        Rejection::PermissionDenied => Code::PermissionDenied,
        Rejection::InvalidAuthToken => Code::Unauthenticated,
        // Not among etcd's declared errors, so it has no code.
        Rejection::PasswordNotWanted => Code::Unknown,
    }
}

const fn code_of_unavailable(unavailable: Unavailable) -> Code {
    match unavailable {
        Unavailable::NoLeader | Unavailable::LeaderChanged | Unavailable::Timeout | Unavailable::Stopped => {
            Code::Unavailable
        }
        // etcd declares ResourceExhausted, but what it sends is Unknown, in every release.
        Unavailable::TooManyRequests => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use recipes::Invalid;

    use super::*;

    /// etcd's table, by hand: code and text of everything that can be answered.
    #[test]
    fn every_error_has_etcds_code_and_text() {
        let table: [(Error, Code, &str); 22] = [
            (Rejection::EmptyKey.into(), Code::InvalidArgument, "etcdserver: key is not provided"),
            (Rejection::KeyNotFound.into(), Code::InvalidArgument, "etcdserver: key not found"),
            (Rejection::ValueProvided.into(), Code::InvalidArgument, "etcdserver: value is provided"),
            (Rejection::LeaseProvided.into(), Code::InvalidArgument, "etcdserver: lease is provided"),
            (Rejection::TooManyOps.into(), Code::InvalidArgument, "etcdserver: too many operations in txn request"),
            (Rejection::DuplicateKey.into(), Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
            (Rejection::InvalidSortOption.into(), Code::InvalidArgument, "etcdserver: invalid sort option"),
            (Rejection::RequestTooLarge.into(), Code::InvalidArgument, "etcdserver: request is too large"),
            (Rejection::Compacted.into(), Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
            (
                Rejection::FutureRevision.into(),
                Code::OutOfRange,
                "etcdserver: mvcc: required revision is a future revision",
            ),
            (Rejection::NoSpace.into(), Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
            (Rejection::Corrupt.into(), Code::DataLoss, "etcdserver: corrupt cluster"),
            (Rejection::LeaseNotFound.into(), Code::NotFound, "etcdserver: requested lease not found"),
            (Rejection::LeaseExists.into(), Code::FailedPrecondition, "etcdserver: lease already exists"),
            (Rejection::LeaseTtlTooLarge.into(), Code::OutOfRange, "etcdserver: too large lease TTL"),
            (Invalid::EmptyPrefix.into(), Code::InvalidArgument, "the prefix is empty"),
            (Unavailable::NoLeader.into(), Code::Unavailable, "etcdserver: no leader"),
            (Unavailable::LeaderChanged.into(), Code::Unavailable, "etcdserver: leader changed"),
            (Unavailable::Timeout.into(), Code::Unavailable, "etcdserver: request timed out"),
            (Unavailable::TooManyRequests.into(), Code::Unknown, "etcdserver: too many requests"),
            (Unavailable::Stopped.into(), Code::Unavailable, "etcdserver: server stopped"),
            (Error::Fault, Code::Unavailable, "etcdserver: server stopped"),
        ];
        for (error, code, text) in table {
            let status = status(error);
            assert_eq!((status.code(), status.message()), (code, text));
        }
    }

    #[test]
    fn every_refusal_of_auth_has_etcds_code_and_text() {
        let table: [(Rejection, Code, &str); 18] = [
            (Rejection::RootUserNotExist, Code::FailedPrecondition, "etcdserver: root user does not exist"),
            (Rejection::RootRoleNotGranted, Code::FailedPrecondition, "etcdserver: root user does not have root role"),
            (Rejection::UserExists, Code::FailedPrecondition, "etcdserver: user name already exists"),
            (Rejection::UserNameEmpty, Code::InvalidArgument, "etcdserver: user name is empty"),
            (Rejection::UserNotFound, Code::FailedPrecondition, "etcdserver: user name not found"),
            (Rejection::RoleExists, Code::FailedPrecondition, "etcdserver: role name already exists"),
            (Rejection::RoleNotFound, Code::FailedPrecondition, "etcdserver: role name not found"),
            (Rejection::RoleNameEmpty, Code::InvalidArgument, "etcdserver: role name is empty"),
            (
                Rejection::AuthFailed,
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
            ),
            (Rejection::PermissionNotGiven, Code::InvalidArgument, "etcdserver: permission not given"),
            (Rejection::PermissionDenied, Code::PermissionDenied, "etcdserver: permission denied"),
            (Rejection::RoleNotGranted, Code::FailedPrecondition, "etcdserver: role is not granted to the user"),
            (
                Rejection::PermissionNotGranted,
                Code::FailedPrecondition,
                "etcdserver: permission is not granted to the role",
            ),
            (Rejection::AuthNotEnabled, Code::FailedPrecondition, "etcdserver: authentication is not enabled"),
            (Rejection::InvalidAuthToken, Code::Unauthenticated, "etcdserver: invalid auth token"),
            (Rejection::InvalidAuthManagement, Code::InvalidArgument, "etcdserver: invalid auth management"),
            (Rejection::AuthOldRevision, Code::InvalidArgument, "etcdserver: revision of auth store is old"),
            (
                Rejection::PasswordNotWanted,
                Code::Unknown,
                "auth: authentication failed, password was given for no password user",
            ),
        ];
        for (rejection, code, text) in table {
            let status = status(rejection);
            assert_eq!((status.code(), status.message()), (code, text));
        }
    }

    #[test]
    fn changes_of_the_membership_are_refused_in_etcds_words() {
        let table: [(Status, Code, &str); 13] = [
            (members_status(MembersError::NotFound), Code::NotFound, "member not found"),
            (members_status(MembersError::IdExists), Code::FailedPrecondition, "member ID already exist"),
            (members_status(MembersError::PeerUrlExists), Code::FailedPrecondition, "Peer URLs already exists"),
            (
                members_status(MembersError::TooManyLearners),
                Code::FailedPrecondition,
                "too many learner members in cluster",
            ),
            (members_status(MembersError::NotLearner), Code::FailedPrecondition, "can only promote a learner member"),
            (
                members_status(MembersError::LearnerNotReady),
                Code::FailedPrecondition,
                "can only promote a learner member which is in sync with leader",
            ),
            (
                members_status(MembersError::NotEnoughStarted),
                Code::Unknown,
                "re-configuration failed due to not enough started members",
            ),
            (members_status(MembersError::Unhealthy), Code::Unavailable, "unhealthy cluster"),
            (members_status(MembersError::NoLeader), Code::Unavailable, "no leader"),
            (members_status(MembersError::Unknown), Code::Unavailable, "request timed out"),
            (transfer_status(TransferError::NotLeader), Code::FailedPrecondition, "not leader"),
            (transfer_status(TransferError::NotAVoter), Code::FailedPrecondition, "bad leader transferee"),
            (
                transfer_status(TransferError::Timeout),
                Code::Unavailable,
                "request timed out, leader transfer took too long",
            ),
        ];
        for (status, code, text) in table {
            assert_eq!((status.code(), status.message()), (code, &*format!("etcdserver: {text}")));
        }
    }
}
