//! Deterministic answers of "no": the same on every member, replicated like a success, never logged as a failure.
//!
//! The texts are part of the API: etcd clients match on them to the letter (semantics of etcd 3.6).

use thiserror::Error;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The key is empty. Name one; all keys are asked for with a zero byte as key and as range end.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` or `ignore_lease` on a key that does not exist, or an operation that is none.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A value together with `ignore_value`.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// A lease together with `ignore_lease`.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// More conditions or operations than a transaction may have.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// A transaction would write one key twice.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// A sort order or target that does not exist.
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    /// The request is larger than a log entry may be, or a key longer than the store takes. Split it.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// The revision asked for is gone. Read at the latest and start again from there.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The revision asked for does not exist yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The quota is used up. Delete and compact.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// A member's data differ from the others'. Find out which, replace it, and end the alarm.
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
    /// No such lease: it expired, was revoked, or never was.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A lease of that id exists.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// The TTL is above 9,000,000,000 seconds.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// Authentication cannot be enabled without the user `root`. Add it first.
    #[error("etcdserver: root user does not exist")]
    RootUserNotExist,
    /// Authentication cannot be enabled while the user `root` lacks the role `root`. Grant it first.
    #[error("etcdserver: root user does not have root role")]
    RootRoleNotGranted,
    /// A user of that name exists.
    #[error("etcdserver: user name already exists")]
    UserExists,
    /// A user without a name; or a request without a token where one is needed. Authenticate.
    #[error("etcdserver: user name is empty")]
    UserNameEmpty,
    /// No such user.
    #[error("etcdserver: user name not found")]
    UserNotFound,
    /// A role of that name exists.
    #[error("etcdserver: role name already exists")]
    RoleExists,
    /// No such role.
    #[error("etcdserver: role name not found")]
    RoleNotFound,
    /// A role without a name.
    #[error("etcdserver: role name is empty")]
    RoleNameEmpty,
    /// No such user, or not that password: which of them is not told.
    #[error("etcdserver: authentication failed, invalid user ID or password")]
    AuthFailed,
    /// A password for a user who comes with a certificate only.
    #[error("auth: authentication failed, password was given for no password user")]
    PasswordNotWanted,
    /// A permission is to be granted, and none is named.
    #[error("etcdserver: permission not given")]
    PermissionNotGiven,
    /// The user may not do that.
    #[error("etcdserver: permission denied")]
    PermissionDenied,
    /// The user does not have that role.
    #[error("etcdserver: role is not granted to the user")]
    RoleNotGranted,
    /// The role does not have a permission for exactly that range.
    #[error("etcdserver: permission is not granted to the role")]
    PermissionNotGranted,
    /// There are no tokens while authentication is off.
    #[error("etcdserver: authentication is not enabled")]
    AuthNotEnabled,
    /// The token is unknown, malformed, or ran out. Authenticate again.
    #[error("etcdserver: invalid auth token")]
    InvalidAuthToken,
    /// What would lock everybody out, or a permission for no key.
    #[error("etcdserver: invalid auth management")]
    InvalidAuthManagement,
    /// Users or roles have changed since the token was made. Authenticate again.
    #[error("etcdserver: revision of auth store is old")]
    AuthOldRevision,
}
