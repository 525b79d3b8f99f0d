//! Vocabulary of the whole project: plain values, no I/O, no clock, no async.
//!
//! What every floor above speaks of: numbers that must not be confused ([`Revision`], [`LogIndex`], [`LeaseId`] …), keys and
//! ranges, requests and their answers, the command that travels in a log entry ([`Proposal`]) with its binary format, and what
//! applying a group of entries changed ([`AppliedBatch`]). Beside them what everybody counts time in: [`Durations`]. Semantics of
//! etcd 3.6 are meant wherever a name is etcd's.

mod alarm;
mod applied;
mod auth;
mod auth_codec;
mod check;
mod codec;
mod command;
mod cost;
mod durations;
mod key;
mod kv;
mod numbers;
mod rejection;
mod request;
mod response;
#[cfg(seeded_bugs)]
mod seeded_bug;

pub use alarm::{Alarm, AlarmCause, AlarmChange, AlarmKind};
pub use applied::{AppliedBatch, AuthChange, Change, LeaseChange};
pub use auth::{AUTH_NAME_BYTES_MAX, Access, AuthCommand, Permission, ROOT, TokenDigest};
pub use check::{KEY_BYTES_MAX, Limits};
pub use codec::{CodecError, DEPTH_MAX};
pub use command::{Command, Identity, LeaseCheckpoint, Proposal};
pub use durations::{DurationCounts, Durations};
pub use key::KeyRange;
pub use kv::{Event, EventKind, KeyValue};
pub use numbers::{ClusterId, LeaseId, LogId, LogIndex, MemberId, Revision, Term};
pub use rejection::Rejection;
pub use request::{
    Compare, CompareResult, DeleteRequest, Op, Operand, PutRequest, RangeRequest, SortOrder, SortTarget, TxnRequest,
};
pub use response::{DeleteResponse, OpResponse, PutResponse, RangeResponse, TxnResponse};
#[cfg(seeded_bugs)]
pub use seeded_bug::seeded_bug;
