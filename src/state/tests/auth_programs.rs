//! Random changes of users and roles, and random requests, on the machine and on a reference that knows no ranges: it lists keys.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{
    Access, AuthCommand, Command, DeleteRequest, Identity, KeyRange, Op, Permission, PutRequest, ROOT, RangeRequest,
    Rejection, TxnRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::rig::Rig;

const USERS: [&str; 3] = [ROOT, "u", "v"];
const ROLES: [&str; 3] = [ROOT, "r", "s"];
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Each stands for all keys between two of those, the last for all after them.
const BETWEEN: [&str; 6] = ["a+", "b+", "c+", "d+", "e+", "f+"];

#[derive(Clone, Debug)]
enum Step {
    Change(&'static str, AuthCommand),
    Put(&'static str, PutRequest),
    Delete(&'static str, DeleteRequest),
    Txn(&'static str, TxnRequest),
    /// A request of somebody who authenticated before the last change.
    Old(&'static str),
    Restart,
}

#[derive(Debug, Default)]
struct Reference {
    enabled: bool,
    changes: u64,
    users: BTreeMap<String, BTreeSet<String>>,
    roles: BTreeMap<String, BTreeMap<(Bytes, Bytes), Access>>,
}

fn keys_of(range: &KeyRange) -> BTreeSet<&'static str> {
    KEYS.into_iter().chain(BETWEEN).filter(|key| range.contains(key.as_bytes())).collect()
}

impl Reference {
    fn allowed(&self, user: &str, wanted: Access) -> BTreeSet<&'static str> {
        let roles = self.users[user].iter().filter_map(|role| self.roles.get(role));
        let granted = roles.flatten().filter(|(_, access)| **access == wanted || **access == Access::ReadWrite);
        granted.flat_map(|((key, end), _)| keys_of(&KeyRange::from_wire(key.clone(), end.clone()))).collect()
    }

    fn touch(&self, user: &str, access: Access, range: &KeyRange) -> Result<(), Rejection> {
        if !self.enabled {
            return Ok(());
        }
        let Some(roles) = self.users.get(user) else { return Err(Rejection::PermissionDenied) };
        let is_fine = roles.contains(ROOT) || keys_of(range).is_subset(&self.allowed(user, access));
        if is_fine { Ok(()) } else { Err(Rejection::PermissionDenied) }
    }

    fn put(&self, user: &str, put: &PutRequest) -> Result<(), Rejection> {
        let range = KeyRange::Single(put.key.clone());
        self.touch(user, Access::Write, &range)?;
        if put.prev_kv { self.touch(user, Access::Read, &range) } else { Ok(()) }
    }

    fn delete(&self, user: &str, delete: &DeleteRequest) -> Result<(), Rejection> {
        self.touch(user, Access::Write, &delete.range)?;
        if delete.prev_kv { self.touch(user, Access::Read, &delete.range) } else { Ok(()) }
    }

    fn txn(&self, user: &str, txn: &TxnRequest) -> Result<(), Rejection> {
        txn.success.iter().chain(&txn.failure).try_for_each(|op| match op {
            Op::Range(range) => self.touch(user, Access::Read, &range.range),
            Op::Put(put) => self.put(user, put),
            Op::Delete(delete) => self.delete(user, delete),
            Op::Txn(inner) => self.txn(user, inner),
        })
    }

    fn change(&mut self, user: &str, command: &AuthCommand) -> Result<(), Rejection> {
        if self.enabled && !self.users.get(user).is_some_and(|roles| roles.contains(ROOT)) {
            return Err(Rejection::PermissionDenied);
        }
        let locked = |lost: bool| if self.enabled && lost { Err(Rejection::InvalidAuthManagement) } else { Ok(()) };
        match command {
            AuthCommand::Enable if self.enabled => return Ok(()),
            AuthCommand::Enable => {
                let root = self.users.get(ROOT).ok_or(Rejection::RootUserNotExist)?;
                self.enabled = root.contains(ROOT);
                return if self.enabled { Ok(()) } else { Err(Rejection::RootRoleNotGranted) };
            }
            AuthCommand::Disable if !self.enabled => return Ok(()),
            AuthCommand::Disable => self.enabled = false,
            AuthCommand::UserAdd { name, .. } if self.users.contains_key(name) => return Err(Rejection::UserExists),
            AuthCommand::UserAdd { name, .. } => drop(self.users.insert(name.clone(), BTreeSet::new())),
            AuthCommand::UserDelete { name } => {
                locked(name == ROOT)?;
                self.users.remove(name).ok_or(Rejection::UserNotFound)?;
            }
            AuthCommand::UserGrantRole { user, role } => {
                let roles = self.users.get_mut(user).ok_or(Rejection::UserNotFound)?;
                if role != ROOT && !self.roles.contains_key(role) {
                    return Err(Rejection::RoleNotFound);
                }
                if !roles.insert(role.clone()) {
                    return Ok(());
                }
            }
            AuthCommand::UserRevokeRole { user, role } => {
                locked(user == ROOT && role == ROOT)?;
                let roles = self.users.get_mut(user).ok_or(Rejection::UserNotFound)?;
                if !roles.remove(role) {
                    return Err(Rejection::RoleNotGranted);
                }
            }
            AuthCommand::RoleAdd { name } if self.roles.contains_key(name) => return Err(Rejection::RoleExists),
            AuthCommand::RoleAdd { name } => drop(self.roles.insert(name.clone(), BTreeMap::new())),
            AuthCommand::RoleDelete { name } => {
                locked(name == ROOT)?;
                self.roles.remove(name).ok_or(Rejection::RoleNotFound)?;
                self.users.values_mut().for_each(|roles| {
                    roles.remove(name);
                });
            }
            AuthCommand::RoleGrantPermission { role, permission: Permission { access, range } } => {
                let role = self.roles.get_mut(role).ok_or(Rejection::RoleNotFound)?;
                role.insert((range.start().clone(), range.range_end()), *access);
            }
            AuthCommand::RoleRevokePermission { role, range } => {
                let role = self.roles.get_mut(role).ok_or(Rejection::RoleNotFound)?;
                let place = (range.start().clone(), range.range_end());
                role.remove(&place).ok_or(Rejection::PermissionNotGranted)?;
            }
            AuthCommand::UserChangePassword { .. } | AuthCommand::GrantToken { .. } => unreachable!("not in programs"),
        }
        self.changes += 1;
        Ok(())
    }
}

fn one_of(names: [&'static str; 3]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(names.to_vec())
}

/// Never empty, never from before the first key.
fn range() -> impl Strategy<Value = KeyRange> {
    (0..6_usize, 0..8_usize).prop_map(|(key, end)| {
        let start = Bytes::from_static(KEYS[key].as_bytes());
        let end = match end {
            0 => "",
            1 => "\0",
            end => KEYS.get(key + end - 1).copied().unwrap_or("\0"),
        };
        KeyRange::from_wire(start, Bytes::from_static(end.as_bytes()))
    })
}

fn change() -> impl Strategy<Value = AuthCommand> {
    let user = || one_of(USERS).prop_map(str::to_owned);
    let role = || one_of(ROLES).prop_map(str::to_owned);
    let access = prop_oneof![Just(Access::Read), Just(Access::Write), Just(Access::ReadWrite)];
    prop_oneof![
        1 => Just(AuthCommand::Enable),
        1 => Just(AuthCommand::Disable),
        2 => user().prop_map(|name| AuthCommand::UserAdd { name, password: None }),
        1 => user().prop_map(|name| AuthCommand::UserDelete { name }),
        4 => (user(), role()).prop_map(|(user, role)| AuthCommand::UserGrantRole { user, role }),
        1 => (user(), role()).prop_map(|(user, role)| AuthCommand::UserRevokeRole { user, role }),
        2 => role().prop_map(|name| AuthCommand::RoleAdd { name }),
        1 => role().prop_map(|name| AuthCommand::RoleDelete { name }),
        6 => (role(), access, range()).prop_map(|(role, access, range)| AuthCommand::RoleGrantPermission {
            role,
            permission: Permission { access, range },
        }),
        2 => (role(), range()).prop_map(|(role, range)| AuthCommand::RoleRevokePermission { role, range }),
    ]
}

fn put() -> impl Strategy<Value = PutRequest> {
    (proptest::sample::select(KEYS.to_vec()), any::<bool>()).prop_map(|(key, prev_kv)| PutRequest {
        key: key.into(),
        prev_kv,
        ..PutRequest::default()
    })
}

fn delete() -> impl Strategy<Value = DeleteRequest> {
    (range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRequest { range, prev_kv })
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let op = prop_oneof![
        range().prop_map(|range| Op::Range(RangeRequest::new(range))),
        put().prop_map(Op::Put),
        delete().prop_map(Op::Delete),
    ];
    (op.clone(), op).prop_map(|(read, other)| TxnRequest {
        success: vec![Op::Txn(TxnRequest { failure: vec![read], ..TxnRequest::default() })],
        failure: vec![other],
        ..TxnRequest::default()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![4 => Just(ROOT), 1 => one_of(USERS)], change()).prop_map(|(user, command)| Step::Change(user, command)),
        2 => (one_of(USERS), put()).prop_map(|(user, put)| Step::Put(user, put)),
        2 => (one_of(USERS), delete()).prop_map(|(user, delete)| Step::Delete(user, delete)),
        2 => (one_of(USERS), txn()).prop_map(|(user, txn)| Step::Txn(user, txn)),
        1 => one_of(USERS).prop_map(Step::Old),
        1 => Just(Step::Restart),
    ]
}

/// So that most of a program runs with authentication on.
fn beginning() -> Vec<Step> {
    let root = || ROOT.to_owned();
    let names = |names: [&'static str; 3]| names.into_iter().map(str::to_owned);
    let users = names(USERS).map(|name| AuthCommand::UserAdd { name, password: None });
    let roles = names(ROLES).map(|name| AuthCommand::RoleAdd { name });
    let rest = [AuthCommand::UserGrantRole { user: root(), role: root() }, AuthCommand::Enable];
    users.chain(roles).chain(rest).map(|command| Step::Change(ROOT, command)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn machine_and_reference_agree(program in vec(step(), 1..80)) {
        let (mut rig, mut reference) = (Rig::in_memory(), Reference::default());
        for step in beginning().into_iter().chain(program) {
            let revision = rig.reader().auth().revision();
            let identity = |user: &str, auth_revision| Identity { user: user.to_owned(), auth_revision };
            let (user, command, expected) = match &step {
                Step::Change(user, command) => (user, Command::Auth(command.clone()), reference.change(user, command)),
                Step::Put(user, put) => (user, Command::Put(put.clone()), reference.put(user, put)),
                Step::Delete(user, delete) => (user, Command::Delete(delete.clone()), reference.delete(user, delete)),
                Step::Txn(user, txn) => (user, Command::Txn(txn.clone()), reference.txn(user, txn)),
                Step::Old(user) => {
                    let put = Command::Put(PutRequest { key: "a".into(), ..PutRequest::default() });
                    let result = rig.reply_to(identity(user, revision.saturating_sub(1)), put).result;
                    let refusal = if revision == 1 { Rejection::UserNameEmpty } else { Rejection::AuthOldRevision };
                    prop_assert_eq!(result.err(), reference.enabled.then_some(refusal));
                    continue;
                }
                Step::Restart => {
                    rig.flush();
                    rig.crash();
                    continue;
                }
            };
            let result = rig.reply_to(identity(user, revision), command).result;
            // A transaction that writes a key twice is refused later than by permission.
            let result = result.map(drop).or_else(|rejection| match rejection {
                Rejection::DuplicateKey => Ok(()),
                rejection => Err(rejection),
            });
            prop_assert_eq!(result, expected, "{:?}", step);
            prop_assert_eq!(rig.reader().auth().revision(), 1 + reference.changes);
        }
    }
}
