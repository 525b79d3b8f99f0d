//! Groups, callbacks and the writer's thread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::{Committer, Done, Fault, Observer, Request, Survival, Writer};

const SEGMENT: u32 = 64 * 1024;

/// Counts, and holds the first sync after `entered` until `release` says so, if there is a gate.
#[derive(Debug, Default)]
struct Meter {
    writes: AtomicUsize,
    syncs: AtomicUsize,
    gate: Mutex<Option<(SyncSender<()>, Receiver<()>)>>,
}

impl Observer for Meter {
    fn written(&self, bytes: usize) {
        assert!(bytes > 0);
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    fn synced(&self, _took: Duration) {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if let Some((entered, release)) = self.gate.lock().take() {
            entered.send(()).unwrap();
            release.recv().unwrap();
        }
    }
}

impl Meter {
    fn counts(&self) -> (usize, usize) {
        (self.writes.load(Ordering::SeqCst), self.syncs.load(Ordering::SeqCst))
    }
}

fn metered(fs: &SimFs) -> (Log, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let options = Options { segment_bytes: SEGMENT, observer: Arc::<Meter>::clone(&meter) };
    let (log, _) = Log::create(Arc::new(fs.clone()), Path::new(DIR), METADATA, options).unwrap();
    (log, meter)
}

type Outcomes = Arc<Mutex<Vec<(u64, Result<(), Arc<Error>>)>>>;

fn record(outcomes: &Outcomes, name: u64) -> Done {
    let outcomes = Arc::clone(outcomes);
    Box::new(move |outcome| outcomes.lock().push((name, outcome)))
}

fn append(index: u64, outcomes: &Outcomes) -> Request {
    Request::Append { entries: vec![entry(1, index, 50)], done: record(outcomes, index) }
}

#[test]
fn a_group_is_one_write_and_at_most_one_sync() {
    let fs = SimFs::new();
    let (log, meter) = metered(&fs);
    let mut committer = Committer::new(log, Box::new(|error| panic!("{error}")));
    let outcomes = Outcomes::default();
    let mut group: Vec<Request> = (0..64).map(|index| append(index, &outcomes)).collect();
    committer.commit(&mut group);
    assert_eq!(meter.counts(), (1, 1));
    let commit = |index| State { commit: Some(LogId { term: 1, index }), ..State::default() };
    committer.commit(&mut vec![Request::SaveState { state: commit(5), done: Some(record(&outcomes, 64)) }]);
    assert_eq!(meter.counts(), (2, 1), "a commit is not worth a sync");
    committer.commit(&mut vec![Request::SaveState { state: commit(5), done: Some(record(&outcomes, 65)) }]);
    assert_eq!(meter.counts(), (2, 1), "the same state is not worth a write");
    let state = State { term: 2, voted_for: Some(7), ..commit(5) };
    committer.commit(&mut vec![Request::SaveState { state, done: None }, append(64, &outcomes)]);
    assert_eq!(meter.counts(), (3, 2));
    let names: Vec<u64> =
        outcomes.lock().iter().map(|(name, outcome)| outcome.as_ref().map(|()| *name).unwrap()).collect();
    assert_eq!(names, (0..66).chain([64]).collect::<Vec<_>>());
}

#[test]
fn what_queues_during_a_sync_is_the_next_group() {
    let fs = SimFs::new();
    let (log, meter) = metered(&fs);
    let (entered, has_entered) = sync_channel(1);
    let (release, released) = sync_channel(1);
    *meter.gate.lock() = Some((entered, released));
    let writer = Writer::spawn(log, Box::new(|error| panic!("{error}"))).unwrap();
    let outcomes = Outcomes::default();
    writer.submit(append(0, &outcomes));
    has_entered.recv().unwrap();
    for index in 1..64 {
        writer.submit(append(index, &outcomes));
    }
    assert!(outcomes.lock().is_empty(), "nothing is acknowledged before its sync");
    release.send(()).unwrap();
    drop(writer);
    assert_eq!(meter.counts(), (2, 2));
    assert!(outcomes.lock().iter().map(|(name, _)| *name).eq(0..64));
}

#[test]
fn the_first_error_is_the_last() {
    let fs = SimFs::new();
    let (log, _) = metered(&fs);
    let faults = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&faults);
    let mut committer = Committer::new(log, Box::new(move |_| assert!(!flag.swap(true, Ordering::SeqCst))));
    let outcomes = Outcomes::default();
    committer.commit(&mut vec![append(0, &outcomes)]);
    fs.fail_after(1, Fault::Eio);
    committer.commit(&mut vec![append(1, &outcomes), append(2, &outcomes)]);
    assert!(!committer.is_running());
    let calls = fs.calls();
    committer.commit(&mut vec![append(3, &outcomes), Request::Shutdown { done: record(&outcomes, 4) }]);
    assert_eq!(fs.calls(), calls, "a sync is never retried");
    assert!(faults.load(Ordering::SeqCst));
    let outcomes = outcomes.lock();
    let errors: Vec<String> =
        outcomes[1..].iter().map(|(_, outcome)| outcome.clone().unwrap_err().to_string()).collect();
    assert!(outcomes[0].1.is_ok() && errors.len() == 4 && errors[0].contains("fdatasync failed"), "{errors:?}");
    assert!(errors.iter().all(|error| *error == errors[0]));
    assert!(outcomes.iter().map(|(name, _)| *name).eq(0..5));
}

#[test]
fn a_broken_contract_is_a_fault_of_the_whole_group() {
    let fs = SimFs::new();
    let (log, _) = metered(&fs);
    let mut committer = Committer::new(
        log,
        Box::new(|error| assert!(matches!(*error, Error::OutOfOrder { index: 7, first: 0, next: 1 }))),
    );
    let outcomes = Outcomes::default();
    committer.commit(&mut vec![append(0, &outcomes), append(7, &outcomes), append(1, &outcomes)]);
    assert!(!committer.is_running());
    assert_eq!(outcomes.lock().iter().filter(|(_, outcome)| outcome.is_err()).count(), 3);
}

#[test]
fn a_shutdown_syncs_and_frees_the_directory() {
    let fs = SimFs::new();
    let (log, _) = metered(&fs);
    let writer = Writer::spawn(log, Box::new(|error| panic!("{error}"))).unwrap();
    let outcomes = Outcomes::default();
    writer.append(vec![entry(1, 0, 10)], record(&outcomes, 0));
    let (stopped, has_stopped) = sync_channel(1);
    writer.shutdown(Box::new(move |outcome| stopped.send(outcome.is_ok()).unwrap()));
    assert!(has_stopped.recv().unwrap());
    writer.append(vec![entry(1, 1, 10)], record(&outcomes, 1));
    drop(writer);
    assert!(matches!(outcomes.lock()[1].1.as_ref().map_err(|error| &**error), Err(Error::Stopped)));
    // The lock is free already.
    drop(open(&fs, SEGMENT).unwrap());
}

#[test]
fn a_shutdown_loses_not_even_a_commit() {
    let fs = SimFs::new();
    let mut committer = Committer::new(create(&fs, SEGMENT).unwrap(), Box::new(|error| panic!("{error}")));
    let state = State { commit: Some(LogId { term: 1, index: 0 }), ..State::default() };
    let outcomes = Outcomes::default();
    committer.commit(&mut vec![append(0, &outcomes), Request::SaveState { state: State::default(), done: None }]);
    committer
        .commit(&mut vec![Request::SaveState { state, done: None }, Request::Shutdown { done: record(&outcomes, 1) }]);
    fs.power_cycle(Survival::Nothing);
    let (_, recovered) = open(&fs, SEGMENT).unwrap();
    assert_eq!(recovered.state, state);
}

#[test]
fn a_dropped_writer_finishes_what_is_queued() {
    let fs = SimFs::new();
    let (log, _) = metered(&fs);
    let writer = Writer::spawn(log, Box::new(|error| panic!("{error}"))).unwrap();
    let outcomes = Outcomes::default();
    for index in 0..1000 {
        writer.submit(append(index, &outcomes));
    }
    drop(writer);
    assert!(
        outcomes.lock().iter().map(|(name, outcome)| (*name, outcome.is_ok())).eq((0..1000).map(|index| (index, true)))
    );
    fs.power_cycle(Survival::Nothing);
    let (log, _) = open(&fs, SEGMENT).unwrap();
    assert!(read_all(&log.reader()).into_iter().eq((0..1000).map(|index| entry(1, index, 50))));
}

#[test]
fn a_panicking_callback_is_told_as_a_fault() {
    let fs = SimFs::new();
    let (log, _) = metered(&fs);
    let (told, has_told) = sync_channel(1);
    let writer = Writer::spawn(log, Box::new(move |error| told.send(error.to_string()).unwrap())).unwrap();
    writer.append(vec![entry(1, 0, 10)], Box::new(|_| panic!("on purpose")));
    assert_eq!(has_told.recv().unwrap(), Error::Stopped.to_string());
    drop(writer);
}

#[test]
fn purged_segments_go_after_the_snapshot_mark_only() {
    let fs = SimFs::new();
    let mut committer = Committer::new(create(&fs, 1024).unwrap(), Box::new(|error| panic!("{error}")));
    let outcomes = Outcomes::default();
    committer.commit(&mut (0..60).map(|index| append(index, &outcomes)).collect());
    let all = segments(&fs).len();
    let log_id = LogId { term: 1, index: 40 };
    committer.commit(&mut vec![Request::Purge { upto: log_id, done: record(&outcomes, 60) }]);
    assert_eq!(segments(&fs).len(), all, "no snapshot covers them");
    let snapshot = Snapshot { log_id: LogId { term: 1, index: 20 }, data: Bytes::new() };
    committer.commit(&mut vec![Request::SaveSnapshot { snapshot, done: record(&outcomes, 61) }]);
    let fewer = segments(&fs).len();
    assert!(fewer < all);
    let snapshot = Snapshot { log_id, data: Bytes::new() };
    committer.commit(&mut vec![Request::SaveSnapshot { snapshot, done: record(&outcomes, 62) }]);
    assert!(segments(&fs).len() < fewer);
    fs.power_cycle(Survival::Nothing);
    let (log, recovered) = open(&fs, 1024).unwrap();
    assert_eq!((recovered.purged, log.reader().range()), (Some(log_id), 41..60));
}

/// The new entries stand in a segment whose name promises later ones, and the segments before it go.
#[test]
fn entries_replaced_below_the_first_of_their_segment_are_read_back() {
    let fs = SimFs::new();
    let mut log = create(&fs, 1024).unwrap();
    let mut next = 0;
    while segments(&fs).len() < 3 {
        log.append(&entry(1, next, 100)).unwrap();
        next += 1;
    }
    let replaced = next - 4;
    for index in [replaced, replaced + 1] {
        log.append(&entry(2, index, 50)).unwrap();
    }
    let beyond = LogId { term: 3, index: next + 5 };
    log.save_snapshot(Snapshot { log_id: beyond, data: Bytes::new() }).unwrap();
    log.purge(beyond).unwrap();
    log.append(&entry(3, next + 6, 50)).unwrap();
    log.commit().unwrap();
    log.delete_purged().unwrap();
    let names = segments(&fs);
    let first = names[0].file_name().unwrap().to_str().unwrap()[17..33].to_owned();
    assert_eq!((names.len(), u64::from_str_radix(&first, 16).unwrap() > replaced), (1, true));
    drop(log);
    let (log, recovered) = open(&fs, 1024).unwrap();
    assert_eq!((recovered.purged, read_all(&log.reader())), (Some(beyond), vec![entry(3, next + 6, 50)]));
}

#[test]
fn a_record_above_the_limit_is_refused_and_leaves_the_log_usable() {
    let fs = SimFs::new();
    let mut log = create(&fs, 1024).unwrap();
    let payload = Bytes::from(vec![1; crate::MAX_PAYLOAD + 1]);
    let entry_of = |payload| Entry { term: 1, index: 0, payload };
    assert!(matches!(log.append(&entry_of(payload.clone())), Err(Error::TooLarge { .. })));
    log.append(&entry_of(payload.slice(..5000))).unwrap();
    log.commit().unwrap();
    assert_eq!(read_all(&log.reader()), [entry_of(payload.slice(..5000))]);
}

#[test]
fn entries_are_read_while_others_are_written() {
    let fs = SimFs::new();
    let log = create(&fs, 4096).unwrap();
    let reader = log.reader();
    let writer = Writer::spawn(log, Box::new(|error| panic!("{error}"))).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let outcomes = Outcomes::default();
    std::thread::scope(|scope| {
        let checker = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::SeqCst) || seen == 0 {
                let range = reader.range();
                match reader.read(range.clone(), 2000) {
                    Ok(entries) => {
                        let expected = (range.start..).map(|index| entry(1, index, 50));
                        assert!(entries.iter().cloned().eq(expected.take(entries.len())));
                        seen += entries.len();
                    }
                    Err(error) => assert!(matches!(error, Error::Missing { .. }), "{error}"),
                }
            }
        });
        for index in 0..2000 {
            writer.submit(append(index, &outcomes));
            if index % 100 == 99 {
                let log_id = LogId { term: 1, index: index - 50 };
                writer.save_snapshot(Snapshot { log_id, data: Bytes::new() }, Box::new(|_| ()));
                writer.purge(log_id, Box::new(|_| ()));
            }
        }
        drop(writer);
        is_over.store(true, Ordering::SeqCst);
        checker.join().unwrap();
    });
    assert_eq!(reader.range(), 1950..2000);
}
