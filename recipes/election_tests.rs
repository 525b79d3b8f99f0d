//! Elections against the traps that other services fell into (`tNN` is the number of the trap in the design notes), and random
//! histories through the commands and through plain transactions side by side.

use model::{KeyRange, LeaseId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::testing::{MemoryLedger, plain};
use crate::{Command, Release, ReleaseOutcome, SessionRecord};

const ELECTION: &str = "/ns/elections/shards/";
const RECORDS: &str = "/ns/_meta/elections/shards/";

fn lease(id: i64) -> LeaseId {
    LeaseId::new(id)
}

/// Applies what arrives in a log entry: the command after encoding and decoding.
fn run(ledger: &mut MemoryLedger, command: &Command) -> Outcome {
    ledger.apply(&Command::decode(command.encode()).unwrap())
}

fn with_leases(count: i64) -> MemoryLedger {
    let mut ledger = MemoryLedger::default();
    assert!((1..=count).all(|id| ledger.grant(lease(id), 10)));
    ledger
}

fn candidate(id: i64, value: &'static str) -> Campaign {
    Campaign { prefix: ELECTION.into(), session: Session::Existing(lease(id)), value: value.into(), about: None }
}

fn campaign(ledger: &mut MemoryLedger, campaign: Campaign) -> AcquireOutcome {
    match run(ledger, &Command::Campaign(campaign)) {
        Outcome::Acquire(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn proclaim(ledger: &mut MemoryLedger, term: Revision, value: &'static str) -> ProclaimOutcome {
    let proclaim = Proclaim { prefix: ELECTION.into(), term, value: value.into(), about: None };
    match run(ledger, &Command::Proclaim(proclaim)) {
        Outcome::Proclaim(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn term(outcome: &AcquireOutcome) -> Revision {
    match outcome {
        AcquireOutcome::Granted { claim, .. } => claim.create_revision,
        other => panic!("{other:?}"),
    }
}

fn about(value: &'static str) -> Option<About> {
    Some(About { prefix: RECORDS.into(), value: value.into() })
}

fn key_of(id: i64) -> Bytes {
    contender_key(ELECTION.as_bytes(), lease(id))
}

fn value_of(ledger: &MemoryLedger, key: &Bytes) -> Bytes {
    ledger.range(&KeyRange::Single(key.clone())).next().expect("it exists").value.clone()
}

#[test]
fn t06_a_candidate_whose_session_ended_never_leads() {
    let mut ledger = with_leases(3);
    for id in 1..=3 {
        campaign(&mut ledger, candidate(id, "v"));
    }
    ledger.revoke(lease(2));
    ledger.revoke(lease(1));
    assert_eq!(campaign(&mut ledger, candidate(2, "v")), AcquireOutcome::SessionExpired, "it would be first in line");
    assert_eq!(term(&campaign(&mut ledger, candidate(3, "v"))), Revision::new(4));
}

#[test]
fn t10_to_stand_again_returns_the_same_place_and_writes_nothing() {
    let mut ledger = with_leases(2);
    term(&campaign(&mut ledger, candidate(1, "one")));
    let second = Campaign { about: about("text/plain"), ..candidate(2, "two") };
    let AcquireOutcome::Queued { claim, is_new: true, ahead: 1, holder } = campaign(&mut ledger, second.clone()) else {
        panic!("1 leads")
    };
    let before = ledger.clone();
    let same = AcquireOutcome::Queued { claim, is_new: false, ahead: 1, holder };
    assert_eq!(campaign(&mut ledger, second), same);
    assert_eq!(ledger, before);
}

#[test]
fn t17_another_value_keeps_place_and_term() {
    let mut ledger = with_leases(2);
    let first = term(&campaign(&mut ledger, candidate(1, "one")));
    let second = campaign(&mut ledger, candidate(2, "two"));
    let AcquireOutcome::Queued { claim: second, .. } = second else { panic!("{second:?}") };
    assert_eq!(term(&campaign(&mut ledger, candidate(1, "uno"))), first);
    let AcquireOutcome::Queued { claim, is_new: false, .. } = campaign(&mut ledger, candidate(2, "due")) else {
        panic!("1 leads")
    };
    assert_eq!((claim.value.as_ref(), claim.version), (&b"due"[..], 2));
    assert_eq!(claim.create_revision, second.create_revision);
    assert_eq!(value_of(&ledger, &key_of(1)), "uno");
    let stored = ledger.range(&KeyRange::Single(key_of(2))).next().cloned();
    assert_eq!(stored, Some(claim), "the outcome is what is stored");
}

#[test]
fn t21_the_value_stays_raw_and_its_record_ends_with_the_next_value() {
    let mut ledger = with_leases(1);
    let described = Campaign { about: about("application/json"), ..candidate(1, "{}") };
    let term = term(&campaign(&mut ledger, described.clone()));
    let record = contender_key(RECORDS.as_bytes(), lease(1));
    let holds = |ledger: &MemoryLedger| {
        let at = |key: &Bytes| ledger.range(&KeyRange::Single(key.clone())).next().map(|kv| kv.mod_revision);
        at(&record) == at(&key_of(1))
    };
    assert_eq!(value_of(&ledger, &key_of(1)), "{}");
    assert!(holds(&ledger));
    ledger.put_all([(key_of(1), "raw".into(), lease(1))]);
    assert!(!holds(&ledger), "etcd's own client proclaimed something that is not described");
    campaign(&mut ledger, described);
    assert!(holds(&ledger));
    proclaim(&mut ledger, term, "plain");
    assert!(!holds(&ledger));
    ledger.revoke(lease(1));
    assert_eq!(ledger.range(&KeyRange::prefix("/".into())).count(), 0, "the record goes with the session");
}

#[test]
fn t23_one_that_lost_the_election_proclaims_nothing() {
    let mut ledger = with_leases(2);
    let old = term(&campaign(&mut ledger, candidate(1, "one")));
    campaign(&mut ledger, candidate(2, "two"));
    let ProclaimOutcome::Proclaimed { leader } = proclaim(&mut ledger, old, "uno") else { panic!("1 leads") };
    assert_eq!((leader.value.as_ref(), leader.create_revision), (&b"uno"[..], old));
    let resign = Command::Release(Release { key: key_of(1), token: Some(old) });
    assert_eq!(run(&mut ledger, &resign), Outcome::Release(ReleaseOutcome::Released { token: old }));

    let before = ledger.clone();
    let ProclaimOutcome::NotLeader { leader: Some(leader) } = proclaim(&mut ledger, old, "late") else {
        panic!("2 leads")
    };
    assert_eq!(leader.key, key_of(2));
    assert_eq!(ledger, before);

    let again = campaign(&mut ledger, candidate(1, "one"));
    let AcquireOutcome::Queued { claim, .. } = again else { panic!("{again:?}") };
    assert_ne!(claim.create_revision, old, "to stand again is another candidacy");
    let waiting = proclaim(&mut ledger, claim.create_revision, "early");
    assert!(matches!(waiting, ProclaimOutcome::NotLeader { .. }), "who waits proclaims nothing either");
    ledger.revoke(lease(1));
    ledger.revoke(lease(2));
    assert_eq!(proclaim(&mut ledger, old, "late"), ProclaimOutcome::NotLeader { leader: None });
}

#[test]
fn t24_nobody_leads_when_nobody_stands() {
    let mut ledger = with_leases(2);
    campaign(&mut ledger, candidate(1, "one"));
    campaign(&mut ledger, candidate(2, "two"));
    ledger.revoke(lease(2));
    ledger.revoke(lease(1));
    let Ok(queue) = ledger.contenders(&Bytes::from_static(ELECTION.as_bytes()));
    assert!(queue.is_empty());
}

#[test]
fn records_that_would_contend_are_refused() {
    let with = |prefix: &'static str| Some(About { prefix: prefix.into(), value: Bytes::new() });
    for prefix in [ELECTION, "/ns/elections/shards/about/", "/ns/elections/", ""] {
        let wrong = Campaign { about: with(prefix), ..candidate(1, "v") };
        assert_eq!(wrong.check(), Err(Invalid::RecordContends), "{prefix}");
        let wrong = Proclaim { prefix: ELECTION.into(), term: Revision::FIRST, value: "".into(), about: with(prefix) };
        assert_eq!(wrong.check(), Err(Invalid::RecordContends), "{prefix}");
    }
    let record = Some(SessionRecord { key: contender_key(RECORDS.as_bytes(), lease(1)), value: "".into() });
    let session = Session::New(OpenSession { lease: lease(1), ttl: 5, record });
    let twice = Campaign { session, about: about("x"), ..candidate(1, "v") };
    assert_eq!(twice.check(), Err(Invalid::RecordContends), "one key would be written twice");
    let unnamed = Proclaim { prefix: Bytes::new(), term: Revision::FIRST, value: "".into(), about: None };
    assert_eq!(unnamed.check(), Err(Invalid::EmptyPrefix));
}

#[derive(Clone, Debug)]
enum Step {
    Campaign(i64, bool, u8),
    /// With the leader's term, or the one before.
    Proclaim(bool, u8),
    Resign(i64),
    Grant(i64),
    Revoke(i64),
    RawPut(i64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 1..=5_i64;
    prop_oneof![
        8 => (id(), any::<bool>(), 0..3_u8).prop_map(|(id, is_new, value)| Step::Campaign(id, is_new, value)),
        3 => (any::<bool>(), 0..3_u8).prop_map(|(is_current, value)| Step::Proclaim(is_current, value)),
        3 => id().prop_map(Step::Resign),
        3 => id().prop_map(Step::Grant),
        1 => id().prop_map(Step::Revoke),
        1 => id().prop_map(Step::RawPut),
        1 => Just(Step::Restart),
    ]
}

/// Applies a step by commands to `store` and by plain transactions to `twin`.
fn apply_to_both(step: Step, store: &mut MemoryLedger, twin: &mut MemoryLedger) {
    let below = KeyRange::prefix(ELECTION.into());
    match step {
        Step::Campaign(id, is_new, value) => {
            let opening = OpenSession { lease: lease(id), ttl: 10, record: None };
            let session = if is_new { Session::New(opening) } else { Session::Existing(lease(id)) };
            let asked = Campaign { session, value: vec![value].into(), ..candidate(id, "") };
            let expected = plain::campaign(twin, &asked);
            assert_eq!(campaign(store, asked), expected);
        }
        Step::Proclaim(is_current, value) => {
            let head = plain::first(twin, &below).map_or(Revision::ZERO, |kv| kv.create_revision);
            let term = if is_current { head } else { head.previous() };
            let asked = Proclaim { prefix: ELECTION.into(), term, value: vec![value].into(), about: None };
            let expected = plain::proclaim(twin, &asked);
            assert_eq!(run(store, &Command::Proclaim(asked)), Outcome::Proclaim(expected));
        }
        Step::Resign(id) => {
            let release = Release { key: key_of(id), token: None };
            let expected = plain::release(twin, &release);
            assert_eq!(run(store, &Command::Release(release)), Outcome::Release(expected));
        }
        Step::Grant(id) => [store, twin].into_iter().for_each(|store| {
            store.grant(lease(id), 10);
        }),
        Step::Revoke(id) => [store, twin].into_iter().for_each(|store| store.revoke(lease(id))),
        Step::RawPut(id) => [store, twin].into_iter().for_each(|store| {
            let on = store.lease_ttl(lease(id)).map_or(LeaseId::NONE, |_| lease(id));
            store.put_all([(key_of(id), "raw".into(), on)]);
        }),
        Step::Restart => *store = store.restarted(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn commands_and_plain_transactions_agree(steps in vec(step(), 1..80)) {
        let (mut store, mut twin) = (MemoryLedger::default(), MemoryLedger::default());
        let mut last_term = Revision::ZERO;
        for step in steps {
            apply_to_both(step, &mut store, &mut twin);
            prop_assert_eq!(&store, &twin);
            if let Some(leader) = plain::first(&twin, &KeyRange::prefix(ELECTION.into())) {
                prop_assert!(leader.create_revision >= last_term, "terms only rise");
                last_term = leader.create_revision;
            }
        }
    }
}
