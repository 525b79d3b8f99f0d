//! What the log keeps: plain values, without a byte of layout (that is `format`) and without an opinion on Raft.
//!
//! The log gives meaning to indexes only: entries are contiguous, an entry replaces what had its index and all after it, a purge
//! forgets a prefix. Terms, votes and payloads are stored and returned as they came.

use bytes::Bytes;

/// Names one entry: the term that made it and its index. The first index of a log is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The leader's term.
    pub term: u64,
    /// The position in the log.
    pub index: u64,
}

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The leader's term.
    pub term: u64,
    /// The position in the log.
    pub index: u64,
    /// What the entry says; opaque here. At most [`MAX_PAYLOAD`](crate::MAX_PAYLOAD) bytes.
    pub payload: Bytes,
}

impl Entry {
    /// The entry's name.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        LogId { term: self.term, index: self.index }
    }
}

/// What a member must remember besides its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// The highest term seen.
    pub term: u64,
    /// The member voted for in that term.
    pub voted_for: Option<u64>,
    /// Whether that vote is known to be granted by a quorum, which makes `voted_for` the leader of `term`.
    pub is_vote_committed: bool,
    /// The last entry known to be committed.
    pub commit: Option<LogId>,
}

impl State {
    /// Whether moving from `self` to `next` must be durable before anyone hears of it. A commit alone need not: after a crash the
    /// leader tells it again.
    #[must_use]
    pub fn must_sync(&self, next: &State) -> bool {
        (self.term, self.voted_for, self.is_vote_committed) != (next.term, next.voted_for, next.is_vote_committed)
    }
}

/// The mark that a durable snapshot of the state machine covers all entries up to and including `log_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry covered.
    pub log_id: LogId,
    /// What the owner needs to use the snapshot (its membership); opaque here.
    pub data: Bytes,
}
