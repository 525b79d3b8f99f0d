//! Reads the log for openraft's replication and apply tasks: from memory where it can, from the WAL where it must.
//!
//! Reading the WAL blocks, so that it is done on a thread that may; it happens at a start, and for a peer that is far behind.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};
use std::sync::Arc;

use futures::{Stream, TryStreamExt, stream};
use openraft::storage::RaftLogReader;
use parking_lot::Mutex;

use crate::Error;
use crate::execution::Execution;
use crate::fault::FaultReport;
use crate::format::decode_payload;
use crate::log_store::from_wal;
use crate::tail::Tail;
use crate::types::{Entry, RaftLogId, TypeConfig, Vote, log_id};

/// Entries read at a time.
const CHUNK_ENTRIES_MAX: usize = 512;

/// Bytes of entries read at a time, for one message to a peer or one step of a replay.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// A view of the log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogReader {
    shared: Arc<LogView>,
}

/// What the log store and its readers share.
pub(crate) struct LogView {
    /// Held for moments, never across a wait.
    pub(crate) tail: Mutex<Tail>,
    pub(crate) state: Mutex<wal::State>,
    pub(crate) disk: wal::Reader,
    pub(crate) execution: Execution,
    pub(crate) fault: FaultReport,
}

impl LogView {
    /// Whether that very entry was written. Between two groups of the writer, what was written is also synced.
    pub(crate) fn is_on_disk(&self, id: RaftLogId) -> bool {
        self.disk.log_id(id.index).map(from_wal) == Some(id)
    }
}

impl LogReader {
    pub(crate) fn new(shared: Arc<LogView>) -> Self {
        Self { shared }
    }

    /// The first entries of `range`, cut to what the log holds: at least one if it holds any of them, at most a chunk.
    async fn read_chunk(&self, range: Range<u64>) -> Result<Vec<Entry>, io::Error> {
        loop {
            let (cold, entries) = self.shared.tail.lock().read(range.clone(), CHUNK_ENTRIES_MAX, CHUNK_BYTES_MAX);
            if cold.is_empty() {
                return Ok(entries);
            }
            let disk = self.shared.disk.clone();
            let wanted = cold.start..cold.end.min(cold.start + CHUNK_ENTRIES_MAX as u64);
            let read = self.shared.execution.blocking(move || disk.read(wanted, CHUNK_BYTES_MAX)).await;
            match read.map_err(io::Error::other)? {
                Ok(records) => return records.into_iter().map(|record| self.decode(record)).collect(),
                // Purged since the tail was asked: the log begins later now.
                Err(wal::Error::Missing { .. }) if self.shared.tail.lock().first() > cold.start => {}
                Err(error) => return Err(self.fail(Error::Log(Arc::new(error)))),
            }
        }
    }

    fn decode(&self, record: wal::Entry) -> Result<Entry, io::Error> {
        let payload = decode_payload(record.payload).map_err(|error| self.fail(error))?;
        Ok(Entry { log_id: log_id(record.term, record.index), payload })
    }

    fn fail(&self, error: Error) -> io::Error {
        let told = io::Error::other(error.to_string());
        self.shared.fault.report(error);
        told
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<R>(&mut self, range: R) -> Result<Vec<Entry>, io::Error>
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.entries_stream(range).await.try_collect().await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read_chunk(start..end).await
    }

    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = Result<Entry, io::Error>> + Send
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        let Range { start, end } = bounds(&range);
        let reader = self.clone();
        stream::try_unfold((reader, start), move |(reader, start)| async move {
            if start >= end {
                return Ok::<_, io::Error>(None);
            }
            let entries = reader.read_chunk(start..end).await?;
            let Some(last) = entries.last().map(|entry| entry.log_id.index) else { return Ok(None) };
            Ok(Some((stream::iter(entries.into_iter().map(Ok)), (reader, last + 1))))
        })
        .try_flatten()
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let state = *self.shared.state.lock();
        Ok(state.voted_for.map(|member| {
            let vote = if state.is_vote_committed { Vote::new_committed } else { Vote::new };
            vote(state.term, member)
        }))
    }

    /// The last entry of each term in the range: from the index, instead of openraft's binary search over entries.
    async fn get_key_log_ids(&mut self, range: RangeInclusive<RaftLogId>) -> Result<Vec<RaftLogId>, io::Error> {
        let (first, last) = range.into_inner();
        let mut keys = Vec::new();
        let mut term = first.leader_id.term;
        for start in self.shared.disk.term_starts() {
            if start.index > first.index && start.index <= last.index {
                keys.push(log_id(term, start.index - 1));
                term = start.term;
            }
        }
        keys.push(last);
        Ok(keys)
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}
