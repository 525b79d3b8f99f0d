//! Every system call of a script fails in every way, then the process or the machine dies: what was acknowledged is there, and what is
//! there is a prefix of what was written. The same while recovering, twice.

use super::*;
use crate::{Fault, Survival};

const SEGMENT: u32 = 1024;
const POWER_CUTS: [Survival; 5] =
    [Survival::Nothing, Survival::Everything, Survival::Random(1), Survival::Random(2), Survival::Random(3)];

/// Calls that the whole script makes.
fn calls_of_script() -> u64 {
    let fs = SimFs::new();
    let run = Run::new(&fs, &script(), SEGMENT);
    assert_eq!(run.durable, run.history.len() - 1);
    drop(run.log);
    let last = segments(&fs).pop().unwrap();
    let sequence = last.file_name().unwrap().to_str().unwrap()[..16].to_owned();
    assert!(*sequence >= *"0000000000000005", "the script cuts segments: {sequence}");
    assert!(segments(&fs).len() < 5, "the script deletes segments");
    fs.calls()
}

fn run_with(after: u64, fault: Fault) -> (SimFs, Run) {
    let fs = SimFs::new();
    fs.fail_after(after, fault);
    let run = Run::new(&fs, &script(), SEGMENT);
    (fs, run)
}

#[test]
fn any_failing_call_costs_nothing_acknowledged() {
    for after in 0..calls_of_script() {
        for fault in [Fault::Eio, Fault::Enospc, Fault::ShortWrite, Fault::PowerCut] {
            let (fs, run) = run_with(after, fault);
            for survival in POWER_CUTS {
                let fs = fs.fork();
                fs.power_cycle(survival);
                run.verify(&fs, SEGMENT, run.durable, &format!("{fault:?} at call {after}, {survival:?}"));
            }
            fs.restart();
            run.verify(&fs, SEGMENT, run.written, &format!("{fault:?} at call {after}, process restarted"));
        }
    }
}

/// After a sync failed, the cache shows bytes that the disk never got. If a new process took them for good, a power cut would lose
/// what it acknowledged on top of them.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again() {
    for after in 0..calls_of_script() {
        let (fs, run) = run_with(after, Fault::Eio);
        fs.restart();
        let Ok((log, recovered)) = open(&fs, SEGMENT) else { continue };
        let found = contents(&log, &recovered);
        fs.power_cycle(Survival::Nothing);
        let (log, recovered) = open(&fs, SEGMENT).unwrap_or_else(|error| panic!("call {after}: {error}"));
        assert_eq!(contents(&log, &recovered), found, "call {after}");
        drop(run);
    }
}

/// A machine, or a process within a write, that dies while recovering.
#[test]
fn recovery_may_be_interrupted_at_any_call_twice() {
    let mut torn = 0;
    for after in (0..calls_of_script()).step_by(2) {
        for (fault, survival) in [(Fault::PowerCut, Survival::Random(after)), (Fault::ShortWrite, Survival::Everything)]
        {
            let (fs, _) = run_with(after, fault);
            fs.power_cycle(survival);
            let Ok((log, recovered)) = open(&fs.fork(), SEGMENT) else { continue };
            // Recovery after a tear does all that it ever does.
            if recovered.torn.is_none() {
                continue;
            }
            torn += 1;
            let expected = contents(&log, &recovered);
            for first_fault in [Fault::PowerCut, Fault::ShortWrite] {
                for_each_interruption(&fs, first_fault, |fs, first| {
                    for_each_interruption(fs, Fault::PowerCut, |fs, second| {
                        let what = format!(
                            "{fault:?} at {after}, then {first_fault:?} at {first}, then power cut at {second}"
                        );
                        let (log, recovered) = open(fs, SEGMENT).unwrap_or_else(|error| panic!("{what}: {error}"));
                        assert_eq!(contents(&log, &recovered), expected, "{what}");
                    });
                });
            }
        }
    }
    assert!(torn > 10, "some runs leave a torn tail: {torn}");
}

/// Opens copies of `fs` with a fault at each call, and shows what each leaves.
fn for_each_interruption(fs: &SimFs, fault: Fault, check: impl Fn(&SimFs, u64)) {
    let calls = {
        let fs = fs.fork();
        open(&fs, SEGMENT).map(drop).expect("recovers if left in peace");
        fs.calls()
    };
    for after in 0..calls {
        let fs = fs.fork();
        fs.fail_after(after, fault);
        drop(open(&fs, SEGMENT));
        match fault {
            Fault::PowerCut => fs.power_cycle(Survival::Random(after)),
            Fault::Eio | Fault::Enospc | Fault::ShortWrite => fs.restart(),
        }
        check(&fs, after);
    }
}

#[test]
fn a_failing_call_of_recovery_is_reported_and_costs_nothing() {
    let (fs, run) = run_with(u64::MAX, Fault::Eio);
    let expected = run.history[run.history.len() - 1].seen();
    drop(run.log);
    for after in 0.. {
        let fs = fs.fork();
        fs.fail_after(after, Fault::Eio);
        let is_done = open(&fs, SEGMENT).is_ok();
        fs.restart();
        let (log, recovered) = open(&fs, SEGMENT).unwrap();
        assert_eq!(contents(&log, &recovered), expected, "call {after}");
        if is_done {
            return;
        }
    }
}

/// Three writes that no sync followed, over sectors of which any subset may have arrived.
#[test]
fn any_subset_of_unsynced_sectors_leaves_a_prefix() {
    let commit = |index| Op::State(voted(1, Some(LogId { term: 1, index })));
    let zeros = Op::Append(Entry { term: 1, index: 3, payload: vec![0; 1100].into() });
    let groups = [
        vec![Op::State(voted(1, None)), Op::Append(entry(1, 0, 100)), Op::Append(entry(1, 1, 100))],
        vec![commit(0)],
        vec![commit(1)],
        vec![Op::Append(entry(1, 2, 700)), zeros, Op::Append(entry(1, 4, 30)), Op::Append(entry(1, 5, 900))],
    ];
    let mut calls = 0;
    for is_counting in [true, false] {
        let fs = SimFs::new();
        // The last call of the groups is the sync of the last.
        fs.fail_after(if is_counting { u64::MAX } else { calls - 1 }, Fault::PowerCut);
        let run = Run::new(&fs, &groups, 4096);
        calls = fs.calls();
        if is_counting {
            continue;
        }
        assert_eq!(run.durable, 3);
        let unsynced = fs.unsynced();
        assert!((8..16).contains(&unsynced), "{unsynced}");
        for subset in 0..1 << unsynced {
            let fs = fs.fork();
            fs.power_cycle(Survival::Subset(subset));
            run.verify(&fs, 4096, run.durable, &format!("subset {subset:b}"));
        }
    }
}

#[test]
fn a_recovered_log_goes_on() {
    for after in (0..calls_of_script()).step_by(7) {
        let (fs, _) = run_with(after, Fault::PowerCut);
        fs.power_cycle(Survival::Random(after));
        let Ok((mut log, recovered)) = open(&fs, SEGMENT) else { continue };
        let mut model = contents(&log, &recovered);
        for _ in 0..20 {
            let op = Op::Append(entry(9, model.next(), 90));
            op.stage(&mut log).unwrap();
            log.commit().unwrap();
            model.apply(&op);
        }
        fs.power_cycle(Survival::Nothing);
        let (log, recovered) = open(&fs, SEGMENT).unwrap();
        assert_eq!(contents(&log, &recovered), model, "call {after}");
    }
}

#[test]
fn a_failed_log_takes_nothing_more() {
    let fs = SimFs::new();
    let mut log = create(&fs, SEGMENT).unwrap();
    log.append(&entry(1, 0, 10)).unwrap();
    fs.fail_after(1, Fault::Eio);
    assert!(matches!(log.commit(), Err(Error::Io { operation: "fdatasync", .. })));
    assert!(matches!(log.commit(), Err(Error::Failed)));
    assert!(matches!(log.append(&entry(1, 1, 10)), Err(Error::Failed)));
    assert!(matches!(log.save_state(voted(1, None)), Err(Error::Failed)));
    assert!(matches!(log.flush(), Err(Error::Failed)));
}
