//! Stored keys keep the order of what they stand for, and records come back as they were written.

use super::*;

fn keys() -> Vec<Bytes> {
    [&b"a"[..], b"a\0", b"a\0\0", b"a\0\xff", b"a\x01", b"aa", b"\0", b"\xff", b"\xff\xff"]
        .into_iter()
        .map(Bytes::from_static)
        .collect()
}

fn kv(key: &Bytes) -> KeyValue {
    KeyValue {
        key: key.clone(),
        value: Bytes::from_static(b"value"),
        create_revision: Revision::new(300),
        mod_revision: Revision::new(70_000),
        version: 129,
        lease: LeaseId::new(-5),
    }
}

#[test]
fn keys_of_superseded_versions_sort_by_key_then_successor() {
    let mut users = keys();
    users.sort();
    let stored: Vec<Bytes> = users
        .iter()
        .flat_map(|key| [1, 255, 256, i64::MAX].map(|successor| history_key(key, Revision::new(successor))))
        .collect();
    assert!(stored.is_sorted());
    for (stored, user) in stored.iter().zip(users.iter().flat_map(|key| std::iter::repeat_n(key, 4))) {
        assert_eq!(HistoryKey::decode(stored).unwrap().key(), user);
    }
}

#[test]
fn bounds_hold_exactly_the_keys_of_the_range() {
    let users = keys();
    let inside = |key: &Bytes, (start, end): (Bytes, Bound<Bytes>)| {
        *key >= start
            && match end {
                Bound::Included(end) => *key <= end,
                Bound::Excluded(end) => *key < end,
                Bound::Unbounded => true,
            }
    };
    for start in &users {
        for end in users.iter().cloned().chain([Bytes::new(), Bytes::from_static(b"\0")]) {
            let range = KeyRange::from_wire(start.clone(), end);
            for key in &users {
                let history = history_key(key, Revision::new(9));
                assert_eq!(inside(&current_key(key), current_bounds(&range)), range.contains(key), "{range:?} {key:?}");
                assert_eq!(inside(&history, history_bounds(&range)), range.contains(key), "{range:?} {key:?}");
            }
        }
    }
}

#[test]
fn records_survive_a_round_trip() {
    for key in keys() {
        let kv = kv(&key);
        assert_eq!(decode_version(key.clone(), version_record(&kv)).unwrap(), kv);
        assert_eq!(mod_revision_of(&version_record(&kv)).unwrap(), kv.mod_revision);
        let put = Event { kind: EventKind::Put, kv: kv.clone(), previous: None };
        assert_eq!(decode_event(kv.mod_revision, event_record(&put)).unwrap(), put);
        let gone = KeyValue { key: key.clone(), mod_revision: Revision::new(8), ..KeyValue::default() };
        let delete = Event { kind: EventKind::Delete, kv: gone, previous: None };
        assert_eq!(decode_event(Revision::new(8), event_record(&delete)).unwrap(), delete);
        assert_eq!(decode_attachment(&attachment_key(LeaseId::new(-1), &key)).unwrap(), (LeaseId::new(-1), key));
    }
    let head = Head {
        applied: Some(LogId { term: Term::new(3), index: LogIndex::new(0) }),
        revision: Revision::new(9),
        compact_revision: Revision::new(4),
        live_bytes: 77,
    };
    assert_eq!(Head::decode(&head.encode()).unwrap(), head);
    let position = Position { revision: Revision::new(5), sub: 6 };
    let cursor = Cursor { next: position, floor: Revision::new(9) };
    assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
    assert_eq!(decode_log_key(&log_key(position)).unwrap(), position);
    assert_eq!(decode_lease(&lease_key(LeaseId::new(7)), &lease_record(1, 2)).unwrap(), (LeaseId::new(7), 1, 2));
}

#[test]
fn damaged_records_are_faults_not_panics() {
    let full = event_record(&Event { kind: EventKind::Put, kv: kv(&Bytes::from_static(b"key")), previous: None });
    // Only the value at the end may be shorter: nothing says how long it is.
    for length in 0..full.len() - 5 {
        assert!(decode_event(Revision::new(1), full.slice(..length)).is_err(), "{length}");
    }
    assert!(decode_version(Bytes::new(), Bytes::from_static(&[0xff; 30])).is_err());
    assert!(Head::decode(b"short").is_err() && Cursor::decode(b"short").is_err());
    assert!(decode_lease(b"\x10", b"").is_err() && decode_attachment(b"\x11").is_err());
    assert!(HistoryKey::decode(&Bytes::from_static(b"\x30")).is_err());
}

#[test]
fn foreign_marks_are_told_from_other_formats() {
    assert!(check_format(&format_record()).is_ok());
    let mut newer = format_record().to_vec();
    newer[11] = 2;
    assert!(matches!(check_format(&newer), Err(Fault::UnknownFormat { found: 2, known: 1 })));
    assert!(matches!(check_format(b"something else"), Err(Fault::ForeignData)));
    assert!(matches!(check_format(b""), Err(Fault::ForeignData)));
}
