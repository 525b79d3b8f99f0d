//! Random programs against the model, with restarts and power cuts in between.

use proptest::prelude::*;

use super::*;
use crate::Survival;

/// A step, in numbers that are made to fit when it is run.
#[derive(Debug, Clone)]
enum Step {
    Append { back: u64, count: u64, length: usize },
    Vote,
    Commit { back: u64 },
    Snapshot { back: u64 },
    Purge { back: u64 },
    PurgeBeyond { ahead: u64 },
    PurgeOther { back: u64 },
    Write,
    Restart,
    PowerCut { seed: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4u64, 1..6u64, prop_oneof![0..200usize, Just(3000)])
            .prop_map(|(back, count, length)| Step::Append { back, count, length }),
        1 => Just(Step::Vote),
        3 => (0..3u64).prop_map(|back| Step::Commit { back }),
        2 => (0..5u64).prop_map(|back| Step::Snapshot { back }),
        2 => (0..20u64).prop_map(|back| Step::Purge { back }),
        1 => (0..9u64).prop_map(|ahead| Step::PurgeBeyond { ahead }),
        1 => (0..9u64).prop_map(|back| Step::PurgeOther { back }),
        6 => Just(Step::Write),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
    ]
}

impl Step {
    fn ops(&self, model: &Model) -> Vec<Op> {
        let held = |back: u64| model.entries.values().rev().nth(usize::try_from(back).unwrap()).map(Entry::log_id);
        let (term, next) = (model.state.term, model.next());
        match *self {
            Step::Append { back, count, length } => {
                let from = next.saturating_sub(back).max(model.purged.map_or(0, |purged| purged.index + 1));
                (from..from + count).map(|index| Op::Append(entry(term, index, length))).collect()
            }
            Step::Vote => vec![Op::State(voted(term + 1, model.state.commit))],
            Step::Commit { back } => {
                vec![Op::State(State { commit: held(back).or(model.state.commit), ..model.state })]
            }
            Step::Snapshot { back } => {
                held(back).map(|log_id| Op::Snapshot(Snapshot { log_id, data: "members".into() })).into_iter().collect()
            }
            Step::Purge { back } => held(back).map(Op::Purge).into_iter().collect(),
            Step::PurgeBeyond { ahead } => vec![Op::Purge(LogId { term, index: next + ahead })],
            Step::PurgeOther { back } => {
                held(back).map(|log_id| Op::Purge(LogId { term: term + 1, ..log_id })).into_iter().collect()
            }
            Step::Write | Step::Restart | Step::PowerCut { .. } => Vec::new(),
        }
    }
}

/// Everything a reader says, against the model.
fn check(log: &Log, model: &Model) {
    let reader = log.reader();
    let held: Vec<Entry> = model.entries.values().cloned().collect();
    let range = reader.range();
    assert_eq!(range, model.purged.map_or(0, |purged| purged.index + 1)..model.next());
    assert_eq!(read_all(&reader), held);
    assert_eq!((reader.last(), reader.purged()), (model.last(), model.purged));
    for index in range.start.saturating_sub(2)..range.end + 2 {
        let purged = model.purged.filter(|purged| purged.index == index);
        assert_eq!(reader.log_id(index), model.entries.get(&index).map(Entry::log_id).or(purged), "{index}");
        match reader.read(index..index + 3, 400) {
            Ok(entries) => {
                let at = usize::try_from(index - range.start).unwrap();
                assert!(!entries.is_empty() && held[at..].starts_with(&entries), "{index}");
            }
            Err(error) => {
                assert!(matches!(error, Error::Missing { .. }) && !range.contains(&index), "{index}: {error}")
            }
        }
    }
    let mut starts: Vec<LogId> = held.iter().map(Entry::log_id).collect();
    starts.dedup_by_key(|log_id| log_id.term);
    assert_eq!(reader.term_starts(), starts);
}

fn run(steps: &[Step], segment_bytes: u32) {
    let fs = SimFs::new();
    let mut log = create(&fs, segment_bytes).unwrap();
    // The model after each record since all was on disk for the last time.
    let mut history = vec![Model::default()];
    for step in steps {
        for op in step.ops(&history[history.len() - 1]) {
            op.stage(&mut log).unwrap();
            let mut model = history[history.len() - 1].clone();
            model.apply(&op);
            history.push(model);
        }
        match step {
            Step::Write => {
                log.flush().unwrap();
                log.delete_purged().unwrap();
                history.drain(..history.len() - 1);
                check(&log, &history[0]);
            }
            Step::Restart | Step::PowerCut { .. } => {
                match step {
                    Step::PowerCut { seed } => fs.power_cycle(Survival::Random(*seed)),
                    _ => fs.restart(),
                }
                let (reopened, recovered) = open(&fs, segment_bytes).unwrap();
                let found = contents(&reopened, &recovered);
                assert!(history.iter().any(|model| model.seen() == found), "{found:#?} is none of {history:#?}");
                check(&reopened, &found);
                log = reopened;
                history = vec![found];
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_its_model(steps in prop::collection::vec(step(), 1..80), segment_bytes in 512..4096u32) {
        run(&steps, segment_bytes);
    }
}
