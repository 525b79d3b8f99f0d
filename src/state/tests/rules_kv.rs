//! The rules of etcd for revisions, ranges, puts, deletes and compaction, one by one.

use bytes::Bytes;
use model::{
    Command, DeleteRequest, EventKind, KeyRange, Op, PutRequest, RangeRequest, Rejection, Revision, SortOrder,
    SortTarget,
};

use super::rig::{Rig, bytes, compact, delete, log_id, put, put_leased, put_request, read};
use crate::{Entry, Fault, Outcome, Payload, ReadError};

fn keys(rig: &Rig, request: &RangeRequest) -> Vec<String> {
    let response = rig.reader().range(request).unwrap();
    response.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect()
}

fn rejection(rig: &Rig, request: &RangeRequest) -> Rejection {
    match rig.reader().range(request) {
        Err(ReadError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

/// A store with b and a written at 2 and 3, a again at 4, c at 5: (key, create, mod, version).
fn filled() -> Rig {
    let mut rig = Rig::in_memory();
    for (key, value) in [("b", "2"), ("a", "3"), ("a", "1"), ("c", "0")] {
        rig.put(key, value);
    }
    rig
}

#[test]
fn a_new_store_is_at_revision_one_and_only_changes_of_keys_raise_it() {
    for mut rig in Rig::both() {
        assert_eq!(rig.reader().revision(), Revision::new(1));
        assert_eq!(rig.reply(delete("a", "")).revision, Revision::new(1));
        assert_eq!(rig.put("a", "1"), Revision::new(2));
        assert_eq!(rig.put("a", "1"), Revision::new(3), "also when the value is the same");
        assert_eq!(rig.reply(compact(2)).revision, Revision::new(3));
        assert_eq!(rig.reply(super::rig::grant(7)).revision, Revision::new(3));
        assert_eq!(rig.reply(super::rig::revoke(7)).revision, Revision::new(3), "a lease without keys");
        assert_eq!(rig.reply(delete("a", "")).revision, Revision::new(4));
    }
}

#[test]
fn a_generation_begins_with_a_put_and_ends_with_a_delete() {
    for mut rig in Rig::both() {
        for flushes in [false, true] {
            let first = rig.put("k", "one");
            rig.put("k", "two");
            if flushes {
                rig.flush();
            }
            let kv = rig.reader().get_at(b"k", Revision::ZERO).unwrap().unwrap();
            assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (first, first.next(), 2));
            let Outcome::Delete(gone) = rig.ok(delete("k", "")) else { panic!() };
            assert_eq!((gone.deleted, gone.previous), (1, vec![kv]));
            assert_eq!(rig.reader().get_at(b"k", Revision::ZERO).unwrap(), None);
            let again = rig.put("k", "three");
            let kv = rig.reader().get_at(b"k", Revision::ZERO).unwrap().unwrap();
            assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (again, again, 1));
            rig.ok(delete("k", ""));
        }
    }
}

#[test]
fn puts_are_refused_in_etcds_order() {
    let mut rig = Rig::in_memory();
    let flagged = |ignore_value, ignore_lease| PutRequest { ignore_value, ignore_lease, ..put_request("k", "") };
    let cases = [
        (put_request("", ""), Rejection::EmptyKey),
        (PutRequest { value: bytes("v"), ..flagged(true, false) }, Rejection::ValueProvided),
        (PutRequest { lease: model::LeaseId::new(1), ..flagged(false, true) }, Rejection::LeaseProvided),
        (PutRequest { lease: model::LeaseId::new(1), ..flagged(true, false) }, Rejection::LeaseNotFound),
        (flagged(true, false), Rejection::KeyNotFound),
        (flagged(false, true), Rejection::KeyNotFound),
        (PutRequest { key: Bytes::from(vec![b'k'; 65_001]), ..flagged(false, false) }, Rejection::RequestTooLarge),
        (PutRequest { key: Bytes::from(vec![0; 32_501]), ..flagged(false, false) }, Rejection::RequestTooLarge),
    ];
    for (request, expected) in cases {
        assert_eq!(rig.refused(Command::Put(request.clone())), expected, "{request:?}");
    }
    assert_eq!(rig.reader().revision(), Revision::FIRST);
}

#[test]
fn ignoring_the_value_or_the_lease_keeps_it_and_still_counts_as_a_put() {
    let mut rig = Rig::in_memory();
    rig.ok(super::rig::grant(1));
    rig.ok(put_leased("k", 1));
    let keep_value = PutRequest { ignore_value: true, ignore_lease: true, ..put_request("k", "") };
    rig.ok(Command::Put(keep_value));
    let kv = rig.reader().get_at(b"k", Revision::ZERO).unwrap().unwrap();
    assert_eq!((&kv.value[..], kv.lease.get(), kv.version), (&b"leased"[..], 1, 2));
    rig.ok(Command::Put(PutRequest { ignore_value: true, ..put_request("k", "") }));
    let kv = rig.reader().get_at(b"k", Revision::ZERO).unwrap().unwrap();
    assert_eq!((&kv.value[..], kv.lease.get()), (&b"leased"[..], 0), "a put without a lease detaches");
}

#[test]
fn the_version_before_is_returned_when_asked_for() {
    for mut rig in Rig::both() {
        rig.put("k", "old");
        rig.flush();
        let ask = |prev_kv| Command::Put(PutRequest { prev_kv, ..put_request("k", "new") });
        let Outcome::Put(answer) = rig.ok(ask(true)) else { panic!() };
        assert_eq!(answer.previous.unwrap().value, bytes("old"));
        let Outcome::Put(answer) = rig.ok(ask(false)) else { panic!() };
        assert_eq!(answer.previous, None);
        let events = &rig.apply([delete("k", "")]).batch.changes[0].events;
        assert_eq!(events[0].kind, EventKind::Delete);
        assert_eq!(events[0].previous.as_ref().unwrap().value, bytes("new"), "events carry it always");
    }
}

#[test]
fn ranges_select_by_bytes() {
    for mut rig in Rig::both() {
        for key in ["a", "a\0", "ab", "b", "c"] {
            rig.put(key, "");
            rig.flush();
        }
        rig.put("ac", "");
        let cases: [(&str, &str, &[&str]); 9] = [
            ("a", "", &["a"]),
            ("a", "b", &["a", "a\0", "ab", "ac"]),
            ("ab", "\0", &["ab", "ac", "b", "c"]),
            ("\0", "\0", &["a", "a\0", "ab", "ac", "b", "c"]),
            ("b", "a", &[]),
            ("a", "a", &[]),
            ("a", "a\0", &["a"]),
            ("nothing", "", &[]),
            ("d", "e", &[]),
        ];
        for (start, end, expected) in cases {
            assert_eq!(keys(&rig, &read(start, end)), expected, "{start:?} {end:?}");
        }
    }
}

#[test]
fn a_bounded_read_answers_the_same_or_nothing() {
    for mut rig in Rig::both() {
        for n in 0..20 {
            rig.put(&format!("k{n:02}"), "v");
            if n == 10 {
                rig.flush();
            }
        }
        for request in
            [read("k", "l"), read("k", "l").with_limit(3), RangeRequest { count_only: true, ..read("k", "l") }]
        {
            let whole = rig.reader().range(&request).unwrap();
            assert_eq!(rig.reader().range_within(&request, 20).unwrap(), Some(whole), "{request:?}");
            assert_eq!(rig.reader().range_within(&request, 19).unwrap(), None, "{request:?}");
        }
        assert_eq!(rig.reader().range_within(&read("x", "y"), 0).unwrap().map(|found| found.count), Some(0));
    }
}

#[test]
fn bounds_longer_than_any_key_are_answered() {
    let long = |byte: u8| Bytes::from(vec![byte; 70_000]);
    let key = Bytes::from(vec![b'k'; 65_000]);
    for mut rig in Rig::both() {
        rig.ok(Command::Put(PutRequest { key: key.clone(), ..PutRequest::default() }));
        rig.put("z", "");
        rig.flush();
        rig.put("a", "");
        // At the old revision the history is read as well, whose keys are longer still.
        for revision in [Revision::ZERO, Revision::new(3)] {
            let count = |range| rig.reader().range(&RangeRequest::new(range).at(revision)).unwrap().count;
            assert_eq!(count(KeyRange::Single(long(b'k'))), 0);
            assert_eq!(count(KeyRange::Single(long(0))), 0);
            assert_eq!(count(KeyRange::From(long(b'k'))), 1, "only z is after");
            assert_eq!(count(KeyRange::Span { start: bytes("b"), end: long(b'k') }), 1, "only the long key is before");
            assert_eq!(count(KeyRange::Span { start: long(b'b'), end: long(b'k') }), 1);
            assert_eq!(
                count(KeyRange::Span { start: long(0), end: long(0xff) }),
                2 + i64::from(revision == Revision::ZERO)
            );
        }
        assert_eq!(rig.reader().get_at(&long(b'k'), Revision::ZERO).unwrap(), None);
        let everything = DeleteRequest { range: KeyRange::Span { start: long(0), end: long(0xff) }, prev_kv: false };
        let Outcome::Delete(gone) = rig.ok(Command::Delete(everything)) else { panic!() };
        assert_eq!(gone.deleted, 3);
        rig.flush();
        assert_eq!(rig.reader().get_at(&key, Revision::new(4)).unwrap().unwrap().key, key);
    }
}

#[test]
fn limit_count_and_more() {
    let rig = filled();
    let answer = |request: RangeRequest| {
        let response = rig.reader().range(&request).unwrap();
        (response.kvs.len(), response.more, response.count, response.revision.get())
    };
    let all = read("\0", "\0");
    assert_eq!(answer(all.clone()), (3, false, 3, 5));
    assert_eq!(answer(all.clone().with_limit(2)), (2, true, 3, 5));
    assert_eq!(answer(all.clone().with_limit(3)), (3, false, 3, 5));
    assert_eq!(answer(all.clone().with_limit(-1)), (3, false, 3, 5));
    assert_eq!(answer(RangeRequest { count_only: true, ..all.clone().with_limit(1) }), (0, false, 3, 5));
    let newer = RangeRequest { min_mod_revision: Revision::new(4), ..all.clone() };
    assert_eq!(answer(newer.clone()), (2, false, 3, 5), "the count ignores filters");
    assert_eq!(answer(newer.with_limit(1)), (1, true, 3, 5), "more is after filtering");
    assert_eq!(answer(all.at(Revision::new(2))), (1, false, 1, 5), "the header is of now");
}

#[test]
fn filters_are_inclusive() {
    let rig = filled();
    let all = read("\0", "\0");
    let at = Revision::new;
    assert_eq!(keys(&rig, &RangeRequest { min_mod_revision: at(4), ..all.clone() }), ["a", "c"]);
    assert_eq!(keys(&rig, &RangeRequest { max_mod_revision: at(4), ..all.clone() }), ["a", "b"]);
    assert_eq!(keys(&rig, &RangeRequest { min_create_revision: at(3), ..all.clone() }), ["a", "c"]);
    assert_eq!(keys(&rig, &RangeRequest { max_create_revision: at(3), ..all }), ["a", "b"]);
}

#[test]
fn sorting_with_etcds_quirk() {
    use SortOrder::{Ascend, Descend, None};
    use SortTarget::{Create, Key, Mod, Value, Version};
    let rig = filled();
    let cases: [(SortOrder, SortTarget, i64, &[&str]); 9] = [
        (None, Key, 0, &["a", "b", "c"]),
        (Descend, Key, 2, &["c", "b"]),
        (Ascend, Mod, 0, &["b", "a", "c"]),
        (Ascend, Create, 1, &["b"]),
        (Descend, Version, 1, &["a"]),
        (Ascend, Value, 0, &["c", "a", "b"]),
        (Ascend, Value, 1, &["c"]),
        // Without an order the limit, plus one, is applied by key before sorting.
        (None, Value, 1, &["a"]),
        (None, Mod, 0, &["b", "a", "c"]),
    ];
    for (order, target, limit, expected) in cases {
        let request = RangeRequest { order, target, limit, ..read("\0", "\0") };
        assert_eq!(keys(&rig, &request), expected, "{order:?} {target:?} {limit}");
        let stripped = RangeRequest { keys_only: true, ..request };
        assert_eq!(keys(&rig, &stripped), expected, "sorted by what is then left out");
        assert!(rig.reader().range(&stripped).unwrap().kvs.iter().all(|kv| kv.value.is_empty() && kv.version > 0));
    }
}

#[test]
fn revisions_out_of_reach_are_refused() {
    let mut rig = filled();
    rig.ok(compact(4));
    let all = read("\0", "\0");
    assert_eq!(rejection(&rig, &all.clone().at(Revision::new(6))), Rejection::FutureRevision);
    assert_eq!(rejection(&rig, &all.clone().at(Revision::new(3))), Rejection::Compacted);
    assert_eq!(keys(&rig, &all.clone().at(Revision::new(4))), ["a", "b"], "the compact revision itself stays");
    assert_eq!(keys(&rig, &all.at(Revision::new(-7))), ["a", "b", "c"], "negative means latest");
    assert!(matches!(rig.reader().get_at(b"a", Revision::new(3)), Err(ReadError::Rejected(Rejection::Compacted))));
    assert!(matches!(rig.reader().hash_kv(Revision::new(9)), Err(ReadError::Rejected(Rejection::FutureRevision))));
    assert!(matches!(rig.reader().hash_kv(Revision::new(3)), Err(ReadError::Rejected(Rejection::Compacted))));
}

#[test]
fn compactions_only_go_forward() {
    let mut rig = filled();
    assert_eq!(rig.refused(compact(6)), Rejection::FutureRevision);
    assert_eq!(rig.refused(compact(-1)), Rejection::Compacted);
    rig.ok(compact(0));
    rig.ok(compact(4));
    assert_eq!(rig.refused(compact(4)), Rejection::Compacted);
    assert_eq!(rig.refused(compact(3)), Rejection::Compacted);
    rig.ok(compact(5));
}

#[test]
fn compaction_keeps_what_a_reader_or_watcher_at_its_revision_needs() {
    for mut rig in Rig::both() {
        rig.put("live", "old"); // 2
        rig.put("live", "new"); // 3
        rig.put("gone", ""); // 4
        rig.ok(delete("gone", "")); // 5
        rig.put("later", ""); // 6
        for flush_first in [true, false] {
            if flush_first {
                rig.flush();
            }
            if rig.reader().compact_revision() == Revision::ZERO {
                rig.ok(compact(5));
            }
            rig.clean();
            let at = |key: &[u8], revision| rig.reader().get_at(key, Revision::new(revision)).unwrap();
            assert_eq!(at(b"live", 5).unwrap().value, bytes("new"));
            assert_eq!((at(b"gone", 5), at(b"later", 5)), (None, None));
            let changes = rig.reader().changes(Revision::new(5), usize::MAX).unwrap();
            assert_eq!(changes.len(), 2, "the delete at the compact revision is still seen");
            assert_eq!(changes[0].events[0].kind, EventKind::Delete);
            assert!(rig.reader().changes(Revision::new(4), 1).is_err());
            rig.crash();
        }
    }
}

#[test]
fn cleanup_leaves_nothing_that_nobody_can_read() {
    for mut rig in Rig::both() {
        for round in 0..50 {
            rig.apply((0..20).map(|key| put(&format!("k{key}"), &round.to_string())));
            rig.flush();
        }
        rig.apply((0..20).map(|key| delete(&format!("k{key}"), "")));
        rig.flush();
        let revision = rig.reader().revision();
        rig.ok(compact(revision.get()));
        assert!(rig.reader().cleaned_revision() < revision);
        rig.clean();
        assert_eq!(rig.reader().cleaned_revision(), revision);
        assert_eq!((rig.stored(0x20), rig.stored(0x30)), (0, 0), "no key lives, no version can be read");
        // Of the events the last revision stays, and on disk what shares a table with it.
        assert!((1..=20).contains(&rig.stored(0x40)));
    }
}

#[test]
fn long_histories_are_passed_over_quickly_and_rightly() {
    for mut rig in Rig::both() {
        for round in 0..8 {
            // A hundred versions of b each time, one of its neighbours: at old revisions all of them are in the way.
            rig.put("a", &round.to_string());
            rig.apply((0..100).map(|version| put("b", &format!("{round}-{version}"))));
            rig.put("c", &round.to_string());
            if round < 6 {
                rig.flush();
            }
        }
        for round in 0..8 {
            let end_of_round = Revision::new(1 + (round + 1) * 102);
            for (at, version) in [(end_of_round, 99), (Revision::new(end_of_round.get() - 51), 49)] {
                let found = rig.reader().range(&read("a", "d").at(at)).unwrap();
                let values: Vec<_> = found.kvs.iter().map(|kv| kv.value.clone()).collect();
                let c = if version == 99 { Some(round) } else { (round > 0).then(|| round - 1) };
                let expected = [Some(round.to_string()), Some(format!("{round}-{version}")), c.map(|c| c.to_string())];
                assert_eq!(values, expected.into_iter().flatten().map(Bytes::from).collect::<Vec<_>>(), "{at}");
            }
        }
    }
}

#[test]
fn changes_come_whole_and_in_order_within_the_bytes_asked_for() {
    for mut rig in Rig::both() {
        for key in ["a", "b", "c", "d"] {
            rig.put(key, "123456789");
        }
        rig.flush();
        rig.put("e", "123456789");
        let revisions = |from, bytes_max| -> Vec<i64> {
            let changes = rig.reader().changes(Revision::new(from), bytes_max).unwrap();
            changes.iter().map(|change| change.revision.get()).collect()
        };
        assert_eq!(revisions(0, usize::MAX), [2, 3, 4, 5, 6]);
        assert_eq!(revisions(4, usize::MAX), [4, 5, 6]);
        assert_eq!(revisions(2, 0), [2], "always one");
        assert_eq!(revisions(2, 25), [2, 3]);
        assert_eq!(revisions(7, usize::MAX), [0; 0]);
        assert_eq!(revisions(99, usize::MAX), [0; 0]);
    }
}

#[test]
fn entries_out_of_order_are_faults() {
    let blank = |index| Entry { log_id: log_id(index), payload: Payload::Blank };
    for (first, second) in [(1, 2), (0, 0), (0, 2)] {
        let mut rig = Rig::in_memory();
        let result = rig.machine().apply(vec![blank(first), blank(second)]);
        assert!(matches!(result, Err(Fault::OutOfOrder { .. })), "{first} {second}");
    }
    let malformed = Entry { log_id: log_id(0), payload: Payload::Command(bytes("what?")) };
    assert!(matches!(Rig::in_memory().machine().apply(vec![malformed]), Err(Fault::MalformedEntry { .. })));
    assert!(matches!(Rig::in_memory().machine().apply(Vec::new()), Err(Fault::OutOfOrder { .. })));
}

#[test]
fn stores_that_differ_in_anything_have_different_hashes() {
    let both = |ops: [&str; 2]| {
        let deletes = ops.map(|key| Op::Delete(super::rig::delete_request(key, "")));
        Command::Txn(super::rig::txn(deletes.into()))
    };
    let base = || vec![super::rig::grant(1), super::rig::grant(2), put("x", "1"), put("y", "2")];
    let variants = [
        vec![],
        vec![put("x", "1")],
        vec![put("x", "2")],
        vec![put("xx", "1")],
        vec![put_leased("x", 1)],
        vec![put_leased("x", 2)],
        vec![delete("x", "")],
        vec![delete("y", "")],
        vec![delete("x", ""), put("x", "1")],
        vec![delete("x", ""), delete("y", "")],
        vec![both(["x", "y"])],
        vec![both(["y", "x"])],
        vec![put("x", "1"), compact(4)],
    ];
    let mut hashes: Vec<u32> = Vec::new();
    for variant in variants {
        let mut rig = Rig::in_memory();
        rig.apply(base().into_iter().chain(variant));
        hashes.push(rig.reader().hash_kv(Revision::ZERO).unwrap().hash);
    }
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "{hashes:?}");
    // Leases without keys are no part of it, but of the hash of everything.
    let [with, without] = [vec![super::rig::grant(9)], vec![super::rig::grant(8)]].map(|commands| {
        let mut rig = Rig::in_memory();
        rig.apply(commands);
        (rig.reader().hash_kv(Revision::ZERO).unwrap(), rig.reader().hash().unwrap())
    });
    assert!(with.0 == without.0 && with.1 != without.1);
}

#[test]
fn a_hash_of_the_past_is_what_it_was_then() {
    for mut rig in Rig::both() {
        let mut seen = Vec::new();
        for round in 0..6 {
            rig.apply([put("k", &round.to_string()), delete("k", "")]);
            seen.push(rig.reader().hash_kv(Revision::ZERO).unwrap());
            rig.flush();
        }
        for then in seen {
            let now = rig.reader().hash_kv(then.revision).unwrap();
            assert_eq!((now.hash, now.hash_revision), (then.hash, then.revision));
        }
    }
}

#[test]
fn sizes_follow_the_live_keys() {
    for mut rig in Rig::both() {
        rig.put("key", &"v".repeat(1_000));
        assert_eq!(rig.reader().size().in_use, 1_003);
        assert!(rig.reader().size().total > 1_003);
        rig.put("key", "v");
        rig.flush();
        rig.restart();
        assert_eq!(rig.reader().size().in_use, 4);
        rig.ok(delete("key", ""));
        assert_eq!(rig.reader().size().in_use, 0);
    }
}
