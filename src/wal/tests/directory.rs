//! Directories that are taken, empty, or someone else's; and the operating system's file system.

use super::*;
use crate::{Fs, RealFs, dump};

const SEGMENT: u32 = 1024;

#[test]
fn a_directory_has_one_log_at_a_time() {
    let fs = SimFs::new();
    assert!(matches!(open(&fs, SEGMENT), Err(Error::NotFound { .. })));
    assert!(!Log::exists(&fs, Path::new(DIR)).unwrap());
    let log = create(&fs, SEGMENT).unwrap();
    assert!(Log::exists(&fs, Path::new(DIR)).unwrap());
    let error = open(&fs, SEGMENT).unwrap_err();
    assert_eq!(error.to_string(), format!("{DIR}: locked by another process"));
    drop(log);
    assert!(matches!(create(&fs, SEGMENT), Err(Error::Exists { .. })));
    drop(open(&fs, SEGMENT).unwrap());
    open(&fs, SEGMENT).unwrap();
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let fs = SimFs::new();
    fs.create_dir(Path::new(DIR)).unwrap();
    let foreign = Path::new(DIR).join("holiday.jpg");
    fs.create(&foreign).unwrap();
    for error in [open(&fs, SEGMENT).unwrap_err(), create(&fs, SEGMENT).unwrap_err()] {
        assert!(matches!(error, Error::Foreign { file } if file == foreign));
    }
    assert_eq!(fs.list(Path::new(DIR)).unwrap(), ["holiday.jpg"]);
}

#[test]
fn another_format_is_called_by_its_name() {
    let fs = SimFs::new();
    drop(create(&fs, SEGMENT).unwrap());
    fs.edit(&segments(&fs)[0], |bytes| bytes[8] = 2);
    assert!(matches!(open(&fs, SEGMENT), Err(Error::UnknownFormat { found: 2, known: 1, .. })));
    fs.edit(&segments(&fs)[0], |bytes| bytes[0] = b'q');
    assert!(matches!(open(&fs, SEGMENT), Err(Error::Corrupt { offset: 0, .. })));
}

#[test]
fn a_segment_under_a_wrong_name_is_refused() {
    let fs = SimFs::new();
    drop(create(&fs, SEGMENT).unwrap());
    let wrong = Path::new(DIR).join("0000000000000001-0000000000000000.wal");
    fs.rename(&segments(&fs)[0], &wrong).unwrap();
    assert!(matches!(open(&fs, SEGMENT), Err(Error::Corrupt { offset: 16, file, .. }) if file == wrong));
}

#[test]
fn the_real_file_system_keeps_the_same_log() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("member/wal");
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let (mut log, _) = Log::create(Arc::clone(&fs), &dir, METADATA, options(SEGMENT)).unwrap();
    let mut model = Model::default();
    for group in script() {
        for op in &group {
            op.stage(&mut log).unwrap();
            model.apply(op);
        }
        log.commit().unwrap();
        log.delete_purged().unwrap();
    }
    assert!(matches!(Log::open(Arc::clone(&fs), &dir, options(SEGMENT)), Err(Error::Locked { .. })));
    let names = fs.list(&dir).unwrap();
    assert!(names.iter().any(|name| name == "lock") && names.len() < 6, "{names:?}");
    for name in names.iter().filter(|name| name.contains(".wal")) {
        assert_eq!(std::fs::metadata(dir.join(name)).unwrap().len() % 512, 0);
    }
    drop(log);
    let (log, recovered) = Log::open(Arc::clone(&fs), &dir, options(SEGMENT)).unwrap();
    assert_eq!(contents(&log, &recovered), model.seen());
    assert_eq!(recovered.torn, None);
}

#[test]
fn a_dump_tells_every_record_and_stops_at_damage() {
    let fs = SimFs::new();
    let run = Run::new(&fs, &script()[..9], SEGMENT);
    let mut text = Vec::new();
    // The lock is held: a dump does not need it.
    dump(&fs, Path::new(DIR), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for wanted in [
        "segment 0000000000000000-0000000000000000.wal sequence=0 first=0 bytes=1024\n",
        "        40 crc      chain=00000000 size=32 crc=ok\n",
        " metadata member 1 of cluster 2 size=",
        " entry    index=12 term=1 payload=",
        " state    term=2 voted-for=14 vote=committed commit=7 commit-term=1 size=",
        " snapshot index=7 term=1 data=13 size=",
        " purge    index=4 term=1 size=",
        " end\n",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    }
    drop(run.log);
    let last = segments(&fs).pop().unwrap();
    let used = fs.bytes(&last).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
    fs.edit(&last, |bytes| bytes[used - 9] ^= 4);
    let mut damaged = Vec::new();
    assert!(matches!(dump(&fs, Path::new(DIR), &mut damaged), Err(Error::Corrupt { file, .. }) if file == last));
    let damaged = String::from_utf8(damaged).unwrap();
    assert!(text.starts_with(&damaged) && damaged.lines().count() == text.lines().count() - 2, "{damaged}");
}

#[test]
fn a_dump_goes_where_it_is_told() {
    let fs = SimFs::new();
    assert!(matches!(dump(&fs, Path::new(DIR), &mut Vec::new()), Err(Error::NotFound { .. })));
    drop(create(&fs, SEGMENT).unwrap());
    let mut full: &mut [u8] = &mut [0; 10];
    assert!(matches!(dump(&fs, Path::new(DIR), &mut full), Err(Error::Output(_))));
}
