//! Work queues: each message is on loan to one consumer at a time, and none is lost.

use std::collections::BTreeMap;

use super::*;

const MESSAGES: &str = "/ns/queues/jobs/";
const HOLDS: &str = "/ns/_meta/queues/jobs/holds/";
const DEAD: &str = "/ns/queues/jobs.dead/";
const ATTEMPTS: &str = "/ns/_meta/queues/jobs/max_attempts";

fn send(ledger: &mut MemoryLedger, text: &'static str, delay: Option<OpenSession>) -> KeyValue {
    let send = Send { messages: MESSAGES.into(), holds: HOLDS.into(), value: text.into(), delay };
    match run(ledger, SyncCommand::Send(send)) {
        SyncOutcome::Sent { message } => message,
        other => panic!("{other:?}"),
    }
}

fn take(ledger: &mut MemoryLedger, session: Session) -> TakeOutcome {
    let take = Take {
        messages: MESSAGES.into(),
        holds: HOLDS.into(),
        dead: DEAD.into(),
        attempts_max: ATTEMPTS.into(),
        session,
    };
    match run(ledger, SyncCommand::Take(take)) {
        SyncOutcome::Take(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn settle(ledger: &mut MemoryLedger, (message, hold): &(KeyValue, KeyValue), verdict: Verdict) -> SettleOutcome {
    let settle = Settle { message: message.key.clone(), hold: hold.key.clone(), token: hold.create_revision, verdict };
    match run(ledger, SyncCommand::Settle(settle)) {
        SyncOutcome::Settle(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// The message and its hold, if one is taken, and how often it was.
#[track_caller]
fn taken(outcome: TakeOutcome) -> ((KeyValue, KeyValue), u64) {
    match outcome {
        TakeOutcome::Taken { message, hold, attempt } => ((message, hold), attempt),
        other => panic!("{other:?}"),
    }
}

const EMPTY: TakeOutcome = TakeOutcome::Empty { try_again: false };

#[test]
fn messages_come_in_the_order_in_which_they_were_sent_and_go_when_they_are_done_with() {
    let mut ledger = with_leases(2);
    for text in ["one", "two"] {
        send(&mut ledger, text, None);
    }
    let (first, attempt) = taken(take(&mut ledger, existing(1)));
    assert_eq!((first.0.value.as_ref(), attempt), (&b"one"[..], 1));
    let (second, _) = taken(take(&mut ledger, existing(2)));
    assert_eq!(second.0.value, "two");
    let before = ledger.clone();
    assert_eq!(take(&mut ledger, existing(1)), EMPTY);
    assert_eq!(take(&mut ledger, Session::New(opening(9))), EMPTY);
    assert_eq!(ledger, before, "T13: who finds nothing writes nothing");
    assert_eq!(settle(&mut ledger, &first, Verdict::Done), SettleOutcome::Settled);
    assert_eq!(settle(&mut ledger, &first, Verdict::Done), SettleOutcome::Lost);
    assert_eq!(settle(&mut ledger, &second, Verdict::Return { delay: None }), SettleOutcome::Settled);
    let (again, attempt) = taken(take(&mut ledger, existing(1)));
    assert_eq!((again.0.value.as_ref(), attempt), (&b"two"[..], 2));
    settle(&mut ledger, &again, Verdict::Done);
    assert!(names(&ledger, "/ns/").is_empty(), "nothing is left of it");
}

#[test]
fn t36_a_message_whose_consumer_died_is_taken_again_and_the_dead_settle_nothing() {
    let mut ledger = with_leases(2);
    send(&mut ledger, "job", None);
    let (lost, _) = taken(take(&mut ledger, existing(1)));
    ledger.revoke(lease(1));
    let (again, attempt) = taken(take(&mut ledger, existing(2)));
    assert_eq!((again.0.value.as_ref(), attempt), (&b"job"[..], 2));
    assert!(again.1.create_revision > lost.1.create_revision, "the token of a loan rises");
    let before = ledger.clone();
    for verdict in [Verdict::Done, Verdict::Return { delay: None }] {
        assert_eq!(settle(&mut ledger, &lost, verdict), SettleOutcome::Lost);
    }
    assert_eq!(ledger, before);
    assert_eq!(take(&mut ledger, existing(1)), TakeOutcome::Absent(Absent::Expired));
}

#[test]
fn a_loan_may_have_a_lease_of_its_own() {
    let mut ledger = MemoryLedger::default();
    send(&mut ledger, "job", None);
    taken(take(&mut ledger, Session::New(opening(7))));
    assert_eq!(take(&mut ledger, Session::New(opening(8))), EMPTY);
    assert_eq!(ledger.lease_ttl(lease(8)), None, "no lease for who got nothing");
    ledger.revoke(lease(7));
    assert_eq!(taken(take(&mut ledger, Session::New(opening(8)))).1, 2);
    assert_eq!(take(&mut ledger, Session::New(opening(8))), TakeOutcome::Absent(Absent::Conflict));
}

#[test]
fn what_is_delayed_waits_for_the_end_of_its_lease() {
    let mut ledger = with_leases(1);
    send(&mut ledger, "later", Some(opening(7)));
    send(&mut ledger, "now", None);
    let (now, _) = taken(take(&mut ledger, existing(1)));
    assert_eq!(now.0.value, "now");
    ledger.revoke(lease(7));
    assert_eq!(taken(take(&mut ledger, existing(1))).0.0.value, "later");

    settle(&mut ledger, &now, Verdict::Return { delay: Some(opening(8)) });
    assert_eq!(take(&mut ledger, existing(1)), EMPTY);
    assert_eq!(settle(&mut ledger, &now, Verdict::Done), SettleOutcome::Lost, "a delay is no loan");
    ledger.revoke(lease(8));
    assert_eq!(taken(take(&mut ledger, existing(1))).1, 2);
}

#[test]
fn a_message_that_was_taken_too_often_is_a_dead_letter() {
    let mut ledger = with_leases(1);
    ledger.put_all([(ATTEMPTS.into(), "2".into(), LeaseId::NONE)]);
    for text in ["poison", "good"] {
        send(&mut ledger, text, None);
    }
    for attempt in 1..=2 {
        let (poison, taken) = taken(take(&mut ledger, existing(1)));
        assert_eq!((poison.0.value.as_ref(), taken), (&b"poison"[..], attempt));
        settle(&mut ledger, &poison, Verdict::Return { delay: None });
    }
    let (good, _) = taken(take(&mut ledger, existing(1)));
    assert_eq!(good.0.value, "good");
    assert_eq!(names(&ledger, DEAD).len(), 1);
    settle(&mut ledger, &good, Verdict::Return { delay: None });
    assert_eq!(taken(take(&mut ledger, existing(1))).1, 2);
}

#[test]
fn many_dead_letters_are_found_a_few_at_a_time() {
    let mut ledger = with_leases(1);
    for _ in 0..20 {
        let message = send(&mut ledger, "dead", None);
        for _ in 0..2 {
            ledger.put_all([(message.key.clone(), "dead".into(), LeaseId::NONE)]);
        }
    }
    ledger.put_all([(ATTEMPTS.into(), "1".into(), LeaseId::NONE)]);
    assert_eq!(take(&mut ledger, existing(1)), TakeOutcome::Empty { try_again: true });
    assert_eq!(take(&mut ledger, existing(1)), EMPTY);
    assert_eq!(names(&ledger, DEAD).len(), 20);
}

#[test]
fn a_message_of_etcds_own_recipe_is_taken_too_unless_its_name_is_too_long() {
    let mut ledger = with_leases(1);
    let long: Bytes = [MESSAGES.as_bytes(), &vec![b'x'; model::KEY_BYTES_MAX - MESSAGES.len()]].concat().into();
    ledger.put_all([(long, "raw".into(), LeaseId::NONE)]);
    ledger.put_all([(format!("{MESSAGES}1700000000000000000").into(), "raw".into(), LeaseId::NONE)]);
    let (raw, _) = taken(take(&mut ledger, existing(1)));
    assert_eq!(raw.0.key, format!("{MESSAGES}1700000000000000000"));
    assert_eq!(take(&mut ledger, existing(1)), EMPTY);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// What is sent is free, on loan to one, or done with; the oldest free one is what is taken.
    #[test]
    fn a_queue_is_its_model(steps in vec((0..6_u8, 1..=4_i64), 1..80)) {
        let mut ledger = with_leases(4);
        let mut free: BTreeMap<Bytes, ()> = BTreeMap::new();
        let mut loans: BTreeMap<Bytes, (i64, (KeyValue, KeyValue))> = BTreeMap::new();
        for (kind, id) in steps {
            match kind {
                0 | 1 => {
                    free.insert(send(&mut ledger, "m", None).key, ());
                }
                2 | 3 => match (take(&mut ledger, existing(id)), free.pop_first()) {
                    (TakeOutcome::Taken { message, hold, .. }, Some((oldest, ()))) => {
                        prop_assert_eq!(&message.key, &oldest);
                        prop_assert!(loans.insert(oldest, (id, (message, hold))).is_none());
                    }
                    (TakeOutcome::Empty { .. }, None) => {}
                    other => prop_assert!(false, "{other:?}"),
                },
                4 => {
                    if let Some((key, (_, loan))) = loans.pop_first() {
                        let returns = id % 2 == 0;
                        let verdict = if returns { Verdict::Return { delay: None } } else { Verdict::Done };
                        prop_assert_eq!(settle(&mut ledger, &loan, verdict), SettleOutcome::Settled);
                        if returns {
                            free.insert(key, ());
                        }
                    }
                }
                _ => {
                    ledger.revoke(lease(id));
                    ledger.grant(lease(id), 10);
                    let ended: Vec<Bytes> =
                        loans.iter().filter(|(_, (by, _))| *by == id).map(|(key, _)| key.clone()).collect();
                    for key in ended {
                        loans.remove(&key);
                        free.insert(key, ());
                    }
                }
            }
            prop_assert_eq!(names(&ledger, MESSAGES).len(), free.len() + loans.len());
        }
    }
}
