//! What each command does to the keys, case by case; and random histories against a model that knows no keys.

#[path = "tests/model_tests.rs"]
mod model_tests;

use ::model::{KeyRange, LeaseId, Revision};

use super::*;
use crate::testing::MemoryLedger;
use crate::{Command, Guard, Outcome};

pub(super) const SET: &[u8] = b"/default/config/shop/prod/";
pub(super) const LEASE: LeaseId = LeaseId::new(7);

pub(super) fn set() -> Bytes {
    Bytes::from_static(SET)
}

pub(super) fn value(store: &MemoryLedger, key: &str) -> Option<String> {
    let Ok(kv) = store.get(&below(SET, key.as_bytes()));
    kv.map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
}

pub(super) fn write(key: &str, value: Option<&str>) -> Write {
    Write { key: key.to_owned().into(), value: value.map(|value| value.to_owned().into()) }
}

pub(super) fn edit(store: &mut MemoryLedger, writes: Vec<Write>, conditions: Vec<Condition>) -> EditOutcome {
    match store.apply(&Command::EditDraft(EditDraft { set: set(), writes, conditions, guards: vec![] })) {
        Outcome::EditDraft(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

pub(super) fn release(target: Target) -> Publish {
    Publish { set: set(), record: "r".into(), writes: vec![], draft: None, expect: None, target, guards: vec![] }
}

pub(super) fn publish(store: &mut MemoryLedger, publish: Publish) -> PublishOutcome {
    match store.apply(&Command::Publish(publish)) {
        Outcome::Publish(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

pub(super) fn ack(store: &mut MemoryLedger, client: &str, version: u64, status: AckStatus) -> AckOutcome {
    let value = Bytes::from(format!("{version} {status:?}"));
    let ack = Acknowledge { set: set(), client: client.to_owned().into(), lease: LEASE, version, status, value };
    match store.apply(&Command::Acknowledge(ack)) {
        Outcome::Acknowledge(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

pub(super) fn control(store: &mut MemoryLedger, version: u64, action: RolloutAction) -> ControlOutcome {
    match store.apply(&Command::ControlRollout(ControlRollout { set: set(), version, action })) {
        Outcome::ControlRollout(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

pub(super) fn move_label(store: &mut MemoryLedger, version: Option<u64>, expect: Option<Expect>) -> LabelOutcome {
    let label = MoveLabel { set: set(), label: "live".into(), version, expect, guards: vec![] };
    match store.apply(&Command::MoveLabel(label)) {
        Outcome::MoveLabel(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

pub(super) fn rollout(store: &MemoryLedger) -> Rollout {
    let Ok(rollout) = Rollout::read(store, SET);
    rollout.expect("there is a rollout")
}

/// Of two steps: one ack for the first, three for the second, one failure allowed.
pub(super) fn plan(on_failure: OnFailure) -> Plan {
    let step = |percent, min_acks| Step { scope: Scope::Percent(percent), min_acks, max_failures: 1 };
    Plan { steps: vec![step(10, 1), step(100, 3)], on_failure }
}

pub(super) fn to_rollout(on_failure: OnFailure) -> Publish {
    release(Target::Rollout { label: "live".into(), plan: plan(on_failure) })
}

/// A store with a session, and a first release that is live.
fn live() -> MemoryLedger {
    let mut store = MemoryLedger::default();
    assert!(store.grant(LEASE, 10));
    assert_eq!(publish(&mut store, release(Target::Label("live".into()))), PublishOutcome::Published { version: 1 });
    store
}

#[test]
fn an_edit_is_one_revision() {
    let mut store = MemoryLedger::default();
    let writes = vec![write("items/a", Some("1")), write("meta/a", Some("m")), write("items/b", None)];
    let before = store.latest();
    assert_eq!(edit(&mut store, writes, vec![]), EditOutcome::Edited { before: vec![Revision::ZERO; 3] });
    assert_eq!(store.latest(), before.next());
    assert_eq!(value(&store, "items/a").as_deref(), Some("1"));
    let written = store.latest();
    assert_eq!(edit(&mut store, vec![write("items/a", None)], vec![]), EditOutcome::Edited { before: vec![written] });
    assert_eq!(value(&store, "items/a"), None);
}

#[test]
fn an_edit_happens_only_as_expected() {
    let mut store = MemoryLedger::default();
    edit(&mut store, vec![write("items/a", Some("1"))], vec![]);
    let now = store.latest();
    let cases = [
        (Expect::Absent, false),
        (Expect::Present, true),
        (Expect::WrittenAt(vec![now]), true),
        (Expect::WrittenAt(vec![now.next()]), false),
        (Expect::NotWrittenAt(vec![now]), false),
        (Expect::NotWrittenAt(vec![now.next()]), true),
    ];
    for (expect, holds) in cases {
        let mut store = store.clone();
        let condition = Condition { key: "items/a".into(), expect: expect.clone() };
        let outcome = edit(&mut store, vec![write("items/a", Some("2"))], vec![condition]);
        let conflict = EditOutcome::Conflict { key: "items/a".into(), current: now };
        assert_eq!(outcome == conflict, !holds, "{expect:?}");
        assert_eq!(value(&store, "items/a").as_deref(), Some(if holds { "2" } else { "1" }));
    }
}

#[test]
fn only_a_draft_can_be_edited() {
    let check = |key: &str| {
        EditDraft { set: set(), writes: vec![write(key, None)], conditions: vec![], guards: vec![] }.check()
    };
    for key in ["items/a", "items/a/b", "meta/a", "schema"] {
        assert_eq!(check(key), Ok(()), "{key}");
    }
    for key in ["", "items/", "meta/", "releases/0000000000000001", "latest", "labels/live", "rollout", "schema/"] {
        assert_eq!(check(key), Err(Invalid::BadName), "{key}");
    }
    let twice = vec![write("schema", None), write("schema", Some("x"))];
    let edit = EditDraft { set: set(), writes: twice, conditions: vec![], guards: vec![] };
    assert_eq!(edit.check(), Err(Invalid::WrittenTwice));
}

#[test]
fn t32_a_release_is_a_key_written_once() {
    let mut store = live();
    let first = value(&store, "releases/0000000000000001");
    // Somebody takes the count back by hand.
    store.put_all([(below(SET, b"latest"), "0".into(), LeaseId::NONE)]);
    let again = Publish { record: "other".into(), ..release(Target::Kept) };
    assert_eq!(publish(&mut store, again), PublishOutcome::Published { version: 2 });
    assert_eq!(value(&store, "releases/0000000000000001"), first);
    assert_eq!(value(&store, "latest").as_deref(), Some("2"));
    assert_eq!(value(&store, "labels/live").as_deref(), Some("1"), "a release that is only kept moves no label");
}

#[test]
fn a_release_and_all_that_belongs_to_it_is_one_revision() {
    let mut store = live();
    let before = store.latest();
    let writes = vec![write("items/a", Some("1")), write("schema", Some("{}"))];
    publish(&mut store, Publish { writes, ..release(Target::Label("live".into())) });
    assert_eq!(store.latest(), before.next());
    let range = KeyRange::prefix(set());
    let written = store.range(&range).filter(|kv| kv.mod_revision == store.latest());
    let keys: Vec<_> = written.map(|kv| String::from_utf8_lossy(&kv.key[SET.len()..]).into_owned()).collect();
    assert_eq!(keys, ["items/a", "labels/live", "latest", "releases/0000000000000002", "schema"]);
}

#[test]
fn what_is_published_is_what_was_read() {
    let mut store = live();
    edit(&mut store, vec![write("items/a", Some("1")), write("items/b", Some("1"))], vec![]);
    let draft = DraftState { keys: 2, revision: store.latest() };
    let of_draft = Publish { draft: Some(draft), ..release(Target::Kept) };
    let mut untouched = store.clone();
    assert_eq!(publish(&mut untouched, of_draft.clone()), PublishOutcome::Published { version: 2 });
    for writes in [
        vec![write("items/a", Some("1"))],
        vec![write("items/b", None)],
        vec![write("items/b", None), write("items/c", Some("1"))],
        vec![write("schema", Some("{}"))],
        vec![write("meta/a", Some("m"))],
    ] {
        let mut changed = store.clone();
        edit(&mut changed, writes.clone(), vec![]);
        let before = changed.clone();
        assert_eq!(publish(&mut changed, of_draft.clone()), PublishOutcome::DraftChanged, "{writes:?}");
        assert_eq!(changed, before);
    }
}

#[test]
fn a_release_follows_the_one_that_was_meant() {
    let mut store = live();
    let after = |expect| Publish { expect: Some(expect), ..release(Target::Kept) };
    assert_eq!(publish(&mut store, after(0)), PublishOutcome::Conflict { latest: 1 });
    assert_eq!(publish(&mut store, after(1)), PublishOutcome::Published { version: 2 });
    assert_eq!(publish(&mut store, after(1)), PublishOutcome::Conflict { latest: 2 });
}

#[test]
fn a_guard_that_does_not_stand_stops_every_write() {
    let mut store = live();
    store.put_all([("l/1".into(), Bytes::new(), LEASE)]);
    let token = store.latest();
    store.put_all([("l/2".into(), Bytes::new(), LeaseId::NONE)]);
    let guards = |token| vec![Guard { key: "l/1".into(), token }];
    let waiting = vec![Guard { key: "l/2".into(), token: store.latest() }];
    let fenced = PublishOutcome::Fenced { guard: 0, current: Some(token) };
    assert_eq!(publish(&mut store, Publish { guards: guards(token.next()), ..release(Target::Kept) }), fenced);
    assert_eq!(
        publish(&mut store, Publish { guards: waiting, ..release(Target::Kept) }),
        fenced,
        "who waits holds nothing"
    );
    let allowed = Publish { guards: guards(token), ..release(Target::Kept) };
    assert_eq!(publish(&mut store, allowed.clone()), PublishOutcome::Published { version: 2 });
    let next = store.latest();
    store.revoke(LEASE);
    let outcome = publish(&mut store, allowed);
    assert!(
        matches!(outcome, PublishOutcome::Fenced { guard: 0, current: Some(current) } if current < next),
        "{outcome:?}"
    );
}

#[test]
fn a_label_names_what_exists() {
    let mut store = live();
    publish(&mut store, release(Target::Kept));
    assert_eq!(move_label(&mut store, Some(3), None), LabelOutcome::NoSuchRelease);
    let moved = store.latest();
    assert_eq!(
        move_label(&mut store, Some(2), Some(Expect::Absent)),
        LabelOutcome::Conflict { current: Revision::new(2) }
    );
    assert_eq!(move_label(&mut store, Some(2), Some(Expect::Present)), LabelOutcome::Moved { is_new: false });
    assert_eq!(store.latest(), moved.next());
    let moved = store.latest();
    assert_eq!(move_label(&mut store, Some(2), None), LabelOutcome::Moved { is_new: false });
    assert_eq!(store.latest(), moved, "saying it twice changes nothing");
    assert_eq!(move_label(&mut store, None, None), LabelOutcome::Moved { is_new: false });
    assert_eq!(value(&store, "labels/live"), None);
}

#[test]
fn a_rollout_moves_on_with_the_reports() {
    let mut store = live();
    publish(&mut store, to_rollout(OnFailure::Halt));
    assert_eq!((rollout(&store).step, rollout(&store).base), (0, Some(1)));
    ack(&mut store, "a", 1, AckStatus::Applied);
    assert_eq!(rollout(&store).applied, 0, "a word on another release");
    ack(&mut store, "a", 2, AckStatus::Applied);
    ack(&mut store, "a", 2, AckStatus::Applied);
    assert_eq!((rollout(&store).step, rollout(&store).applied), (1, 1), "the same client again is no other client");
    assert_eq!(move_label(&mut store, Some(1), None), LabelOutcome::RolloutActive { version: 2 });
    assert_eq!(
        publish(&mut store, release(Target::Label("live".into()))),
        PublishOutcome::RolloutActive { version: 2 }
    );
    ack(&mut store, "b", 2, AckStatus::Applied);
    assert_eq!(value(&store, "labels/live").as_deref(), Some("1"));
    let before = store.latest();
    ack(&mut store, "c", 2, AckStatus::Applied);
    assert_eq!(store.latest(), before.next(), "the report and what it decides are one revision");
    assert_eq!(rollout(&store).state, RolloutState::Completed);
    assert_eq!(value(&store, "labels/live").as_deref(), Some("2"));
}

#[test]
fn failures_halt_or_roll_back() {
    for (on_failure, state) in
        [(OnFailure::Halt, RolloutState::Halted), (OnFailure::Rollback, RolloutState::RolledBack)]
    {
        let mut store = live();
        publish(&mut store, to_rollout(on_failure));
        ack(&mut store, "a", 2, AckStatus::Failed);
        assert_eq!(rollout(&store).state, RolloutState::Running);
        store.revoke(LEASE);
        store.grant(LEASE, 10);
        ack(&mut store, "a", 2, AckStatus::Failed);
        assert_eq!(rollout(&store).failed, 1, "a client that fails, restarts and fails again is one failure");
        ack(&mut store, "b", 2, AckStatus::Rejected);
        assert_eq!(rollout(&store).state, state);
        assert_eq!(value(&store, "labels/live").as_deref(), Some("1"));
        let resumed = control(&mut store, 2, RolloutAction::Resume);
        match on_failure {
            OnFailure::Halt => assert!(matches!(resumed, ControlOutcome::Done(_)), "{resumed:?}"),
            OnFailure::Rollback => assert!(matches!(resumed, ControlOutcome::Ended(_)), "{resumed:?}"),
        }
    }
}

#[test]
fn a_client_that_recovers_is_no_failure_any_more() {
    let mut store = live();
    publish(&mut store, to_rollout(OnFailure::Halt));
    ack(&mut store, "a", 2, AckStatus::Failed);
    ack(&mut store, "a", 2, AckStatus::Applied);
    assert_eq!((rollout(&store).applied, rollout(&store).failed), (1, 0));
}

#[test]
fn a_rollout_is_paused_resumed_and_ended() {
    let mut store = live();
    assert_eq!(control(&mut store, 1, RolloutAction::Abort), ControlOutcome::NoRollout);
    publish(&mut store, to_rollout(OnFailure::Halt));
    assert!(matches!(control(&mut store, 1, RolloutAction::Abort), ControlOutcome::Another(_)));
    control(&mut store, 2, RolloutAction::Pause);
    for client in ["a", "b", "c"] {
        ack(&mut store, client, 2, AckStatus::Applied);
    }
    assert_eq!((rollout(&store).state, rollout(&store).applied), (RolloutState::Paused, 3));
    let mut resumed = store.clone();
    control(&mut resumed, 2, RolloutAction::Resume);
    assert_eq!(rollout(&resumed).state, RolloutState::Completed, "what was reported in the meantime counts");
    control(&mut store, 2, RolloutAction::Abort);
    let aborted = store.clone();
    assert!(matches!(control(&mut store, 2, RolloutAction::Abort), ControlOutcome::Done(_)));
    assert_eq!(store, aborted, "saying it twice changes nothing");
    assert!(matches!(control(&mut store, 2, RolloutAction::Resume), ControlOutcome::Ended(_)));
    assert_eq!(publish(&mut store, to_rollout(OnFailure::Halt)), PublishOutcome::Published { version: 3 });
    assert_eq!(value(&store, "acks/0000000000000002/a"), None, "reports on the rollout before are forgotten");
}

#[test]
fn t33_an_acknowledgement_repeated_writes_nothing() {
    let mut store = live();
    let first = ack(&mut store, "a", 1, AckStatus::Applied);
    let before = store.clone();
    assert_eq!(first, AckOutcome::Noted { revision: store.latest(), is_new: true });
    let second = ack(&mut store, "a", 1, AckStatus::Applied);
    assert_eq!(second, AckOutcome::Noted { revision: store.latest(), is_new: false });
    assert_eq!(store, before);
    assert_eq!(ack(&mut store, "a", 9, AckStatus::Applied), AckOutcome::NoSuchRelease);
    store.revoke(LEASE);
    assert_eq!(value(&store, "clients/a"), None, "clients that are gone run nothing");
    assert_eq!(ack(&mut store, "a", 1, AckStatus::Applied), AckOutcome::SessionExpired);
}

#[test]
fn what_makes_no_sense_is_refused_in_any_state() {
    let plan_of =
        |scope, min_acks| Plan { steps: vec![Step { scope, min_acks, max_failures: 0 }], on_failure: OnFailure::Halt };
    let no_labels = Scope::Selector(std::collections::BTreeMap::new());
    for plan in [
        Plan { steps: vec![], on_failure: OnFailure::Halt },
        plan_of(Scope::Percent(0), 1),
        plan_of(Scope::Percent(101), 1),
        plan_of(Scope::Percent(1), 0),
        plan_of(no_labels, 1),
    ] {
        let publish = release(Target::Rollout { label: "live".into(), plan });
        assert_eq!(publish.check(), Err(Invalid::BadPlan));
    }
    for label in ["", "a/b"] {
        assert_eq!(release(Target::Label(label.into())).check(), Err(Invalid::BadName), "{label}");
    }
    for set in ["", "no-slash"] {
        assert!(Publish { set: set.into(), ..release(Target::Kept) }.check().is_err(), "{set}");
    }
}

#[test]
fn what_others_wrote_there_breaks_nothing() {
    let mut store = live();
    for (key, value) in [("latest", "x"), ("labels/live", "\u{0}"), ("rollout", "{}"), ("items/", "odd")] {
        store.put_all([(below(SET, key.as_bytes()), value.to_owned().into(), LeaseId::NONE)]);
    }
    assert_eq!(publish(&mut store, to_rollout(OnFailure::Halt)), PublishOutcome::Published { version: 2 });
    assert_eq!(rollout(&store).base, None);
}
