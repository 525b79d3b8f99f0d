//! Editing a draft: several items in one revision, each with what is known about it, if all conditions hold.
//!
//! ```text
//! form      = set:bytes writes conditions guards
//! writes    = count:u32 (key:bytes (0 | 1 value:bytes))*            the key is relative to the set
//! conditions= count:u32 (key:bytes (0 | 1 | 2 count:u32 revision:i64* | 3 count:u32 revision:i64*))*
//! guards    = count:u32 (key:bytes token:i64)*
//! ```

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};

use super::{WRITES_MAX, below, check_set};
use crate::codec::{
    CodecError, get_bytes, get_option, get_revision, get_u8, get_u32, malformed, put_bytes, put_option,
};
use crate::guard::{broken_guard, check_guards, get_guards, put_guards};
use crate::invalid::{Invalid, check_key};
use crate::{Guard, Ledger, Outcome};

/// Writes and deletes keys of a draft, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditDraft {
    /// What all keys of the set begin with; ends with a slash.
    pub set: Bytes,
    /// Each key at most once.
    pub writes: Vec<Write>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// All must hold.
    pub guards: Vec<Guard>,
}

/// A change of one key of a draft: an item, what is known about it, or the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Relative to the set: `items/<key>`, `meta/<key>` or `schema`.
    pub key: Bytes,
    /// `None` deletes it, if it exists.
    pub value: Option<Bytes>,
}

/// What a key must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Relative to the set.
    pub key: Bytes,
    /// How it must be.
    pub expect: Expect,
}

/// How a key must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It must not exist.
    Absent,
    /// It must exist.
    Present,
    /// It must exist, last written at one of these.
    WrittenAt(Vec<Revision>),
    /// It must not have been last written at any of these.
    NotWrittenAt(Vec<Revision>),
}

/// What came of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditOutcome {
    /// All of it was done.
    Edited {
        /// For each write, when its key was last written before; zero if it did not exist.
        before: Vec<Revision>,
    },
    /// A condition does not hold. Nothing was written.
    Conflict {
        /// Its key, relative to the set.
        key: Bytes,
        /// When the key was last written; zero if it does not exist.
        current: Revision,
    },
    /// A guard does not hold. Nothing was written.
    Fenced {
        /// Which, counted from 0.
        guard: usize,
        /// The token of the claim that holds in its place.
        current: Option<Revision>,
    },
}

impl Expect {
    pub(crate) fn holds(&self, current: Option<Revision>) -> bool {
        match self {
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::WrittenAt(revisions) => current.is_some_and(|current| revisions.contains(&current)),
            Self::NotWrittenAt(revisions) => current.is_none_or(|current| !revisions.contains(&current)),
        }
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Absent => out.put_u8(0),
            Self::Present => out.put_u8(1),
            Self::WrittenAt(revisions) => {
                out.put_u8(2);
                put_revisions(out, revisions);
            }
            Self::NotWrittenAt(revisions) => {
                out.put_u8(3);
                put_revisions(out, revisions);
            }
        }
    }

    pub(super) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        match get_u8(from)? {
            0 => Ok(Self::Absent),
            1 => Ok(Self::Present),
            2 => get_revisions(from).map(Self::WrittenAt),
            3 => get_revisions(from).map(Self::NotWrittenAt),
            _ => Err(malformed("unknown kind of expectation")),
        }
    }
}

impl EditDraft {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_set(&self.set)?;
        check_guards(&self.guards)?;
        if self.conditions.len() > WRITES_MAX {
            return Err(Invalid::TooMany);
        }
        self.conditions.iter().try_for_each(|condition| check_draft_key(&self.set, &condition.key))?;
        check_writes(&self.set, &self.writes)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        self.edit(ledger).map(Outcome::EditDraft)
    }

    fn edit<L: Ledger>(&self, ledger: &mut L) -> Result<EditOutcome, L::Fault> {
        if let Some((guard, current)) = broken_guard(ledger, &self.guards)? {
            return Ok(EditOutcome::Fenced { guard, current });
        }
        for Condition { key, expect } in &self.conditions {
            let current = ledger.get(&below(&self.set, key))?.map(|kv| kv.mod_revision);
            if !expect.holds(current) {
                return Ok(EditOutcome::Conflict { key: key.clone(), current: current.unwrap_or(Revision::ZERO) });
            }
        }
        let before = read_before(ledger, &self.set, &self.writes)?;
        write_all(ledger, &self.set, &self.writes, &before)?;
        Ok(EditOutcome::Edited { before })
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.set);
        put_writes(out, &self.writes);
        put_count(out, self.conditions.len());
        for Condition { key, expect } in &self.conditions {
            put_bytes(out, key);
            expect.put(out);
        }
        put_guards(out, &self.guards);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let set = get_bytes(from)?;
        let writes = get_writes(from)?;
        let count = get_u32(from)?;
        let conditions = (0..count)
            .map(|_| Ok(Condition { key: get_bytes(from)?, expect: Expect::get(from)? }))
            .collect::<Result<_, _>>()?;
        Ok(Self { set, writes, conditions, guards: get_guards(from)? })
    }
}

/// A key of a draft: nothing else of a set may be written by an edit.
fn check_draft_key(set: &[u8], key: &Bytes) -> Result<(), Invalid> {
    let is_item = [&b"items/"[..], b"meta/"].iter().any(|folder| key.starts_with(folder) && key.len() > folder.len());
    if !is_item && key != "schema" {
        return Err(Invalid::BadName);
    }
    check_key(&below(set, key))
}

pub(super) fn check_writes(set: &[u8], writes: &[Write]) -> Result<(), Invalid> {
    if writes.len() > WRITES_MAX {
        return Err(Invalid::TooMany);
    }
    writes.iter().try_for_each(|write| check_draft_key(set, &write.key))?;
    let distinct: BTreeSet<&Bytes> = writes.iter().map(|write| &write.key).collect();
    if distinct.len() == writes.len() { Ok(()) } else { Err(Invalid::WrittenTwice) }
}

/// When the keys of `writes` were last written; zero for what does not exist.
pub(super) fn read_before<L: Ledger>(ledger: &L, set: &[u8], writes: &[Write]) -> Result<Vec<Revision>, L::Fault> {
    let revision =
        |write: &Write| Ok(ledger.get(&below(set, &write.key))?.map_or(Revision::ZERO, |kv| kv.mod_revision));
    writes.iter().map(revision).collect()
}

/// Does what `writes` say to keys that were as `before` says.
pub(super) fn write_all<L: Ledger>(
    ledger: &mut L,
    set: &[u8],
    writes: &[Write],
    before: &[Revision],
) -> Result<(), L::Fault> {
    for (write, before) in writes.iter().zip(before) {
        let key = below(set, &write.key);
        match &write.value {
            Some(value) => ledger.put(key, value.clone(), LeaseId::NONE)?,
            None if *before > Revision::ZERO => ledger.delete(&key)?,
            None => {}
        }
    }
    Ok(())
}

pub(super) fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32_le(u32::try_from(count).expect("the edge bounds a request far below 4 billion parts"));
}

pub(super) fn put_writes(out: &mut BytesMut, writes: &[Write]) {
    put_count(out, writes.len());
    for Write { key, value } in writes {
        put_bytes(out, key);
        put_option(out, value.as_ref(), |out, value| put_bytes(out, value));
    }
}

pub(super) fn get_writes(from: &mut Bytes) -> Result<Vec<Write>, CodecError> {
    let count = get_u32(from)?;
    (0..count).map(|_| Ok(Write { key: get_bytes(from)?, value: get_option(from, get_bytes)? })).collect()
}

fn put_revisions(out: &mut BytesMut, revisions: &[Revision]) {
    put_count(out, revisions.len());
    revisions.iter().for_each(|revision| out.put_i64_le(revision.get()));
}

fn get_revisions(from: &mut Bytes) -> Result<Vec<Revision>, CodecError> {
    let count = get_u32(from)?;
    (0..count).map(|_| get_revision(from)).collect()
}
