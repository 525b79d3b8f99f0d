//! Files that are right, made here byte by byte, and files that are not.

mod file;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use proto::mvccpb::KeyValue;
use sha2::{Digest, Sha256};

use crate::{BoltError, EtcdLease, EtcdSnapshot, Tree};
use file::{FileBuilder, PAGE};

fn key(main: u64, sub: u64, tombstone: &[u8]) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &sub.to_be_bytes(), tombstone].concat()
}

fn put(key: &str, value: &str, create_revision: i64, mod_revision: i64, lease: i64) -> Vec<u8> {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    KeyValue { key, value, create_revision, mod_revision, version: 1, lease }.encode_to_vec()
}

/// A file with all that is read; the bucket of keys has pages below pages.
fn whole() -> Vec<u8> {
    let lease = EtcdLease { id: 7, ttl: 60, remaining_ttl: 30 }.encode_to_vec();
    let tombstone = KeyValue { key: "a".into(), ..KeyValue::default() }.encode_to_vec();
    let mut events = vec![
        (key(2, 0, b""), put("a", "1", 2, 2, 0)),
        (key(3, 0, b""), put("b", "2", 3, 3, 7)),
        (key(3, 1, b"t"), tombstone),
    ];
    events.extend(
        (4_i64..200).map(|revision| (key(revision.unsigned_abs(), 0, b""), put("c", &"v".repeat(100), 4, revision, 0))),
    );
    let mut file = FileBuilder::new();
    let revision = 9_u64.to_be_bytes().to_vec();
    file.bucket(b"auth", vec![(b"authEnabled".to_vec(), vec![1]), (b"authRevision".to_vec(), revision)]);
    file.bucket(b"key", events);
    file.bucket(b"lease", vec![(7_u64.to_be_bytes().to_vec(), lease)]);
    let index = (b"consistent_index".to_vec(), 11_u64.to_be_bytes().to_vec());
    file.bucket(b"meta", vec![index, (b"finishedCompactRev".to_vec(), key(2, 0, b""))]);
    file.finish()
}

#[test]
fn what_is_in_a_file_is_read() {
    let snapshot = EtcdSnapshot::open(whole().into()).unwrap();
    let events = snapshot.events().unwrap();
    assert_eq!(events.len(), 199);
    assert_eq!((events[1].revision, events[1].sub, &events[1].kv.key[..], events[1].kv.lease), (3, 0, &b"b"[..], 7));
    assert!(events[2].is_delete && events[2].sub == 1);
    assert_eq!(snapshot.leases().unwrap(), [EtcdLease { id: 7, ttl: 60, remaining_ttl: 30 }]);
    assert_eq!(snapshot.applied().unwrap(), (0, 11));
    assert_eq!(snapshot.compact_revision().unwrap(), 2);
    let auth = snapshot.auth().unwrap();
    assert!(auth.is_enabled && auth.revision == 9 && auth.users.is_empty());
}

#[test]
fn the_checksum_behind_a_file_is_checked() {
    let mut file = whole();
    assert_eq!(file.len() % 512, 0);
    file.extend_from_slice(&Sha256::digest(&file));
    assert!(EtcdSnapshot::open(file.clone().into()).is_ok());
    let middle = file.len() / 2;
    file[middle] ^= 1;
    assert_eq!(EtcdSnapshot::open(file.into()).unwrap_err(), BoltError::Checksum);
}

#[test]
fn one_of_the_two_heads_is_enough() {
    for head in [0, PAGE] {
        let mut file = whole();
        file[head + 40] ^= 1;
        assert!(Tree::open(file.into()).unwrap().bucket(b"key").is_ok(), "{head}");
    }
    let mut file = whole();
    file[40] ^= 1;
    file[PAGE + 40] ^= 1;
    assert_eq!(Tree::open(file.into()).unwrap_err(), BoltError::Foreign);
    assert_eq!(Tree::open(Bytes::new()).unwrap_err(), BoltError::Foreign);
}

#[test]
fn pages_in_a_circle_are_noticed() {
    let mut file = FileBuilder::new();
    let own = file.next_page();
    file.branch(&[own]);
    file.root_bucket(b"key", own);
    let tree = Tree::open(file.finish().into()).unwrap();
    assert_eq!(tree.bucket(b"key").unwrap_err(), BoltError::Damaged("pages in a circle"));
}

/// Reads all that can be read; whatever comes out, it comes out.
fn read(file: Vec<u8>) {
    if let Ok(snapshot) = EtcdSnapshot::open(file.into()) {
        let _ = (snapshot.events(), snapshot.leases(), snapshot.applied());
        let _ = (snapshot.compact_revision(), snapshot.auth());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_damaged_file_is_an_answer_or_an_error(
        bits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..8),
    ) {
        let mut file = whole();
        for (at, bit) in bits {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        read(file);
    }

    #[test]
    fn a_head_that_lies_is_an_answer_or_an_error(offset in 0_usize..56, value in any::<u8>(), tail in 0..PAGE * 8) {
        let mut file = whole();
        file[PAGE + 16 + offset] = value;
        // Whole by its checksum, so that it is believed.
        file::seal(&mut file[PAGE..]);
        file[40] ^= 1;
        file.truncate(file.len() - tail);
        read(file);
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        read(bytes);
    }
}
