//! Barriers of all kinds; `tNN` is the number of a trap in the design notes.

use std::collections::BTreeSet;

use super::*;

const DOUBLE: &str = "/ns/dbarriers/stage/";
const ROUNDS: &str = "/ns/_meta/dbarriers/stage";
const CYCLIC: &str = "/ns/cbarriers/step/";

fn hold(ledger: &mut MemoryLedger, key: &'static str) -> bool {
    match run(ledger, SyncCommand::HoldBarrier(HoldBarrier { key: key.into() })) {
        SyncOutcome::Held { barrier, is_new } => {
            assert_eq!(barrier.key, key);
            is_new
        }
        other => panic!("{other:?}"),
    }
}

fn enter(ledger: &mut MemoryLedger, id: i64, count: u32) -> EnterOutcome {
    let enter = Enter { prefix: DOUBLE.into(), record: ROUNDS.into(), session: existing(id), count };
    match run(ledger, SyncCommand::Enter(enter)) {
        SyncOutcome::Enter(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// (how many have not left, whether the round was ready)
fn leave(ledger: &mut MemoryLedger, id: i64, generation: Option<u64>) -> (usize, bool) {
    let leave = Leave { prefix: DOUBLE.into(), record: ROUNDS.into(), lease: lease(id), generation };
    match run(ledger, SyncCommand::Leave(leave)) {
        SyncOutcome::Left { remaining, was_ready, .. } => (remaining, was_ready),
        other => panic!("{other:?}"),
    }
}

/// (generation, how many are there)
#[track_caller]
fn entering(outcome: &EnterOutcome) -> (u64, usize) {
    match outcome {
        EnterOutcome::Entering { generation, present, .. } => (*generation, *present),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn ready(outcome: &EnterOutcome) -> u64 {
    match outcome {
        EnterOutcome::Ready { generation, .. } => *generation,
        other => panic!("{other:?}"),
    }
}

fn arrive(ledger: &mut MemoryLedger, id: i64, parties: u32, generation: Option<u64>) -> ArriveOutcome {
    let arrive = Arrive { prefix: CYCLIC.into(), session: existing(id), parties, generation };
    match run(ledger, SyncCommand::Arrive(arrive)) {
        SyncOutcome::Arrive(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn t27_a_barrier_is_exactly_its_key() {
    let mut ledger = MemoryLedger::default();
    assert!(hold(&mut ledger, "/ns/barriers/a0"));
    assert!(hold(&mut ledger, "/ns/barriers/a"));
    assert!(!hold(&mut ledger, "/ns/barriers/a"));
    ledger.delete_range(&KeyRange::Single("/ns/barriers/a".into()));
    assert_eq!(names(&ledger, "/ns/barriers/"), ["a0"]);
    assert!(hold(&mut ledger, "/ns/barriers/a"), "the other one is no obstacle");
}

#[test]
fn a_round_is_ready_when_all_are_there_and_over_when_all_have_left() {
    let mut ledger = with_leases(3);
    assert_eq!(entering(&enter(&mut ledger, 1, 3)), (1, 1));
    let before = ledger.clone();
    assert_eq!(entering(&enter(&mut ledger, 1, 3)), (1, 1));
    assert_eq!(ledger, before, "T10: entering again writes nothing");
    assert_eq!(entering(&enter(&mut ledger, 2, 3)), (1, 2));
    assert_eq!(ready(&enter(&mut ledger, 3, 3)), 1);
    assert_eq!(names(&ledger, DOUBLE), ["ready", "waiters/1", "waiters/2", "waiters/3"], "etcd's layout");
    assert_eq!(leave(&mut ledger, 3, Some(1)), (2, true));
    assert_eq!(ready(&enter(&mut ledger, 1, 3)), 1, "T26: a slow party still finds it ready");
    assert_eq!(leave(&mut ledger, 1, Some(1)), (1, true));
    assert_eq!(leave(&mut ledger, 1, Some(1)), (1, true), "leaving twice is leaving");
    assert_eq!(leave(&mut ledger, 2, Some(1)), (0, true));
    assert!(names(&ledger, DOUBLE).is_empty());
    assert_eq!(entering(&enter(&mut ledger, 1, 2)), (2, 1), "the next round, of any number of parties");
    assert_eq!(leave(&mut ledger, 3, Some(1)), (0, true), "the round that is over was left by all");
}

#[test]
fn t26_one_party_too_many_is_refused_until_all_have_left() {
    let mut ledger = with_leases(3);
    enter(&mut ledger, 1, 2);
    assert_eq!(ready(&enter(&mut ledger, 2, 2)), 1);
    let before = ledger.clone();
    assert_eq!(enter(&mut ledger, 3, 2), EnterOutcome::Full { generation: 1 });
    assert_eq!(ledger, before);
    leave(&mut ledger, 1, None);
    assert_eq!(enter(&mut ledger, 1, 2), EnterOutcome::Full { generation: 1 }, "the stale ready lets nobody in");
    leave(&mut ledger, 2, None);
    assert_eq!(entering(&enter(&mut ledger, 3, 2)), (2, 1));
}

#[test]
fn t26_a_party_that_dies_before_ready_is_missing_and_after_it_has_left() {
    let mut ledger = with_leases(4);
    enter(&mut ledger, 1, 2);
    ledger.revoke(lease(1));
    assert_eq!(entering(&enter(&mut ledger, 2, 2)), (2, 1), "nobody was there, so another round begins");
    assert_eq!(ready(&enter(&mut ledger, 3, 2)), 2);
    ledger.revoke(lease(2));
    ledger.revoke(lease(3));
    assert_eq!(names(&ledger, DOUBLE), ["ready"], "nobody was left to clear it up");
    assert_eq!(entering(&enter(&mut ledger, 4, 2)), (3, 1), "so the next one does");
    assert_eq!(names(&ledger, DOUBLE), ["waiters/4"]);
    assert_eq!(enter(&mut ledger, 1, 2), EnterOutcome::Absent(Absent::Expired));
}

#[test]
fn parties_of_a_round_agree_on_their_number() {
    let mut ledger = with_leases(2);
    enter(&mut ledger, 1, 3);
    assert_eq!(enter(&mut ledger, 2, 2), EnterOutcome::Mismatch { count: 3 });
    assert_eq!(entering(&enter(&mut ledger, 1, 2)), (1, 1), "who is alone may think again");
    assert_eq!(ready(&enter(&mut ledger, 2, 2)), 1);
}

#[test]
fn a_party_of_etcds_own_recipe_counts() {
    let mut ledger = with_leases(2);
    ledger.put_all([(format!("{DOUBLE}waiters/1700000000000000000").into(), Bytes::new(), lease(1))]);
    assert_eq!(ready(&enter(&mut ledger, 2, 2)), 1);
    assert_eq!(leave(&mut ledger, 2, None), (1, true));
}

#[test]
fn the_last_party_trips_a_cyclic_barrier_and_it_stands_again() {
    let mut ledger = with_leases(3);
    let ArriveOutcome::Waiting { is_new: true, generation: 1, arrived: 1, .. } = arrive(&mut ledger, 1, 2, None) else {
        panic!("one of two")
    };
    let before = ledger.clone();
    assert!(matches!(arrive(&mut ledger, 1, 2, Some(1)), ArriveOutcome::Waiting { is_new: false, arrived: 1, .. }));
    assert_eq!(ledger, before, "T10: arriving again writes nothing");
    assert_eq!(arrive(&mut ledger, 3, 3, None), ArriveOutcome::Mismatch { parties: 2 });
    assert_eq!(arrive(&mut ledger, 3, 2, Some(2)), ArriveOutcome::NotYet { generation: 1 });
    assert_eq!(arrive(&mut ledger, 2, 2, None), ArriveOutcome::Tripped { generation: 1 });
    assert!(names(&ledger, "/ns/cbarriers/step/parties/").is_empty());
    let before = ledger.clone();
    assert_eq!(arrive(&mut ledger, 2, 2, Some(1)), ArriveOutcome::Tripped { generation: 1 }, "its reply was lost");
    assert_eq!(ledger, before);
    assert!(matches!(arrive(&mut ledger, 1, 3, None), ArriveOutcome::Waiting { generation: 2, arrived: 1, .. }));
}

#[test]
fn a_party_that_dies_has_not_arrived() {
    let mut ledger = with_leases(3);
    arrive(&mut ledger, 1, 2, None);
    ledger.revoke(lease(1));
    assert!(matches!(arrive(&mut ledger, 2, 2, None), ArriveOutcome::Waiting { generation: 1, arrived: 1, .. }));
    assert_eq!(arrive(&mut ledger, 1, 2, None), ArriveOutcome::Absent(Absent::Expired));
    assert_eq!(arrive(&mut ledger, 3, 2, None), ArriveOutcome::Tripped { generation: 1 });
}

/// What a double barrier is, without keys: who is in, and whether it has become ready.
#[derive(Debug, Default)]
struct Model {
    inside: BTreeSet<i64>,
    is_ready: bool,
    generation: u64,
}

const COUNT: usize = 3;

impl Model {
    fn enter(&mut self, id: i64) -> &'static str {
        if !self.inside.contains(&id) {
            if self.inside.is_empty() {
                (self.is_ready, self.generation) = (false, self.generation + 1);
            }
            if self.is_ready {
                return "full";
            }
            self.inside.insert(id);
            self.is_ready = self.inside.len() == COUNT;
        }
        if self.is_ready { "ready" } else { "entering" }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn a_double_barrier_is_its_model(steps in vec((0..4_u8, 1..=5_i64), 1..60)) {
        let (mut ledger, mut model) = (with_leases(5), Model::default());
        for (kind, id) in steps {
            match kind {
                0 | 1 => {
                    let expected = model.enter(id);
                    let got = enter(&mut ledger, id, 3);
                    let (said, generation) = match got {
                        EnterOutcome::Entering { generation, .. } => ("entering", generation),
                        EnterOutcome::Ready { generation, .. } => ("ready", generation),
                        EnterOutcome::Full { generation } => ("full", generation),
                        EnterOutcome::Mismatch { .. } | EnterOutcome::Absent(_) => panic!("{got:?}"),
                    };
                    prop_assert_eq!((said, generation), (expected, model.generation));
                }
                2 => {
                    model.inside.remove(&id);
                    prop_assert_eq!(leave(&mut ledger, id, None).0, model.inside.len());
                }
                _ => {
                    model.inside.remove(&id);
                    ledger.revoke(lease(id));
                    ledger.grant(lease(id), 10);
                }
            }
        }
    }
}
