//! The contract of a storage, held against both; and what is refused at opening.

use std::fs;
use std::io;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::rig::{Rig, bytes};
use crate::format;
use crate::{Fault, FjallPlace, Machine, MemoryPlace, MemoryStorage, Options, Place, Storage};

fn both(test: impl Fn(&dyn Storage)) {
    test(&MemoryStorage::new());
    let directory = tempfile::tempdir().unwrap();
    test(&*open(directory.path().join("state")).unwrap());
}

/// The current store of a place on disk.
fn open(path: impl AsRef<Path>) -> Result<Arc<dyn Storage>, Fault> {
    FjallPlace::at(path)?.open()
}

fn ingest(storage: &dyn Storage, group: &[(&str, Option<&str>)]) {
    storage.ingest(&mut group.iter().map(|(key, value)| (bytes(key), value.map(bytes)))).unwrap();
}

#[test]
fn a_group_is_seen_by_views_that_are_opened_after_it_and_by_no_other() {
    both(|storage| {
        let empty = storage.view();
        ingest(storage, &[("a", Some("1")), ("b", Some("2"))]);
        let first = storage.view();
        ingest(storage, &[("a", None), ("b", Some("")), ("c", Some("3"))]);
        let second = storage.view();
        assert_eq!(empty.get(b"a").unwrap(), None);
        assert_eq!(first.get(b"a").unwrap(), Some(bytes("1")));
        assert_eq!(first.get(b"c").unwrap(), None);
        assert_eq!((second.get(b"a").unwrap(), second.get(b"b").unwrap()), (None, Some(Bytes::new())));
        let keys = |view: &dyn crate::View| -> Vec<Bytes> {
            view.range(Unbounded, Unbounded).map(|entry| entry.unwrap().0).collect()
        };
        assert_eq!(keys(&*first), ["a", "b"].map(bytes));
        assert_eq!(keys(&*second), ["b", "c"].map(bytes));
    });
}

#[test]
fn ranges_take_any_bounds() {
    both(|storage| {
        ingest(storage, &[("a", Some("")), ("b", Some("")), ("c", Some(""))]);
        let view = storage.view();
        let count = |start, end| view.range(start, end).count();
        assert_eq!(count(Included(&b"a"[..]), Excluded(&b"c"[..])), 2);
        assert_eq!(count(Excluded(&b"a"[..]), Included(&b"c"[..])), 2);
        assert_eq!(count(Included(&b"b"[..]), Included(&b"b"[..])), 1);
        assert_eq!(count(Included(&b"b"[..]), Excluded(&b"b"[..])), 0);
        assert_eq!(count(Excluded(&b"b"[..]), Excluded(&b"b"[..])), 0);
        assert_eq!(count(Included(&b"c"[..]), Included(&b"a"[..])), 0);
        let long = vec![b'b'; 100_000];
        assert_eq!(count(Included(&long[..]), Unbounded), 1);
        assert_eq!(count(Unbounded, Included(&long[..])), 2);
        assert_eq!(view.get(&long).unwrap(), None);
    });
}

#[test]
fn shelves_are_one_map_to_look_at() {
    both(|storage| {
        let group = [&[0x00][..], &[0x01], &[0x27, 9], &[0x28], &[0x3f], &[0x40], &[0xff, 1]];
        storage.ingest(&mut group.iter().map(|key| (Bytes::from_static(key), Some(Bytes::new())))).unwrap();
        let view = storage.view();
        let keys: Vec<Bytes> = view.range(Unbounded, Unbounded).map(|entry| entry.unwrap().0).collect();
        assert_eq!(keys, group);
        assert!(group.iter().all(|key| view.get(key).unwrap().is_some()));
        assert_eq!(view.range(Included(&[0x01]), Excluded(&[0x40])).count(), 4);
        assert_eq!(view.range(Included(&[0x28]), Included(&[0x40])).count(), 3);
    });
}

#[test]
fn what_is_discarded_goes_and_nothing_else_does() {
    both(|storage| {
        let key = |number: u8| Bytes::from(vec![0x40, number]);
        for number in 0..6 {
            storage.ingest(&mut std::iter::once((key(number), Some(Bytes::new())))).unwrap();
        }
        let before = storage.view();
        storage.discard(&key(0), &key(4)).unwrap();
        assert_eq!(before.range(Unbounded, Unbounded).count(), 6);
        let left: Vec<Bytes> = storage.view().range(Unbounded, Unbounded).map(|entry| entry.unwrap().0).collect();
        assert!(left.ends_with(&[key(4), key(5)]));
        storage.discard(&key(0), &key(0)).unwrap();
        storage.discard(&key(9), &[0x41]).unwrap();
        assert!(storage.view().range(Unbounded, Unbounded).count() >= 2);
    });
}

#[test]
fn the_longest_key_is_taken() {
    both(|storage| {
        let key = Bytes::from(vec![1; crate::STORED_KEY_BYTES_MAX]);
        storage.ingest(&mut std::iter::once((key.clone(), Some(Bytes::new())))).unwrap();
        let view = storage.view();
        assert_eq!(view.get(&key).unwrap(), Some(Bytes::new()));
        let longer = [&key[..], b"x"].concat();
        assert_eq!(view.range(Included(&longer), Unbounded).count(), 0);
        assert_eq!(view.range(Unbounded, Excluded(&longer)).count(), 1);
    });
}

#[test]
fn groups_outlive_the_process_without_being_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    for round in 0..10_u8 {
        let storage = open(&path).unwrap();
        assert_eq!(storage.view().range(Unbounded, Unbounded).count(), usize::from(round));
        storage.ingest(&mut std::iter::once((Bytes::from(vec![round]), Some(bytes("v"))))).unwrap();
        assert!(storage.disk_bytes() > 0);
        // What a crash would leave: the directory as it is at one moment, while the store is open.
        let copy = directory.path().join(format!("copy{round}"));
        copy_at_one_moment(&path, &copy);
        let left = open(&copy).unwrap();
        assert_eq!(left.view().range(Unbounded, Unbounded).count(), usize::from(round) + 1);
    }
}

/// Copies until tables were not merged meanwhile: then all that the manifests name was there.
pub(super) fn copy_at_one_moment(from: &Path, to: &Path) {
    loop {
        let before = manifests(from);
        if copy_directory(from, to).is_ok() && manifests(from) == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// What all files say that tell what is current.
fn manifests(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let found = files.map(|file| match file {
        directory if directory.is_dir() => manifests(&directory),
        file if file.ends_with("current") => vec![(file.clone(), fs::read(file).unwrap())],
        _ => Vec::new(),
    });
    found.flatten().collect()
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_directory(&file.path(), &target)?;
        } else {
            fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

#[test]
fn a_group_that_is_cut_off_has_reached_the_last_shelves_and_not_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let storage = open(&path).unwrap();
    // A manifest that cannot be replaced: the first shelf's.
    let manifest = path.join("1/keyspaces/1/current");
    fs::rename(&manifest, path.join("kept")).unwrap();
    fs::create_dir(&manifest).unwrap();
    let mut group = [0x00, 0x30, 0x40].map(|first| (Bytes::from(vec![first]), Some(Bytes::new()))).into_iter();
    assert!(storage.ingest(&mut group).is_err());
    drop(storage);
    fs::remove_dir(&manifest).unwrap();
    fs::rename(path.join("kept"), &manifest).unwrap();
    let storage = open(&path).unwrap();
    let left: Vec<Bytes> = storage.view().range(Unbounded, Unbounded).map(|entry| entry.unwrap().0).collect();
    assert_eq!(left, [Bytes::from_static(&[0x30]), Bytes::from_static(&[0x40])]);
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    assert!(matches!(open(&path), Err(Fault::ForeignDirectory { .. })));
    assert_eq!(fs::read(path.join("notes.txt")).unwrap(), b"mine");
    fs::remove_file(path.join("notes.txt")).unwrap();

    // What a crash during creation leaves beside it is cleared away.
    fs::create_dir(directory.path().join("state.new")).unwrap();
    fs::write(directory.path().join("state.new/lock"), "").unwrap();
    let storage = open(&path).unwrap();
    assert!(matches!(open(&path), Err(Fault::Locked(_))));
    drop(storage);

    let other = directory.path().join("other");
    drop(fjall::Database::builder(&other).open().unwrap().keyspace("theirs", Default::default).unwrap());
    assert!(matches!(open(&other), Err(Fault::ForeignDirectory { .. })));
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(open(file.join("below")), Err(Fault::Storage(_))));
    assert!(open(directory.path().join("new/parent")).is_ok());
}

#[test]
fn a_store_of_another_program_or_format_is_refused() {
    let open = |storage: MemoryStorage| {
        Machine::open(Arc::new(MemoryPlace::over(Arc::new(storage))), Options::default()).map(drop)
    };
    let storage = MemoryStorage::new();
    ingest(&storage, &[("something", Some("else"))]);
    assert!(matches!(open(storage), Err(Fault::ForeignData)));

    let marked = |record: &[u8]| {
        let storage = MemoryStorage::new();
        let group = [(format::FORMAT_KEY, Some(Bytes::copy_from_slice(record)))];
        storage.ingest(&mut group.into_iter()).unwrap();
        storage
    };
    assert!(matches!(open(marked(b"quorate\0\0\0\0\x02")), Err(Fault::UnknownFormat { found: 2, known: 1 })));
    assert!(matches!(open(marked(b"QUORATE")), Err(Fault::ForeignData)));
    assert!(matches!(open(marked(&format::format_record())), Err(Fault::Damaged(_))));
}

#[test]
fn a_flipped_bit_is_a_fault_not_an_answer() {
    let mut rig = Rig::on_disk();
    rig.put("k", &"value".repeat(100));
    rig.flush();
    let tables = rig.tables();
    assert!(!tables.is_empty());
    rig.close();
    for table in tables {
        let mut content = fs::read(&table).unwrap();
        // The first block begins with its header; this is in the data.
        content[60] ^= 1;
        fs::write(&table, content).unwrap();
    }
    let storage = rig.place.open().unwrap();
    assert!(storage.view().get(&format::current_key(b"k")).is_err());
    assert!(storage.view().range(Unbounded, Unbounded).any(|entry| entry.is_err()));
    drop(storage);
    assert!(Machine::open(Arc::clone(&rig.place), Options::default()).is_err());
}
