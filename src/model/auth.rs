//! Users, roles, and what they may touch; etcd's meanings and its limits of names.

use bytes::Bytes;

use crate::{KeyRange, Rejection};

/// The user, and the role, that may do everything.
pub const ROOT: &str = "root";

/// Longest name of a user or a role in bytes: what etcd's own store takes as a key.
pub const AUTH_NAME_BYTES_MAX: usize = 32_768;

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing and deleting.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// Whether reading is among it.
    #[must_use]
    pub const fn allows_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether writing is among it.
    #[must_use]
    pub const fn allows_write(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// What a role may do with some keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What.
    pub access: Access,
    /// With which keys.
    pub range: KeyRange,
}

/// Stands for a token in the log, which shall not hold the token itself: a SHA-256 of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest(pub [u8; 32]);

/// A change of the auth store. Passwords travel as hashes, which the proposer makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthCommand {
    /// From now on it is checked who may do what.
    Enable,
    /// From now on everybody may do everything.
    Disable,
    /// A new user, without roles.
    UserAdd {
        /// Not empty.
        name: String,
        /// Hash of the password; none for a user who comes with a certificate only.
        password: Option<Bytes>,
    },
    /// A user goes.
    UserDelete {
        /// Who.
        name: String,
    },
    /// A user gets another password; one who has none goes on without.
    UserChangePassword {
        /// Who.
        name: String,
        /// Hash of the new password.
        password: Bytes,
    },
    /// A user gets a role.
    UserGrantRole {
        /// Who.
        user: String,
        /// Which.
        role: String,
    },
    /// A user loses a role.
    UserRevokeRole {
        /// Who.
        user: String,
        /// Which.
        role: String,
    },
    /// A new role, without permissions.
    RoleAdd {
        /// Not empty.
        name: String,
    },
    /// A role goes, also from the users who have it.
    RoleDelete {
        /// Which.
        name: String,
    },
    /// A role may do something; in the place of what it might do with exactly that range.
    RoleGrantPermission {
        /// Which.
        role: String,
        /// What.
        permission: Permission,
    },
    /// A role may do nothing with exactly that range any more.
    RoleRevokePermission {
        /// Which.
        role: String,
        /// The range as it was granted.
        range: KeyRange,
    },
    /// A user whose password was right gets a token. Refused if the auth store is another than when the password was checked.
    GrantToken {
        /// Who.
        user: String,
        /// The token.
        token: TokenDigest,
        /// The auth store's revision when the password was checked.
        auth_revision: u64,
    },
}

impl AuthCommand {
    /// Checks what needs no state.
    ///
    /// # Errors
    ///
    /// [`Rejection::UserNameEmpty`], [`Rejection::RoleNameEmpty`]; [`Rejection::RequestTooLarge`] for a new name of more than
    /// [`AUTH_NAME_BYTES_MAX`]; [`Rejection::InvalidAuthManagement`] for a range that holds no key.
    pub fn check(&self) -> Result<(), Rejection> {
        match self {
            Self::UserAdd { name, .. } => check_name(name, Rejection::UserNameEmpty),
            Self::RoleAdd { name } => check_name(name, Rejection::RoleNameEmpty),
            Self::RoleGrantPermission { permission: Permission { range, .. }, .. }
                if range.start().is_empty() || range.is_empty() =>
            {
                Err(Rejection::InvalidAuthManagement)
            }
            Self::Enable
            | Self::Disable
            | Self::UserDelete { .. }
            | Self::UserChangePassword { .. }
            | Self::UserGrantRole { .. }
            | Self::UserRevokeRole { .. }
            | Self::RoleDelete { .. }
            | Self::RoleGrantPermission { .. }
            | Self::RoleRevokePermission { .. }
            | Self::GrantToken { .. } => Ok(()),
        }
    }
}

fn check_name(name: &str, empty: Rejection) -> Result<(), Rejection> {
    match name.len() {
        0 => Err(empty),
        1..=AUTH_NAME_BYTES_MAX => Ok(()),
        _ => Err(Rejection::RequestTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(key: &'static str, range_end: &'static str) -> Result<(), Rejection> {
        let range = KeyRange::from_wire(Bytes::from_static(key.as_bytes()), Bytes::from_static(range_end.as_bytes()));
        let permission = Permission { access: Access::Read, range };
        AuthCommand::RoleGrantPermission { role: "r".to_owned(), permission }.check()
    }

    #[test]
    fn a_permission_is_for_keys() {
        for (key, range_end) in [("a", ""), ("a", "b"), ("a", "\0"), ("\0", "\0")] {
            assert_eq!(grant(key, range_end), Ok(()), "{key:?} {range_end:?}");
        }
        for (key, range_end) in [("", ""), ("", "\0"), ("", "b"), ("b", "b"), ("b", "a")] {
            assert_eq!(grant(key, range_end), Err(Rejection::InvalidAuthManagement), "{key:?} {range_end:?}");
        }
    }

    #[test]
    fn new_names_are_bounded() {
        let user = |length| AuthCommand::UserAdd { name: "u".repeat(length), password: None }.check();
        let role = |length| AuthCommand::RoleAdd { name: "r".repeat(length) }.check();
        assert_eq!((user(0), role(0)), (Err(Rejection::UserNameEmpty), Err(Rejection::RoleNameEmpty)));
        assert_eq!((user(AUTH_NAME_BYTES_MAX), role(AUTH_NAME_BYTES_MAX)), (Ok(()), Ok(())));
        let too_large = Err(Rejection::RequestTooLarge);
        assert_eq!((user(AUTH_NAME_BYTES_MAX + 1), role(AUTH_NAME_BYTES_MAX + 1)), (too_large, too_large));
    }
}
