//! A running member: proposals, reads, leadership, limits, the end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use model::{LogIndex, MemberId, Revision, Term};
use state::{MemoryPlace, MemoryStorage, Storage};
use tokio::time::Instant;

use super::{Disks, config, put, soon};
use crate::{ApplySink, Config, Leadership, ProposeError, ReadIndexError};

#[tokio::test]
async fn a_new_member_creates_its_cluster_and_leads_it() {
    let member = Disks::new().start().await;
    member.put("k", "v").await;
    let status = member.handle.status();
    assert!(status.is_leader);
    assert_eq!(status.leader, Some(MemberId::new(0xa1)));
    // The membership, the leader's blank entry, the put.
    assert_eq!(status.applied, LogIndex::new(2));
    assert!(status.applied <= status.committed && status.committed <= status.last);
    assert_eq!(status.term, Term::new(1));
    member.stop().await;
}

#[tokio::test]
async fn a_reply_is_given_after_the_state_holds_the_write() {
    let member = Disks::new().start().await;
    for n in 0..50 {
        let committed = member.put("k", &n.to_string()).await;
        assert_eq!(committed.reply.revision, Revision::new(n + 2));
        assert!(committed.reply.result.is_ok());
        assert_eq!(member.get("k"), Some(n.to_string()));
    }
    member.stop().await;
}

#[tokio::test]
async fn concurrent_proposals_are_answered_each_with_its_own_reply_and_reach_the_sink_in_order() {
    let member = Disks::new().start().await;
    let member_ref = &member;
    let puts = (0..200).map(|n| async move { (n, member_ref.put(&format!("k{n}"), &n.to_string()).await) });
    let committed = join_all(puts).await;
    let mut revisions: Vec<_> = committed.iter().map(|(_, committed)| committed.reply.revision).collect();
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), 200, "every write has its own revision");

    let batches = member.batches.lock().clone();
    let seen: Vec<_> = batches.iter().flat_map(|batch| batch.changes.iter().map(|change| change.revision)).collect();
    assert_eq!(seen, (2..202).map(Revision::new).collect::<Vec<_>>(), "no revision is missed, none comes twice");
    for (n, committed) in committed {
        let change =
            batches.iter().flat_map(|batch| &batch.changes).find(|change| change.revision == committed.reply.revision);
        assert_eq!(change.unwrap().events[0].kv.key, format!("k{n}").into_bytes());
    }
    member.stop().await;
}

#[tokio::test]
async fn a_read_index_covers_every_write_answered_before() {
    let member = Disks::new().start().await;
    for n in 0..20 {
        let written = member.put("k", &n.to_string()).await;
        member.handle.read_index(soon()).await.unwrap();
        assert!(member.handle.status().applied >= written.log_id.index);
    }
    let reads = join_all((0..500).map(|_| member.handle.read_index(soon()))).await;
    assert!(reads.iter().all(Result::is_ok));
    member.stop().await;
}

#[tokio::test]
async fn leadership_is_gained_once_the_terms_blank_entry_is_applied() {
    let member = Disks::new().start().await;
    let mut leadership = member.handle.leadership();
    let gained = *leadership.wait_for(|now| *now != Leadership::None).await.unwrap();
    assert_eq!(gained, Leadership::Leader { term: Term::new(1) });
    assert!(member.handle.status().applied >= LogIndex::new(1));
    member.stop().await;
    assert_eq!(*leadership.borrow(), Leadership::None, "a member that stopped leads nothing");
}

#[tokio::test]
async fn proposals_beyond_the_limit_are_refused_and_not_applied() {
    let member = Disks::new().try_start(Config { proposals_max: 4, ..config() }).await.unwrap();
    member.put("warm", "up").await;
    // All are polled once before any is answered, on this one thread.
    let answers = join_all((0..10).map(|n| member.handle.propose(put(&format!("k{n}"), "v"), soon()))).await;
    let refused = answers.iter().filter(|answer| answer.as_ref().err() == Some(&ProposeError::TooManyRequests)).count();
    assert_eq!(refused, 6);
    assert!(!ProposeError::TooManyRequests.may_be_applied());
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), member.get(&format!("k{n}")).is_some());
    }
    // The places came back.
    member.put("after", "v").await;
    member.stop().await;
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_stop_its_entry() {
    let member = Disks::new().start().await;
    member.put("warm", "up").await;
    {
        let proposal = member.handle.propose(put("k", "v"), soon());
        tokio::pin!(proposal);
        assert!(futures::poll!(&mut proposal).is_pending());
    }
    member.put("later", "v").await;
    assert_eq!(member.get("k").as_deref(), Some("v"), "it was in the log before the later one");
    member.stop().await;
}

#[tokio::test]
async fn a_deadline_in_the_past_says_what_became_of_the_proposal() {
    let member = Disks::new().start().await;
    member.put("warm", "up").await;
    let error = member.handle.propose(put("k", "v"), Instant::now() - Duration::from_secs(1)).await.unwrap_err();
    assert!(error.may_be_applied(), "{error}: it was handed to the log before the clock was looked at");
    member.stop().await;
}

#[tokio::test]
async fn after_the_end_everything_is_refused_as_stopped() {
    let member = Disks::new().start().await;
    member.put("k", "v").await;
    let handle = member.handle.clone();
    member.stop().await;
    assert_eq!(handle.propose(put("k", "w"), soon()).await.unwrap_err(), ProposeError::Stopped);
    assert_eq!(handle.read_index(soon()).await.unwrap_err(), ReadIndexError::Stopped);
}

#[tokio::test]
async fn proposals_under_way_are_answered_before_the_end() {
    let member = Disks::new().start().await;
    member.put("warm", "up").await;
    let handle = member.handle.clone();
    let under_way: Vec<_> = (0..50)
        .map(|n| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.propose(put(&format!("k{n}"), "v"), soon()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    member.stop().await;
    for answer in under_way {
        let answer = answer.await.unwrap();
        assert!(answer.is_ok() || answer.as_ref().is_err_and(|error| !error.may_be_applied()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_member_that_is_not_in_its_cluster_is_refused() {
    let config = Config { member: MemberId::new(0xee), ..config() };
    let disks = Disks::new();
    let error = disks.try_start(config).await.err().unwrap();
    assert!(matches!(error, crate::Error::Config(_)), "{error}");
    assert!(disks.log().open().unwrap().owner().unwrap().is_none(), "a cluster that cannot be is not begun");
}

#[tokio::test]
async fn a_failed_write_of_the_log_is_a_fault_and_is_told_once() {
    let disks = Disks::new();
    let member = disks.start().await;
    member.put("k", "v").await;
    disks.fs.fail_after(0, wal::Fault::Eio);
    let error = member.handle.propose(put("k", "lost"), soon()).await.unwrap_err();
    assert!(error.may_be_applied(), "{error}: nobody knows what the disk holds");
    assert_eq!(member.handle.propose(put("k", "more"), soon()).await.unwrap_err(), ProposeError::Stopped);
    let faults = member.faults.lock();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(matches!(faults[0], crate::Error::Log(_)), "{faults:?}");
}

#[tokio::test]
async fn a_proposal_that_no_record_holds_is_refused_before_it_can_fail_the_log() {
    let member = Disks::new().start().await;
    let payload = bytes::Bytes::from(vec![0; crate::PROPOSAL_BYTES_MAX + 1]);
    assert_eq!(member.handle.propose(payload, soon()).await.unwrap_err(), ProposeError::TooManyRequests);
    member.put("k", "v").await;
    member.stop().await;
}

/// Holds the apply worker at the first batch that changes something, until told to go on.
struct Gate(Option<std::sync::mpsc::Receiver<()>>);

impl ApplySink for Gate {
    fn applied(&mut self, batch: Arc<model::AppliedBatch>) {
        if !batch.changes.is_empty()
            && let Some(gate) = self.0.take()
        {
            // Hands this worker's other tasks over: one in its slot for the next task could not be taken by another worker.
            tokio::task::block_in_place(|| gate.recv()).unwrap();
        }
    }

    fn replaced(&mut self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_read_waits_until_what_was_committed_is_applied_here() {
    let (open, gate) = std::sync::mpsc::channel();
    let sink = Box::new(Gate(Some(gate)));
    let member = Disks::new().try_start_with(config(), state::Options::default(), sink).await.unwrap();
    // Answered, for answers come before the sink; the next one is committed and not applied.
    member.put("k", "1").await;
    let handle = member.handle.clone();
    let second = tokio::spawn(async move { handle.propose(put("k", "2"), soon()).await });
    while member.handle.status().committed.get() < 3 {
        tokio::task::yield_now().await;
    }
    let handle = member.handle.clone();
    let read = tokio::spawn(async move { handle.read_index(soon()).await });
    // A read that would not wait is answered by then: the second write waits for nothing but the gate.
    let early = member.handle.read_index(Instant::now() + Duration::from_millis(50)).await;
    assert_eq!(early.unwrap_err(), ReadIndexError::Timeout);
    assert!(!read.is_finished() && !second.is_finished());
    assert_eq!(member.get("k").as_deref(), Some("1"));

    open.send(()).unwrap();
    read.await.unwrap().unwrap();
    assert_eq!(member.get("k").as_deref(), Some("2"));
    second.await.unwrap().unwrap();
    member.stop().await;
}

/// A storage whose groups wait at a gate.
struct GatedStorage {
    within: MemoryStorage,
    gate: parking_lot::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Storage for GatedStorage {
    fn view(&self) -> Arc<dyn state::View> {
        self.within.view()
    }

    fn ingest(&self, group: &mut dyn Iterator<Item = state::Edit>) -> Result<(), state::Fault> {
        // Once nobody holds the other end, everything passes.
        let _ = self.gate.lock().recv();
        self.within.ingest(group)
    }

    fn discard(&self, from: &[u8], to: &[u8]) -> Result<(), state::Fault> {
        self.within.discard(from, to)
    }

    fn disk_bytes(&self) -> u64 {
        self.within.disk_bytes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_memory_holds_proposals_back_until_it_is_flushed() {
    let (open, gate) = std::sync::mpsc::channel();
    let storage = Arc::new(GatedStorage { within: MemoryStorage::new(), gate: gate.into() });
    let disks = Disks { place: MemoryPlace::over(storage.clone()), ..Disks::new() };
    let options = state::Options { flush_bytes: 20_000 };
    // A new store is marked at once; everything after that waits.
    open.send(()).unwrap();
    let member = disks.try_start_with(config(), options, Box::new(Gate(None))).await.unwrap();
    // In many groups, so that memory is looked at between them.
    let handle = member.handle.clone();
    let puts = tokio::spawn(async move {
        for n in 0..500 {
            handle.propose(put(&format!("k{n}"), "v"), soon()).await.unwrap();
        }
    });
    // The same twice in a row: nothing is applied any more.
    let mut applied = (0, 1);
    while applied.0 != applied.1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        applied = (applied.1, member.handle.status().applied.get());
    }
    assert!(!puts.is_finished(), "memory for {} entries was found although none could be flushed", applied.0);
    let marks = storage.disk_bytes();
    assert!(marks < 100, "only the marks are there");
    drop(open);
    puts.await.unwrap();
    assert!(storage.disk_bytes() > marks);
    member.stop().await;
}
