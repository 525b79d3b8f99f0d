//! Groups: who is in is whose session lives.

use super::*;

const GROUP: &str = "/ns/groups/workers/";

fn join(ledger: &mut MemoryLedger, session: Session, value: &'static str) -> JoinOutcome {
    match run(ledger, SyncCommand::Join(Join { prefix: GROUP.into(), session, value: value.into() })) {
        SyncOutcome::Join(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_is_there_as_long_as_its_session() {
    let mut ledger = with_leases(2);
    assert!(matches!(join(&mut ledger, existing(1), "a"), JoinOutcome::Joined { is_new: true, .. }));
    assert!(matches!(join(&mut ledger, Session::New(opening(3)), "c"), JoinOutcome::Joined { is_new: true, .. }));
    let before = ledger.clone();
    assert!(matches!(join(&mut ledger, existing(1), "a"), JoinOutcome::Joined { is_new: false, .. }));
    assert_eq!(ledger, before, "T10: joining again writes nothing");
    let JoinOutcome::Joined { member, is_new: false } = join(&mut ledger, existing(1), "b") else {
        panic!("it is there")
    };
    assert_eq!((member.value.as_ref(), member.version), (&b"b"[..], 2));
    assert_eq!(names(&ledger, GROUP), ["1", "3"]);
    ledger.revoke(lease(1));
    assert_eq!(names(&ledger, GROUP), ["3"]);
    assert_eq!(join(&mut ledger, existing(1), "a"), JoinOutcome::Absent(Absent::Expired));
    assert_eq!(join(&mut ledger, Session::New(opening(2)), "x"), JoinOutcome::Absent(Absent::Conflict));
}

#[test]
fn a_member_that_came_without_a_session_is_taken_over_by_the_session_it_is_named_after() {
    let mut ledger = with_leases(1);
    ledger.put_all([(format!("{GROUP}1").into(), "a".into(), LeaseId::NONE)]);
    assert!(matches!(join(&mut ledger, existing(1), "a"), JoinOutcome::Joined { is_new: false, .. }));
    ledger.revoke(lease(1));
    assert!(names(&ledger, GROUP).is_empty());
}
