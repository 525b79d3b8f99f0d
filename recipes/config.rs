//! Configuration: what a set of items is made of, as keys.
//!
//! ```text
//! <set>items/<key>                  the draft: raw bytes, written by anybody, with or without this recipe
//! <set>meta/<key>                   what is known about an item beside its value
//! <set>schema                       the draft's schema
//! <set>releases/<16 digits>         a release: a whole snapshot, written once
//! <set>latest                       the number of the newest release, in decimal
//! <set>labels/<label>               the number of the release that a label names, in decimal
//! <set>rollout                      the newest rollout, a JSON document
//! <set>acks/<16 digits>/<client>    how a client fared with the release of that rollout: `applied` or `failed`
//! <set>clients/<client>             what a client said last, for as long as its session lives
//! ```
//!
//! - A release is a key and not a revision of other keys: compaction does not touch it. Its number is given when it is applied,
//!   one more than that of the release before, and it is never written again.
//! - What belongs together is written in one revision: items, release, label, rollout. Who follows the set sees all of it or
//!   none.
//! - Records of items, releases and clients are the proposer's to compose and are not looked into; numbers, labels and the
//!   state of a rollout are decided here, from the keys alone. No clock: a rollout moves on when clients report, or when
//!   somebody says so.

mod ack;
mod edit;
mod label;
mod publish;
mod rollout;
mod rollout_control;

use bytes::Bytes;
use model::KeyValue;

use crate::Ledger;
use crate::invalid::{Invalid, check_key};

pub use ack::{AckOutcome, AckStatus, Acknowledge};
pub use edit::{Condition, EditDraft, EditOutcome, Expect, Write};
pub use label::{LabelOutcome, MoveLabel};
pub use publish::{DraftState, Publish, PublishOutcome, Target};
pub use rollout::{OnFailure, Plan, Rollout, RolloutState, Scope, Step};
pub use rollout_control::{ControlOutcome, ControlRollout, RolloutAction};

/// Most writes of one command.
pub const WRITES_MAX: usize = 20_000;

/// The key below `set` of the release of that number.
#[must_use]
pub fn release_key(set: &[u8], version: u64) -> Bytes {
    below(set, format!("releases/{version:016}").as_bytes())
}

/// The number of the release that a key is, whatever its set.
#[must_use]
pub fn version_of_release(key: &[u8]) -> Option<u64> {
    let start = key.iter().rposition(|byte| *byte == b'/')? + 1;
    number(&key[start..])
}

/// The decimal number that a label's or the newest release's value is.
#[must_use]
pub fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// `set` with `rest` behind it.
fn below(set: &[u8], rest: &[u8]) -> Bytes {
    [set, rest].concat().into()
}

fn label_key(set: &[u8], label: &[u8]) -> Bytes {
    below(set, &[b"labels/", label].concat())
}

/// What the acknowledgements of the rollout to `version` begin with.
fn acks_prefix(set: &[u8], version: u64) -> Bytes {
    below(set, format!("acks/{version:016}/").as_bytes())
}

/// The release that a label names, if it names one.
fn labelled<L: Ledger>(ledger: &L, set: &[u8], label: &[u8]) -> Result<Option<(u64, KeyValue)>, L::Fault> {
    let found = ledger.get(&label_key(set, label))?;
    Ok(found.and_then(|kv| Some((number(&kv.value)?, kv))))
}

/// The newest release's number; 0 when there is none.
fn latest<L: Ledger>(ledger: &L, set: &[u8]) -> Result<u64, L::Fault> {
    let found = ledger.get(&below(set, b"latest"))?;
    Ok(found.and_then(|kv| number(&kv.value)).unwrap_or(0))
}

/// A set's prefix ends with a slash, so that no set is the beginning of another's name.
fn check_set(set: &Bytes) -> Result<(), Invalid> {
    if set.last() != Some(&b'/') {
        return Err(Invalid::EmptyPrefix);
    }
    check_key(set)
}

/// One part of a path: what a label or a client is called.
fn check_name(set: &[u8], folder: &[u8], name: &[u8]) -> Result<(), Invalid> {
    if name.is_empty() || name.contains(&b'/') {
        return Err(Invalid::BadName);
    }
    check_key(&below(set, &[folder, name].concat()))
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
