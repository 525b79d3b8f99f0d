//! Who there is and what they may do: users, roles, and whether they matter. Decided by the log alone, kept as [facts](crate::Facts).
//!
//! What a user may do is put together when users or roles change, so that a check is a lookup of the user and one of the range.
//! The rules are etcd's. How commands change it is in `auth_change.rs`, what a request needs in `permission.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use model::{Access, Identity, KeyRange, Permission, ROOT, Rejection};

use crate::Fault;
use crate::auth_record;
use crate::facts::Facts;
use crate::interval_set::IntervalSet;

/// Revision of an auth store that was never changed.
const FIRST_REVISION: u64 = 1;

/// See the top of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    pub(crate) enabled: bool,
    pub(crate) revision: u64,
    pub(crate) users: BTreeMap<String, Arc<User>>,
    pub(crate) roles: BTreeMap<String, Arc<Role>>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub(crate) password: Option<Bytes>,
    pub(crate) roles: BTreeSet<String>,
    /// What the roles come to.
    pub(crate) rights: Rights,
}

/// A role: what it may do, by key and range end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    pub(crate) permissions: BTreeMap<(Bytes, Bytes), Access>,
}

/// What somebody may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    is_root: bool,
    read: IntervalSet,
    write: IntervalSet,
}

impl Default for Auth {
    fn default() -> Self {
        Self { enabled: false, revision: FIRST_REVISION, users: BTreeMap::new(), roles: BTreeMap::new() }
    }
}

impl Auth {
    /// Reads it from the facts.
    pub(crate) fn load(facts: &Facts) -> Result<Self, Fault> {
        let mut auth = Self::default();
        if let Some(record) = facts.get(auth_record::STORE) {
            (auth.enabled, auth.revision) = auth_record::decode_store(record)?;
        }
        for (name, record) in facts.under(auth_record::ROLES) {
            let name = auth_record::decode_name(auth_record::ROLES, name)?;
            auth.roles.insert(name, Arc::new(auth_record::decode_role(record)?));
        }
        for (name, record) in facts.under(auth_record::USERS) {
            let name = auth_record::decode_name(auth_record::USERS, name)?;
            let (password, roles) = auth_record::decode_user(record)?;
            let rights = auth.rights_of(&roles);
            auth.users.insert(name, Arc::new(User { password, roles, rights }));
        }
        Ok(auth)
    }

    /// Whether it is checked who may do what.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Counts the changes that a token may not survive: of users, of roles, and the end of authentication.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The user of that name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name).map(|user| &**user)
    }

    /// Names of all users, sorted.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// The role of that name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name).map(|role| &**role)
    }

    /// Names of all roles, sorted.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }

    /// What `identity` may do with keys. Everything, while authentication is off.
    ///
    /// # Errors
    ///
    /// [`Rejection::UserNameEmpty`] for nobody, [`Rejection::AuthOldRevision`] for somebody who authenticated before the last change,
    /// [`Rejection::PermissionDenied`] for a user who is no more.
    pub fn rights(&self, identity: &Identity) -> Result<&Rights, Rejection> {
        if !self.enabled || identity.is_cluster() {
            return Ok(Rights::all());
        }
        if identity.user.is_empty() || identity.auth_revision == 0 {
            return Err(Rejection::UserNameEmpty);
        }
        if identity.auth_revision < self.revision {
            return Err(Rejection::AuthOldRevision);
        }
        self.user(&identity.user).map(|user| &user.rights).ok_or(Rejection::PermissionDenied)
    }

    /// Refuses what is for root alone. As with etcd, a change since the user authenticated does not matter here: whether the user is
    /// root is looked up now.
    ///
    /// # Errors
    ///
    /// [`Rejection::UserNameEmpty`], [`Rejection::PermissionDenied`].
    pub fn permit_root(&self, identity: &Identity) -> Result<(), Rejection> {
        match self.who(identity)? {
            Some(user) if !user.rights.is_root => Err(Rejection::PermissionDenied),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses what is for any user at all.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_root`].
    pub fn permit_user(&self, identity: &Identity) -> Result<(), Rejection> {
        self.who(identity).map(drop)
    }

    /// The user who asks; nobody, when it does not matter.
    fn who(&self, identity: &Identity) -> Result<Option<&User>, Rejection> {
        if !self.enabled || identity.is_cluster() {
            return Ok(None);
        }
        if identity.user.is_empty() {
            return Err(Rejection::UserNameEmpty);
        }
        self.user(&identity.user).map(Some).ok_or(Rejection::PermissionDenied)
    }

    /// What roles of these names come to.
    pub(crate) fn rights_of(&self, roles: &BTreeSet<String>) -> Rights {
        let permissions: Vec<Permission> =
            roles.iter().filter_map(|role| self.role(role)).flat_map(Role::permissions).collect();
        let ranges = |allows: fn(Access) -> bool| {
            permissions.iter().filter(move |granted| allows(granted.access)).map(|granted| &granted.range)
        };
        Rights {
            is_root: roles.contains(ROOT),
            read: IntervalSet::of(ranges(Access::allows_read)),
            write: IntervalSet::of(ranges(Access::allows_write)),
        }
    }
}

impl User {
    /// Hash of the password; none for a user who comes with a certificate only.
    #[must_use]
    pub const fn password(&self) -> Option<&Bytes> {
        self.password.as_ref()
    }

    /// Names of the user's roles, sorted.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Whether the user has that role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }
}

impl Role {
    /// What it may do, by key.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.permissions.iter().map(|((key, range_end), access)| Permission {
            access: *access,
            range: KeyRange::from_wire(key.clone(), range_end.clone()),
        })
    }
}

impl Rights {
    /// Everything.
    pub(crate) fn all() -> &'static Self {
        static ALL: Rights = Rights { is_root: true, read: IntervalSet::empty(), write: IntervalSet::empty() };
        &ALL
    }

    /// Whether it is everything, and nothing has to be looked at.
    pub(crate) const fn is_all(&self) -> bool {
        self.is_root
    }

    /// Refuses to read what may not be read.
    ///
    /// # Errors
    ///
    /// [`Rejection::PermissionDenied`].
    pub fn may_read(&self, range: &KeyRange) -> Result<(), Rejection> {
        granted(self.is_root || self.read.covers(range))
    }

    /// As [`Self::may_read`], of one key.
    ///
    /// # Errors
    ///
    /// [`Rejection::PermissionDenied`].
    pub fn may_read_key(&self, key: &[u8]) -> Result<(), Rejection> {
        granted(self.is_root || self.read.covers_key(key))
    }

    pub(crate) fn may_write(&self, range: &KeyRange) -> Result<(), Rejection> {
        granted(self.is_root || self.write.covers(range))
    }

    pub(crate) fn may_write_key(&self, key: &[u8]) -> Result<(), Rejection> {
        granted(self.is_root || self.write.covers_key(key))
    }
}

fn granted(is_granted: bool) -> Result<(), Rejection> {
    if is_granted { Ok(()) } else { Err(Rejection::PermissionDenied) }
}
