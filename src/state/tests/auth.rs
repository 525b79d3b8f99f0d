//! Rules of users and roles, one by one; what the store keeps of them; and that every command is checked.

use bytes::Bytes;
use model::{
    Access, AuthChange, AuthCommand, Command, Compare, CompareResult, DeleteRequest, Identity, KeyRange, LeaseId, Op,
    Operand, Permission, PutRequest, ROOT, RangeRequest, Rejection, TokenDigest, TxnRequest,
};
use recipes::{Acquire, Enqueue, OpenSession, Session, SessionRecord, contender_key};

use super::rig::{Rig, bytes, compact, delete, grant, put, put_leased, put_request, revoke, txn};
use crate::Outcome;

fn auth(command: AuthCommand) -> Command {
    Command::Auth(command)
}

pub(super) fn add_user(name: &str) -> AuthCommand {
    AuthCommand::UserAdd { name: name.to_owned(), password: Some(bytes("hash")) }
}

pub(super) fn add_role(name: &str) -> AuthCommand {
    AuthCommand::RoleAdd { name: name.to_owned() }
}

pub(super) fn grant_role(user: &str, role: &str) -> AuthCommand {
    AuthCommand::UserGrantRole { user: user.to_owned(), role: role.to_owned() }
}

pub(super) fn allow(role: &str, access: Access, key: &str, range_end: &str) -> AuthCommand {
    let permission = Permission { access, range: KeyRange::from_wire(bytes(key), bytes(range_end)) };
    AuthCommand::RoleGrantPermission { role: role.to_owned(), permission }
}

fn revoke_permission(role: &str, key: &str, range_end: &str) -> AuthCommand {
    AuthCommand::RoleRevokePermission {
        role: role.to_owned(),
        range: KeyRange::from_wire(bytes(key), bytes(range_end)),
    }
}

/// A machine with authentication on: root; "writer" may read and write from "a" to "m", "reader" may read there; "none" has no role.
fn with_users(rig: &mut Rig) {
    for command in [
        add_user(ROOT),
        grant_role(ROOT, ROOT),
        add_user("writer"),
        add_user("reader"),
        add_user("none"),
        add_role("rw"),
        add_role("ro"),
        allow("rw", Access::ReadWrite, "a", "m"),
        allow("ro", Access::Read, "a", "m"),
        grant_role("writer", "rw"),
        grant_role("reader", "ro"),
        AuthCommand::Enable,
    ] {
        assert_eq!(rig.ok(auth(command)), Outcome::AuthChanged);
    }
}

fn user(rig: &Rig, name: &str) -> Identity {
    Identity { user: name.to_owned(), auth_revision: rig.reader().auth().revision() }
}

fn as_user(rig: &mut Rig, name: &str, command: Command) -> Result<Outcome, Rejection> {
    let identity = user(rig, name);
    rig.reply_to(identity, command).result
}

fn denied(rig: &mut Rig, name: &str, command: Command) {
    let revision = rig.reader().revision();
    let result = as_user(rig, name, command.clone());
    assert_eq!(result, Err(Rejection::PermissionDenied), "{name}: {command:?}");
    assert_eq!(rig.reader().revision(), revision, "what is refused changes nothing");
}

fn allowed(rig: &mut Rig, name: &str, command: Command) {
    let result = as_user(rig, name, command.clone());
    assert!(result.is_ok(), "{name}: {command:?}: {result:?}");
}

#[test]
fn every_rule_of_management_has_its_refusal() {
    let mut rig = Rig::in_memory();
    let refused = |rig: &mut Rig, command: AuthCommand| rig.refused(auth(command));
    assert_eq!(refused(&mut rig, AuthCommand::Enable), Rejection::RootUserNotExist);
    rig.ok(auth(add_user(ROOT)));
    assert_eq!(refused(&mut rig, AuthCommand::Enable), Rejection::RootRoleNotGranted);
    assert_eq!(refused(&mut rig, add_user(ROOT)), Rejection::UserExists);
    assert_eq!(refused(&mut rig, add_user("")), Rejection::UserNameEmpty);
    assert_eq!(refused(&mut rig, add_role("")), Rejection::RoleNameEmpty);
    assert_eq!(refused(&mut rig, grant_role("u", "r")), Rejection::UserNotFound);
    assert_eq!(refused(&mut rig, grant_role(ROOT, "r")), Rejection::RoleNotFound);
    rig.ok(auth(add_role("r")));
    assert_eq!(refused(&mut rig, add_role("r")), Rejection::RoleExists);
    assert_eq!(refused(&mut rig, allow("x", Access::Read, "a", "")), Rejection::RoleNotFound);
    assert_eq!(refused(&mut rig, allow("r", Access::Read, "b", "a")), Rejection::InvalidAuthManagement);
    assert_eq!(refused(&mut rig, revoke_permission("r", "a", "")), Rejection::PermissionNotGranted);
    assert_eq!(refused(&mut rig, revoke_permission("x", "a", "")), Rejection::RoleNotFound);
    let unrole = |user: &str, role: &str| AuthCommand::UserRevokeRole { user: user.to_owned(), role: role.to_owned() };
    assert_eq!(refused(&mut rig, unrole(ROOT, "r")), Rejection::RoleNotGranted);
    assert_eq!(refused(&mut rig, unrole("x", "r")), Rejection::UserNotFound);
    let name = "x".to_owned();
    assert_eq!(refused(&mut rig, AuthCommand::UserDelete { name: name.clone() }), Rejection::UserNotFound);
    assert_eq!(refused(&mut rig, AuthCommand::RoleDelete { name: name.clone() }), Rejection::RoleNotFound);
    let change = AuthCommand::UserChangePassword { name, password: Bytes::new() };
    assert_eq!(refused(&mut rig, change), Rejection::UserNotFound);
    let token = AuthCommand::GrantToken { user: ROOT.to_owned(), token: TokenDigest([0; 32]), auth_revision: 1 };
    assert_eq!(refused(&mut rig, token), Rejection::AuthNotEnabled);
    // The role of root is there without having been added, and cannot be taken away while it matters.
    rig.ok(auth(grant_role(ROOT, ROOT)));
    rig.ok(auth(AuthCommand::Enable));
    for command in [
        AuthCommand::UserDelete { name: ROOT.to_owned() },
        AuthCommand::RoleDelete { name: ROOT.to_owned() },
        unrole(ROOT, ROOT),
    ] {
        assert_eq!(as_user(&mut rig, ROOT, auth(command)), Err(Rejection::InvalidAuthManagement));
    }
}

#[test]
fn the_revision_counts_what_tokens_may_not_survive() {
    let mut rig = Rig::in_memory();
    let revision = |rig: &Rig| rig.reader().auth().revision();
    assert_eq!(revision(&rig), 1);
    with_users(&mut rig);
    assert_eq!(revision(&rig), 12, "eleven changes; switching it on is none");
    allowed(&mut rig, ROOT, auth(AuthCommand::Enable));
    allowed(&mut rig, ROOT, auth(grant_role("writer", "rw")));
    assert_eq!(revision(&rig), 12, "nothing changed");
    let key_revision = rig.reader().revision();
    allowed(&mut rig, ROOT, auth(AuthCommand::Disable));
    assert_eq!(revision(&rig), 13);
    allowed(&mut rig, ROOT, auth(AuthCommand::Disable));
    assert_eq!(revision(&rig), 13);
    assert_eq!(rig.reader().revision(), key_revision, "the keys' revision is another");
}

#[test]
fn t14571_everything_is_kept_sent_and_the_same_on_every_member() {
    for [mut rig, mut other] in [[Rig::on_disk(), Rig::in_memory()], [Rig::in_memory(), Rig::on_disk()]] {
        with_users(&mut rig);
        rig.flush();
        other.take_over(&rig);
        assert_eq!(other.reader().auth(), rig.reader().auth());
        allowed(&mut rig, ROOT, auth(revoke_permission("ro", "a", "m")));
        denied(&mut rig, "none", put("b", "1"));
        let before = rig.reader().auth();
        rig.crash();
        assert_eq!(rig.reader().auth(), before);
        rig.flush();
        rig.restart();
        assert_eq!(rig.reader().auth(), before);
        other.catch_up(&rig);
        assert_eq!((other.reader().auth(), other.everything()), (before, rig.everything()));
        denied(&mut other, "reader", txn_reading("b"));
    }
}

fn txn_reading(key: &str) -> Command {
    Command::Txn(TxnRequest {
        failure: vec![Op::Txn(TxnRequest::default())],
        ..txn(vec![Op::Range(RangeRequest::new(KeyRange::Single(bytes(key))))])
    })
}

#[test]
fn who_one_is_is_asked_first() {
    let mut rig = Rig::in_memory();
    with_users(&mut rig);
    let current = user(&rig, "writer");
    assert_eq!(rig.reply_to(Identity::default(), put("b", "1")).result, Err(Rejection::UserNameEmpty));
    let old = Identity { auth_revision: current.auth_revision - 1, ..current };
    assert_eq!(rig.reply_to(old.clone(), put("b", "1")).result, Err(Rejection::AuthOldRevision));
    assert_eq!(rig.reply_to(old, auth(add_user("x"))).result, Err(Rejection::PermissionDenied));
    denied(&mut rig, "gone", put("b", "1"));
    let root = Identity { auth_revision: 1, ..user(&rig, ROOT) };
    assert!(rig.reply_to(root, auth(add_user("x"))).result.is_ok(), "root is looked up, whenever it authenticated");
    assert!(rig.reply_to(Identity::cluster(), put("z", "1")).result.is_ok());
    assert!(rig.reply_to(Identity::default(), grant(7)).result.is_ok(), "a lease without keys is no secret");
}

#[test]
fn writing_needs_writing_and_showing_needs_reading() {
    let mut rig = Rig::in_memory();
    with_users(&mut rig);
    allowed(&mut rig, ROOT, auth(add_user("blind")));
    allowed(&mut rig, ROOT, auth(add_role("wo")));
    allowed(&mut rig, ROOT, auth(allow("wo", Access::Write, "a", "m")));
    allowed(&mut rig, ROOT, auth(grant_role("blind", "wo")));
    for name in ["reader", "none"] {
        denied(&mut rig, name, put("b", "1"));
        denied(&mut rig, name, delete("b", "c"));
    }
    for name in ["writer", "blind"] {
        allowed(&mut rig, name, put("b", "1"));
        denied(&mut rig, name, put("m", "1"));
        denied(&mut rig, name, delete("b", "z"));
        denied(&mut rig, name, delete("b", "\0"));
    }
    let showing = Command::Put(PutRequest { prev_kv: true, ..put_request("b", "2") });
    let deleting = Command::Delete(DeleteRequest { range: KeyRange::Single(bytes("b")), prev_kv: true });
    for command in [showing, deleting] {
        denied(&mut rig, "blind", command.clone());
        allowed(&mut rig, "writer", command);
    }
    for name in ["writer", "reader", "none"] {
        denied(&mut rig, name, compact(2));
        denied(&mut rig, name, Command::LeaseCheckpoint(Vec::new()));
        denied(&mut rig, name, auth(AuthCommand::Disable));
    }
    allowed(&mut rig, ROOT, compact(2));
}

/// CVE-2026-33343 and its kin: what hides inside a transaction is looked at as well.
#[test]
fn no_part_of_a_transaction_is_passed_over() {
    let mut rig = Rig::in_memory();
    with_users(&mut rig);
    rig.reply_to(Identity::cluster(), grant(1)).result.unwrap();
    rig.reply_to(Identity::cluster(), put_leased("z", 1)).result.unwrap();
    let range = |key: &str| Op::Range(RangeRequest::new(KeyRange::Single(bytes(key))));
    let hidden = [
        range("z"),
        Op::Put(put_request("z", "1")),
        Op::Put(PutRequest { lease: LeaseId::new(1), ..put_request("b", "1") }),
        Op::Delete(DeleteRequest { range: KeyRange::Single(bytes("z")), prev_kv: false }),
        Op::Txn(TxnRequest { compares: vec![exists("z")], ..TxnRequest::default() }),
        Op::Txn(TxnRequest { failure: vec![range("z")], ..TxnRequest::default() }),
        Op::Txn(TxnRequest { success: vec![Op::Put(put_request("z", "1"))], ..TxnRequest::default() }),
    ];
    for op in hidden {
        let write = Op::Put(put_request("c", "1"));
        denied(&mut rig, "writer", Command::Txn(txn(vec![write.clone(), op.clone()])));
        let failure = TxnRequest { failure: vec![op.clone()], ..txn(vec![write.clone()]) };
        denied(&mut rig, "writer", Command::Txn(failure));
        let inner = Op::Txn(TxnRequest { failure: vec![op], ..TxnRequest::default() });
        denied(&mut rig, "writer", Command::Txn(txn(vec![write, inner])));
    }
    let comparing = TxnRequest { compares: vec![exists("z")], ..txn(vec![Op::Put(put_request("c", "1"))]) };
    denied(&mut rig, "writer", Command::Txn(comparing));
    let fine = TxnRequest { compares: vec![exists("b")], failure: vec![range("b")], ..txn(vec![range("a")]) };
    allowed(&mut rig, "writer", Command::Txn(TxnRequest { success: vec![Op::Put(put_request("c", "1"))], ..fine }));
}

fn exists(key: &str) -> Compare {
    Compare { range: KeyRange::Single(bytes(key)), result: CompareResult::Greater, operand: Operand::Version(0) }
}

#[test]
fn a_lease_belongs_to_who_may_write_all_its_keys() {
    let mut rig = Rig::in_memory();
    with_users(&mut rig);
    allowed(&mut rig, "writer", grant(1));
    allowed(&mut rig, "writer", put_leased("b", 1));
    denied(&mut rig, "reader", revoke(1));
    rig.reply_to(Identity::cluster(), put_leased("z", 1)).result.unwrap();
    denied(&mut rig, "writer", put_leased("c", 1));
    denied(&mut rig, "writer", revoke(1));
    allowed(&mut rig, ROOT, revoke(1));
}

fn acquire(prefix: &str, session: i64) -> Command {
    let lease = LeaseId::new(session);
    let record = SessionRecord { key: contender_key(&bytes("sessions/"), lease), value: Bytes::new() };
    let session = Session::New(OpenSession { lease, ttl: 60, record: Some(record) });
    let enqueue = Enqueue::Enqueue { waiting_max: None };
    let acquire = Acquire { prefix: bytes(prefix), session, enqueue, value: Bytes::new() };
    Command::Recipe(recipes::Command::Acquire(acquire).encode())
}

/// Who wants a lock must be able to see its line and to write its own place, and nothing more.
#[test]
fn a_recipe_needs_what_it_touches() {
    let mut rig = Rig::in_memory();
    with_users(&mut rig);
    let own = |key: Bytes| AuthCommand::RoleGrantPermission {
        role: "ro".to_owned(),
        permission: Permission { access: Access::ReadWrite, range: KeyRange::Single(key) },
    };
    let record = own(contender_key(&bytes("sessions/"), LeaseId::new(9)));
    let place = own(contender_key(&bytes("x/a/"), LeaseId::new(9)));
    let prefix = KeyRange::prefix(bytes("x/a/"));
    let see = AuthCommand::RoleGrantPermission {
        role: "ro".to_owned(),
        permission: Permission { access: Access::Read, range: prefix },
    };
    rig.reply_to(Identity::cluster(), acquire("x/a/", 8)).result.unwrap();
    for needed in [record, place, see] {
        denied(&mut rig, "reader", acquire("x/a/", 9));
        assert_eq!(rig.reader().leases().len(), 1, "no session is left behind");
        allowed(&mut rig, ROOT, auth(needed));
    }
    allowed(&mut rig, "reader", acquire("x/a/", 9));
    denied(&mut rig, "reader", acquire("x/a/", 10));
    denied(&mut rig, "none", acquire("x/a/", 11));
}

#[test]
fn what_becomes_of_tokens_is_told() {
    let mut rig = Rig::in_memory();
    with_users(&mut rig);
    let root = user(&rig, ROOT);
    let told = |rig: &mut Rig, command: AuthCommand| {
        let next = rig.machine().applied().0.unwrap().index.get() + 1;
        let entry = super::rig::entry_of(next, Identity::cluster(), auth(command));
        rig.machine().apply(vec![entry]).unwrap().batch.auth
    };
    let token = TokenDigest([7; 32]);
    let granted = told(&mut rig, AuthCommand::GrantToken { user: "reader".to_owned(), token, auth_revision: 12 });
    assert!(
        matches!(&granted[..], [AuthChange::TokenGranted { user, token: told, .. }] if user == "reader" && *told == token)
    );
    let password = Bytes::new();
    let revoked = [AuthChange::TokensRevoked { user: "reader".to_owned() }];
    assert_eq!(told(&mut rig, AuthCommand::UserChangePassword { name: "reader".to_owned(), password }), revoked);
    // The password was checked before it changed.
    let late = AuthCommand::GrantToken { user: "reader".to_owned(), token, auth_revision: root.auth_revision };
    assert_eq!(told(&mut rig, late), []);
    assert_eq!(told(&mut rig, AuthCommand::UserDelete { name: "reader".to_owned() }), revoked);
    assert_eq!(told(&mut rig, AuthCommand::Disable), [AuthChange::AllTokensRevoked]);
    assert_eq!(told(&mut rig, AuthCommand::Disable), []);
}

#[test]
fn a_user_without_a_password_does_not_get_one() {
    let mut rig = Rig::in_memory();
    rig.ok(auth(AuthCommand::UserAdd { name: "cn".to_owned(), password: None }));
    rig.ok(auth(AuthCommand::UserChangePassword { name: "cn".to_owned(), password: bytes("hash") }));
    assert_eq!(rig.reader().auth().user("cn").unwrap().password(), None);
}
