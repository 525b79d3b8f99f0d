//! openraft's own suite for log stores, run against ours over a real WAL and the smallest state machine that can take part.

use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use model::{ClusterId, MemberId};
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::{EntryResponder, IOFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{RaftSnapshotBuilder, StorageError};
use tokio::sync::watch;

use super::Disks;
use crate::fault::FaultReport;
use crate::log_reader::LogReader;
use crate::log_store::{LogStore, LogThread};
use crate::maintenance::Flushed;
use crate::owner::Owner;
use crate::snapshot::Durable;
use crate::types::{Entry, Payload, RaftLogId, StoredMembership, TypeConfig, Vote, log_id};

/// The suite begins some logs at index 1, which openraft never does and ours refuses: these get a blank entry 0.
struct FromAnyIndex(LogStore);

impl RaftLogStorage<TypeConfig> for FromAnyIndex {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        self.0.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.0.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.0.save_vote(vote).await
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> Result<(), io::Error> {
        self.0.save_committed(committed).await
    }

    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        self.0.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let next = self.0.get_log_state().await?.last_log_id.map_or(0, |id| id.index + 1);
        let missing =
            (next..entries[0].log_id.index).map(|index| Entry { log_id: log_id(0, index), payload: Payload::Blank });
        let entries: Vec<_> = missing.chain(entries.clone()).collect();
        self.0.append(entries, flushed).await
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> Result<(), io::Error> {
        self.0.truncate_after(last).await
    }

    async fn purge(&mut self, upto: RaftLogId) -> Result<(), io::Error> {
        self.0.purge(upto).await
    }
}

/// Remembers what it was told last.
#[derive(Clone, Default)]
struct Memo {
    applied: Option<RaftLogId>,
    membership: StoredMembership,
}

impl RaftSnapshotBuilder<TypeConfig> for Memo {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, ()>, io::Error> {
        let meta = SnapshotMetaOf::<TypeConfig> { last_log_id: self.applied, last_membership: self.membership.clone() };
        Ok(SnapshotOf::<TypeConfig, ()> { meta, snapshot: () })
    }
}

impl RaftStateMachine<TypeConfig> for Memo {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        while let Some((entry, _)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            if let Payload::Membership(membership) = entry.payload {
                self.membership = StoredMembership::new(self.applied, membership);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<TypeConfig>, _: ()) -> Result<(), io::Error> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, ()>>, io::Error> {
        Ok(None)
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, FromAnyIndex, Memo, LogThread> for Builder {
    async fn build(&self) -> Result<(LogThread, FromAnyIndex, Memo), StorageError<TypeConfig>> {
        // The suite purges without ever flushing a state: this one claims to be far ahead.
        let durable = Durable { last: log_id(9, 1_000_000), membership: StoredMembership::default() };
        let (_, flushed) = watch::channel(Flushed { count: 0, durable: Some(durable) });
        let identity = Owner { cluster: ClusterId::new(1), member: MemberId::new(0) };
        let fault = FaultReport::new(Arc::new(|error| panic!("{error}")));
        let (log, thread) = LogStore::new(Disks::new().log().open().unwrap(), identity, flushed, fault).unwrap();
        Ok((thread, FromAnyIndex(log), Memo::default()))
    }
}

/// Runs tests of the suite, each on a log of its own.
macro_rules! run {
    ($($test:ident,)*) => {
        $({
            let (thread, log, machine) = Builder.build().await.unwrap();
            TheSuite::$test(log, machine).await.unwrap_or_else(|error| panic!("{}: {error}", stringify!($test)));
            thread.stop().await.unwrap();
        })*
    };
}

type TheSuite = Suite<TypeConfig, FromAnyIndex, Memo, Builder, LogThread>;

/// All that concerns the log, but `get_initial_state_log_ids`: it insists on a log that begins at index 2 with nothing purged.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn our_log_store_keeps_openrafts_contract() {
    run! {
    last_membership_in_log_initial, last_membership_in_log, last_membership_in_log_multi_step,
    get_membership_initial, get_membership_from_log_and_empty_sm, get_membership_from_empty_log_and_sm,
    get_membership_from_log_le_sm_last_applied, get_membership_from_log_gt_sm_last_applied_1,
    get_membership_from_log_gt_sm_last_applied_2, get_initial_state_without_init,
    get_initial_state_membership_from_empty_log_and_sm,
    get_initial_state_membership_from_sm_inlog_is_smaller,
    get_initial_state_membership_from_log_insm_is_smaller, get_initial_state_with_state,
    get_initial_state_last_log_gt_sm, get_initial_state_last_log_lt_sm,
    get_initial_state_inverted_log_order, get_initial_state_conflict_at_same_index,
    get_initial_state_re_apply_committed, save_vote, get_log_entries, limited_get_log_entries,
    leader_bounded_stream, entries_stream, try_get_log_entry, log_reader_reads_new_entries, initial_logs,
    get_log_state, get_log_id, last_id_in_log, purge_logs_upto_0, purge_logs_upto_5,
    purge_logs_upto_20, delete_logs_after_11, delete_logs_after_5, delete_logs_after_0,
    delete_logs_after_none, append_to_log, }
}
