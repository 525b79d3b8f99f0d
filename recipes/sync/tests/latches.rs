//! Latches: a party that has a name counts once.

use std::collections::BTreeSet;

use super::*;

const KEY: &str = "/ns/latches/start";
const PARTIES: &str = "/ns/_meta/latches/start/";

fn latch(ledger: &mut MemoryLedger, command: SyncCommand) -> LatchOutcome {
    match run(ledger, command) {
        SyncOutcome::Latch(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn set(ledger: &mut MemoryLedger, count: u32) -> LatchOutcome {
    latch(ledger, SyncCommand::SetLatch(SetLatch { key: KEY.into(), parties: PARTIES.into(), count }))
}

fn count_down(ledger: &mut MemoryLedger, by: Option<&'static str>) -> LatchOutcome {
    let by = by.map(Bytes::from);
    latch(ledger, SyncCommand::CountDown(CountDown { key: KEY.into(), parties: PARTIES.into(), by }))
}

fn standing(remaining: u64, count: u64, is_changed: bool) -> LatchOutcome {
    LatchOutcome::Standing { remaining, count, is_changed }
}

#[test]
fn a_named_party_counts_once_and_an_unnamed_one_every_time() {
    let mut ledger = MemoryLedger::default();
    assert_eq!(count_down(&mut ledger, None), LatchOutcome::Missing);
    assert_eq!(set(&mut ledger, 3), standing(3, 3, true));
    assert_eq!(set(&mut ledger, 3), standing(3, 3, false));
    assert_eq!(set(&mut ledger, 2), LatchOutcome::Mismatch { count: 3 });
    assert_eq!(count_down(&mut ledger, Some("a")), standing(2, 3, true));
    let before = ledger.clone();
    assert_eq!(count_down(&mut ledger, Some("a")), standing(2, 3, false));
    assert_eq!(ledger, before);
    assert_eq!(count_down(&mut ledger, None), standing(1, 3, true));
    assert_eq!(count_down(&mut ledger, None), standing(0, 3, true));
    assert_eq!(count_down(&mut ledger, Some("b")), standing(0, 3, false), "it is open for good");
    assert_eq!(value(&ledger, KEY).as_deref(), Some("0 3"));
}

#[test]
fn a_latch_that_is_set_up_again_has_forgotten_its_parties() {
    let mut ledger = MemoryLedger::default();
    set(&mut ledger, 2);
    count_down(&mut ledger, Some("a"));
    let drop = DropLatch { key: KEY.into(), parties: PARTIES.into() };
    assert_eq!(latch(&mut ledger, SyncCommand::DropLatch(drop.clone())), LatchOutcome::Missing);
    assert!(names(&ledger, "/ns/").is_empty());
    set(&mut ledger, 2);
    assert_eq!(count_down(&mut ledger, Some("a")), standing(1, 2, true));
    ledger.delete_range(&KeyRange::Single(KEY.into()));
    set(&mut ledger, 2);
    assert_eq!(count_down(&mut ledger, Some("a")), standing(1, 2, true), "of one that was deleted as a key too");
    latch(&mut ledger, SyncCommand::DropLatch(drop.clone()));
    assert_eq!(latch(&mut ledger, SyncCommand::DropLatch(drop)), LatchOutcome::Missing, "doing it twice is safe");
}

#[test]
fn counts_are_bounded() {
    let with = |count| SyncCommand::SetLatch(SetLatch { key: KEY.into(), parties: PARTIES.into(), count });
    assert_eq!(with(LATCH_COUNT_MAX).check(), Ok(()));
    for count in [0, LATCH_COUNT_MAX + 1] {
        assert_eq!(with(count).check(), Err(Invalid::CountOutOfRange));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_remains_is_the_count_less_the_parties(by in vec(0..6_usize, 0..20)) {
        let mut ledger = MemoryLedger::default();
        set(&mut ledger, 4);
        let mut counted = BTreeSet::new();
        for party in by {
            if counted.len() < 4 {
                counted.insert(party);
            }
            let name = ["a", "b", "c", "d", "e", "f"][party];
            let LatchOutcome::Standing { remaining, .. } = count_down(&mut ledger, Some(name)) else { panic!("it stands") };
            prop_assert_eq!(remaining, 4 - counted.len() as u64);
        }
    }
}
