//! The contract of a place, held against both; and every moment at which a process on disk can end.

use std::fs;
use std::ops::Bound::Unbounded;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::rig::bytes;
use super::storages::copy_at_one_moment;
use crate::{Fault, FjallPlace, MemoryPlace, Place, Staging, Storage, View};

fn both(test: impl Fn(&dyn Place)) {
    test(&MemoryPlace::new());
    let directory = tempfile::tempdir().unwrap();
    test(&FjallPlace::at(directory.path().join("state")).unwrap());
}

fn put(storage: &dyn Storage, key: &str) {
    storage.ingest(&mut std::iter::once((bytes(key), Some(Bytes::new())))).unwrap();
}

/// Something for each shelf, in a group of its own.
fn fill(staging: &mut dyn Staging, key: &str) {
    for shelf in ["\u{1}", "0", "@"] {
        staging.ingest(&mut std::iter::once((bytes(&format!("{shelf}{key}")), Some(Bytes::new())))).unwrap();
    }
}

fn keys(view: &dyn View) -> Vec<Bytes> {
    view.range(Unbounded, Unbounded).map(|entry| entry.unwrap().0).collect()
}

#[test]
fn a_store_is_seen_from_its_publication_on_and_the_one_before_until_its_last_view() {
    both(|place| {
        let before = place.open().unwrap();
        put(&*before, "before");
        let mut staging = place.stage().unwrap();
        fill(&mut *staging, "new");
        assert_eq!(keys(&*before.view()), ["before"]);
        let view = before.view();
        let current = staging.publish().unwrap();
        put(&*before, "late");
        put(&*current, "\u{2}");
        assert_eq!(keys(&*view), ["before"]);
        assert_eq!(keys(&*before.view()), ["before", "late"]);
        let new = ["\u{1}new", "\u{2}", "0new", "@new"].map(bytes);
        assert_eq!(keys(&*current.view()), new);
        drop((before, current));
        assert_eq!(keys(&*view), ["before"]);
        drop(view);
        assert_eq!(keys(&*place.open().unwrap().view()), new, "whoever comes next finds it");
    });
}

#[test]
fn what_is_not_published_is_never_seen() {
    both(|place| {
        let storage = place.open().unwrap();
        put(&*storage, "kept");
        let mut dropped = place.stage().unwrap();
        fill(&mut *dropped, "dropped");
        drop(dropped);
        let mut older = place.stage().unwrap();
        fill(&mut *older, "older");
        let mut newer = place.stage().unwrap();
        fill(&mut *newer, "newer");
        assert!(matches!(older.publish(), Err(Fault::Superseded)));
        drop(storage);
        let storage = place.open().unwrap();
        assert!(matches!(newer.publish(), Err(Fault::Superseded)), "opening gives up what was staged");
        assert_eq!(keys(&*storage.view()), ["kept"]);
    });
}

#[test]
fn stores_follow_each_other() {
    both(|place| {
        drop(place.open().unwrap());
        for round in 0..5 {
            let mut staging = place.stage().unwrap();
            fill(&mut *staging, &round.to_string());
            let storage = staging.publish().unwrap();
            assert_eq!(keys(&*storage.view()).len(), 3);
            drop(storage);
            let storage = place.open().unwrap();
            assert_eq!(keys(&*storage.view())[0], format!("\u{1}{round}"));
        }
        // Without anybody who had opened the one before.
        fill(&mut *place.stage().unwrap(), "dropped");
        let staging = place.stage().unwrap();
        assert_eq!(keys(&*staging.publish().unwrap().view()), Vec::<Bytes>::new());
    });
}

#[test]
fn clones_of_a_place_in_memory_are_one() {
    let place = MemoryPlace::new();
    put(&*place.open().unwrap(), "a");
    assert_eq!(keys(&*place.clone().open().unwrap().view()), ["a"]);
    drop(place.clone().stage().unwrap().publish().unwrap());
    assert_eq!(keys(&*place.open().unwrap().view()), Vec::<Bytes>::new());
}

fn files(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn directories_go_with_the_last_one_that_uses_them() {
    let directory = tempfile::tempdir().unwrap();
    let place = FjallPlace::at(directory.path()).unwrap();
    let before = place.open().unwrap();
    assert_eq!(files(directory.path()), ["1", "current", "lock"]);
    drop(place.stage().unwrap());
    assert_eq!(files(directory.path()), ["1", "current", "lock"]);
    let current = place.stage().unwrap().publish().unwrap();
    let view = before.view();
    drop(before);
    assert_eq!(files(directory.path()), ["1", "3", "current", "lock"], "numbers are not used again");
    drop(view);
    assert_eq!(files(directory.path()), ["3", "current", "lock"]);
    drop(current);
    assert_eq!(files(directory.path()), ["3", "current", "lock"]);
    drop(place.stage().unwrap().publish().unwrap());
    assert_eq!(files(directory.path()), ["4", "current", "lock"]);

    // An opening takes nothing away from those who are still there.
    let before = place.open().unwrap();
    assert!(matches!(place.open(), Err(Fault::Locked(_))), "one at a time");
    let staging = place.stage().unwrap();
    let current = place.stage().unwrap().publish().unwrap();
    put(&*before, "late");
    drop(current);
    let current = place.open().unwrap();
    assert_eq!(keys(&*before.view()), ["late"]);
    assert_eq!(files(directory.path()), ["4", "5", "6", "current", "lock"]);
    drop((before, staging));
    assert_eq!(files(directory.path()), ["6", "current", "lock"]);
    assert_eq!(keys(&*current.view()), Vec::<Bytes>::new());
}

/// A process that ended with the files as they are in `left`: finds the store with `expected` and no trace of another one, and can
/// go on.
fn check_left(left: &Path, expected: &str) {
    let place = FjallPlace::at(left).unwrap();
    let storage = place.open().unwrap();
    assert_eq!(keys(&*storage.view()), ["\u{1}", "0", "@"].map(|shelf| format!("{shelf}{expected}")), "{left:?}");
    assert_eq!(files(left).iter().filter(|name| name.parse::<u64>().is_ok()).count(), 1);
    let mut staging = place.stage().unwrap();
    fill(&mut *staging, "next");
    drop((storage, staging.publish().unwrap()));
    assert_eq!(keys(&*place.open().unwrap().view())[0], "\u{1}next");
}

/// Cuts all files below a directory to half, and removes every third.
fn damage(path: &Path) {
    for (at, file) in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).enumerate() {
        if file.is_dir() {
            damage(&file);
        } else if at % 3 == 0 {
            fs::remove_file(file).unwrap();
        } else {
            let content = fs::read(&file).unwrap();
            fs::write(file, &content[..content.len() / 2]).unwrap();
        }
    }
}

#[test]
fn wherever_a_process_ends_the_one_store_or_the_other_is_current() {
    let directory = tempfile::tempdir().unwrap();
    let (root, mut copies) = (directory.path().join("state"), 0);
    let mut copy = || {
        copies += 1;
        let left = directory.path().join(format!("left{copies}"));
        copy_at_one_moment(&root, &left);
        left
    };
    let place = FjallPlace::at(&root).unwrap();
    let before = place.open().unwrap();
    let group = ["\u{1}", "0", "@"].map(|shelf| (bytes(&format!("{shelf}old")), Some(Bytes::new())));
    before.ingest(&mut group.into_iter()).unwrap();

    let mut staging = place.stage().unwrap();
    check_left(&copy(), "old");
    fill(&mut *staging, "new");
    check_left(&copy(), "old");
    let half_written = copy();
    damage(&half_written.join("2"));
    check_left(&half_written, "old");
    for length in [0, 2] {
        let left = copy();
        fs::write(left.join("current.new"), &b"2\n"[..length]).unwrap();
        check_left(&left, "old");
    }

    let current = staging.publish().unwrap();
    assert_eq!(files(&root), ["1", "2", "current", "lock"]);
    check_left(&copy(), "new");
    let half_removed = copy();
    damage(&half_removed.join("1"));
    check_left(&half_removed, "new");
    drop(before);
    check_left(&copy(), "new");
    drop(current);
    check_left(&copy(), "new");
}

#[test]
fn a_place_that_was_tampered_with_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("state");
    let place = FjallPlace::at(&root).unwrap();
    assert!(matches!(FjallPlace::at(&root), Err(Fault::Locked(path)) if path == root), "one process at a time");
    for pointer in ["", "1", "one\n", "-1\n", "99999999999999999999\n"] {
        fs::write(root.join("current"), pointer).unwrap();
        assert!(matches!(place.open(), Err(Fault::Damaged(_))), "{pointer:?}");
    }
    fs::write(root.join("current"), "7\n").unwrap();
    assert!(
        matches!(place.open(), Err(Fault::MissingStore(path)) if path == root.join("7")),
        "none is made in its place"
    );
    assert_eq!(files(&root), ["1", "current", "lock"], "and none is removed");
    drop(fjall::Database::builder(root.join("7")).open().unwrap().keyspace("theirs", Default::default).unwrap());
    assert!(matches!(place.open(), Err(Fault::ForeignDirectory { .. })));
    fs::remove_dir_all(root.join("7")).unwrap();
    fs::remove_file(root.join("current")).unwrap();
    drop(place);
    assert!(matches!(FjallPlace::at(&root), Err(Fault::ForeignDirectory { .. })));
    fs::write(root.join("current"), "1\n").unwrap();
    let place: Arc<dyn Place> = Arc::new(FjallPlace::at(&root).unwrap());
    assert_eq!(keys(&*place.open().unwrap().view()), Vec::<Bytes>::new());
}
