//! What openraft's suite does not ask: entries that left memory, truncation on disk, the order of completions.

use std::sync::Arc;

use bytes::Bytes;
use model::{ClusterId, MemberId};
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use tokio::sync::watch;

use super::Disks;
use crate::fault::FaultReport;
use crate::log_store::{LogStore, LogThread};
use crate::maintenance::Flushed;
use crate::owner::Owner;
use crate::types::{Command, Entry, Payload, Vote, log_id};

fn open(disks: &Disks) -> (LogStore, LogThread) {
    let (_, flushed) = watch::channel(Flushed { count: 0, durable: None });
    let identity = Owner { cluster: ClusterId::new(1), member: MemberId::new(2) };
    let fault = FaultReport::new(Arc::new(|error| panic!("{error}")));
    LogStore::new(disks.log().open().unwrap(), identity, flushed, fault).unwrap()
}

fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let fill = u8::try_from(index % 251).unwrap();
    Entry { log_id: log_id(term, index), payload: Payload::Normal(Command(Bytes::from(vec![fill; bytes]))) }
}

#[tokio::test]
async fn entries_that_left_memory_are_read_back_from_the_disk() {
    let (mut log, thread) = open(&Disks::new());
    // 40 MiB, more than twice what is kept in memory.
    let written: Vec<_> = (0..320).map(|index| entry(1, index, 128 << 10)).collect();
    for block in written.chunks(16) {
        log.blocking_append(block.to_vec()).await.unwrap();
    }
    let mut reader = log.get_log_reader().await;
    assert_eq!(reader.try_get_log_entries(..).await.unwrap(), written);
    assert_eq!(reader.try_get_log_entries(5..=9).await.unwrap(), written[5..=9]);
    assert_eq!(reader.try_get_log_entries(150..400).await.unwrap(), written[150..]);

    let first = reader.limited_get_log_entries(0, 320).await.unwrap();
    assert!(!first.is_empty() && first.len() < 20, "a chunk is bounded by bytes: {} entries", first.len());
    assert_eq!(first, written[..first.len()]);
    drop(log);
    thread.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_cut_and_written_anew_is_what_comes_back() {
    let disks = Disks::new();
    let (mut log, thread) = open(&disks);
    log.blocking_append((0..10).map(|index| entry(1, index, 10)).collect::<Vec<_>>()).await.unwrap();
    log.truncate_after(Some(log_id(1, 4))).await.unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 4)));
    log.blocking_append([entry(2, 5, 20), entry(2, 6, 20)]).await.unwrap();
    log.save_vote(&Vote::new_committed(2, 7)).await.unwrap();
    log.save_committed(Some(log_id(2, 6))).await.unwrap();
    drop(log);
    thread.stop().await.unwrap();

    let (mut log, thread) = open(&disks);
    let mut reader = log.get_log_reader().await;
    let expected: Vec<_> = (0..5).map(|index| entry(1, index, 10)).chain([entry(2, 5, 20), entry(2, 6, 20)]).collect();
    assert_eq!(reader.try_get_log_entries(..).await.unwrap(), expected);
    assert_eq!(reader.read_vote().await.unwrap(), Some(Vote::new_committed(2, 7)));
    assert_eq!(log.read_committed().await.unwrap(), Some(log_id(2, 6)));
    let keys = reader.get_key_log_ids(log_id(1, 0)..=log_id(2, 6)).await.unwrap();
    assert_eq!(keys, [log_id(1, 4), log_id(2, 6)]);
    drop(log);
    thread.stop().await.unwrap();
}

/// openraft takes the terms of purged entries from these: a wrong one makes it purge an entry that the log does not hold, and the
/// log then forgets everything.
#[tokio::test]
async fn the_last_entry_of_each_term_is_named_for_every_range() {
    let (mut log, thread) = open(&Disks::new());
    let terms = [1, 1, 1, 2, 3, 3, 3, 3, 7, 8, 8];
    let ids: Vec<_> = (0..).zip(terms).map(|(index, term)| log_id(term, index)).collect();
    for id in &ids {
        log.blocking_append([entry(id.leader_id.term, id.index, 10)]).await.unwrap();
    }
    let mut reader = log.get_log_reader().await;
    for first in 0..ids.len() {
        for last in first..ids.len() {
            let mut expected = Vec::new();
            for at in first..=last {
                if at == last || ids[at].leader_id != ids[at + 1].leader_id {
                    expected.push(ids[at]);
                }
            }
            let keys = reader.get_key_log_ids(ids[first]..=ids[last]).await.unwrap();
            assert_eq!(keys, expected, "{first}..={last}");
        }
    }
    drop((log, reader));
    thread.stop().await.unwrap();
}

#[tokio::test]
async fn a_vote_is_on_the_platter_when_it_is_saved() {
    let disks = Disks::new();
    let (mut log, thread) = open(&disks);
    log.save_vote(&Vote::new(3, 9)).await.unwrap();
    let cut = Disks { fs: disks.fs.fork(), ..disks.clone() };
    cut.fs.power_cycle(wal::Survival::Nothing);
    let (mut after, after_thread) = open(&cut);
    assert_eq!(after.get_log_reader().await.read_vote().await.unwrap(), Some(Vote::new(3, 9)));
    drop((log, after));
    thread.stop().await.unwrap();
    after_thread.stop().await.unwrap();
}

#[tokio::test]
async fn a_purge_waits_for_a_durable_state() {
    let (mut log, thread) = open(&Disks::new());
    log.blocking_append([entry(1, 0, 10), entry(1, 1, 10)]).await.unwrap();
    let error = log.purge(log_id(1, 0)).await.unwrap_err();
    assert!(error.to_string().contains("before the state is on disk"), "{error}");
    drop(log);
    thread.stop().await.unwrap();
}
