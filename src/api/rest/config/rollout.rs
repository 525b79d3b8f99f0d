//! Rollouts: how a release reaches clients step by step, and the means to stop it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use model::{KeyRange, RangeRequest, Revision};
use recipes::config::{
    ControlOutcome, ControlRollout, OnFailure, Plan, Rollout, RolloutAction, RolloutState, Scope, Step,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::layers::check_labels;
use super::set::{ConfigSet, OfSet, parse_version};
use crate::rest::Rest;
use crate::rest::caller::Caller;
use crate::rest::problem::{Facts, Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;

/// Most steps of a plan.
const STEPS_MAX: usize = 64;

/// In which steps a release shall reach clients.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "steps": [{"selector": {"zone": "a"}, "min_acks": 2}, {"percent": 100, "min_acks": 10, "max_failures": 1}],
    "on_failure": "rollback"
}))]
pub(crate) struct PlanRequest {
    /// One after another, each adding its clients to those before: 1 to 64.
    pub(crate) steps: Vec<StepRequest>,
    /// What too many failures do; `halt` is the default.
    #[serde(default)]
    pub(crate) on_failure: AnswerToFailures,
}

/// A step: of a percentage or of labels.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepRequest {
    /// So many of a hundred clients, by a hash of their names: 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<u32>,
    /// Clients that have all these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selector: Option<BTreeMap<String, String>>,
    /// The next step begins when so many clients have applied the release, over all steps.
    pub(crate) min_acks: u32,
    /// More failures than this, over all steps, stop the rollout; 0 is the default.
    #[serde(default)]
    pub(crate) max_failures: u32,
}

/// What too many failures do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AnswerToFailures {
    /// Nobody else gets the release; who has it keeps it, until somebody decides.
    #[default]
    Halt,
    /// All get back what the label names.
    Rollback,
}

/// A rollout as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 42, "label": "live", "base": 41, "state": "running", "step": 1, "applied": 2, "failed": 0, "forgiven": 0,
    "steps": [{"selector": {"zone": "a"}, "min_acks": 2, "max_failures": 0},
        {"percent": 100, "min_acks": 10, "max_failures": 1}],
    "on_failure": "rollback"
}))]
pub(crate) struct RolloutDocument {
    /// The release.
    pub(crate) version: u64,
    /// The label that shall name it.
    pub(crate) label: String,
    /// What the label named when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<u64>,
    /// Where it stands.
    pub(crate) state: StateOfRollout,
    /// The step that it is at, counted from 1.
    pub(crate) step: usize,
    /// Clients that applied the release.
    pub(crate) applied: u32,
    /// Clients that failed to, or would not.
    pub(crate) failed: u32,
    /// Failures that count no more, because it was resumed after them.
    pub(crate) forgiven: u32,
    /// In which steps.
    pub(crate) steps: Vec<StepRequest>,
    /// What too many failures do.
    pub(crate) on_failure: AnswerToFailures,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateOfRollout {
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

impl PlanRequest {
    /// The plan, if it is one.
    pub(crate) fn plan(&self) -> Result<Plan, Problem> {
        if !(1..=STEPS_MAX).contains(&self.steps.len()) {
            return Err(Problem::invalid(format!("a rollout has 1 to {STEPS_MAX} steps")));
        }
        let on_failure = match self.on_failure {
            AnswerToFailures::Halt => OnFailure::Halt,
            AnswerToFailures::Rollback => OnFailure::Rollback,
        };
        Ok(Plan { steps: self.steps.iter().map(StepRequest::step).collect::<Result<_, _>>()?, on_failure })
    }
}

impl StepRequest {
    fn step(&self) -> Result<Step, Problem> {
        let scope = match (self.percent, &self.selector) {
            (Some(percent), None) if (1..=100).contains(&percent) => Scope::Percent(percent),
            (None, Some(labels)) if !labels.is_empty() => {
                check_labels(labels)?;
                Scope::Selector(labels.clone())
            }
            (_, _) => return Err(Problem::invalid("a step has a percent of 1 to 100, or a selector of labels")),
        };
        if self.min_acks == 0 {
            return Err(Problem::invalid("min_acks is at least 1"));
        }
        Ok(Step { scope, min_acks: self.min_acks, max_failures: self.max_failures })
    }

    fn of(step: &Step) -> Self {
        let (percent, selector) = match &step.scope {
            Scope::Percent(percent) => (Some(*percent), None),
            Scope::Selector(labels) => (None, Some(labels.clone())),
        };
        Self { percent, selector, min_acks: step.min_acks, max_failures: step.max_failures }
    }
}

impl From<&Rollout> for RolloutDocument {
    fn from(rollout: &Rollout) -> Self {
        let state = match rollout.state {
            RolloutState::Running => StateOfRollout::Running,
            RolloutState::Paused => StateOfRollout::Paused,
            RolloutState::Halted => StateOfRollout::Halted,
            RolloutState::Completed => StateOfRollout::Completed,
            RolloutState::RolledBack => StateOfRollout::RolledBack,
            RolloutState::Aborted => StateOfRollout::Aborted,
        };
        let on_failure = match rollout.plan.on_failure {
            OnFailure::Halt => AnswerToFailures::Halt,
            OnFailure::Rollback => AnswerToFailures::Rollback,
        };
        Self {
            version: rollout.version,
            label: rollout.label.clone(),
            base: rollout.base,
            state,
            step: rollout.step + 1,
            applied: rollout.applied,
            failed: rollout.failed,
            forgiven: rollout.forgiven,
            steps: rollout.plan.steps.iter().map(StepRequest::of).collect(),
            on_failure,
        }
    }
}

/// The newest rollout of a set.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/rollout",
    operation_id = "getConfigRollout",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
    ),
    responses(
        (status = 200, description = "As it stands", body = RolloutDocument),
        (status = 404, description = "`config-not-found`: nothing was ever rolled out", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let (revision, rollout) = read(&rest, &caller, &set).await?;
    let rollout = rollout.ok_or_else(no_rollout)?;
    Ok(reply(StatusCode::OK, revision, [], &RolloutDocument::from(&rollout)))
}

async fn read(rest: &Rest, caller: &Caller, set: &ConfigSet) -> Result<(Revision, Option<Rollout>), Problem> {
    let read = RangeRequest::new(KeyRange::Single(set.key("rollout")));
    let read = rest.handle.range(caller, read).await.map_err(Problem::of_read)?;
    Ok((read.revision, read.kvs.first().and_then(|kv| Rollout::parse(&kv.value))))
}

fn no_rollout() -> Problem {
    Problem::new(Kind::ConfigNotFound, "no release of this set was ever rolled out")
}

/// Lets nobody else have the release until the rollout is resumed. Doing it twice is safe.
#[utoipa::path(
    post,
    path = "/configs/{app}/{env}/rollout/pause",
    operation_id = "pauseConfigRollout",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = Option<i64>, Query, description = "Only if this release is rolled out"),
    ),
    responses(
        (status = 200, description = "As it stands", body = RolloutDocument),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`rollout-ended`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`: another release is", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn pause(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
) -> Result<Response, Problem> {
    control(&rest, &caller, &set, query, RolloutAction::Pause).await
}

/// Goes on with a rollout that was paused or halted; failures up to now count no more. Doing it twice is safe.
#[utoipa::path(
    post,
    path = "/configs/{app}/{env}/rollout/resume",
    operation_id = "resumeConfigRollout",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = Option<i64>, Query, description = "Only if this release is rolled out"),
    ),
    responses(
        (status = 200, description = "As it stands", body = RolloutDocument),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`rollout-ended`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`: another release is", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn resume(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
) -> Result<Response, Problem> {
    control(&rest, &caller, &set, query, RolloutAction::Resume).await
}

/// Ends a rollout: all clients get what the label names. Doing it twice is safe.
#[utoipa::path(
    post,
    path = "/configs/{app}/{env}/rollout/abort",
    operation_id = "abortConfigRollout",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = Option<i64>, Query, description = "Only if this release is rolled out"),
    ),
    responses(
        (status = 200, description = "As it stands", body = RolloutDocument),
        (status = 404, description = "`config-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`rollout-ended`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`: another release is", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn abort(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
) -> Result<Response, Problem> {
    control(&rest, &caller, &set, query, RolloutAction::Abort).await
}

async fn control(
    rest: &Rest,
    caller: &Caller,
    set: &ConfigSet,
    mut query: Query,
    action: RolloutAction,
) -> Result<Response, Problem> {
    let version = query.text("version")?.map(|text| parse_version(&text)).transpose()?;
    query.finish()?;
    let version = match version {
        Some(version) => version,
        // Whichever there is now: the command names it, so it cannot hit another one that is begun meanwhile.
        None => read(rest, caller, set).await?.1.ok_or_else(no_rollout)?.version,
    };
    let control = ControlRollout { set: set.prefix(), version, action };
    let (revision, outcome) =
        rest.handle.control_rollout(caller.identity(), control).await.map_err(Problem::of_write)?;
    match outcome {
        ControlOutcome::Done(rollout) => Ok(reply(StatusCode::OK, revision, [], &RolloutDocument::from(&rollout))),
        ControlOutcome::NoRollout => Err(no_rollout()),
        ControlOutcome::Another(rollout) => {
            let facts = Facts { current_version: Some(rollout.version), ..Facts::default() };
            let detail = format!("the newest rollout is of release {}", rollout.version);
            Err(Problem::new(Kind::VersionConflict, detail).with(facts))
        }
        ControlOutcome::Ended(rollout) => {
            let detail = format!("the rollout of release {} has ended", rollout.version);
            Err(Problem::new(Kind::RolloutEnded, detail))
        }
    }
}
