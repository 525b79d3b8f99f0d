//! The mutex against the traps that other lock services fell into; `tN` is the number of the trap in the design notes.

use model::KeyRange;

use super::*;
use crate::testing::MemoryLedger;
use crate::{Command, OpenSession, SessionOutcome, SessionRecord, TTL_SECONDS_MAX};

const LOCK: &str = "/ns/locks/orders/";
const FOREVER: Enqueue = Enqueue::Enqueue { waiting_max: None };

fn lease(id: i64) -> LeaseId {
    LeaseId::new(id)
}

fn existing(id: i64) -> Session {
    Session::Existing(lease(id))
}

fn opening(id: i64) -> OpenSession {
    let record = SessionRecord { key: format!("/ns/_sessions/{id:x}").into(), value: "worker".into() };
    OpenSession { lease: lease(id), ttl: 10, record: Some(record) }
}

fn claim_of(session: Session, enqueue: Enqueue) -> Acquire {
    Acquire { prefix: LOCK.into(), session, enqueue, value: "meta".into() }
}

/// Applies what arrives in a log entry: the command after encoding and decoding.
fn run(ledger: &mut MemoryLedger, command: &Command) -> Outcome {
    ledger.apply(&Command::decode(command.encode()).unwrap())
}

fn acquire(ledger: &mut MemoryLedger, acquire: Acquire) -> AcquireOutcome {
    match run(ledger, &Command::Acquire(acquire)) {
        Outcome::Acquire(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// Stands in line with a session that exists.
fn enqueue(ledger: &mut MemoryLedger, id: i64) -> AcquireOutcome {
    acquire(ledger, claim_of(existing(id), FOREVER))
}

fn release(ledger: &mut MemoryLedger, key: &str, token: Option<Revision>) -> ReleaseOutcome {
    match run(ledger, &Command::Release(Release { key: key.to_owned().into(), token })) {
        Outcome::Release(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// A store with leases 1 to `count`.
fn with_leases(count: i64) -> MemoryLedger {
    let mut ledger = MemoryLedger::default();
    assert!((1..=count).all(|id| ledger.grant(lease(id), 10)));
    ledger
}

fn key_of(id: i64) -> String {
    format!("{LOCK}{id:x}")
}

/// The token of a claim that was granted.
fn token(outcome: &AcquireOutcome) -> Revision {
    match outcome {
        AcquireOutcome::Granted { claim, .. } => claim.create_revision,
        other => panic!("not granted: {other:?}"),
    }
}

/// How many are ahead of a claim that was queued.
fn ahead(outcome: &AcquireOutcome) -> usize {
    match outcome {
        AcquireOutcome::Queued { ahead, .. } => *ahead,
        other => panic!("not queued: {other:?}"),
    }
}

#[test]
fn a_free_lock_is_granted_and_the_next_stand_in_line() {
    let mut ledger = with_leases(3);
    let granted = enqueue(&mut ledger, 1);
    let AcquireOutcome::Granted { claim, is_new: true } = granted else { panic!("{granted:?}") };
    assert_eq!(ledger.get(key_of(1).as_bytes()), Ok(Some(claim.clone())), "the outcome shows what was written");
    assert_eq!((claim.create_revision, claim.lease, claim.value.as_ref()), (Revision::new(2), lease(1), &b"meta"[..]));

    assert_eq!(ahead(&enqueue(&mut ledger, 2)), 1);
    let queued = enqueue(&mut ledger, 3);
    let AcquireOutcome::Queued { claim: third, is_new: true, ahead: 2, holder } = queued else { panic!("{queued:?}") };
    assert_eq!(ledger.get(key_of(3).as_bytes()), Ok(Some(third)));
    assert_eq!(holder, claim);
    assert_eq!(ledger.latest(), Revision::new(4), "one revision a claim");
}

#[test]
fn a_session_opened_with_its_claim_takes_one_revision() {
    let mut ledger = MemoryLedger::default();
    assert_eq!(token(&acquire(&mut ledger, claim_of(Session::New(opening(0xab)), FOREVER))), Revision::new(2));
    assert_eq!((ledger.lease_ttl(lease(0xab)), ledger.latest()), (Some(10), Revision::new(2)));
    let record = ledger.get(b"/ns/_sessions/ab").unwrap().unwrap();
    assert_eq!((record.create_revision, record.lease), (Revision::new(2), lease(0xab)));
    ledger.revoke(lease(0xab));
    assert_eq!(ledger.range(&KeyRange::prefix("/".into())).count(), 0, "record and claim end with the lease");
}

#[test]
fn a_session_opens_once() {
    let mut ledger = MemoryLedger::default();
    let open = Command::OpenSession(opening(7));
    let opened = SessionOutcome::Opened { lease: lease(7), ttl: 10 };
    assert_eq!(run(&mut ledger, &open), Outcome::Session(opened));
    let before = ledger.clone();
    let again = Command::OpenSession(OpenSession { lease: lease(7), ttl: 99, record: None });
    let conflict = SessionOutcome::Conflict { lease: lease(7), ttl: 10 };
    assert_eq!(run(&mut ledger, &again), Outcome::Session(conflict));
    assert_eq!(acquire(&mut ledger, claim_of(Session::New(opening(7)), FOREVER)), AcquireOutcome::SessionConflict);
    assert_eq!(ledger, before);
}

#[test]
fn a_line_takes_no_more_than_the_claimant_accepts() {
    let mut ledger = with_leases(4);
    let bounded = |max| Enqueue::Enqueue { waiting_max: Some(max) };
    token(&acquire(&mut ledger, claim_of(existing(1), bounded(0))));
    assert_eq!(ahead(&acquire(&mut ledger, claim_of(existing(2), bounded(1)))), 1);
    let before = ledger.clone();
    for session in [existing(3), Session::New(opening(9))] {
        let full = acquire(&mut ledger, claim_of(session, bounded(1)));
        let AcquireOutcome::QueueFull { holder, waiting: 1 } = full else { panic!("{full:?}") };
        assert_eq!(holder.lease, lease(1));
    }
    assert_eq!(ledger, before);
    assert_eq!(ahead(&acquire(&mut ledger, claim_of(existing(3), bounded(2)))), 2);
}

#[test]
fn a_release_is_idempotent_and_gives_up_a_place_in_line_too() {
    let mut ledger = with_leases(3);
    let [first, ..] = [1, 2, 3].map(|id| enqueue(&mut ledger, id));
    let released = ReleaseOutcome::Released { token: Revision::new(3) };
    assert_eq!(release(&mut ledger, &key_of(2), None), released);
    assert_eq!(ahead(&enqueue(&mut ledger, 3)), 1);
    assert!(matches!(release(&mut ledger, &key_of(1), Some(token(&first))), ReleaseOutcome::Released { .. }));
    let before = ledger.clone();
    assert_eq!(release(&mut ledger, &key_of(1), Some(token(&first))), ReleaseOutcome::NotHeld);
    assert_eq!(ledger, before);
    assert_eq!(token(&enqueue(&mut ledger, 3)), Revision::new(4));
}

#[test]
fn what_makes_no_sense_in_any_state_is_refused_at_the_edge_and_when_applied() {
    let acquire = |prefix: &str, session| {
        Command::Acquire(Acquire { prefix: prefix.to_owned().into(), session, enqueue: FOREVER, value: Bytes::new() })
    };
    let open = |id, ttl| OpenSession { lease: lease(id), ttl, record: None };
    let recorded = |key: &str| {
        let record = SessionRecord { key: key.to_owned().into(), value: Bytes::new() };
        OpenSession { record: Some(record), ..open(1, 10) }
    };
    let long = "k".repeat(model::KEY_BYTES_MAX);
    let nothing = Release { key: Bytes::new(), token: None };
    let cases = [
        (acquire("", existing(1)), Invalid::EmptyPrefix),
        (acquire(LOCK, existing(0)), Invalid::LeaseOutOfRange),
        (acquire(LOCK, Session::New(open(-1, 10))), Invalid::LeaseOutOfRange),
        (acquire(LOCK, Session::New(open(1, 0))), Invalid::TtlOutOfRange),
        (acquire(&long, existing(1)), Invalid::KeyTooLong),
        (Command::OpenSession(open(0, 10)), Invalid::LeaseOutOfRange),
        (Command::OpenSession(open(1, TTL_SECONDS_MAX + 1)), Invalid::TtlOutOfRange),
        (Command::OpenSession(recorded("")), Invalid::EmptyKey),
        (Command::Release(nothing), Invalid::EmptyKey),
    ];
    for (command, invalid) in cases {
        let mut ledger = with_leases(1);
        assert_eq!(command.check(), Err(invalid), "{command:?}");
        assert_eq!(run(&mut ledger, &command), Outcome::Invalid(invalid));
        assert_eq!(ledger, with_leases(1));
    }
    let longest = &long[..long.len() - 1];
    assert_eq!(acquire(longest, existing(1)).check(), Ok(()));
    assert_eq!(Command::OpenSession(open(i64::MAX, TTL_SECONDS_MAX)).check(), Ok(()));
}

#[test]
fn t6_a_waiter_whose_session_ended_is_not_granted() {
    let mut ledger = with_leases(3);
    for id in 1..=3 {
        enqueue(&mut ledger, id);
    }
    ledger.revoke(lease(2));
    release(&mut ledger, &key_of(1), None);
    assert_eq!(enqueue(&mut ledger, 2), AcquireOutcome::SessionExpired, "it would be first in line");
    assert_eq!(token(&enqueue(&mut ledger, 3)), Revision::new(4));
}

#[test]
fn t7_when_the_one_before_leaves_the_holder_still_holds() {
    let mut ledger = with_leases(3);
    for id in 1..=3 {
        enqueue(&mut ledger, id);
    }
    release(&mut ledger, &key_of(2), None);
    assert_eq!(ahead(&enqueue(&mut ledger, 3)), 1);
}

#[test]
fn t9_a_release_that_is_sent_again_spares_the_newer_claim() {
    let mut ledger = with_leases(1);
    let old = token(&enqueue(&mut ledger, 1));
    release(&mut ledger, &key_of(1), Some(old));
    let current = token(&enqueue(&mut ledger, 1));
    let before = ledger.clone();
    assert_eq!(release(&mut ledger, &key_of(1), Some(old)), ReleaseOutcome::Stale { current });
    assert_eq!(ledger, before);
}

#[test]
fn t10_reply_lost_then_retry_returns_same_place() {
    let mut ledger = with_leases(2);
    let held = token(&enqueue(&mut ledger, 1));
    for session in [existing(2), Session::New(opening(3))] {
        let ask = || claim_of(session.clone(), FOREVER);
        let AcquireOutcome::Queued { claim, is_new: true, ahead, holder } = acquire(&mut ledger, ask()) else {
            panic!("{session:?} is new here");
        };
        let before = ledger.clone();
        let same = AcquireOutcome::Queued { claim: claim.clone(), is_new: false, ahead, holder };
        assert_eq!(acquire(&mut ledger, ask()), same);
        let tried = acquire(&mut ledger, Acquire { enqueue: Enqueue::TryOnly, ..ask() });
        assert_eq!(tried, same, "one that has a place is told it, however it asks");
        assert_eq!(ledger, before);
    }
    release(&mut ledger, &key_of(1), Some(held));
    assert_eq!(token(&enqueue(&mut ledger, 2)), Revision::new(3), "its token was decided when it joined");
}

#[test]
fn t12_a_member_that_takes_over_grants_the_same() {
    let mut old = with_leases(4);
    for id in 1..=3 {
        enqueue(&mut old, id);
    }
    let mut new = old.restarted();
    release(&mut old, &key_of(1), None);
    release(&mut new, &key_of(1), None);
    for id in [1, 2, 3, 4] {
        assert_eq!(enqueue(&mut old, id), enqueue(&mut new, id));
    }
    assert_eq!(old, new);
    assert_eq!(token(&enqueue(&mut new, 2)), Revision::new(3));
}

#[test]
fn t13_a_try_on_a_busy_lock_writes_nothing_and_opens_no_session() {
    let mut ledger = with_leases(2);
    enqueue(&mut ledger, 1);
    let before = ledger.clone();
    for session in [existing(2), Session::New(opening(3))] {
        let busy = acquire(&mut ledger, claim_of(session, Enqueue::TryOnly));
        let AcquireOutcome::Busy { holder } = busy else { panic!("{busy:?}") };
        assert_eq!(holder.key, key_of(1));
    }
    assert_eq!(ledger, before);
}

#[test]
fn t15_a_holder_that_asks_again_keeps_its_token() {
    let mut ledger = with_leases(1);
    let first = token(&enqueue(&mut ledger, 1));
    let before = ledger.clone();
    assert_eq!(token(&enqueue(&mut ledger, 1)), first);
    assert_eq!(ledger, before);
}

#[test]
fn t16_one_that_lost_the_lock_is_not_shown_its_successors_token_as_its_own() {
    let mut ledger = with_leases(2);
    let old = token(&enqueue(&mut ledger, 1));
    enqueue(&mut ledger, 2);
    release(&mut ledger, &key_of(1), None);
    assert_eq!(release(&mut ledger, &key_of(1), Some(old)), ReleaseOutcome::NotHeld);
    let queued = enqueue(&mut ledger, 1);
    let AcquireOutcome::Queued { claim, holder, .. } = queued else { panic!("{queued:?}") };
    assert_eq!((claim.lease, holder.lease), (lease(1), lease(2)));
    assert!(claim.create_revision > holder.create_revision);
}

#[test]
fn t17_tokens_rise_in_the_order_of_grants() {
    let mut ledger = with_leases(20);
    let order = [7, 3, 20, 1, 12];
    for id in order {
        enqueue(&mut ledger, id);
    }
    let mut last = Revision::ZERO;
    for id in order {
        let granted = token(&enqueue(&mut ledger, id));
        assert!(granted > last, "first come, first served, whatever the ids");
        last = granted;
        release(&mut ledger, &key_of(id), Some(granted));
    }
}

#[test]
fn t18_of_two_contenders_that_one_transaction_made_one_holds() {
    let mut ledger = with_leases(2);
    ledger.put_all([2, 1].map(|id| (key_of(id).into(), Bytes::new(), lease(id))));
    token(&enqueue(&mut ledger, 1));
    assert_eq!(ahead(&enqueue(&mut ledger, 2)), 1);
    assert_eq!(ahead(&enqueue(&mut ledger.restarted(), 2)), 1, "the same on a member that builds its queue anew");
}

#[test]
fn t18_a_session_record_may_not_contend_beside_its_claim() {
    let record = SessionRecord { key: format!("{LOCK}_session").into(), value: Bytes::new() };
    let open = OpenSession { record: Some(record), ..opening(1) };
    let command = Command::Acquire(claim_of(Session::New(open), FOREVER));
    assert_eq!(run(&mut MemoryLedger::default(), &command), Outcome::Invalid(Invalid::RecordContends));
}

#[test]
fn t19_the_holder_of_a_nested_name_blocks_the_outer_one_as_in_etcd() {
    let mut ledger = with_leases(3);
    let nested = Acquire { prefix: format!("{LOCK}nested/").into(), ..claim_of(existing(1), FOREVER) };
    token(&acquire(&mut ledger, nested));
    let busy = acquire(&mut ledger, claim_of(existing(2), Enqueue::TryOnly));
    let AcquireOutcome::Busy { holder } = busy else { panic!("{busy:?}") };
    assert_eq!(holder.key, format!("{LOCK}nested/1"));
    assert_eq!(ahead(&enqueue(&mut ledger, 2)), 1);

    let sibling = Acquire { prefix: "/ns/locks/orders2/".into(), ..claim_of(existing(3), FOREVER) };
    token(&acquire(&mut ledger, sibling));
    release(&mut ledger, &format!("{LOCK}nested/1"), None);
    assert_eq!(token(&enqueue(&mut ledger, 2)), Revision::new(3), "a name that only begins alike is another lock");
}

#[test]
fn t20_a_claims_key_is_lower_case_hex_without_padding() {
    assert_eq!(contender_key(b"l/", lease(1)), "l/1");
    assert_eq!(contender_key(b"l/", lease(0x694d_805f_7877_a227)), "l/694d805f7877a227");
    assert_eq!(contender_key(b"l/", lease(i64::MAX)), "l/7fffffffffffffff");
}

#[test]
fn t21_a_contender_of_etcds_own_client_stands_in_the_same_line() {
    let mut ledger = with_leases(3);
    enqueue(&mut ledger, 1);
    ledger.put_all([(key_of(2).into(), Bytes::new(), lease(2))]);
    assert_eq!(ahead(&enqueue(&mut ledger, 3)), 2);
    ledger.delete_range(&KeyRange::Single(key_of(1).into()));
    let AcquireOutcome::Queued { ahead: 1, holder, .. } = enqueue(&mut ledger, 3) else { panic!("2 holds") };
    assert_eq!((holder.key.as_ref(), holder.value.is_empty()), (key_of(2).as_bytes(), true));
}
