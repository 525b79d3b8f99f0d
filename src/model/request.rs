//! What a client may ask of the store, as values; etcd's meanings.

use bytes::Bytes;

use crate::{KeyRange, LeaseId, Revision};

/// Order of a range's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// By key; with a target other than the key, ascending *after* the limit was applied (etcd's quirk).
    #[default]
    None,
    /// Smallest first; the whole range is sorted, then cut.
    Ascend,
    /// Largest first; the whole range is sorted, then cut.
    Descend,
}

/// What a range is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTarget {
    /// The key.
    #[default]
    Key,
    /// The version.
    Version,
    /// The create revision.
    Create,
    /// The mod revision.
    Mod,
    /// The value.
    Value,
}

/// A read of a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// At most this many keys; zero or less means all.
    pub limit: i64,
    /// Read as of this revision; zero or less means the latest.
    pub revision: Revision,
    /// Order of the answer.
    pub order: SortOrder,
    /// What it is ordered by.
    pub target: SortTarget,
    /// Local state will do: no agreement with other members, possibly stale.
    pub serializable: bool,
    /// Leave the values out.
    pub keys_only: bool,
    /// Count, return nothing.
    pub count_only: bool,
    /// Lower bound of the mod revision, included; zero is off.
    pub min_mod_revision: Revision,
    /// Upper bound of the mod revision, included; zero is off.
    pub max_mod_revision: Revision,
    /// Lower bound of the create revision, included; zero is off.
    pub min_create_revision: Revision,
    /// Upper bound of the create revision, included; zero is off.
    pub max_create_revision: Revision,
}

impl RangeRequest {
    /// A linearizable read of the whole range at the latest revision, by key.
    #[must_use]
    pub fn new(range: KeyRange) -> Self {
        Self {
            range,
            limit: 0,
            revision: Revision::ZERO,
            order: SortOrder::None,
            target: SortTarget::Key,
            serializable: false,
            keys_only: false,
            count_only: false,
            min_mod_revision: Revision::ZERO,
            max_mod_revision: Revision::ZERO,
            min_create_revision: Revision::ZERO,
            max_create_revision: Revision::ZERO,
        }
    }

    /// The same read, of at most `limit` keys.
    #[must_use]
    pub fn with_limit(self, limit: i64) -> Self {
        Self { limit, ..self }
    }

    /// The same read, as of `revision`.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        Self { revision, ..self }
    }
}

/// A write of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutRequest {
    /// The key; must not be empty.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// Lease to attach, or none, which detaches.
    pub lease: LeaseId,
    /// Return the version before.
    pub prev_kv: bool,
    /// Keep the present value; the key must exist.
    pub ignore_value: bool,
    /// Keep the present lease; the key must exist.
    pub ignore_lease: bool,
}

/// A deletion of a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Which keys.
    pub range: KeyRange,
    /// Return the versions deleted.
    pub prev_kv: bool,
}

/// How a property of a key is compared with an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareResult {
    /// Equal.
    Equal,
    /// The key's property is greater.
    Greater,
    /// The key's property is less.
    Less,
    /// Not equal.
    NotEqual,
    /// A number this version does not know: the comparison holds, as in etcd.
    Unknown,
}

/// What is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The version; 0 for an absent key.
    Version(i64),
    /// The create revision; 0 for an absent key.
    Create(i64),
    /// The mod revision; 0 for an absent key.
    Mod(i64),
    /// The value; an absent key never compares true.
    Value(Bytes),
    /// The lease; 0 for an absent key.
    Lease(i64),
    /// A target this version does not know: zero is compared with zero, as in etcd.
    Unknown,
}

/// One condition of a transaction: every key of the range must satisfy it; an empty range is like an absent key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Which keys.
    pub range: KeyRange,
    /// The relation.
    pub result: CompareResult,
    /// Property and operand.
    pub operand: Operand,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read.
    Range(RangeRequest),
    /// Write.
    Put(PutRequest),
    /// Delete.
    Delete(DeleteRequest),
    /// A transaction inside; its conditions are evaluated on the state before the outermost one.
    Txn(TxnRequest),
}

/// If all conditions hold then `success`, else `failure`; in one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnRequest {
    /// Conditions; none means true.
    pub compares: Vec<Compare>,
    /// Operations when all hold.
    pub success: Vec<Op>,
    /// Operations when one does not.
    pub failure: Vec<Op>,
}

impl TxnRequest {
    /// Whether it can be answered from a read view: only ranges, in both branches. One with a transaction inside is not,
    /// whatever is in it (etcd's rule).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| matches!(op, Op::Range(_)))
    }

    /// Whether local state will do: all ranges ask for no more. One without any operation counts as such (etcd's quirk).
    #[must_use]
    pub fn is_serializable(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| matches!(op, Op::Range(range) if range.serializable))
    }
}
