//! Counters: every command is one step, and the sum is that of all steps that were in bounds.

use super::*;

const KEY: &str = "/ns/counters/stock";

fn counter(ledger: &mut MemoryLedger, command: SyncCommand) -> CounterOutcome {
    match run(ledger, command) {
        SyncOutcome::Counter(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn add(ledger: &mut MemoryLedger, by: i64, min: Option<i64>, max: Option<i64>) -> CounterOutcome {
    counter(ledger, SyncCommand::Increment(Increment { key: KEY.into(), by, min, max }))
}

fn set(ledger: &mut MemoryLedger, value: i64, expect: Option<Revision>) -> CounterOutcome {
    counter(ledger, SyncCommand::SetCounter(SetCounter { key: KEY.into(), value, expect }))
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut ledger = MemoryLedger::default();
    assert!(matches!(add(&mut ledger, 5, None, None), CounterOutcome::Changed { value: 5, .. }));
    let before = ledger.clone();
    assert_eq!(add(&mut ledger, -6, Some(0), None), CounterOutcome::OutOfBounds { value: 5 });
    assert_eq!(add(&mut ledger, 1, None, Some(5)), CounterOutcome::OutOfBounds { value: 5 });
    assert_eq!(add(&mut ledger, i64::MAX, None, None), CounterOutcome::OutOfBounds { value: 5 });
    assert_eq!(ledger, before);
    assert!(matches!(add(&mut ledger, -5, Some(0), None), CounterOutcome::Changed { value: 0, .. }));
}

#[test]
fn a_value_is_set_only_where_it_was_expected() {
    let mut ledger = MemoryLedger::default();
    let CounterOutcome::Changed { counter, .. } = set(&mut ledger, 7, Some(Revision::ZERO)) else {
        panic!("it is new")
    };
    assert_eq!(counter.mod_revision, Revision::new(2));
    assert_eq!(set(&mut ledger, 8, Some(Revision::ZERO)), CounterOutcome::Conflict { current: Revision::new(2) });
    assert!(matches!(set(&mut ledger, 8, Some(Revision::new(2))), CounterOutcome::Changed { value: 8, .. }));
    assert!(matches!(set(&mut ledger, 9, None), CounterOutcome::Changed { value: 9, .. }));
    assert_eq!(value(&ledger, KEY).as_deref(), Some("9"));
}

#[test]
fn what_is_no_number_is_left_alone() {
    for text in ["", "x", "+1", "01", "1 ", "9223372036854775808"] {
        let mut ledger = MemoryLedger::default();
        ledger.put_all([(KEY.into(), text.into(), LeaseId::NONE)]);
        assert_eq!(add(&mut ledger, 1, None, None), CounterOutcome::NotANumber, "{text:?}");
        assert_eq!(value(&ledger, KEY).as_deref(), Some(text));
        assert!(matches!(set(&mut ledger, 1, None), CounterOutcome::Changed { .. }), "but can be replaced");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn a_counter_is_the_sum_of_what_fitted(steps in vec(-10..=10_i64, 0..50)) {
        let (mut ledger, mut sum) = (MemoryLedger::default(), 0);
        for by in steps {
            let fits = (0..=20).contains(&(sum + by));
            let outcome = add(&mut ledger, by, Some(0), Some(20));
            prop_assert_eq!(matches!(outcome, CounterOutcome::Changed { .. }), fits);
            sum += if fits { by } else { 0 };
        }
        prop_assert_eq!(value(&ledger, KEY).unwrap_or_else(|| "0".to_owned()), sum.to_string());
    }
}
