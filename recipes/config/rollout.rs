//! Rollouts: a release that reaches clients step by step, and how it fares.
//!
//! ```text
//! plan = on_failure:u8 count:u32 step*
//! step = (0 percent:u32 | 1 count:u32 (name:text value:text)*) min_acks:u32 max_failures:u32         text is UTF-8 bytes
//! ```
//!
//! The state is one key, a JSON document that anybody can read. It moves in the entry in which a client reports or somebody
//! says so; whoever counts the same reports comes to the same state. Whether a client belongs to a step is not decided here, but by
//! who serves it: from the plan and the client's name and labels alone.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use model::LeaseId;
use serde::{Deserialize, Serialize};

use super::edit::put_count;
use super::{below, label_key};
use crate::Ledger;
use crate::codec::{CodecError, get_bytes, get_u8, get_u32, malformed, put_bytes};
use crate::invalid::Invalid;

/// Most steps of a plan, and most labels of a step.
const PARTS_MAX: usize = 64;

/// How a release shall reach clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One after another; each adds its clients to those of the steps before.
    pub steps: Vec<Step>,
    /// What becomes of it when too many fail.
    pub on_failure: OnFailure,
}

/// A step of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which clients get the release with this step.
    #[serde(flatten)]
    pub scope: Scope,
    /// The next step begins when so many clients have applied the release, over all steps; at least 1.
    pub min_acks: u32,
    /// More failures than this, over all steps, stop the rollout.
    pub max_failures: u32,
}

/// Which clients belong to a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// So many of a hundred, 1 to 100, always the same ones.
    Percent(u32),
    /// Those that have all these labels; at least one.
    Selector(BTreeMap<String, String>),
}

/// What too many failures do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nobody else gets the release; who has it keeps it.
    Halt,
    /// All get back what the label names.
    Rollback,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// It goes on as clients report.
    Running,
    /// Somebody stopped it for a while.
    Paused,
    /// Too many failures stopped it.
    Halted,
    /// The label names the release now.
    Completed,
    /// Too many failures ended it.
    RolledBack,
    /// Somebody ended it.
    Aborted,
}

/// A rollout as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The release.
    pub version: u64,
    /// The label that shall name it.
    pub label: String,
    /// What the label named when it began.
    pub base: Option<u64>,
    /// Where it stands.
    pub state: RolloutState,
    /// The step that it is at, counted from 0.
    pub step: usize,
    /// Clients that applied the release.
    pub applied: u32,
    /// Clients that failed to, or would not.
    pub failed: u32,
    /// Failures that somebody has let pass by going on after them.
    pub forgiven: u32,
    /// In which steps.
    #[serde(flatten)]
    pub plan: Plan,
}

impl Plan {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let fits = |step: &Step| {
            let scope = match &step.scope {
                Scope::Percent(percent) => (1..=100).contains(percent),
                Scope::Selector(labels) => (1..=PARTS_MAX).contains(&labels.len()),
            };
            scope && step.min_acks >= 1
        };
        let is_plan = (1..=PARTS_MAX).contains(&self.steps.len()) && self.steps.iter().all(fits);
        if is_plan { Ok(()) } else { Err(Invalid::BadPlan) }
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        out.put_u8(match self.on_failure {
            OnFailure::Halt => 0,
            OnFailure::Rollback => 1,
        });
        put_count(out, self.steps.len());
        for Step { scope, min_acks, max_failures } in &self.steps {
            match scope {
                Scope::Percent(percent) => {
                    out.put_u8(0);
                    out.put_u32_le(*percent);
                }
                Scope::Selector(labels) => {
                    out.put_u8(1);
                    put_count(out, labels.len());
                    for (name, value) in labels {
                        put_bytes(out, name.as_bytes());
                        put_bytes(out, value.as_bytes());
                    }
                }
            }
            out.put_u32_le(*min_acks);
            out.put_u32_le(*max_failures);
        }
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let on_failure = match get_u8(from)? {
            0 => OnFailure::Halt,
            1 => OnFailure::Rollback,
            _ => return Err(malformed("unknown answer to failures")),
        };
        let count = get_u32(from)?;
        let steps = (0..count).map(|_| get_step(from)).collect::<Result<_, _>>()?;
        Ok(Self { steps, on_failure })
    }
}

fn get_step(from: &mut Bytes) -> Result<Step, CodecError> {
    let scope = match get_u8(from)? {
        0 => Scope::Percent(get_u32(from)?),
        1 => {
            let count = get_u32(from)?;
            let labels = (0..count).map(|_| Ok((get_text(from)?, get_text(from)?))).collect::<Result<_, _>>()?;
            Scope::Selector(labels)
        }
        _ => return Err(malformed("unknown kind of step")),
    };
    Ok(Step { scope, min_acks: get_u32(from)?, max_failures: get_u32(from)? })
}

fn get_text(from: &mut Bytes) -> Result<String, CodecError> {
    String::from_utf8(get_bytes(from)?.into()).map_err(|_| malformed("a text is not UTF-8"))
}

impl Rollout {
    pub(crate) const fn new(version: u64, label: String, base: Option<u64>, plan: Plan) -> Self {
        Self { version, label, base, state: RolloutState::Running, step: 0, applied: 0, failed: 0, forgiven: 0, plan }
    }

    /// The rollout in the value of a set's key `rollout`; what somebody else wrote there is none.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let rollout: Self = serde_json::from_slice(value).ok()?;
        (rollout.plan.check().is_ok() && rollout.step < rollout.plan.steps.len()).then_some(rollout)
    }

    /// The steps whose clients get the release now.
    #[must_use]
    pub fn steps_begun(&self) -> &[Step] {
        if self.state.is_active() { &self.plan.steps[..=self.step] } else { &[] }
    }

    pub(crate) fn read<L: Ledger>(ledger: &L, set: &[u8]) -> Result<Option<Self>, L::Fault> {
        Ok(ledger.get(&below(set, b"rollout"))?.and_then(|kv| Self::parse(&kv.value)))
    }

    pub(crate) fn write<L: Ledger>(&self, ledger: &mut L, set: &[u8]) -> Result<(), L::Fault> {
        let value = serde_json::to_vec(self).expect("a rollout is numbers and texts");
        ledger.put(below(set, b"rollout"), value.into(), LeaseId::NONE)
    }

    /// Writes it, and the label if it has just been completed.
    pub(super) fn write_with_label<L: Ledger>(&self, ledger: &mut L, set: &[u8]) -> Result<(), L::Fault> {
        self.write(ledger, set)?;
        match self.state {
            RolloutState::Completed => {
                let label = label_key(set, self.label.as_bytes());
                ledger.put(label, self.version.to_string().into(), LeaseId::NONE)
            }
            RolloutState::Running
            | RolloutState::Paused
            | RolloutState::Halted
            | RolloutState::RolledBack
            | RolloutState::Aborted => Ok(()),
        }
    }

    /// Moves on as far as the reports allow, if it is running.
    pub(super) fn advance(&mut self) {
        while self.state == RolloutState::Running {
            let step = &self.plan.steps[self.step];
            if self.failed.saturating_sub(self.forgiven) > step.max_failures {
                self.state = match self.plan.on_failure {
                    OnFailure::Halt => RolloutState::Halted,
                    OnFailure::Rollback => RolloutState::RolledBack,
                };
            } else if self.applied < step.min_acks {
                return;
            } else if self.step + 1 < self.plan.steps.len() {
                self.step += 1;
            } else {
                self.state = RolloutState::Completed;
            }
        }
    }
}
