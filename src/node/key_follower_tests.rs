//! A follower on a running member: every revision once, and the end of following is never a change.

use std::path::Path;

use model::{DeleteRequest, Identity, PutRequest, Rejection};

use super::*;
use crate::Node;
use crate::testing::start;

const BELOW: &[u8] = b"/ns/";

fn below() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(BELOW))
}

async fn started(folder: &Path) -> (Node, Handle) {
    let node = start(folder.join("member")).await;
    let handle = node.handle();
    (node, handle)
}

async fn put(handle: &Handle, key: &'static str) -> Revision {
    let put = PutRequest { key: key.into(), value: key.into(), ..PutRequest::default() };
    handle.put(Identity::default(), put).await.unwrap().revision
}

async fn delete(handle: &Handle, key: &'static str) {
    let delete = DeleteRequest { range: KeyRange::Single(key.into()), prev_kv: false };
    handle.delete(Identity::default(), delete).await.unwrap();
}

fn names(keys: &Keys) -> Vec<&str> {
    keys.iter().map(|kv| std::str::from_utf8(&kv.key).unwrap()).collect()
}

#[tokio::test]
async fn every_revision_that_touches_the_keys_is_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let (node, handle) = started(folder.path()).await;
    put(&handle, "/ns/a").await;
    let mut follower = handle.follow_keys(&Identity::default(), below()).await.unwrap();
    assert_eq!(names(follower.keys()), ["/ns/a"]);
    put(&handle, "/elsewhere").await;
    let second = put(&handle, "/ns/b").await;
    delete(&handle, "/ns/a").await;
    assert_eq!(follower.moved().await.unwrap(), Moved::Changed);
    assert_eq!((names(follower.keys()), follower.keys().revision()), (vec!["/ns/a", "/ns/b"], second));
    assert_eq!(follower.moved().await.unwrap(), Moved::Changed);
    assert_eq!(names(follower.keys()), ["/ns/b"]);
    assert_eq!(follower.keys().first_created().unwrap().key, "/ns/b");

    let mut again = handle.follow_keys_since(&Identity::default(), below(), second.previous()).await.unwrap();
    assert_eq!(names(again.keys()), ["/ns/a"], "as it was then");
    again.moved().await.unwrap();
    again.moved().await.unwrap();
    assert_eq!(again.keys(), follower.keys());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn t08_neither_compaction_nor_the_end_of_the_member_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let (node, handle) = started(folder.path()).await;
    let first = put(&handle, "/ns/a").await;
    put(&handle, "/ns/b").await;
    let head = put(&handle, "/ns/c").await;
    handle.compact(Identity::default(), head, false).await.unwrap();
    let compacted = handle.follow_keys_since(&Identity::default(), below(), first).await.unwrap_err();
    assert_eq!(compacted, Rejection::Compacted.into());

    let unmet = |keys: &Keys| keys.get(b"/ns/a").is_none().then_some(());
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.wait_until(&Identity::default(), below(), Duration::from_secs(60), unmet).await }
    });
    // It waits once another follower that began after it has seen a change.
    let mut follower = handle.follow_keys(&Identity::default(), below()).await.unwrap();
    let head = put(&handle, "/ns/d").await;
    follower.moved().await.unwrap();
    handle.compact(Identity::default(), head, false).await.unwrap();
    assert!(!waiting.is_finished());
    node.stop().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(None), "waited in vain, which is not the same as having seen it");
}

#[tokio::test]
async fn what_is_true_already_is_found_without_waiting_and_what_never_is_ends_with_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (node, handle) = started(folder.path()).await;
    put(&handle, "/ns/a").await;
    let decided = handle.wait_until(&Identity::default(), below(), Duration::ZERO, |keys| Some(keys.len())).await;
    assert_eq!(decided, Ok(Some(1)));
    let undecided = handle.wait_until(&Identity::default(), below(), Duration::from_millis(20), |_| None::<()>).await;
    assert_eq!(undecided, Ok(None));
    node.stop().await.unwrap();
}
