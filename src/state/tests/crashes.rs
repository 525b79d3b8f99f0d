//! What is left after a crash, at every place where one can fall.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use model::{Command, Op, Revision};

use super::rig::{Rig, compact, delete, entry, grant, put, put_leased, read, revoke, txn};
use crate::storage::{Edit, SHELVES, shelf_of};
use crate::{Entry, Fault, Machine, MemoryPlace, MemoryStorage, Options, Payload, Storage, View};

/// Fails every ingestion from the n-th on, when so many shelves are written.
struct Failing {
    inner: MemoryStorage,
    left: AtomicUsize,
    shelves: usize,
}

impl Storage for Failing {
    fn view(&self) -> Arc<dyn View> {
        self.inner.view()
    }

    fn ingest(&self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault> {
        let fails = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        if !fails {
            return self.inner.ingest(group);
        }
        // The last shelf comes first.
        self.inner.ingest(&mut group.filter(|(key, _)| shelf_of(key) >= SHELVES.len() - self.shelves))?;
        Err(Fault::storage("no space left"))
    }

    fn discard(&self, start: &[u8], end: &[u8]) -> Result<(), Fault> {
        self.inner.discard(start, end)
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
}

/// A log that touches everything.
fn script() -> Vec<Command> {
    // The first flush has something for every shelf.
    let mut commands = vec![put("a", "first"), put("a", "second"), grant(1), grant(2)];
    for round in 0..12_i64 {
        commands.extend([put("a", &round.to_string()), put_leased("b", 1 + round % 2), put(&format!("k{round}"), "")]);
        commands.push(Command::Txn(txn(vec![Op::Range(read("a", "z")), Op::Put(super::rig::put_request("t", "x"))])));
        if round % 3 == 2 {
            commands.extend([delete("k", "l"), compact(round * 4 + 2)]);
        }
    }
    commands.push(revoke(1));
    commands
}

#[test]
fn wherever_an_ingestion_fails_the_log_makes_up_for_it() {
    let script = script();
    let mut whole = Rig::in_memory();
    whole.apply(script.clone());
    for shelves in 0..=SHELVES.len() {
        for fail_at in 0..30 {
            let storage = Arc::new(Failing { inner: MemoryStorage::new(), left: AtomicUsize::new(fail_at), shelves });
            let opened = Machine::open(Arc::new(MemoryPlace::over(storage.clone())), Options::default());
            assert_eq!(opened.is_err(), fail_at == 0, "a new store is marked at once");
            let Ok(mut machine) = opened else {
                storage.left.store(usize::MAX, Ordering::Relaxed);
                Machine::open(Arc::new(MemoryPlace::over(storage)), Options::default()).unwrap();
                continue;
            };
            let mut failed = false;
            for (index, command) in (0..).zip(script.clone()) {
                machine.apply(vec![entry(index, command)]).unwrap();
                if index % 4 == 1 {
                    failed = machine.start_flush().run().is_err();
                }
                if index % 7 == 1 && !failed {
                    failed = machine.take_cleanup().is_some_and(|job| job.run().is_err());
                }
                if failed {
                    break;
                }
            }
            // The process ends here. The next one finds the storage and the log.
            storage.left.store(usize::MAX, Ordering::Relaxed);
            let mut rig = Rig::on(storage);
            // A member that takes over what is left goes on from there as well, and so does this one.
            let mut other = Rig::in_memory();
            other.take_over(&rig);
            other.replay(&script);
            assert_eq!(other.everything(), whole.everything(), "failed at {fail_at} after {shelves} shelves");
            rig.replay(&script);
            assert_eq!(rig.everything(), whole.everything(), "failed at {fail_at} after {shelves} shelves");
            assert_eq!(rig.reader().leases(), whole.reader().leases());
            assert!(failed || fail_at > 15);
        }
    }
}

#[test]
fn a_flush_says_which_entry_it_reached_and_holds_it() {
    for mut rig in Rig::both() {
        assert_eq!(rig.machine().start_flush().run().unwrap(), None);
        rig.put("a", "1");
        rig.put("a", "2");
        let job = rig.machine().start_flush();
        rig.put("a", "3");
        assert_eq!(job.run().unwrap(), Some(super::rig::log_id(1)));
        rig.restart();
        assert_eq!(rig.machine().applied().0, Some(super::rig::log_id(1)));
        assert_eq!(rig.reader().revision(), Revision::new(3));
        assert_eq!(rig.reader().get_at(b"a", Revision::new(2)).unwrap().unwrap().value, "1");
    }
}

#[test]
fn the_membership_survives_with_the_entry_that_brought_it() {
    for mut rig in Rig::both() {
        assert_eq!(rig.machine().applied(), (None, Bytes::new()));
        let membership = Bytes::from_static(b"voters");
        let change = Entry { log_id: super::rig::log_id(0), payload: Payload::Membership(membership.clone()) };
        rig.machine().apply(vec![change]).unwrap();
        rig.flush();
        rig.restart();
        assert_eq!(rig.machine().applied(), (Some(super::rig::log_id(0)), membership));
    }
}

#[test]
fn a_dropped_flush_is_handed_out_again() {
    let mut rig = Rig::in_memory();
    rig.put("a", "1");
    drop(rig.machine().start_flush());
    rig.put("b", "1");
    assert!(rig.machine().take_flush().is_none());
    let (again, late) = (rig.machine().start_flush(), rig.machine().start_flush());
    assert_eq!(again.run().unwrap(), Some(super::rig::log_id(0)));
    assert_eq!(late.run().unwrap(), Some(super::rig::log_id(0)), "running it twice changes nothing");
    assert_eq!(rig.machine().start_flush().run().unwrap(), Some(super::rig::log_id(1)));
}

#[test]
fn memory_is_bounded_by_flushes() {
    let mut rig = Rig::in_memory();
    while !rig.machine().is_full() {
        rig.put("hot", &"x".repeat(100));
    }
    let job = rig.machine().take_flush().unwrap();
    assert!(!rig.machine().is_full() && rig.machine().take_flush().is_none());
    while !rig.machine().is_full() {
        rig.ok(grant(rig.reader().leases().len() as i64 + 1));
    }
    assert!(rig.machine().take_flush().is_none(), "one at a time");
    job.run().unwrap();
    rig.machine().take_flush().unwrap().run().unwrap();
    assert!(!rig.machine().is_full());
}

#[test]
fn cleanup_goes_on_after_a_crash_where_it_stopped() {
    for mut rig in Rig::both() {
        rig.apply((0..1_000).map(|_| put("hot", "x")));
        rig.flush();
        rig.put("unflushed", "");
        rig.ok(compact(1_000));
        let job = rig.machine().take_cleanup().unwrap().in_chunks_of(300);
        assert!(job.run().unwrap(), "the first chunk is not all");
        let cleaned = rig.reader().cleaned_revision();
        assert!(cleaned > Revision::new(290) && cleaned < Revision::new(310));
        drop(job);
        rig.restart();
        // The compaction itself has not been replayed yet, but what it removed is gone, and readers are not told otherwise.
        for _ in 0..2 {
            assert_eq!(rig.reader().compact_revision(), Revision::new(1_000));
            assert!(rig.reader().get_at(b"hot", Revision::new(999)).is_err());
            assert_eq!(rig.reader().get_at(b"hot", Revision::new(1_000)).unwrap().unwrap().version, 999);
            rig.replay_at_most(1);
        }
        rig.crash();
        rig.clean();
        assert_eq!(rig.reader().cleaned_revision(), Revision::new(1_000));
        assert_eq!(rig.stored(0x30), 1, "the version before the newest, which lives at 1000");
    }
}

#[test]
fn the_last_revision_is_cleaned_up_whole() {
    let mut rig = Rig::in_memory();
    rig.apply((0..50).map(|key| put(&format!("k{key}"), "")));
    rig.ok(delete("k", "l"));
    rig.flush();
    rig.ok(compact(52));
    let job = rig.machine().take_cleanup().unwrap().in_chunks_of(10);
    while job.run().unwrap() {}
    assert_eq!((rig.stored(0x20), rig.stored(0x30), rig.stored(0x40)), (0, 0, 50));
}

#[test]
fn a_cleanup_for_a_compaction_that_is_ahead_of_the_last_flush_survives_a_restart() {
    for mut rig in Rig::both() {
        rig.put("k", "1"); // 2
        rig.put("k", "2"); // 3
        rig.flush();
        rig.put("k", "3"); // 4
        rig.ok(compact(4));
        rig.clean();
        assert_eq!(rig.reader().cleaned_revision(), Revision::new(4));
        assert_eq!((rig.stored(0x20), rig.stored(0x30)), (1, 0));
        rig.restart();
        let reader = rig.reader();
        assert_eq!((reader.revision(), reader.compact_revision()), (Revision::new(3), Revision::new(3)));
        assert_eq!(reader.get_at(b"k", Revision::ZERO).unwrap().unwrap().value, "2");
        assert_eq!(reader.changes(Revision::new(3), usize::MAX).unwrap().len(), 1, "the event is still there");
        assert!(reader.get_at(b"k", Revision::new(2)).is_err());
        // A reader keeps the storage open.
        drop(reader);
        rig.crash();
        assert_eq!(rig.reader().compact_revision(), Revision::new(4));
    }
}

#[test]
fn replaying_past_a_cleanup_decides_as_the_first_time() {
    let mut rig = Rig::in_memory();
    rig.put("k", "1"); // 2
    rig.put("k", "2"); // 3
    rig.flush();
    // At this entry revision 2 can be read; once the next one is cleaned up it cannot.
    let old = Op::Range(read("k", "").at(Revision::new(2)));
    rig.ok(Command::Txn(txn(vec![old, Op::Put(super::rig::put_request("w", "written"))])));
    rig.ok(compact(3));
    rig.clean();
    let before = rig.everything();
    rig.crash();
    assert_eq!(rig.everything(), before, "the transaction is not refused when it is replayed");
}
