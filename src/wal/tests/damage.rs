//! What bytes on disk can suffer: cuts, zeros and flipped bits, at every offset.

use std::path::PathBuf;

use super::*;
use crate::format::{Place, Record, SECTOR, encode, frame_len};

const SEGMENT: u32 = 2048;

/// A clean log of several segments, the last in use up to its second half.
fn sample() -> (SimFs, Model, Vec<PathBuf>) {
    let fs = SimFs::new();
    let run = Run::new(&fs, &script()[..13], SEGMENT);
    drop(run.log);
    let paths = segments(&fs);
    assert!(paths.len() >= 2, "{paths:?}");
    (fs, run.history[run.history.len() - 1].seen(), paths)
}

/// Opens, and demands a refusal that names `path` and an offset up to `offset`.
fn assert_refused(fs: &SimFs, path: &Path, offset: usize, what: &str) {
    match open(fs, SEGMENT) {
        Err(Error::Corrupt { file, offset: found, what: found_what }) => {
            assert_eq!(file, path, "{what}: {found_what}");
            assert!(found <= offset as u64, "{what}: {found_what} at {found}");
        }
        Err(Error::UnknownFormat { file, .. }) => assert_eq!(file, path, "{what}"),
        other => panic!("{what}: not refused: {:?}", other.map(|(_, recovered)| recovered)),
    }
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    let (fs, model, paths) = sample();
    let mut wiped = 0;
    for path in &paths {
        let is_last = *path == paths[paths.len() - 1];
        let original = fs.bytes(path).unwrap();
        let used = original.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for bit in 0..original.len() * 8 {
            let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
            fs.edit(path, flip);
            let what = format!("bit {bit} of {}", path.display());
            if is_last && bit / 8 >= used {
                // Nothing was there: whether it is wiped or refused, nothing is lost.
                if let Ok((log, recovered)) = open(&fs, SEGMENT) {
                    assert_eq!(contents(&log, &recovered), model, "{what}");
                    assert!(recovered.torn.is_some(), "{what}");
                    wiped += 1;
                }
            } else {
                assert_refused(&fs, path, bit / 8, &what);
            }
            fs.edit(path, |bytes| bytes.clone_from(&original));
        }
    }
    assert!(wiped > 0);
}

#[test]
fn a_segment_cut_at_any_byte_is_refused() {
    let (fs, model, paths) = sample();
    for path in &paths {
        let original = fs.bytes(path).unwrap();
        for length in 0..original.len() {
            fs.edit(path, |bytes| bytes.truncate(length));
            assert_refused(&fs, path, length, &format!("{} cut to {length}", path.display()));
            fs.edit(path, |bytes| bytes.clone_from(&original));
        }
        fs.edit(path, |bytes| bytes.push(0));
        assert_refused(&fs, path, original.len(), "extended");
        fs.edit(path, |bytes| bytes.clone_from(&original));
    }
    let (log, recovered) = open(&fs, SEGMENT).unwrap();
    assert_eq!(contents(&log, &recovered), model);
}

/// A write interrupted after any number of bytes: all after it is zero.
#[test]
fn a_write_interrupted_at_any_byte_leaves_the_records_before_it() {
    let fs = SimFs::new();
    let groups: Vec<Vec<Op>> = (0..8).map(|index| vec![Op::Append(entry(1, index, 120))]).collect();
    let run = Run::new(&fs, &groups, SEGMENT);
    drop(run.log);
    let path = &segments(&fs)[0];
    let original = fs.bytes(path).unwrap();
    let used = original.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let frame = frame_len(16 + 120);
    let opening = used - 8 * frame;
    for length in 0..used {
        fs.edit(path, |bytes| bytes[length..].fill(0));
        if length < opening {
            // The last bytes of the header are zero anyway.
            assert_refused(&fs, path, length.max(40), &format!("zero from {length}"));
        } else {
            let (log, recovered) = open(&fs, SEGMENT).unwrap();
            assert_eq!(contents(&log, &recovered), run.history[(length - opening) / frame], "zero from {length}");
            assert_eq!(recovered.torn.is_some(), !(length - opening).is_multiple_of(frame), "zero from {length}");
        }
        fs.edit(path, |bytes| bytes.clone_from(&original));
    }
}

#[test]
fn a_lost_sector_is_damage_if_a_later_group_proves_that_it_was_on_disk() {
    let fs = SimFs::new();
    let groups: Vec<Vec<Op>> = (0..12).map(|index| vec![Op::Append(entry(1, index, 120))]).collect();
    let run = Run::new(&fs, &groups, SEGMENT * 2);
    drop(run.log);
    let path = &segments(&fs)[0];
    let original = fs.bytes(path).unwrap();
    let used = original.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let last_frame = used - frame_len(16 + 120);
    for sector in (0..=last_frame - SECTOR).step_by(SECTOR) {
        fs.edit(path, |bytes| bytes[sector..sector + SECTOR].fill(0));
        assert_refused(&fs, path, sector + SECTOR, &format!("sector at {sector}"));
        fs.edit(path, |bytes| bytes.clone_from(&original));
    }
}

/// The exception that `tail` documents: a record of zeros looks like lost sectors.
#[test]
fn a_flip_in_a_record_full_of_zeros_costs_at_most_the_last_group() {
    let fs = SimFs::new();
    let zeros = |index| Op::Append(Entry { term: 1, index, payload: vec![0; 1100].into() });
    let run = Run::new(&fs, &[vec![zeros(0)], vec![zeros(1)]], SEGMENT * 2);
    drop(run.log);
    let path = &segments(&fs)[0];
    let original = fs.bytes(path).unwrap();
    let frame = frame_len(16 + 1100);
    let used = original.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut cut_off = 0;
    for bit in (used - 2 * frame) * 8..used * 8 {
        fs.edit(path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        match open(&fs, SEGMENT * 2) {
            Ok((log, recovered)) => {
                assert!(bit / 8 >= used - frame, "bit {bit} of a group before the last");
                assert!(recovered.torn.is_some());
                assert_eq!(contents(&log, &recovered), run.history[1]);
                cut_off += 1;
            }
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
        }
        fs.edit(path, |bytes| bytes.clone_from(&original));
    }
    assert!(cut_off > 0);
}

#[test]
fn a_missing_segment_is_refused() {
    use crate::Fs;
    let (fs, _, paths) = sample();
    for path in &paths[..paths.len() - 1] {
        let fs = fs.fork();
        fs.unlink(path).unwrap();
        assert!(matches!(open(&fs, SEGMENT), Err(Error::Corrupt { .. })), "without {}", path.display());
    }
}

#[test]
fn segments_of_two_logs_do_not_mix() {
    let (fs, _, paths) = sample();
    let other = SimFs::new();
    let mut groups = script()[..13].to_vec();
    groups[1][0] = Op::Append(entry(1, 0, 21));
    drop(Run::new(&other, &groups, SEGMENT).log);
    let last = &paths[paths.len() - 1];
    let theirs = other.bytes(last).unwrap();
    fs.edit(last, |bytes| bytes.clone_from(&theirs));
    assert_refused(&fs, last, 64, "a segment of another log");
}

/// Whole records, with all their checksums, that no writer of ours makes.
#[test]
fn records_that_contradict_the_log_are_refused() {
    let fs = SimFs::new();
    let run = Run::new(&fs, &[vec![Op::Append(entry(1, 0, 100))]], SEGMENT);
    drop(run.log);
    let path = &segments(&fs)[0];
    let original = fs.bytes(path).unwrap();
    let end = original.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let offset = u32::try_from(end).unwrap();
    let at = end - frame_len(16 + 100) + 12;
    let chain = u32::from_le_bytes(original[at..at + 4].try_into().unwrap());
    let gap = Record::Entry { log_id: LogId { term: 1, index: 2 }, payload: b"" };
    for (record, durable, wanted) in [
        (Record::State(State::default()), offset + 8, "on disk before it was written"),
        (gap, offset, "entry 2 does not follow"),
        (Record::Metadata(METADATA), offset, "out of place"),
        (Record::Crc(chain), offset, "out of place"),
    ] {
        let mut frame = Vec::new();
        encode(&record, Place { sequence: 0, offset }, durable, chain, &mut frame);
        fs.edit(path, |bytes| bytes[end..end + frame.len()].copy_from_slice(&frame));
        let error = open(&fs, SEGMENT).unwrap_err().to_string();
        assert!(error.contains(&format!("corrupt at offset {end}: ")) && error.contains(wanted), "{error}");
        fs.edit(path, |bytes| bytes.clone_from(&original));
    }
}

#[test]
fn damage_is_found_when_an_entry_is_read() {
    let fs = SimFs::new();
    let run = Run::new(&fs, &[vec![Op::Append(entry(1, 0, 100)), Op::Append(entry(1, 1, 100))]], SEGMENT);
    let reader = run.log.as_ref().unwrap().reader();
    let path = &segments(&fs)[0];
    let at = fs.bytes(path).unwrap().iter().rposition(|&byte| byte != 0).unwrap() - 20;
    fs.edit(path, |bytes| bytes[at] ^= 1);
    assert_eq!(reader.read(0..1, usize::MAX).unwrap(), [entry(1, 0, 100)]);
    assert!(matches!(reader.read(1..2, usize::MAX), Err(Error::Corrupt { .. })));
}
