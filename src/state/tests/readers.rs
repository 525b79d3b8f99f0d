//! Readers beside the writer: at chosen moments, and all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Command, Op, RangeRequest, Revision};
use parking_lot::Mutex;

use super::rig::{Rig, compact, delete, entry, put, put_request, read, txn};
use crate::storage::Edit;
use crate::{Fault, Machine, MemoryPlace, MemoryStorage, Options, Reader, Storage, View};

type Hook = Box<dyn FnOnce() + Send>;

/// Lets something happen at the moment when a reader has taken the layers but not yet the view, or when a group is in the store
/// but the layers do not say so yet.
#[derive(Default)]
struct Hooked {
    inner: MemoryStorage,
    before_view: Mutex<Option<Hook>>,
    after_ingest: Mutex<Option<Hook>>,
}

impl Storage for Hooked {
    fn view(&self) -> Arc<dyn View> {
        let hook = self.before_view.lock().take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.view()
    }

    fn ingest(&self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault> {
        self.inner.ingest(group)?;
        let hook = self.after_ingest.lock().take();
        if let Some(hook) = hook {
            hook();
        }
        Ok(())
    }

    fn discard(&self, start: &[u8], end: &[u8]) -> Result<(), Fault> {
        self.inner.discard(start, end)
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
}

/// A machine over a hooked storage, with a log.
#[derive(Clone)]
struct Setup {
    storage: Arc<Hooked>,
    machine: Arc<Mutex<(Machine, u64)>>,
    reader: Reader,
}

impl Setup {
    /// k is at version 3, d was deleted, in the store; then k at 4 and e new, in memory.
    fn new() -> Self {
        let storage = Arc::new(Hooked::default());
        let machine = Machine::open(Arc::new(MemoryPlace::over(storage.clone())), Options::default()).unwrap();
        let setup = Self { storage, reader: machine.reader(), machine: Arc::new(Mutex::new((machine, 0))) };
        setup.apply([put("k", "1"), put("k", "2"), put("d", ""), put("k", "3"), delete("d", "")]);
        setup.flush();
        setup.apply([put("k", "4"), put("e", "")]);
        setup
    }

    fn apply<const N: usize>(&self, commands: [Command; N]) {
        let (machine, index) = &mut *self.machine.lock();
        let entries = commands.map(|command| {
            *index += 1;
            entry(*index - 1, command)
        });
        machine.apply(entries.into()).unwrap();
    }

    fn flush(&self) {
        let job = self.machine.lock().0.start_flush();
        job.run().unwrap();
    }

    fn clean(&self) {
        let job = self.machine.lock().0.take_cleanup();
        if let Some(job) = job {
            while job.run().unwrap() {}
        }
    }

    /// What a reader finds: the value of k, how many keys there are, the newest revision, and how many changes.
    fn look(&self) -> (String, i64, i64, usize) {
        let all = self.reader.range(&read("\0", "\0")).unwrap();
        let k = all.kvs.iter().find(|kv| kv.key == "k").unwrap();
        let changes = self.reader.changes(self.reader.compact_revision(), usize::MAX).unwrap();
        (String::from_utf8_lossy(&k.value).into_owned(), all.count, all.revision.get(), changes.len())
    }
}

#[test]
fn whatever_happens_before_a_reader_opens_its_view_it_sees_its_revision() {
    type Meanwhile = fn(&Setup);
    let meanwhile: [(&str, Meanwhile); 5] = [
        ("a flush", Setup::flush),
        ("writes and a flush", |setup| {
            setup.apply([put("k", "5"), put("f", ""), delete("e", "")]);
            setup.flush();
        }),
        ("two flushes with writes before, between and after", |setup| {
            setup.apply([put("k", "5"), delete("e", "")]);
            setup.flush();
            setup.apply([delete("k", ""), put("f", "")]);
            setup.flush();
            setup.apply([put("k", "6")]);
        }),
        ("a flush that has begun", |setup| {
            setup.apply([put("k", "5")]);
            drop(setup.machine.lock().0.start_flush());
            setup.apply([put("k", "6")]);
        }),
        ("a compaction below, with cleanup", |setup| {
            setup.apply([put("k", "5"), compact(8)]);
            setup.flush();
            setup.clean();
        }),
    ];
    for (name, meanwhile) in meanwhile {
        let setup = Setup::new();
        let expected = setup.reader.range(&read("\0", "\0")).unwrap();
        let late = setup.clone();
        *setup.storage.before_view.lock() = Some(Box::new(move || meanwhile(&late)));
        let found = setup.reader.range(&read("\0", "\0")).unwrap();
        assert_eq!(found, expected, "{name}");
        for (key, single) in [("k", "4"), ("e", "")] {
            let setup = Setup::new();
            let late = setup.clone();
            *setup.storage.before_view.lock() = Some(Box::new(move || meanwhile(&late)));
            let found = setup.reader.get_at(key.as_bytes(), Revision::ZERO).unwrap().unwrap();
            assert_eq!(found.value, single, "{name}");
        }
        let setup = Setup::new();
        let expected = setup.reader.changes(Revision::new(8), usize::MAX).unwrap();
        let late = setup.clone();
        *setup.storage.before_view.lock() = Some(Box::new(move || meanwhile(&late)));
        assert_eq!(setup.reader.changes(Revision::new(8), usize::MAX).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_compaction_before_a_reader_opens_its_view_makes_it_start_again() {
    let setup = Setup::new();
    let late = setup.clone();
    *setup.storage.before_view.lock() = Some(Box::new(move || {
        late.apply([put("k", "5"), put("k", "6"), compact(10)]);
        late.flush();
        late.clean();
    }));
    let found = setup.reader.range(&read("k", "")).unwrap();
    assert_eq!((&found.kvs[0].value[..], found.revision.get()), (&b"6"[..], 10));

    let late = setup.clone();
    *setup.storage.before_view.lock() = Some(Box::new(move || {
        late.apply([put("k", "7"), compact(11)]);
        late.flush();
        late.clean();
    }));
    assert!(setup.reader.range(&read("k", "").at(Revision::new(10))).is_err(), "refused, not answered wrongly");
}

#[test]
fn a_flush_that_is_in_the_store_and_still_in_the_layers_is_seen_once() {
    let setup = Setup::new();
    let expected = setup.look();
    let beside = setup.clone();
    let is_checked = Arc::new(AtomicBool::new(false));
    let checked = Arc::clone(&is_checked);
    *setup.storage.after_ingest.lock() = Some(Box::new(move || {
        assert_eq!(beside.look(), expected);
        for revision in 2..=8 {
            let old = RangeRequest::new(model::KeyRange::Single("k".into())).at(Revision::new(revision));
            let version = beside.reader.range(&old).unwrap().kvs[0].version;
            assert_eq!(version, [1, 2, 2, 3, 3, 4, 4][usize::try_from(revision).unwrap() - 2]);
        }
        checked.store(true, Ordering::Relaxed);
    }));
    setup.flush();
    assert!(is_checked.load(Ordering::Relaxed));
}

/// The writer keeps two accounts whose sum never changes, the number of keys constant, and their values in step with the revision.
#[test]
fn readers_never_see_a_torn_revision() {
    const ROUNDS: i64 = 250;
    for mut rig in Rig::both() {
        let transfer = |round: i64| {
            let write = |key: &str, value: i64| Op::Put(put_request(key, &value.to_string()));
            let swap = if round % 2 == 0 { ("x", "y") } else { ("y", "x") };
            let mut ops =
                vec![write("a", round), write("b", -round), Op::Put(put_request(&format!("s/{}", swap.0), ""))];
            ops.push(Op::Delete(super::rig::delete_request(&format!("s/{}", swap.1), "")));
            Command::Txn(txn(ops))
        };
        rig.ok(transfer(0));
        let is_done = AtomicBool::new(false);
        let reader = rig.reader();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| check_until(&reader, &is_done));
            }
            for round in 1..ROUNDS {
                rig.apply((0..3).map(|_| transfer(round)).collect::<Vec<_>>());
                if round % 20 == 0 {
                    let revision = rig.reader().revision().get();
                    rig.ok(compact(revision - 30));
                    rig.clean();
                }
                if let Some(job) = rig.machine().take_flush() {
                    job.run().unwrap();
                }
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }
}

fn check_until(reader: &Reader, is_done: &AtomicBool) {
    let mut newest = Revision::ZERO;
    while !is_done.load(Ordering::Relaxed) {
        let seen = reader.range(&read("\0", "\0")).unwrap();
        let number = |at: usize| String::from_utf8_lossy(&seen.kvs[at].value).parse::<i64>().unwrap();
        assert_eq!((seen.count, number(0) + number(1)), (3, 0), "{seen:?}");
        assert!(seen.kvs.iter().all(|kv| kv.mod_revision == seen.revision || kv.key.starts_with(b"s/")));
        assert!(seen.revision >= newest);
        newest = seen.revision;
        // A little back in time, unless a compaction comes in between.
        let old = Revision::new((seen.revision.get() - 15).max(2));
        if let Ok(seen) = reader.range(&read("\0", "\0").at(old)) {
            assert_eq!(seen.count, 3);
            assert_eq!(seen.kvs[0].mod_revision, old);
        }
        if let Ok(changes) = reader.changes(old, usize::MAX) {
            let revisions: Vec<i64> = changes.iter().map(|change| change.revision.get()).collect();
            assert!(revisions.iter().copied().eq(old.get()..old.get() + revisions.len() as i64), "no gap");
            assert!(changes.iter().all(|change| change.events.len() >= 3), "every change whole");
        }
    }
}
