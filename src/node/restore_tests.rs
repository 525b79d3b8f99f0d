//! A member's backup, and the members that are made of it.

use std::path::PathBuf;

use model::{Identity, KeyRange, LeaseId, PutRequest, RangeRequest, Rejection};
use tempfile::TempDir;

use super::*;
use crate::testing::{URL, alone, start};
use crate::{Error, Handle};

async fn put(handle: &Handle, key: &str, value: &str, lease: LeaseId) {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    let put = PutRequest { key, value, lease, ..PutRequest::default() };
    handle.put(Identity::default(), put).await.unwrap();
}

async fn value_at(handle: &Handle, key: &str, revision: i64) -> Result<Option<String>, Error> {
    let range = RangeRequest::new(KeyRange::Single(key.to_owned().into()));
    let found = handle.range(&Identity::default(), range.at(Revision::new(revision))).await?;
    Ok(found.kvs.first().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap()))
}

async fn save(handle: &Handle, file: &Path) {
    let mut backup = handle.backup().await.unwrap();
    let mut content = Vec::new();
    while let Some(part) = backup.next().await.unwrap() {
        content.extend_from_slice(&part.bytes);
    }
    fs::write(file, content).unwrap();
}

fn into(data_dir: PathBuf) -> RestoreConfig {
    let (name, peer_urls) = ("a".to_owned(), vec![URL.to_owned()]);
    RestoreConfig { data_dir, name, peer_urls, initial_cluster: alone("a", "after"), bump: None }
}

/// A backup of history, a compaction and a lease, and where it is.
async fn saved() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let node = start(folder.path().join("before")).await;
    let handle = node.handle();
    let lease = LeaseId::new(7);
    handle.lease_grant(Identity::default(), lease, 3600).await.unwrap();
    put(&handle, "leased", "1", lease).await;
    for value in ["1", "2", "3", "4"] {
        put(&handle, "k", value, LeaseId::NONE).await;
    }
    handle.compact(Identity::default(), Revision::new(4), true).await.unwrap();
    save(&handle, &file).await;
    put(&handle, "k", "after the backup", LeaseId::NONE).await;
    node.stop().await.unwrap();
    (folder, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_member_has_all_that_the_backup_had_and_is_another_one() {
    let (folder, file) = saved().await;
    let status = inspect(&file).unwrap();
    assert_eq!((status.revision.get(), status.compact_revision.get(), status.keys), (6, 4, 2));
    assert_eq!(status.bytes, fs::metadata(&file).unwrap().len());
    assert!(fs::read(&file).unwrap().ends_with(&status.checksum));

    let data_dir = folder.path().join("after");
    assert_eq!(restore(&file, &into(data_dir.clone())).unwrap(), status);
    let before = start(folder.path().join("before")).await;
    let after = start(data_dir.clone()).await;
    let (old, new) = (before.handle(), after.handle());
    assert_ne!(new.header().cluster_id, old.header().cluster_id);
    assert_ne!(new.header().member_id, old.header().member_id);
    let members = new.members();
    assert_eq!(members.iter().map(|member| member.id).collect::<Vec<_>>(), [new.header().member_id]);
    assert!(new.header().term > status.last.term, "no log id comes back with another entry");

    assert_eq!(new.revision(), status.revision);
    assert_eq!(new.hash_kv(status.revision).await.unwrap().hash, old.hash_kv(status.revision).await.unwrap().hash);
    assert_eq!(value_at(&new, "k", 0).await.unwrap().as_deref(), Some("4"));
    assert_eq!(value_at(&new, "k", 5).await.unwrap().as_deref(), Some("3"), "history is there");
    assert_eq!(value_at(&new, "k", 3).await.unwrap_err(), Error::Rejected(Rejection::Compacted));
    let (_, lease) = new.lease_time_to_live(LeaseId::new(7)).await.unwrap().unwrap();
    assert_eq!(lease.keys, ["leased"]);
    before.stop().await.unwrap();

    // It goes on, and what it wrote is there after a restart.
    new.lease_revoke(Identity::default(), LeaseId::new(7)).await.unwrap();
    put(&new, "k", "5", LeaseId::NONE).await;
    drop(new);
    after.stop().await.unwrap();
    let after = start(data_dir).await;
    assert_eq!(value_at(&after.handle(), "k", 0).await.unwrap().as_deref(), Some("5"));
    assert_eq!(value_at(&after.handle(), "leased", 0).await.unwrap(), None);
    assert_eq!(after.handle().revision().get(), 8);
    after.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_of_one_revision_while_writes_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("saved"), folder.path().join("after"));
    let node = start(folder.path().join("before")).await;
    let handle = node.handle();
    let large = "x".repeat(500_000);
    for key in ["a", "b", "c"] {
        put(&handle, key, &large, LeaseId::NONE).await;
    }
    let mut backup = handle.backup().await.unwrap();
    let mut content = Vec::new();
    while let Some(part) = backup.next().await.unwrap() {
        content.extend_from_slice(&part.bytes);
        put(&handle, "c", "overwritten", LeaseId::NONE).await;
    }
    assert!(handle.revision().get() > 8, "the backup had several parts");
    fs::write(&file, content).unwrap();
    let status = restore(&file, &into(data_dir.clone())).unwrap();
    assert_eq!((status.revision.get(), status.keys), (4, 3));
    node.stop().await.unwrap();
    let after = start(data_dir).await;
    assert_eq!(value_at(&after.handle(), "c", 0).await.unwrap(), Some(large));
    after.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_not_whole_is_refused_and_nothing_is_made() {
    let (folder, file) = saved().await;
    let whole = fs::read(&file).unwrap();
    let config = into(folder.path().join("after"));
    let refused = |content: &[u8]| {
        fs::write(&file, content).unwrap();
        let error = restore(&file, &config).unwrap_err();
        assert!(matches!(error, RestoreError::Backup { .. }), "{error}");
        let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["before", "saved"], "nothing is left");
        error.to_string()
    };
    for length in [12, 13, 20, 100, whole.len() - 33, whole.len() - 1] {
        assert!(refused(&whole[..length]).ends_with("it is cut off"), "{length}");
    }
    for place in (12..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        refused(&damaged);
    }
    assert!(refused(&[&whole[..], b"x"].concat()).ends_with("it goes on after its end"));
    assert!(refused(b"bbolt").ends_with("it is not a snapshot of this program"));
    assert!(refused(&[&whole[..8], &[0, 0, 0, 9], &whole[12..]].concat()).contains("format 9"));
    fs::write(&file, &whole).unwrap();
    restore(&file, &config).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_exists_and_a_list_without_the_member_are_refused() {
    let (folder, file) = saved().await;
    let error = restore(&file, &into(folder.path().join("before"))).unwrap_err();
    assert!(matches!(error, RestoreError::Exists(_)), "{error}");
    let other = RestoreConfig { name: "b".to_owned(), ..into(folder.path().join("after")) };
    let error = restore(&file, &other).unwrap_err();
    assert!(matches!(error, RestoreError::Bootstrap(BootstrapError::NotListed(_))), "{error}");
    let missing = restore(&folder.path().join("missing"), &into(folder.path().join("after"))).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
    assert!(!folder.path().join("after").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_was_set_forward_makes_all_before_it_compacted() {
    let (folder, file) = saved().await;
    let data_dir = folder.path().join("after");
    let bump = Some(RevisionBump(1_000_000));
    restore(&file, &RestoreConfig { bump, ..into(data_dir.clone()) }).unwrap();
    let node = start(data_dir.clone()).await;
    let handle = node.handle();
    assert_eq!(handle.revision().get(), 1_000_006);
    assert_eq!(value_at(&handle, "k", 0).await.unwrap().as_deref(), Some("4"));
    assert_eq!(value_at(&handle, "k", 1_000_006).await.unwrap().as_deref(), Some("4"));
    for gone in [6, 1_000_005] {
        assert_eq!(value_at(&handle, "k", gone).await.unwrap_err(), Error::Rejected(Rejection::Compacted), "{gone}");
    }
    put(&handle, "k", "5", LeaseId::NONE).await;
    drop(handle);
    node.stop().await.unwrap();
    let node = start(data_dir).await;
    assert_eq!(node.handle().revision().get(), 1_000_007);
    assert_eq!(
        value_at(&node.handle(), "k", 1_000_006).await.unwrap().as_deref(),
        Some("4"),
        "history goes on from there"
    );
    node.stop().await.unwrap();

    let too_far = RestoreConfig { bump: Some(RevisionBump(u64::MAX)), ..into(folder.path().join("far")) };
    assert!(restore(&file, &too_far).unwrap_err().to_string().contains("a revision beyond all that there are"));
    assert!(!folder.path().join("far").exists());
}
