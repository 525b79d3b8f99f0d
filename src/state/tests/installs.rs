//! A state put in the place of another: what readers, jobs and the machine see of it.

use std::sync::atomic::{AtomicBool, Ordering};

use model::{Command, Op, Revision};

use super::rig::{Rig, compact, delete, grant, log_id, put, put_leased, put_request, read, revoke, txn};
use crate::layers::Sight;
use crate::{Fault, Import};

/// Two members, one of which gets the other's state. Each kind of storage is on each side.
fn pairs() -> [[Rig; 2]; 2] {
    [[Rig::on_disk(), Rig::in_memory()], [Rig::in_memory(), Rig::on_disk()]]
}

fn ahead(rig: &mut Rig) {
    rig.apply([grant(1), put_leased("leased", 1)]);
    rig.apply((0..200).map(|n| put(&format!("k{}", n % 20), &n.to_string())));
    rig.ok(delete("k1", "k2"));
    rig.flush();
    rig.ok(compact(100));
    rig.clean();
    rig.put("k3", "last");
    rig.flush();
    rig.put("unflushed", "");
}

#[test]
fn everything_is_that_of_the_new_state_and_goes_on_from_there() {
    for [mut sender, mut rig] in pairs() {
        ahead(&mut sender);
        rig.apply([grant(9), put_leased("old", 9), put("k3", "old")]);
        let reader = rig.reader();
        rig.take_over(&sender);
        assert_eq!(rig.machine().applied().0, Some(log_id(204)), "the last flush's");
        assert_eq!(reader.applied(), Some(log_id(204)));
        assert_eq!((reader.revision(), reader.compact_revision()), (Revision::new(204), Revision::new(100)));
        assert_eq!(reader.cleaned_revision(), sender.reader().cleaned_revision());
        assert_eq!(reader.leases(), sender.reader().leases());
        assert_eq!(reader.lease(model::LeaseId::new(1)).unwrap().keys, ["leased"]);
        assert!(reader.get_at(b"old", Revision::ZERO).unwrap().is_none());
        rig.catch_up(&sender);
        assert_eq!(rig.everything(), sender.everything());
        assert_eq!(reader.size().in_use, sender.reader().size().in_use);
        drop(reader);
        rig.crash();
        assert_eq!(rig.everything(), sender.everything());
        // And it can be sent on.
        rig.flush();
        let mut third = Rig::in_memory();
        third.take_over(&rig);
        assert_eq!(third.everything(), sender.everything());
    }
}

#[test]
fn what_was_not_flushed_and_what_was_handed_out_before_reaches_nothing_that_is_seen() {
    for [mut sender, mut rig] in pairs() {
        ahead(&mut sender);
        rig.apply([put("mine", "1"), put("mine", "2"), compact(3)]);
        rig.flush();
        let cleanup = rig.machine().take_cleanup().unwrap();
        rig.put("mine", "3");
        let flush = rig.machine().start_flush();
        rig.put("mine", "4");
        rig.take_over(&sender);
        let installed = rig.everything();
        assert_eq!(flush.run().unwrap(), Some(log_id(3)));
        assert!(!cleanup.run().unwrap());
        assert_eq!(rig.everything(), installed);
        assert!(rig.machine().take_flush().is_none(), "nothing of before is due");
        rig.restart();
        assert_eq!(rig.everything(), installed);
        rig.catch_up(&sender);
        assert_eq!(rig.everything(), sender.everything());
    }
}

#[test]
fn a_read_that_is_under_way_ends_on_the_state_that_it_began_on() {
    for [mut sender, mut rig] in pairs() {
        ahead(&mut sender);
        rig.put("stored", "1");
        rig.flush();
        rig.put("recent", "2");
        let shared = rig.machine().shared();
        let sight = Sight::open(&shared);
        let keys = rig.reader().export().unwrap().pieces(10);
        rig.take_over(&sender);
        drop(shared);
        for (key, value) in [("stored", "1"), ("recent", "2")] {
            let found = sight.get(&key.into(), sight.revision).unwrap().unwrap();
            assert_eq!(found.value, value);
        }
        assert!(keys.map(Result::unwrap).count() > 5, "an export is a read too");
    }
}

#[test]
fn two_installs_in_a_row() {
    for [mut sender, mut rig] in pairs() {
        sender.apply([put("a", "1"), put("b", "1")]);
        sender.flush();
        let first = sender.reader().export().unwrap();
        sender.apply([put("a", "2"), delete("b", "")]);
        sender.flush();
        let second = sender.reader().export().unwrap();
        let first = rig.import(first.pieces(30));
        rig.machine().install(first).unwrap();
        let second = rig.import(second.pieces(30));
        rig.machine().install(second).unwrap();
        assert_eq!(rig.everything(), sender.everything());
        // The same once more changes nothing.
        rig.take_over(&sender);
        rig.restart();
        assert_eq!(rig.everything(), sender.everything());
    }
}

#[test]
fn an_import_is_given_up_for_a_later_one() {
    for [mut sender, mut rig] in pairs() {
        ahead(&mut sender);
        let given_up = rig.import(sender.reader().export().unwrap().pieces(300));
        let later = Import::new(&rig.place).unwrap();
        assert!(matches!(rig.machine().install(given_up), Err(Fault::Superseded)));
        assert_eq!(rig.machine().applied().0, None, "nothing has changed");
        drop(later);
        rig.take_over(&sender);
        rig.catch_up(&sender);
        assert_eq!(rig.everything(), sender.everything());
    }
}

#[test]
fn a_state_that_is_older_than_what_is_applied_is_refused() {
    for [mut sender, mut rig] in pairs() {
        sender.put("a", "1");
        sender.flush();
        sender.put("a", "2");
        rig.catch_up(&sender);
        let imported = rig.import(sender.reader().export().unwrap().pieces(300));
        assert!(matches!(rig.machine().install(imported), Err(Fault::OutOfOrder { .. })));
        assert_eq!(rig.everything(), sender.everything());
        rig.put("a", "3");
        rig.crash();
        assert_eq!(rig.reader().get_at(b"a", Revision::ZERO).unwrap().unwrap().value, "3");
    }
}

#[test]
fn a_process_that_ends_right_after_the_switch_starts_with_the_new_state() {
    for [mut sender, mut rig] in pairs() {
        ahead(&mut sender);
        rig.put("mine", "1");
        drop(rig.import(sender.reader().export().unwrap().pieces(300)).publish().unwrap());
        rig.restart();
        rig.catch_up(&sender);
        assert_eq!(rig.everything(), sender.everything());
    }
}

/// One key a revision, all with the value of the newest: a reader that saw parts of two states would find different ones.
#[test]
fn readers_never_see_a_torn_state() {
    for [mut sender, mut rig] in pairs() {
        let write = |round: i64| {
            let put = |key| Op::Put(put_request(key, &round.to_string()));
            Command::Txn(txn(vec![put("a"), put("b"), put("c")]))
        };
        sender.ok(write(0));
        sender.flush();
        rig.take_over(&sender);
        let is_done = AtomicBool::new(false);
        let reader = rig.reader();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut newest = Revision::ZERO;
                while !is_done.load(Ordering::Relaxed) {
                    let seen = reader.range(&read("\0", "\0")).unwrap();
                    assert_eq!(seen.count, 3);
                    assert!(seen.kvs.iter().all(|kv| kv.value == seen.kvs[0].value), "{seen:?}");
                    assert!(seen.kvs.iter().all(|kv| kv.mod_revision == seen.revision) && seen.revision >= newest);
                    newest = seen.revision;
                }
            });
            for round in 1..10 {
                sender.ok(write(round));
                sender.flush();
                rig.take_over(&sender);
                sender.ok(write(round));
                rig.catch_up(&sender);
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }
}

/// Taken at any moment of a flush or a cleanup, by a thread that knows nothing of them.
#[test]
fn an_export_beside_flushes_and_cleanups_is_a_state_to_go_on_from() {
    const EXPORTS: usize = 4;
    const PIECES_AWAITED: usize = 8;
    for mut rig in Rig::both() {
        let reader = rig.reader();
        let exports = std::thread::scope(|scope| {
            let exporter = scope.spawn(|| {
                let next_revision = || {
                    let seen = reader.revision();
                    while reader.revision() == seen {
                        std::thread::yield_now();
                    }
                };
                let export = |_| {
                    next_revision();
                    let mut pieces = Vec::new();
                    for piece in reader.export().unwrap().pieces(100) {
                        pieces.push(piece);
                        if pieces.len() < PIECES_AWAITED {
                            next_revision();
                        }
                    }
                    pieces
                };
                (0..EXPORTS).map(export).collect::<Vec<_>>()
            });
            let mut round = 0_i64;
            while !exporter.is_finished() {
                let all = (0..6).map(|key| Op::Put(put_request(&format!("k{key}"), &round.to_string())));
                rig.apply([Command::Txn(txn(all.collect())), grant(round + 1), put_leased("leased", round + 1)]);
                if round % 3 == 2 {
                    rig.apply([delete("k2", "k4"), revoke(round), compact(round * 2)]);
                    rig.clean();
                }
                rig.flush();
                round += 1;
            }
            exporter.join().unwrap()
        });
        let mut reached = Vec::new();
        for export in exports {
            let mut other = Rig::in_memory();
            let imported = other.import(export.into_iter());
            reached.push(imported.applied());
            other.machine().install(imported).unwrap();
            other.catch_up(&rig);
            assert_eq!(other.reader().hash().unwrap(), rig.reader().hash().unwrap(), "from {:?} on", reached.last());
        }
        assert!(reached.is_sorted() && reached.first() < reached.last(), "they were taken on the way: {reached:?}");
    }
}
