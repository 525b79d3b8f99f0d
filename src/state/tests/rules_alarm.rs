//! The rules for alarms: what they refuse, who ends them, and that they outlive everything a member does.

use bytes::Bytes;
use model::{
    Alarm, AlarmCause, AlarmChange, AlarmKind, Command, LeaseCheckpoint, LeaseId, MemberId, Op, Rejection, TxnRequest,
};
use recipes::{Acquire, Enqueue, Release, Session, contender_key};

use super::rig::{Rig, compact, delete, delete_request, grant, put, put_leased, put_request, revoke, txn};
use crate::Outcome;

const ONE: MemberId = MemberId::new(1);
const TWO: MemberId = MemberId::new(2);

fn alarm(kind: AlarmKind, member: MemberId, cause: AlarmCause) -> Alarm {
    Alarm { kind, member, cause }
}

fn raise(alarm: Alarm) -> Command {
    Command::Alarm(AlarmChange::Raise(alarm))
}

fn end(kind: AlarmKind, member: MemberId) -> Command {
    Command::Alarm(AlarmChange::End { kind, member })
}

fn full() -> Alarm {
    alarm(AlarmKind::NoSpace, ONE, AlarmCause::Request)
}

fn corrupt() -> Alarm {
    alarm(AlarmKind::Corrupt, TWO, AlarmCause::Watch)
}

#[test]
fn there_is_one_of_a_kind_for_a_member_until_it_is_ended() {
    let mut rig = Rig::in_memory();
    assert_eq!(rig.ok(raise(full())), Outcome::Alarm(Some(full())));
    assert_eq!(rig.ok(raise(full())), Outcome::Alarm(Some(full())));
    assert_eq!(rig.ok(raise(corrupt())), Outcome::Alarm(Some(corrupt())));
    assert_eq!(rig.reader().alarms().unwrap(), [full(), corrupt()]);
    assert_eq!(rig.ok(end(AlarmKind::NoSpace, TWO)), Outcome::Alarm(None), "that is another member's");
    assert_eq!(rig.ok(end(AlarmKind::NoSpace, ONE)), Outcome::Alarm(Some(full())));
    assert_eq!(rig.ok(end(AlarmKind::NoSpace, ONE)), Outcome::Alarm(None));
    assert_eq!(rig.reader().alarms().unwrap(), [corrupt()]);
}

#[test]
fn a_request_takes_over_what_a_watch_has_raised_and_not_the_other_way_round() {
    let mut rig = Rig::in_memory();
    let of_watch = alarm(AlarmKind::NoSpace, ONE, AlarmCause::Watch);
    rig.ok(raise(of_watch));
    assert_eq!(rig.ok(raise(full())), Outcome::Alarm(Some(full())));
    assert_eq!(rig.ok(raise(of_watch)), Outcome::Alarm(Some(full())));
    assert_eq!(rig.reader().alarms().unwrap(), [full()]);
}

#[test]
fn without_space_only_what_takes_some_is_refused() {
    let mut rig = Rig::in_memory();
    rig.apply([grant(1), grant(2), put_leased("a", 1), put("b", ""), put("c", "")]);
    rig.ok(raise(full()));
    let deletes = || txn(vec![Op::Delete(delete_request("c", ""))]);
    let writes = TxnRequest { failure: vec![Op::Put(put_request("b", ""))], ..deletes() };
    for command in [put("d", ""), grant(3), Command::Txn(writes)] {
        assert_eq!(rig.refused(command), Rejection::NoSpace);
    }
    rig.ok(delete("b", ""));
    rig.ok(Command::Txn(deletes()));
    rig.ok(revoke(1));
    rig.ok(Command::LeaseCheckpoint(vec![LeaseCheckpoint { id: LeaseId::new(2), remaining: 5 }]));
    rig.ok(compact(3));
    rig.ok(end(AlarmKind::NoSpace, ONE));
    rig.ok(put("d", ""));
}

#[test]
fn without_space_a_recipe_is_refused_if_it_would_take_some() {
    let mut rig = Rig::in_memory();
    let (prefix, session) = (Bytes::from_static(b"lock/"), LeaseId::new(9));
    rig.ok(grant(9));
    let acquire = || {
        let (prefix, session) = (prefix.clone(), Session::Existing(session));
        let acquire = Acquire { prefix, session, enqueue: Enqueue::TryOnly, value: Bytes::new() };
        Command::Recipe(recipes::Command::Acquire(acquire).encode())
    };
    rig.ok(raise(full()));
    assert_eq!(rig.refused(acquire()), Rejection::NoSpace);
    rig.ok(end(AlarmKind::NoSpace, ONE));
    rig.ok(acquire());
    rig.ok(raise(full()));
    let release = Release { key: contender_key(&prefix, session), token: None };
    rig.ok(Command::Recipe(recipes::Command::Release(release).encode()));
}

#[test]
fn while_data_differ_nothing_of_clients_is_applied() {
    let mut rig = Rig::in_memory();
    rig.apply([grant(1), put("a", "")]);
    rig.ok(raise(corrupt()));
    rig.ok(raise(full()));
    let commands = [
        put("b", ""),
        delete("a", ""),
        Command::Txn(txn(vec![Op::Delete(delete_request("a", ""))])),
        compact(2),
        grant(2),
        revoke(1),
    ];
    for command in commands {
        assert_eq!(rig.refused(command), Rejection::Corrupt, "before anything else");
    }
    rig.ok(end(AlarmKind::Corrupt, TWO));
    assert_eq!(rig.refused(put("b", "")), Rejection::NoSpace);
}

#[test]
fn there_is_one_version_to_go_back_to() {
    let mut rig = Rig::in_memory();
    let to = |target: Option<&'static str>| Command::Downgrade { target: target.map(super::rig::bytes) };
    let before = |target: Option<&'static str>| Outcome::Downgrade { before: target.map(super::rig::bytes) };
    assert_eq!(rig.ok(to(None)), before(None));
    assert_eq!(rig.ok(to(Some("3.5"))), before(None));
    assert_eq!(rig.ok(to(Some("3.4"))), before(Some("3.5")), "and it stays so");
    rig.flush();
    rig.crash();
    assert_eq!(rig.reader().downgrade_target(), Some(super::rig::bytes("3.5")));
    assert_eq!(rig.ok(to(None)), before(Some("3.5")));
    assert_eq!(rig.reader().downgrade_target(), None);
}

#[test]
fn alarms_outlive_a_crash_with_and_without_a_flush() {
    for mut rig in Rig::both() {
        rig.ok(raise(full()));
        rig.flush();
        rig.ok(raise(corrupt()));
        rig.crash();
        assert_eq!(rig.reader().alarms().unwrap(), [full(), corrupt()]);
        assert_eq!(rig.refused(put("a", "")), Rejection::Corrupt);
        rig.ok(end(AlarmKind::Corrupt, TWO));
        rig.flush();
        rig.crash();
        assert_eq!(rig.refused(put("a", "")), Rejection::NoSpace);
    }
}
