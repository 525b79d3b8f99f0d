//! Labels: names for releases that move.
//!
//! ```text
//! form = set:bytes label:bytes (0 | 1 version:i64) expect guards
//! ```

use bytes::{Bytes, BytesMut};
use model::{LeaseId, Revision};

use super::publish::{get_version, put_version};
use super::rollout::Rollout;
use super::{Expect, check_name, check_set, label_key, release_key};
use crate::codec::{CodecError, get_bytes, get_option, put_bytes, put_option};
use crate::guard::{broken_guard, check_guards, get_guards, put_guards};
use crate::invalid::Invalid;
use crate::{Guard, Ledger, Outcome};

/// Has a label name another release, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveLabel {
    /// What all keys of the set begin with; ends with a slash.
    pub set: Bytes,
    /// The label.
    pub label: Bytes,
    /// The release; `None` takes the label away.
    pub version: Option<u64>,
    /// How the label's key must be, if that matters.
    pub expect: Option<Expect>,
    /// All must hold.
    pub guards: Vec<Guard>,
}

/// What came of moving a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelOutcome {
    /// It names the release, or is gone.
    Moved {
        /// Whether there was no such label before.
        is_new: bool,
    },
    /// There is no such release. Nothing was written.
    NoSuchRelease,
    /// The label is not as expected. Nothing was written.
    Conflict {
        /// When it was last moved; zero if there is no such label.
        current: Revision,
    },
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

impl MoveLabel {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_set(&self.set)?;
        check_guards(&self.guards)?;
        check_name(&self.set, b"labels/", &self.label)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        self.shift(ledger).map(Outcome::MoveLabel)
    }

    fn shift<L: Ledger>(&self, ledger: &mut L) -> Result<LabelOutcome, L::Fault> {
        if let Some((guard, current)) = broken_guard(ledger, &self.guards)? {
            return Ok(LabelOutcome::Fenced { guard, current });
        }
        let key = label_key(&self.set, &self.label);
        let present = ledger.get(&key)?;
        let written = present.as_ref().map(|kv| kv.mod_revision);
        if self.expect.as_ref().is_some_and(|expect| !expect.holds(written)) {
            return Ok(LabelOutcome::Conflict { current: written.unwrap_or(Revision::ZERO) });
        }
        let rollout = Rollout::read(ledger, &self.set)?;
        if let Some(rollout) =
            rollout.filter(|rollout| rollout.state.is_active() && rollout.label.as_bytes() == self.label)
        {
            return Ok(LabelOutcome::RolloutActive { version: rollout.version });
        }
        let is_new = present.is_none();
        match self.version {
            Some(version) if ledger.get(&release_key(&self.set, version))?.is_none() => {
                return Ok(LabelOutcome::NoSuchRelease);
            }
            // Saying it twice is safe, and changes nothing.
            Some(version) if present.is_some_and(|kv| kv.value == version.to_string()) => {}
            Some(version) => ledger.put(key, version.to_string().into(), LeaseId::NONE)?,
            None if is_new => {}
            None => ledger.delete(&key)?,
        }
        Ok(LabelOutcome::Moved { is_new })
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.set);
        put_bytes(out, &self.label);
        put_option(out, self.version.as_ref(), |out, version| put_version(out, *version));
        put_option(out, self.expect.as_ref(), |out, expect| expect.put(out));
        put_guards(out, &self.guards);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self {
            set: get_bytes(from)?,
            label: get_bytes(from)?,
            version: get_option(from, get_version)?,
            expect: get_option(from, Expect::get)?,
            guards: get_guards(from)?,
        })
    }
}
