//! Answers to requests. The revision of the header is part of each: it is decided when the request is executed.

use crate::{KeyValue, Revision};

/// Answer to a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// Revision of the store when read; not the revision asked for.
    pub revision: Revision,
    /// The keys, sorted and cut as asked.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left some out.
    pub more: bool,
    /// How many keys the range holds at that revision, whatever the limit and the filters.
    pub count: i64,
}

/// Answer to a put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutResponse {
    /// Revision of the write.
    pub revision: Revision,
    /// The version before, if asked for and there was one.
    pub previous: Option<KeyValue>,
}

/// Answer to a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteResponse {
    /// Revision of the deletion; the current one when nothing was there.
    pub revision: Revision,
    /// How many keys were deleted.
    pub deleted: i64,
    /// The versions deleted, if asked for.
    pub previous: Vec<KeyValue>,
}

/// Answer to one operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResponse {
    /// To a range.
    Range(RangeResponse),
    /// To a put.
    Put(PutResponse),
    /// To a delete.
    Delete(DeleteResponse),
    /// To a transaction inside.
    Txn(TxnResponse),
}

/// Answer to a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// Revision after the transaction.
    pub revision: Revision,
    /// Whether all conditions held.
    pub succeeded: bool,
    /// One answer for each operation of the branch that ran, in order.
    pub responses: Vec<OpResponse>,
}
