//! A single member on a disk that runs full.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::etcdserverpb::{PutRequest, RangeRequest};

use crate::server::{Server, fresh, refused};
use crate::small_disk::SmallDisk;

/// Large enough for a log segment and its successor, and little else.
const DISK_MEGABYTES: u32 = 160;

const VALUE_BYTES: usize = 256 * 1024;

/// K28: a member ends when it cannot keep what it is told, with one clear line; it does not start while that is so; and with room
/// again it has everything that it acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs root to mount a small disk; `make test` runs it"]
async fn k28_a_full_disk_ends_the_member_and_loses_nothing() {
    let (_folder, data) = fresh();
    let disk = SmallDisk::mount(&data, DISK_MEGABYTES);
    let mut server = Server::start(&data, &[]);
    let mut kv = server.kv().await;
    let mut acknowledged: BTreeMap<String, Bytes> = BTreeMap::new();
    for count in 0..200 {
        if count == 20 {
            disk.fill();
        }
        let (key, value) = (format!("k{count:03}"), Bytes::from(count.to_string() + &"-".repeat(VALUE_BYTES)));
        let put = PutRequest { key: key.clone().into(), value: value.clone(), ..PutRequest::default() };
        if kv.put(put).await.is_err() {
            break;
        }
        acknowledged.insert(key, value);
    }
    let status = server.ended();
    let said = server.said();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_one_line(&said);

    let (code, said) = refused(&data, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert_one_line(&said);

    disk.grow(2 * DISK_MEGABYTES);
    let server = Server::start(&data, &[]);
    let all = RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
    let read = server.kv().await.range(all).await.expect("a read").into_inner();
    let stored: BTreeMap<String, Bytes> =
        read.kvs.into_iter().map(|kv| (String::from_utf8(kv.key.into()).expect("text"), kv.value)).collect();
    for (key, value) in acknowledged {
        assert!(stored.get(&key) == Some(&value), "{key} was acknowledged and is not there");
    }
    server.terminate().await;
    drop(disk);
}

/// One line says that the disk is full.
fn assert_one_line(said: &str) {
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("quorate: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains("No space left on device"), "said {said}");
}
