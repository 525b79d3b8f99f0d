//! How commands change the auth store: first all that can refuse one, then the change, which cannot fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use model::{AuthChange, AuthCommand, LogIndex, Permission, ROOT, Rejection};

use crate::auth::{Auth, Role, User};
use crate::auth_record::{ROLES, STORE, USERS, name_under, role_record, store_record, user_record};
use crate::facts::FactBook;

impl Auth {
    /// Whether `command` can be executed.
    pub(crate) fn check(&self, command: &AuthCommand) -> Result<(), Rejection> {
        command.check()?;
        match command {
            AuthCommand::Enable => self.check_root(),
            AuthCommand::Disable => Ok(()),
            AuthCommand::UserAdd { name, .. } => {
                if self.users.contains_key(name) {
                    Err(Rejection::UserExists)
                } else {
                    Ok(())
                }
            }
            AuthCommand::UserDelete { name } => {
                self.check_not_locked_out(name == ROOT)?;
                self.find_user(name).map(drop)
            }
            AuthCommand::UserChangePassword { name, .. } => self.find_user(name).map(drop),
            AuthCommand::UserGrantRole { user, role } => {
                self.find_user(user)?;
                // The role of root is known without a record of it.
                if role == ROOT { Ok(()) } else { self.find_role(role).map(drop) }
            }
            AuthCommand::UserRevokeRole { user, role } => {
                self.check_not_locked_out(user == ROOT && role == ROOT)?;
                if self.find_user(user)?.has_role(role) { Ok(()) } else { Err(Rejection::RoleNotGranted) }
            }
            AuthCommand::RoleAdd { name } => {
                if self.roles.contains_key(name) {
                    Err(Rejection::RoleExists)
                } else {
                    Ok(())
                }
            }
            AuthCommand::RoleDelete { name } => {
                self.check_not_locked_out(name == ROOT)?;
                self.find_role(name).map(drop)
            }
            AuthCommand::RoleGrantPermission { role, .. } => self.find_role(role).map(drop),
            AuthCommand::RoleRevokePermission { role, range } => {
                let place = (range.start().clone(), range.range_end());
                let is_granted = self.find_role(role)?.permissions.contains_key(&place);
                if is_granted { Ok(()) } else { Err(Rejection::PermissionNotGranted) }
            }
            AuthCommand::GrantToken { user, auth_revision, .. } => self.check_token(user, *auth_revision),
        }
    }

    fn check_root(&self) -> Result<(), Rejection> {
        if self.enabled {
            return Ok(());
        }
        match self.user(ROOT) {
            None => Err(Rejection::RootUserNotExist),
            Some(root) if !root.has_role(ROOT) => Err(Rejection::RootRoleNotGranted),
            Some(_) => Ok(()),
        }
    }

    /// While authentication is on, root cannot be made to disappear.
    fn check_not_locked_out(&self, is_root_lost: bool) -> Result<(), Rejection> {
        if self.enabled && is_root_lost { Err(Rejection::InvalidAuthManagement) } else { Ok(()) }
    }

    fn check_token(&self, user: &str, auth_revision: u64) -> Result<(), Rejection> {
        if !self.enabled {
            return Err(Rejection::AuthNotEnabled);
        }
        if auth_revision != self.revision {
            return Err(Rejection::AuthOldRevision);
        }
        if self.user(user).is_some() { Ok(()) } else { Err(Rejection::AuthFailed) }
    }

    fn find_user(&self, name: &str) -> Result<&User, Rejection> {
        self.user(name).ok_or(Rejection::UserNotFound)
    }

    fn find_role(&self, name: &str) -> Result<&Role, Rejection> {
        self.role(name).ok_or(Rejection::RoleNotFound)
    }

    /// Executes a command that passed [`Self::check`] and stands at `index`. Says what becomes of tokens.
    pub(crate) fn execute(
        &mut self,
        command: AuthCommand,
        index: LogIndex,
        facts: &mut FactBook,
    ) -> Option<AuthChange> {
        let mut tokens = None;
        match command {
            AuthCommand::Enable => {
                self.enabled = true;
                self.write_store(facts);
                return None;
            }
            AuthCommand::GrantToken { user, token, .. } => {
                return Some(AuthChange::TokenGranted { user, token, index });
            }
            AuthCommand::Disable if !self.enabled => return None,
            AuthCommand::Disable => {
                self.enabled = false;
                tokens = Some(AuthChange::AllTokensRevoked);
            }
            AuthCommand::UserAdd { name, password } => self.set_user(facts, name, password, BTreeSet::new()),
            AuthCommand::UserDelete { name } => {
                self.users.remove(&name);
                facts.remove(&name_under(USERS, &name));
                tokens = Some(AuthChange::TokensRevoked { user: name });
            }
            AuthCommand::UserChangePassword { name, password } => {
                if let Some(user) = self.user(&name).cloned() {
                    let password = user.password.is_some().then_some(password);
                    self.set_user(facts, name.clone(), password, user.roles);
                }
                tokens = Some(AuthChange::TokensRevoked { user: name });
            }
            AuthCommand::UserGrantRole { user, role } => {
                if self.user(&user).is_some_and(|user| user.has_role(&role)) {
                    return None;
                }
                self.change_roles(facts, &user, |roles| roles.insert(role));
            }
            AuthCommand::UserRevokeRole { user, role } => {
                self.change_roles(facts, &user, |roles| roles.remove(&role));
            }
            AuthCommand::RoleAdd { name } => self.set_role(facts, name, Role::default()),
            AuthCommand::RoleDelete { name } => self.delete_role(facts, &name),
            AuthCommand::RoleGrantPermission { role, permission: Permission { access, range } } => {
                let mut changed = self.role(&role).cloned().unwrap_or_default();
                changed.permissions.insert((own(range.start()), own(&range.range_end())), access);
                self.set_role(facts, role, changed);
            }
            AuthCommand::RoleRevokePermission { role, range } => {
                let mut changed = self.role(&role).cloned().unwrap_or_default();
                changed.permissions.remove(&(range.start().clone(), range.range_end()));
                self.set_role(facts, role, changed);
            }
        }
        self.revision += 1;
        self.write_store(facts);
        tokens
    }

    fn write_store(&self, facts: &mut FactBook) {
        facts.set(Bytes::from_static(STORE), store_record(self.enabled, self.revision));
    }

    fn set_user(&mut self, facts: &mut FactBook, name: String, password: Option<Bytes>, roles: BTreeSet<String>) {
        let rights = self.rights_of(&roles);
        let user = User { password: password.as_ref().map(own), roles, rights };
        facts.set(name_under(USERS, &name), user_record(&user));
        self.users.insert(name, Arc::new(user));
    }

    fn change_roles(&mut self, facts: &mut FactBook, name: &str, change: impl FnOnce(&mut BTreeSet<String>) -> bool) {
        if let Some(User { password, mut roles, .. }) = self.user(name).cloned() {
            change(&mut roles);
            self.set_user(facts, name.to_owned(), password, roles);
        }
    }

    /// Sets what a role may do, and with it what its users may.
    fn set_role(&mut self, facts: &mut FactBook, name: String, role: Role) {
        facts.set(name_under(ROLES, &name), role_record(&role));
        self.roles.insert(name.clone(), Arc::new(role));
        for user in self.users_with(&name) {
            let rights = self.user(&user).map(|user| self.rights_of(&user.roles)).unwrap_or_default();
            if let Some(user) = self.users.get_mut(&user) {
                Arc::make_mut(user).rights = rights;
            }
        }
    }

    fn delete_role(&mut self, facts: &mut FactBook, name: &str) {
        self.roles.remove(name);
        facts.remove(&name_under(ROLES, name));
        for user in self.users_with(name) {
            self.change_roles(facts, &user, |roles| roles.remove(name));
        }
    }

    fn users_with(&self, role: &str) -> Vec<String> {
        let having = self.users.iter().filter(|(_, user)| user.has_role(role));
        having.map(|(name, _)| name.clone()).collect()
    }
}

/// The same bytes in memory of their own: what they are cut from is a log entry.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
