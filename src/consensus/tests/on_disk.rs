//! The whole over real files: the WAL's directory and the LSM store, left in order and left behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::{FjallPlace, Machine, Options, Place};

use super::wires::Wires;
use super::{config, put, soon};
use crate::{ApplySink, Config, Handle, LogPlace, Parts, Started, Tasks, start};

struct Nowhere;

impl ApplySink for Nowhere {
    fn applied(&mut self, _batch: Arc<model::AppliedBatch>) {}

    fn replaced(&mut self) {}
}

async fn open(dir: &std::path::Path, config: Config) -> (Handle, Tasks, state::Reader) {
    let place: Arc<dyn Place> = Arc::new(FjallPlace::at(dir.join("state")).unwrap());
    let machine = Machine::open(place.clone(), Options { flush_bytes: 64 * 1024 }).unwrap();
    let reader = machine.reader();
    let log = LogPlace::on_disk(dir.join("wal")).open().unwrap();
    let parts = Parts {
        machine,
        place,
        log,
        dialer: Arc::new(Wires::default()),
        sink: Box::new(Nowhere),
        on_fault: Arc::new(|error| panic!("{error}")),
    };
    let Started { handle, tasks, .. } = start(config, parts).await.unwrap();
    (handle, tasks, reader)
}

async fn put_all(handle: &Handle, keys: std::ops::Range<u32>) {
    let puts = keys.map(|key| handle.propose(put(&format!("k{key}"), &"v".repeat(200)), soon()));
    for answer in futures::future::join_all(puts).await {
        answer.unwrap();
    }
}

fn keys(reader: &state::Reader) -> i64 {
    let all = model::KeyRange::From(bytes::Bytes::from_static(b"\0"));
    reader.range(&model::RangeRequest { count_only: true, ..model::RangeRequest::new(all) }).unwrap().count
}

/// A copy of a running member's files, as a kill at this moment would leave them.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() { copy(&from, &to) } else { assert!(std::fs::copy(&from, &to).is_ok()) }
    }
}

#[tokio::test]
async fn a_member_comes_back_from_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (handle, tasks, reader) = open(dir.path(), config()).await;
    put_all(&handle, 0..1_000).await;
    assert_eq!(keys(&reader), 1_000);
    drop((handle, reader));
    tasks.shutdown().await.unwrap();

    let (handle, tasks, reader) = open(dir.path(), config()).await;
    assert_eq!(keys(&reader), 1_000);
    put_all(&handle, 1_000..1_100).await;
    // The log alone, as it is now, with no state at all: everything is in it.
    let left = tempfile::tempdir().unwrap();
    copy(&dir.path().join("wal"), &left.path().join("wal"));
    drop((handle, reader));
    tasks.shutdown().await.unwrap();

    let (handle, tasks, reader) = open(left.path(), Config { members: BTreeMap::new(), ..config() }).await;
    handle.read_index(soon()).await.unwrap();
    assert_eq!(keys(&reader), 1_100);
    drop((handle, reader));
    tasks.shutdown().await.unwrap();
}
