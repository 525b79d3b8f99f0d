//! Publishing: a release, the draft that it is made of, and what it is for, in one revision.
//!
//! ```text
//! form   = set:bytes record:bytes writes draft expect target guards
//! draft  = 0 | 1 count:u32 revision:i64
//! expect = 0 | 1 version:i64
//! target = 0 | 1 label:bytes | 2 label:bytes plan               nothing, a label, a rollout to where a label is
//! ```
//!
//! The proposer has read a draft, checked it, and composed the record of the release. If the draft is not that one any more, the
//! release is refused: what is published is what was checked. A rollback is a release too, of what an older one holds.

use bytes::{BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};

use super::edit::{check_writes, get_writes, put_writes, read_before, write_all};
use super::rollout::{Plan, Rollout, RolloutState};
use super::{Write, acks_prefix, below, check_name, check_set, label_key, labelled, latest, release_key};
use crate::codec::{
    CodecError, get_bytes, get_i64, get_option, get_revision, get_u8, get_u32, malformed, put_bytes, put_option,
};
use crate::guard::{broken_guard, check_guards, get_guards, put_guards};
use crate::invalid::Invalid;
use crate::{Guard, Ledger, Outcome};

/// Makes a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// What all keys of the set begin with; ends with a slash.
    pub set: Bytes,
    /// The release's value; not interpreted here.
    pub record: Bytes,
    /// What becomes of the draft with it.
    pub writes: Vec<Write>,
    /// Only if the draft is as it was; `None`: whatever it is.
    pub draft: Option<DraftState>,
    /// Only if the newest release is this; 0: only if there is none; `None`: whichever it is.
    pub expect: Option<u64>,
    /// What the release is for.
    pub target: Target,
    /// All must hold.
    pub guards: Vec<Guard>,
}

/// A draft as it was when it was read: no key of it has been written since, and none has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftState {
    /// How many keys it had: items, what is known about them, the schema.
    pub keys: u32,
    /// The store's revision when it was read.
    pub revision: Revision,
}

/// What a release is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To be there.
    Kept,
    /// A label names it from now on.
    Label(Bytes),
    /// A label shall name it, once enough clients have taken it up.
    Rollout {
        /// The label.
        label: Bytes,
        /// In which steps.
        plan: Plan,
    },
}

/// What came of publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// It is done.
    Published {
        /// The release's number.
        version: u64,
    },
    /// The newest release is another. Nothing was written.
    Conflict {
        /// It; 0 when there is none.
        latest: u64,
    },
    /// The draft was changed since it was read. Nothing was written.
    DraftChanged,
    /// A rollout to where the label is has not ended. Nothing was written.
    RolloutActive {
        /// Of which release.
        version: u64,
    },
    /// A guard does not hold. Nothing was written.
    Fenced {
        /// Which, counted from 0.
        guard: usize,
        /// The token of the claim that holds in its place.
        current: Option<Revision>,
    },
}

impl Target {
    pub(super) const fn label(&self) -> Option<&Bytes> {
        match self {
            Self::Kept => None,
            Self::Label(label) | Self::Rollout { label, .. } => Some(label),
        }
    }
}

impl Publish {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_set(&self.set)?;
        check_guards(&self.guards)?;
        check_writes(&self.set, &self.writes)?;
        if let Some(label) = self.target.label() {
            check_name(&self.set, b"labels/", label)?;
        }
        match &self.target {
            Target::Rollout { plan, .. } => plan.check(),
            Target::Kept | Target::Label(_) => Ok(()),
        }
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let outcome = match self.refusal(ledger)? {
            Some(refusal) => refusal,
            None => PublishOutcome::Published { version: self.publish(ledger)? },
        };
        Ok(Outcome::Publish(outcome))
    }

    fn refusal<L: Ledger>(&self, ledger: &mut L) -> Result<Option<PublishOutcome>, L::Fault> {
        if let Some((guard, current)) = broken_guard(ledger, &self.guards)? {
            return Ok(Some(PublishOutcome::Fenced { guard, current }));
        }
        let latest = latest(ledger, &self.set)?;
        if self.expect.is_some_and(|expected| expected != latest) {
            return Ok(Some(PublishOutcome::Conflict { latest }));
        }
        if let Some(draft) = self.draft
            && !draft.is_still(ledger, &self.set)?
        {
            return Ok(Some(PublishOutcome::DraftChanged));
        }
        let rollout = Rollout::read(ledger, &self.set)?.filter(|rollout| rollout.state.is_active());
        let in_the_way = rollout.filter(|rollout| match &self.target {
            Target::Kept => false,
            Target::Label(label) => rollout.label.as_bytes() == label,
            Target::Rollout { .. } => true,
        });
        Ok(in_the_way.map(|rollout| PublishOutcome::RolloutActive { version: rollout.version }))
    }

    fn publish<L: Ledger>(&self, ledger: &mut L) -> Result<u64, L::Fault> {
        let mut version = latest(ledger, &self.set)? + 1;
        // A release is never overwritten, even if somebody took the count back by hand.
        while ledger.get(&release_key(&self.set, version))?.is_some() {
            version += 1;
        }
        let before = read_before(ledger, &self.set, &self.writes)?;
        let rollout = self.rollout(ledger, version)?;
        let forgotten = match &rollout {
            Some(_) => earlier_acks(ledger, &self.set)?,
            None => Vec::new(),
        };
        write_all(ledger, &self.set, &self.writes, &before)?;
        let decimal = Bytes::from(version.to_string());
        ledger.put(release_key(&self.set, version), self.record.clone(), LeaseId::NONE)?;
        ledger.put(below(&self.set, b"latest"), decimal.clone(), LeaseId::NONE)?;
        if let Target::Label(label) = &self.target {
            ledger.put(label_key(&self.set, label), decimal, LeaseId::NONE)?;
        }
        for key in forgotten {
            ledger.delete(&key)?;
        }
        if let Some(rollout) = rollout {
            rollout.write(ledger, &self.set)?;
        }
        Ok(version)
    }

    fn rollout<L: Ledger>(&self, ledger: &L, version: u64) -> Result<Option<Rollout>, L::Fault> {
        let Target::Rollout { label, plan } = &self.target else { return Ok(None) };
        let base = labelled(ledger, &self.set, label)?.map(|(version, _)| version);
        let label = String::from_utf8_lossy(label).into_owned();
        Ok(Some(Rollout::new(version, label, base, plan.clone())))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.set);
        put_bytes(out, &self.record);
        put_writes(out, &self.writes);
        put_option(out, self.draft.as_ref(), |out, draft| {
            out.put_u32_le(draft.keys);
            out.put_i64_le(draft.revision.get());
        });
        put_option(out, self.expect.as_ref(), |out, version| put_version(out, *version));
        match &self.target {
            Target::Kept => out.put_u8(0),
            Target::Label(label) => {
                out.put_u8(1);
                put_bytes(out, label);
            }
            Target::Rollout { label, plan } => {
                out.put_u8(2);
                put_bytes(out, label);
                plan.put(out);
            }
        }
        put_guards(out, &self.guards);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (set, record, writes) = (get_bytes(from)?, get_bytes(from)?, get_writes(from)?);
        let draft = |from: &mut Bytes| Ok(DraftState { keys: get_u32(from)?, revision: get_revision(from)? });
        let draft = get_option(from, draft)?;
        let expect = get_option(from, get_version)?;
        let target = match get_u8(from)? {
            0 => Target::Kept,
            1 => Target::Label(get_bytes(from)?),
            2 => Target::Rollout { label: get_bytes(from)?, plan: Plan::get(from)? },
            _ => return Err(malformed("unknown kind of target")),
        };
        Ok(Self { set, record, writes, draft, expect, target, guards: get_guards(from)? })
    }
}

impl DraftState {
    /// A key that went and came back was written since; so equal numbers mean that none went.
    fn is_still<L: Ledger>(self, ledger: &L, set: &[u8]) -> Result<bool, L::Fault> {
        let mut keys = ledger.range(&below(set, b"items/"))?;
        keys.extend(ledger.range(&below(set, b"meta/"))?);
        keys.extend(ledger.get(&below(set, b"schema"))?);
        Ok(keys.len() == self.keys as usize && keys.iter().all(|kv| kv.mod_revision <= self.revision))
    }
}

/// The acknowledgements of the rollout before, which nobody will ask for again.
fn earlier_acks<L: Ledger>(ledger: &L, set: &[u8]) -> Result<Vec<Bytes>, L::Fault> {
    let Some(earlier) = Rollout::read(ledger, set)? else { return Ok(Vec::new()) };
    let acks = ledger.range(&acks_prefix(set, earlier.version))?;
    Ok(acks.into_iter().map(|kv| kv.key).collect())
}

pub(super) fn put_version(out: &mut BytesMut, version: u64) {
    out.put_i64_le(i64::try_from(version).unwrap_or(i64::MAX));
}

pub(super) fn get_version(from: &mut Bytes) -> Result<u64, CodecError> {
    u64::try_from(get_i64(from)?).map_err(|_| malformed("a release's number is not negative"))
}

impl RolloutState {
    /// Whether it may still move the label.
    #[must_use]
    pub const fn is_active(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Halted => true,
            Self::Completed | Self::RolledBack | Self::Aborted => false,
        }
    }
}
