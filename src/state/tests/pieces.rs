//! What is refused of a state that arrives in pieces: everything that is not what was sent.

use std::sync::Arc;

use bytes::Bytes;

use super::rig::{Rig, compact, grant, log_id, put, put_leased};
use crate::format;
use crate::piece::Encoder;
use crate::{Fault, Import, Imported, MemoryPlace, Payload, Place, Survey};

/// Something on every shelf, in more than a few pieces.
fn sent() -> Vec<Bytes> {
    let mut rig = Rig::in_memory();
    rig.apply([put("a", "1"), put("a", "2"), grant(7), put_leased("b", 7), put("c", "3"), compact(3), put("c", "")]);
    rig.flush();
    rig.clean();
    pieces(&rig, 32)
}

fn pieces(rig: &Rig, bytes_max: usize) -> Vec<Bytes> {
    rig.reader().export().unwrap().pieces(bytes_max).map(Result::unwrap).collect()
}

fn take(pieces: &[Bytes]) -> Result<Imported, Fault> {
    let place: Arc<dyn Place> = Arc::new(MemoryPlace::new());
    let mut import = Import::new(&place)?;
    for piece in pieces {
        if let Err(fault) = import.write(piece.clone()) {
            assert!(import.write(piece.clone()).is_err(), "what was refused stays refused");
            assert!(import.finish().is_err(), "and does not end well");
            return Err(fault);
        }
    }
    import.finish()
}

fn is_malformed(pieces: &[Bytes]) -> bool {
    matches!(take(pieces), Err(Fault::MalformedPiece(_)))
}

#[test]
fn pieces_are_as_large_as_asked_for_and_hold_the_same_whatever_their_size() {
    let mut rig = Rig::in_memory();
    rig.put("large", &"x".repeat(10_000));
    rig.apply((0..100).map(|key| put(&format!("k{key}"), "value")));
    rig.flush();
    let stream = |pieces: &[Bytes]| pieces.iter().flat_map(|piece| piece[4..].to_vec()).collect::<Vec<u8>>();
    let whole = pieces(&rig, usize::MAX);
    assert_eq!(whole.len(), 1);
    for bytes_max in [5, 6, 64, 1_000, 20_000] {
        let pieces = pieces(&rig, bytes_max);
        let (last, others) = pieces.split_last().unwrap();
        assert!(others.iter().all(|piece| piece.len() == bytes_max) && last.len() <= bytes_max);
        assert_eq!(stream(&pieces), stream(&whole));
        assert_eq!(take(&pieces).unwrap().applied(), Some(log_id(100)));
    }
    assert!(rig.reader().export().unwrap().bytes_estimate() > 10_000);
}

#[test]
fn a_piece_cut_anywhere_is_refused() {
    let sent = sent();
    assert!(sent.len() > 6 && take(&sent).is_ok());
    for at in 0..sent.len() {
        for length in 0..sent[at].len() {
            let mut pieces = sent.clone();
            pieces[at].truncate(length);
            assert!(is_malformed(&pieces), "piece {at} cut to {length}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let sent = sent();
    for (at, piece) in sent.iter().enumerate() {
        for bit in 0..piece.len() * 8 {
            let mut flipped = piece.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut pieces = sent.clone();
            pieces[at] = Bytes::from(flipped);
            assert!(is_malformed(&pieces), "piece {at}, bit {bit}");
        }
    }
}

#[test]
fn pieces_that_are_missing_or_too_many_or_out_of_order_are_refused() {
    let sent = sent();
    for at in 0..sent.len() {
        let mut missing = sent.clone();
        missing.remove(at);
        assert!(is_malformed(&missing), "without {at}");
        let mut doubled = sent.clone();
        doubled.insert(at, sent[at].clone());
        assert!(is_malformed(&doubled), "{at} twice");
        let mut swapped = sent.clone();
        swapped.swap(at, (at + 1) % sent.len());
        assert!(is_malformed(&swapped), "{at} later");
        assert!(is_malformed(&sent[..at]), "no more than {at}");
    }
    // The pieces of another state, each right in itself.
    let mut rig = Rig::in_memory();
    rig.put("other", &"x".repeat(1_000));
    rig.flush();
    let other = pieces(&rig, 32);
    // The first piece of both is the same: the mark.
    for at in 2..sent.len() {
        let mixed = [&sent[..at], &other[at..]].concat();
        assert!(is_malformed(&mixed), "another one's from {at} on");
    }
}

/// One piece with these records, as a member with a fault of its own could send it.
fn forged(records: &[(&[u8], &[u8])], end: impl FnOnce(&mut Encoder)) -> Bytes {
    let mut encoder = Encoder::default();
    records.iter().for_each(|(key, value)| encoder.push(key, value).unwrap());
    end(&mut encoder);
    encoder.cut(usize::MAX).unwrap()
}

#[test]
fn what_no_store_can_hold_is_refused_although_its_checksum_holds() {
    let mark = format::format_record();
    let head = pieces(&Rig::in_memory(), usize::MAX);
    assert!(take(&head).is_ok(), "an empty state is one");
    let refused = |records: &[(&[u8], &[u8])]| take(&[forged(records, Encoder::end)]).unwrap_err();
    assert!(matches!(refused(&[]), Fault::Damaged("no head")));
    assert!(matches!(refused(&[(&[0], &mark)]), Fault::Damaged("no head")));
    assert!(matches!(refused(&[(&[1], &mark)]), Fault::ForeignData));
    assert!(matches!(refused(&[(&[0], b"quorate\0\0\0\0\x07")]), Fault::UnknownFormat { found: 7, known: 1 }));
    assert!(matches!(refused(&[(&[0], &mark), (&[1], b"short")]), Fault::Damaged("head")));
    let attachment = format::attachment_key(model::LeaseId::new(3), b"key");
    assert!(matches!(refused(&[(&[0], &mark), (&attachment, b"")]), Fault::Damaged(_)));
    for [one, other] in [[[5], [5]], [[6], [5]]] {
        let unsorted = [(&[0][..], &mark[..]), (&one, b""), (&other, b"")];
        assert!(matches!(refused(&unsorted), Fault::MalformedPiece(_)));
    }
}

#[test]
fn an_end_that_does_not_fit_is_refused_although_its_checksum_holds() {
    let records: [(&[u8], &[u8]); 1] = [(&[0], &format::format_record())];
    assert!(is_malformed(&[forged(&records, |_| {})]), "no end");
    let twice = |encoder: &mut Encoder| [(); 2].iter().for_each(|()| encoder.end());
    assert!(is_malformed(&[forged(&records, twice)]), "more after the end");
    let late = |encoder: &mut Encoder| {
        encoder.end();
        encoder.push(b"\x05", b"").unwrap();
    };
    assert!(is_malformed(&[forged(&records, late)]), "a record after the end");
    // An end that counts one record more than there are.
    let mut other = forged(&[], Encoder::end).to_vec();
    *other.last_mut().unwrap() = 1;
    let checksum = crc32c::crc32c(&other[4..]);
    other[..4].copy_from_slice(&checksum.to_be_bytes());
    assert!(is_malformed(&[Bytes::from(other)]));
}

#[test]
fn nothing_is_seen_of_what_was_refused() {
    let sent = sent();
    for mut rig in Rig::both() {
        rig.put("mine", "here");
        let before = rig.everything();
        let mut import = Import::new(&rig.place).unwrap().in_groups_of(1);
        import.write(sent[0].clone()).unwrap();
        assert!(import.write(sent[2].clone()).is_err());
        assert_eq!(rig.everything(), before);
        drop(import);
        rig.crash();
        assert_eq!(rig.everything(), before);
    }
}

#[test]
fn the_membership_comes_along() {
    for mut rig in Rig::both() {
        let membership = Bytes::from_static(b"voters");
        let change = crate::Entry { log_id: log_id(0), payload: Payload::Membership(membership.clone()) };
        rig.machine().apply(vec![change]).unwrap();
        rig.flush();
        let export = rig.machine().export().unwrap();
        assert_eq!((export.applied(), export.membership()), (Some(log_id(0)), membership.clone()));
        let mut other = Rig::in_memory();
        let imported = other.import(export.pieces(50));
        assert_eq!((imported.applied(), imported.membership()), (Some(log_id(0)), membership.clone()));
        other.machine().install(imported).unwrap();
        assert_eq!(other.machine().applied(), (Some(log_id(0)), membership));
    }
}

#[test]
fn another_membership_takes_the_place_of_the_one_that_comes_in() {
    let mut without = Rig::in_memory();
    without.put("a", "1");
    without.flush();
    let mut with = Rig::in_memory();
    let change = crate::Entry { log_id: log_id(0), payload: Payload::Membership(Bytes::from_static(b"theirs")) };
    with.machine().apply(vec![change]).unwrap();
    with.flush();
    for (rig, found) in [(&without, ""), (&with, "theirs")] {
        let place: Arc<dyn Place> = Arc::new(MemoryPlace::new());
        assert_eq!(take(&pieces(rig, 32)).unwrap().membership(), found);
        let mut import = Import::new(&place).unwrap().with_membership(Bytes::from_static(b"ours"));
        pieces(rig, 32).into_iter().for_each(|piece| import.write(piece).unwrap());
        let imported = import.finish().unwrap();
        assert_eq!(imported.membership(), "ours");
        let mut machine = crate::Machine::open(place.clone(), crate::Options::default()).unwrap();
        assert!(matches!(machine.install(imported), Err(Fault::Superseded)), "opening gives up what was staged");
        let mut import = Import::new(&place).unwrap().with_membership(Bytes::from_static(b"ours"));
        pieces(rig, 32).into_iter().for_each(|piece| import.write(piece).unwrap());
        machine.install(import.finish().unwrap()).unwrap();
        drop(machine);
        let machine = crate::Machine::open(place, crate::Options::default()).unwrap();
        assert_eq!(machine.applied(), (rig.reader().applied(), Bytes::from_static(b"ours")), "and it is stored");
    }
}

#[test]
fn a_survey_finds_what_an_import_takes_and_refuses_what_it_refuses() {
    let pieces = sent();
    let survey = |pieces: &[Bytes]| {
        let mut survey = Survey::default();
        pieces.iter().try_for_each(|piece| survey.read(piece))?;
        survey.finish()
    };
    let found = survey(&pieces).unwrap();
    assert_eq!(found.applied, take(&pieces).unwrap().applied());
    assert_eq!((found.keys, found.compact_revision.get()), (3, 3));
    assert!(matches!(survey(&pieces[1..]), Err(Fault::MalformedPiece(_))));
    assert!(matches!(survey(&pieces[..pieces.len() - 1]), Err(Fault::MalformedPiece(_))));
}
