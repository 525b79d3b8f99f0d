//! Stopping a rollout, going on with it, ending it.
//!
//! ```text
//! form = set:bytes version:i64 action:u8
//! ```
//!
//! Each names the release that it means: a word that comes late cannot hit the next rollout. Saying it twice is safe.

use bytes::{BufMut, Bytes, BytesMut};

use super::check_set;
use super::publish::{get_version, put_version};
use super::rollout::{Rollout, RolloutState};
use crate::codec::{CodecError, get_bytes, get_u8, malformed, put_bytes};
use crate::invalid::Invalid;
use crate::{Ledger, Outcome};

/// Says how a rollout shall go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRollout {
    /// What all keys of the set begin with; ends with a slash.
    pub set: Bytes,
    /// The release that is rolled out.
    pub version: u64,
    /// What to do.
    pub action: RolloutAction,
}

/// What can be done with a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutAction {
    /// Nobody else gets the release until it is resumed.
    Pause,
    /// Go on, whatever failed before.
    Resume,
    /// End it: all get back what the label names.
    Abort,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlOutcome {
    /// It is so now.
    Done(Rollout),
    /// No release of this set was ever rolled out. Nothing was written.
    NoRollout,
    /// The newest rollout is of another release. Nothing was written.
    Another(Rollout),
    /// It has ended. Nothing was written.
    Ended(Rollout),
}

impl ControlRollout {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_set(&self.set)
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        self.control(ledger).map(Outcome::ControlRollout)
    }

    fn control<L: Ledger>(&self, ledger: &mut L) -> Result<ControlOutcome, L::Fault> {
        let Some(before) = Rollout::read(ledger, &self.set)? else { return Ok(ControlOutcome::NoRollout) };
        if before.version != self.version {
            return Ok(ControlOutcome::Another(before));
        }
        let wanted = match self.action {
            RolloutAction::Pause => RolloutState::Paused,
            RolloutAction::Resume => RolloutState::Running,
            RolloutAction::Abort => RolloutState::Aborted,
        };
        if before.state == wanted {
            return Ok(ControlOutcome::Done(before));
        }
        if !before.state.is_active() {
            return Ok(ControlOutcome::Ended(before));
        }
        let mut rollout = Rollout { state: wanted, ..before };
        if wanted == RolloutState::Running {
            rollout.forgiven = rollout.failed;
            rollout.advance();
        }
        rollout.write_with_label(ledger, &self.set)?;
        Ok(ControlOutcome::Done(rollout))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.set);
        put_version(out, self.version);
        out.put_u8(match self.action {
            RolloutAction::Pause => 0,
            RolloutAction::Resume => 1,
            RolloutAction::Abort => 2,
        });
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (set, version) = (get_bytes(from)?, get_version(from)?);
        let action = match get_u8(from)? {
            0 => RolloutAction::Pause,
            1 => RolloutAction::Resume,
            2 => RolloutAction::Abort,
            _ => return Err(malformed("unknown action")),
        };
        Ok(Self { set, version, action })
    }
}
