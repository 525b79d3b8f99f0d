//! The rules of a watch stream, row by row.

use bytes::Bytes;
use model::KeyRange;

use crate::testing::{Past, Rig, events, now, prefix, revision, single};
use crate::{Filters, Refusal, WatchMessage, WatchRequest};

/// A store at revision 6: `a` put, changed, deleted (2, 3, 4), `b` put (5), `a` put again (6).
fn rig() -> Rig {
    let rig = Rig::new(&Past::with_read_max(0), 100);
    for write in [("a", Some("1")), ("a", Some("2")), ("a", None), ("b", Some("3")), ("a", Some("4"))] {
        rig.write(&[write]);
    }
    rig
}

/// The same store, compacted at `compact_revision`, and a hub that started after all that and has seen nothing of it.
fn restarted(compact_revision: i64) -> Rig {
    let past = rig().past;
    past.compact(revision(compact_revision));
    Rig::new(&past, 100)
}

fn created(id: i64, at: i64) -> WatchMessage {
    WatchMessage::Created { id, revision: revision(at) }
}

fn all() -> WatchRequest {
    WatchRequest::new(prefix(""))
}

fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(revision, key)| (*revision, (*key).to_owned())).collect()
}

#[test]
fn start_revision_decides_what_comes_first() {
    const WHOLE: &[(i64, &str)] = &[(2, "a"), (3, "a"), (4, "-a"), (5, "b"), (6, "a"), (7, "c"), (8, "c")];
    // (start revision, compact revision, first row of WHOLE that comes; none: the watcher hears that it is too late)
    let rows = [
        (0, 0, Some(5)),
        (0, 4, Some(5)),
        (1, 0, Some(0)),
        (2, 0, Some(0)),
        (3, 0, Some(1)),
        (1, 4, None),
        (3, 4, None),
        // At the compact revision itself, a deletion: it is still part of history.
        (4, 4, Some(2)),
        (5, 4, Some(3)),
        (5, 6, None),
        (6, 6, Some(4)),
        (7, 6, Some(5)),
        (8, 6, Some(6)),
    ];
    for (start, compact, first) in rows {
        for mut rig in [restarted(compact), rig()] {
            rig.settle();
            rig.past.compact(revision(compact));
            let (stream, mut messages) = rig.watch(all().starting_at(revision(start)));
            assert_eq!(messages[0], created(0, 6), "start {start}, compacted {compact}");
            rig.write(&[("c", Some("5"))]);
            rig.write(&[("c", Some("6"))]);
            messages.extend(rig.heard(&stream));
            let expected = first.map_or(pairs(&[]), |first| pairs(&WHOLE[first..]));
            assert_eq!(events(&messages), expected, "start {start}, compacted {compact}");
            let lost = WatchMessage::Compacted { id: 0, compact_revision: revision(compact) };
            assert_eq!(messages.contains(&lost), first.is_none(), "start {start}, compacted {compact}");
        }
    }
}

#[test]
fn a_negative_start_is_refused_before_anything_else_is_looked_at() {
    let mut rig = rig();
    let empty = KeyRange::Span { start: Bytes::from_static(b"b"), end: Bytes::from_static(b"a") };
    for range in [prefix(""), empty] {
        let (_, messages) = rig.watch(WatchRequest::new(range).starting_at(revision(-1)));
        let reason = Refusal::NegativeRevision;
        assert_eq!(messages, [WatchMessage::CreateRefused { reason, revision: revision(6) }]);
        assert_eq!(reason.to_string(), "etcdserver: mvcc: required revision has been compacted");
    }
}

#[test]
fn an_empty_range_is_refused() {
    let mut rig = rig();
    for (start, end) in [("b", "b"), ("b", "a")] {
        let range = KeyRange::from_wire(Bytes::from(start), Bytes::from(end));
        let (_, messages) = rig.watch(WatchRequest::new(range));
        let reason = Refusal::EmptyRange;
        assert_eq!(messages, [WatchMessage::CreateRefused { reason, revision: revision(6) }]);
        assert_eq!(reason.to_string(), "mvcc: watcher range is empty");
    }
}

#[test]
fn an_empty_key_is_the_first_possible_one() {
    let mut rig = rig();
    let (stream, _) = rig.watch(WatchRequest::new(KeyRange::from_wire(Bytes::new(), Bytes::new())));
    let (from, _) = rig.watch(WatchRequest::new(KeyRange::from_wire(Bytes::new(), Bytes::from_static(&[0]))));
    let (span, _) = rig.watch(WatchRequest::new(KeyRange::from_wire(Bytes::new(), Bytes::from_static(b"a"))));
    rig.write(&[("\0", Some("")), ("a", Some(""))]);
    assert_eq!(events(&rig.heard(&stream)), pairs(&[(7, "\0")]));
    assert_eq!(events(&rig.heard(&from)), pairs(&[(7, "\0"), (7, "a")]));
    assert_eq!(events(&rig.heard(&span)), pairs(&[(7, "\0")]));
}

#[test]
fn ids_count_up_around_those_given() {
    let mut rig = rig();
    let stream = rig.handle.open_stream(100);
    let mut ids = Vec::new();
    for id in [None, Some(2), Some(-1), None, None, None, Some(0)] {
        for message in rig.create(&stream, WatchRequest { id, ..all() }) {
            ids.push(match message {
                WatchMessage::Created { id, .. } => Ok(id),
                WatchMessage::CreateRefused { reason, .. } => Err(reason),
                other => panic!("{other:?}"),
            });
        }
    }
    assert_eq!(ids, [Ok(0), Ok(2), Ok(-1), Ok(1), Ok(3), Ok(4), Err(Refusal::DuplicateId)]);
    assert_eq!(Refusal::DuplicateId.to_string(), "mvcc: duplicate watch ID provided on the WatchStream");

    now(stream.cancel(0)).unwrap();
    assert_eq!(rig.heard(&stream), [WatchMessage::Canceled { id: 0, revision: revision(6) }]);
    assert_eq!(rig.create(&stream, all()), [created(5, 6)], "an id that was given is not given again");
    assert_eq!(rig.create(&stream, WatchRequest { id: Some(0), ..all() }), [created(0, 6)], "unless asked for");
    let (_, messages) = rig.watch(all());
    assert_eq!(messages, [created(0, 6)], "each stream counts for itself");
}

#[test]
fn a_cancel_is_answered_once_and_ends_the_events() {
    let mut rig = rig();
    let (stream, _) = rig.watch(all());
    rig.settle();
    now(stream.cancel(0)).unwrap();
    now(stream.cancel(0)).unwrap();
    now(stream.cancel(7)).unwrap();
    assert_eq!(rig.heard(&stream), [WatchMessage::Canceled { id: 0, revision: revision(6) }]);
    rig.write(&[("a", Some("5"))]);
    assert_eq!(rig.heard(&stream), []);
    assert_eq!((rig.handle.counters().watchers(), rig.handle.counters().streams()), (0, 1));
}

#[test]
fn a_compacted_watcher_keeps_its_id_until_it_is_cancelled() {
    let mut rig = restarted(4);
    let (stream, messages) = rig.watch(all().starting_at(revision(2)));
    assert_eq!(messages, [created(0, 6), WatchMessage::Compacted { id: 0, compact_revision: revision(4) }]);

    let again = WatchRequest { id: Some(0), ..all() };
    let refused = WatchMessage::CreateRefused { reason: Refusal::DuplicateId, revision: revision(6) };
    assert_eq!(rig.create(&stream, again.clone()), [refused]);
    assert_eq!(rig.create(&stream, WatchRequest { id: Some(1), ..all() }), [created(1, 6)]);
    now(stream.request_progress()).unwrap();
    assert_eq!(rig.heard(&stream), [], "it is not synced, and never will be");
    rig.write(&[("a", Some("5"))]);
    assert_eq!(events(&rig.heard(&stream)), pairs(&[(7, "a")]), "for the other one only");

    now(stream.cancel(0)).unwrap();
    assert_eq!(rig.heard(&stream), [WatchMessage::Canceled { id: 0, revision: revision(7) }]);
    now(stream.request_progress()).unwrap();
    assert_eq!(rig.heard(&stream), [WatchMessage::Progress { id: None, revision: revision(7) }]);
    assert_eq!(rig.create(&stream, again), [created(0, 7)]);
}

#[test]
fn progress_on_request_is_said_of_synced_streams_only() {
    let mut rig = rig();
    let stream = rig.handle.open_stream(100);
    now(stream.request_progress()).unwrap();
    assert_eq!(rig.heard(&stream), [], "a stream without watchers");

    rig.create(&stream, all());
    now(stream.request_progress()).unwrap();
    let progress = |at| WatchMessage::Progress { id: None, revision: revision(at) };
    assert_eq!(rig.heard(&stream), [progress(6)]);

    // Not before a future start has come.
    rig.create(&stream, WatchRequest::new(single("x")).starting_at(revision(8)));
    for (at, answer) in [(6, vec![]), (7, vec![]), (8, vec![progress(8)])] {
        assert_eq!(rig.revision(), revision(at));
        now(stream.request_progress()).unwrap();
        let mut messages = rig.heard(&stream);
        messages.retain(|message| matches!(message, WatchMessage::Progress { .. }));
        assert_eq!(messages, answer, "at {at}");
        rig.write(&[("a", Some("5"))]);
    }
}

#[test]
fn progress_on_request_waits_for_what_the_store_already_shows() {
    let mut rig = rig();
    let (stream, _) = rig.watch(all());
    // Acknowledged, but the hub has not heard of it.
    rig.write(&[("a", Some("5"))]);
    now(stream.request_progress()).unwrap();
    now(stream.request_progress()).unwrap();
    rig.engine.take_turn();
    assert_eq!(stream.try_recv(), None);
    let messages = rig.heard(&stream);
    assert_eq!(events(&messages), pairs(&[(7, "a")]));
    assert_eq!(messages[1..], [WatchMessage::Progress { id: None, revision: revision(7) }], "one for both");
}

#[test]
fn progress_by_the_clock_is_for_quiet_watchers_that_want_it() {
    let mut rig = rig();
    let stream = rig.handle.open_stream(100);
    let noted = |range| WatchRequest { progress_notify: true, ..WatchRequest::new(range) };
    rig.create(&stream, noted(single("a")));
    rig.create(&stream, noted(single("b")));
    rig.create(&stream, all());
    rig.create(&stream, noted(prefix("")).starting_at(revision(8)));
    let tick = |rig: &mut Rig| {
        rig.engine.tick();
        let messages = rig.heard(&stream);
        messages
            .into_iter()
            .filter_map(|message| match message {
                WatchMessage::Progress { id, revision } => Some((id.expect("a watcher"), revision.get())),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(tick(&mut rig), [(0, 6), (1, 6)]);
    rig.write(&[("a", Some("5"))]);
    rig.settle();
    assert_eq!(tick(&mut rig), [(1, 7)]);
    assert_eq!(tick(&mut rig), [(0, 7), (1, 7)]);
    rig.write(&[("c", Some("5"))]);
    rig.settle();
    assert_eq!(tick(&mut rig), [(0, 8), (1, 8)]);
    assert_eq!(tick(&mut rig), [(0, 8), (1, 8), (3, 8)]);
}

#[test]
fn filters_drop_events_and_empty_messages() {
    for mut rig in [rig(), restarted(0)] {
        rig.settle();
        let filtered = |no_put, no_delete| WatchRequest { filters: Filters { no_put, no_delete }, ..all() };
        let rows = [
            (filtered(true, false), pairs(&[(4, "-a"), (7, "-b")])),
            (filtered(false, true), pairs(&[(2, "a"), (3, "a"), (5, "b"), (6, "a"), (7, "a")])),
            (filtered(true, true), pairs(&[])),
        ];
        let streams: Vec<_> =
            rows.iter().map(|(request, _)| rig.watch(request.clone().starting_at(revision(1)))).collect();
        rig.write(&[("a", Some("5")), ("b", None)]);
        for ((stream, mut messages), (request, expected)) in streams.into_iter().zip(rows) {
            messages.extend(rig.heard(&stream));
            assert_eq!(events(&messages), expected, "{:?}", request.filters);
            let has_events = messages.iter().any(|message| matches!(message, WatchMessage::Events(_)));
            assert_eq!(has_events, !expected.is_empty());
        }
    }
}

#[test]
fn the_version_before_comes_from_the_batch_or_from_history() {
    for compacted in [0, 2, 3] {
        let mut rig = restarted(compacted);
        let start = revision(compacted.max(1));
        let (stream, mut messages) = rig.watch(WatchRequest { prev_kv: true, ..all() }.starting_at(start));
        rig.write(&[("b", None)]);
        messages.extend(rig.heard(&stream));
        let mut previous = Vec::new();
        for message in &messages {
            let WatchMessage::Events(message) = message else { continue };
            assert!(message.prev_kv());
            previous.extend(message.iter().map(|event| {
                let previous = event.previous.as_ref().map(|previous| previous.mod_revision.get());
                (event.kv.mod_revision.get(), previous)
            }));
        }
        // The version before the first revision left is gone.
        let whole = [(2, None), (3, Some(2)), (4, Some(3)), (5, None), (6, None), (7, Some(5))];
        let mut expected: Vec<_> = whole.into_iter().filter(|(at, _)| *at >= compacted).collect();
        if compacted == 3 {
            expected[0].1 = None;
        }
        assert_eq!(previous, expected, "compacted {compacted}");
    }
}

#[test]
fn all_events_of_a_revision_come_in_one_message_and_the_header_says_when() {
    let mut rig = rig();
    rig.settle();
    let (stream, _) = rig.watch(WatchRequest::new(prefix("k")));
    rig.write(&[("k1", Some("")), ("x", Some("")), ("k2", Some(""))]);
    rig.write(&[("k1", None), ("k2", None)]);
    let messages = rig.heard(&stream);
    let headers: Vec<_> = messages
        .iter()
        .map(|message| match message {
            WatchMessage::Events(events) => (events.revision().get(), events.iter().count()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(headers, [(7, 2), (8, 2)], "live: the revision of the events");

    for mut rig in [Rig::new(&rig.past, 1), rig] {
        let (_, messages) = rig.watch(WatchRequest::new(prefix("k")).starting_at(revision(3)));
        let [_, WatchMessage::Events(events)] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!(events.revision(), revision(8), "behind: the revision of the store");
        let revisions: Vec<_> = events.selections().iter().map(|part| (part.revision().get(), part.len())).collect();
        assert_eq!(revisions, [(7, 2), (8, 2)]);
    }
}

#[test]
fn a_watcher_behind_gets_messages_of_bounded_size() {
    let rig = Rig::new(&Past::with_read_max(0), 100);
    let value = "v".repeat(300 << 10);
    for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        rig.write(&[(key, Some(&value))]);
    }
    for mut rig in [Rig::new(&rig.past, 1), rig] {
        rig.settle();
        let (_, messages) = rig.watch(all().starting_at(revision(2)));
        assert_eq!(events(&messages).len(), 10);
        for message in &messages[1..] {
            let WatchMessage::Events(events) = message else { panic!("{message:?}") };
            let bytes: usize = events.iter().map(|event| event.kv.value.len()).sum();
            assert!(bytes < (1 << 20) + value.len(), "{bytes} bytes");
        }
    }
}

#[test]
fn a_watcher_without_a_start_does_not_see_what_the_store_showed_before_it() {
    let mut rig = rig();
    rig.settle();
    // Acknowledged to its writer, who then opens the watch; the hub hears of the write last.
    rig.write(&[("a", Some("5"))]);
    let stream = rig.handle.open_stream(100);
    now(stream.create(all())).unwrap();
    rig.engine.take_turn();
    assert_eq!(stream.try_recv(), Some(created(0, 7)));
    rig.write(&[("a", Some("6"))]);
    assert_eq!(events(&rig.heard(&stream)), pairs(&[(8, "a")]));
}

#[test]
fn a_snapshot_ends_only_those_whose_next_revision_is_gone() {
    let mut rig = rig();
    let (live, _) = rig.watch(all());
    let (future, _) = rig.watch(all().starting_at(revision(9)));
    // The leader's snapshot brings revisions 7 to 9, and with them a compaction at 8.
    for value in ["5", "6", "7"] {
        rig.past.write(&[("a", Some(value))]);
    }
    rig.past.compact(revision(8));
    rig.handle.reset();
    assert_eq!(rig.heard(&live), [WatchMessage::Compacted { id: 0, compact_revision: revision(8) }]);
    assert_eq!(events(&rig.heard(&future)), pairs(&[(9, "a")]));
}

#[test]
fn a_snapshot_without_compaction_loses_nothing() {
    let mut rig = rig();
    let (live, _) = rig.watch(WatchRequest { prev_kv: true, ..all() });
    rig.past.write(&[("a", Some("5"))]);
    rig.past.write(&[("b", None)]);
    rig.handle.reset();
    let messages = rig.heard(&live);
    assert_eq!(events(&messages), pairs(&[(7, "a"), (8, "-b")]));
    for message in &messages {
        let WatchMessage::Events(events) = message else { panic!("{message:?}") };
        assert!(events.iter().all(|event| event.previous.is_some()));
    }
    rig.write(&[("a", Some("6"))]);
    assert_eq!(events(&rig.heard(&live)), pairs(&[(9, "a")]));
}

#[test]
fn who_waits_for_room_is_not_overtaken() {
    let mut rig = rig();
    let stream = rig.handle.open_stream(2);
    for key in ["a", "b"] {
        rig.create(&stream, WatchRequest::new(single(key)));
    }
    for key in ["b", "b", "a"] {
        rig.write(&[(key, Some("5"))]);
    }
    rig.settle();
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.extend(stream.try_recv());
        // A batch that comes before the hub looks who wants room.
        rig.write(&[("b", Some("6"))]);
        rig.take_batch();
        rig.engine.take_turn();
    }
    assert_eq!(events(&heard), pairs(&[(7, "b"), (8, "b"), (9, "a"), (10, "b"), (11, "b")]));
}

#[test]
fn dropping_a_stream_forgets_all_of_it() {
    let mut rig = rig();
    let stream = rig.handle.open_stream(1);
    for start in [0, 2, 5] {
        now(stream.create(all().starting_at(revision(start)))).unwrap();
    }
    rig.settle();
    drop(stream);
    drop(rig.handle.open_stream(1));
    let many = rig.handle.open_stream(100);
    for _ in 0..50 {
        rig.create(&many, all());
    }
    drop(many);
    rig.write(&[("a", Some("5"))]);
    rig.settle();
    let counters = rig.handle.counters();
    assert_eq!((counters.streams(), counters.watchers(), counters.behind()), (0, 0, 0));
}
