//! What a member finds when it comes back: after an orderly end, after a crash, and in directories that do not belong together.

use model::{ClusterId, MemberId, Term};
use openraft::async_runtime::watch::WatchReceiver;
use state::MemoryPlace;

use super::{Disks, Member, config, soon};
use crate::{Config, Error};

async fn put_numbered(member: &Member, range: std::ops::Range<u64>) {
    futures::future::join_all(range.map(|n| async move { member.put(&format!("k{n}"), &n.to_string()).await })).await;
}

fn assert_numbered(member: &Member, range: std::ops::Range<u64>) {
    for n in range {
        assert_eq!(member.get(&format!("k{n}")), Some(n.to_string()), "k{n} was acknowledged");
    }
}

#[tokio::test]
async fn after_an_orderly_end_there_is_nothing_to_replay() {
    let disks = Disks::new();
    let member = disks.start().await;
    put_numbered(&member, 0..100).await;
    member.stop().await;

    let member = disks.start().await;
    assert!(member.batches.lock().iter().all(|batch| batch.changes.is_empty()), "a flushed state needs no replay");
    assert_numbered(&member, 0..100);
    let committed = member.put("k", "v").await;
    assert_eq!(committed.log_id.term, Term::new(2), "a leader that restarts must be elected anew");
    member.stop().await;
}

#[tokio::test]
async fn after_a_power_cut_a_confirmed_read_sees_everything_acknowledged() {
    let disks = Disks::new();
    let member = disks.start().await;
    put_numbered(&member, 0..300).await;
    // What the platter holds at this moment, and a state that was never flushed.
    let cut = disks.fs.fork();
    cut.power_cycle(wal::Survival::Nothing);
    member.stop().await;

    let disks = Disks { fs: cut, ..Disks::new() };
    let member = disks.start().await;
    member.handle.read_index(soon()).await.unwrap();
    assert_numbered(&member, 0..300);
    member.stop().await;
}

#[tokio::test]
async fn an_answer_is_given_only_when_its_entry_is_on_the_platter() {
    let disks = Disks::new();
    let member = disks.start().await;
    for n in 0..50 {
        let committed = member.put("k", &n.to_string()).await;
        let cut = Disks { fs: disks.fs.fork(), ..disks.clone() };
        cut.fs.power_cycle(wal::Survival::Nothing);
        let place = cut.log();
        let (_log, recovered) = wal::Log::open(place.fs, &place.dir, place.options).unwrap();
        assert!(recovered.last.is_some_and(|last| last.index >= committed.log_id.index.get()), "{recovered:?}");
    }
    member.stop().await;
}

#[tokio::test]
async fn a_member_dropped_without_a_word_comes_back() {
    let disks = Disks::new();
    for round in 0..5 {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let disks = disks.clone();
        let rounds = runtime.spawn(async move {
            let member = disks.start().await;
            member.handle.read_index(soon()).await.unwrap();
            assert_numbered(&member, 0..round * 20);
            put_numbered(&member, round * 20..(round + 1) * 20).await;
        });
        rounds.await.unwrap();
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
    }
}

#[tokio::test]
async fn flushed_entries_are_purged_and_the_rest_of_the_log_stays_readable() {
    let disks = Disks::new();
    let member = disks.try_start(Config { snapshot_count: 500, ..config() }).await.unwrap();
    // More than the 5,000 entries that are kept for peers, and a batch of purging; and on, because a flush begins with a write only, and
    // reaches as far as was applied then.
    let mut written = 0;
    let data = member.handle.raft().data_metrics();
    while data.borrow_watched().purged.is_none() {
        assert!(written < 30_000, "nothing was purged");
        put_numbered(&member, written..written + 500).await;
        written += 500;
    }
    member.stop().await;

    let member = disks.start().await;
    assert_numbered(&member, 0..written);
    member.put("k", "v").await;
    member.stop().await;
}

#[tokio::test]
async fn a_directory_of_another_member_or_cluster_is_refused() {
    let disks = Disks::new();
    let member = disks.start().await;
    member.put("k", "v").await;
    member.stop().await;

    let others =
        [Config { cluster: ClusterId::new(0xbad), ..config() }, Config { member: MemberId::new(0xbad), ..config() }];
    for other in others {
        let error = disks.try_start(other).await.err().unwrap();
        assert!(matches!(error, Error::ForeignData { .. }), "{error}");
        assert!(error.to_string().contains("bad"), "{error}");
    }
    disks.start().await.stop().await;
}

#[tokio::test]
async fn a_state_without_its_log_is_refused() {
    let disks = Disks::new();
    let member = disks.start().await;
    put_numbered(&member, 0..10).await;
    member.stop().await;

    let alone = Disks { fs: wal::SimFs::new(), ..disks };
    let error = alone.try_start(config()).await.err().unwrap();
    assert!(matches!(error, Error::StateAheadOfLog { last: None, .. }), "{error}");
    assert_eq!(error.to_string(), "the state has applied entry 1.11, but the log ends at nothing");
}

#[tokio::test]
async fn a_purged_log_without_its_state_is_refused() {
    let disks = Disks::new();
    let member = disks.try_start(Config { snapshot_count: 500, ..config() }).await.unwrap();
    for block in 0..14 {
        put_numbered(&member, block * 500..(block + 1) * 500).await;
    }
    member.stop().await;

    let alone = Disks { place: MemoryPlace::new(), ..disks };
    let error = alone.try_start(config()).await.err().unwrap();
    assert!(matches!(error, Error::LogBehindState { applied: None, .. }), "{error}");
}

#[tokio::test]
async fn a_state_of_another_history_is_refused() {
    let (one, other) = (Disks::new(), Disks::new());
    let member = one.start().await;
    put_numbered(&member, 0..10).await;
    member.stop().await;
    // The other has the same indexes in later terms.
    other.start().await.stop().await;
    let member = other.start().await;
    put_numbered(&member, 0..5).await;
    member.stop().await;

    let mixed = Disks { fs: one.fs, ..other };
    let error = mixed.try_start(config()).await.err().unwrap();
    assert!(matches!(error, Error::StateConflictsWithLog { .. }), "{error}");
}
