//! Publishing: from a draft, from items that come with the request, or from an older release, to a new release.
//!
//! What is published is checked here and decided in the log: the draft that was read must still be the draft when the release is
//! made. If it is not, all of it is done again.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use model::Revision;
use recipes::config::{Publish, PublishOutcome, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::diff::{JsonPatch, diff};
use super::draft::Draft;
use super::item::{ItemRequest, Items};
use super::items::fenced;
use super::release::{About, Release};
use super::release_read::release_at;
use super::releases::ReleaseDocument;
use super::rollout::PlanRequest;
use super::schema;
use super::set::{ConfigSet, LIVE, OfSet, check_item, check_name};
use crate::rest::Rest;
use crate::rest::body::{Json, LARGE_JSON_BYTES_MAX};
use crate::rest::caller::Caller;
use crate::rest::conditions::Tags;
use crate::rest::problem::{Facts, Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;

/// Longest message in bytes.
const MESSAGE_BYTES_MAX: usize = 4096;

/// How often a draft that changed meanwhile is read anew.
const ATTEMPTS_MAX: usize = 5;

/// A release to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"message": "larger pool", "from": "draft"}))]
pub(crate) struct ReleaseRequest {
    /// What it is for, for people. At most 4096 bytes.
    #[serde(default)]
    pub(crate) message: String,
    /// `draft`: of the items of the draft; that is the default.
    #[serde(default)]
    pub(crate) from: Option<From>,
    /// Of these items and no others; they become the draft as well.
    #[serde(default)]
    pub(crate) items: Option<BTreeMap<String, ItemRequest>>,
    /// Of the items and the schema of this release; they become the draft as well.
    #[serde(default)]
    pub(crate) rollback_to: Option<u64>,
    /// The label that shall name it; `live` is the default, `null` is none.
    #[serde(default = "live")]
    #[schema(examples("live"))]
    pub(crate) label: Option<String>,
    /// Do not move the label at once, but in steps, as clients report that they have taken the release up.
    #[serde(default)]
    pub(crate) rollout: Option<PlanRequest>,
}

/// Where the items of a release come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// From the draft.
    Draft,
}

impl Default for ReleaseRequest {
    fn default() -> Self {
        Self { message: String::new(), from: None, items: None, rollback_to: None, label: live(), rollout: None }
    }
}

/// What a request means that names no label.
fn live() -> Option<String> {
    Some(LIVE.to_owned())
}

/// What a release would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"valid": true, "changes": [{"op": "replace", "path": "/pool.size", "value": "50"}]}))]
pub(crate) struct DryRun {
    /// It would be made.
    pub(crate) valid: bool,
    /// What would change for those who follow the label, as a JSON Patch.
    pub(crate) changes: JsonPatch,
}

/// What a release is made of.
struct Content {
    items: Items,
    /// As the draft keeps it.
    schema: Option<Bytes>,
    rollback_to: Option<u64>,
}

impl ReleaseRequest {
    fn check(&self) -> Result<(), Problem> {
        let sources = usize::from(self.from.is_some())
            + usize::from(self.items.is_some())
            + usize::from(self.rollback_to.is_some());
        if sources > 1 {
            return Err(Problem::invalid("give one of \"from\", \"items\" and \"rollback_to\""));
        }
        if self.message.len() > MESSAGE_BYTES_MAX {
            return Err(Problem::invalid(format!("a message has at most {MESSAGE_BYTES_MAX} bytes")));
        }
        if self.rollout.is_some() && self.label.is_none() {
            return Err(Problem::invalid("a rollout is to where a label is"));
        }
        self.label.as_deref().map_or(Ok(()), |label| check_name("a label", label))
    }

    /// The items that the release shall have.
    async fn content(&self, rest: &Rest, caller: &Caller, set: &ConfigSet, draft: &Draft) -> Result<Content, Problem> {
        if let Some(version) = self.rollback_to {
            let release = release_at(rest, caller, set, version).await?;
            let schema = release.about.schema.as_ref().map(|schema| schema.to_string().into());
            return Ok(Content { items: release.items.clone(), schema, rollback_to: Some(version) });
        }
        let schema = draft.schema.as_ref().map(|kv| kv.value.clone());
        let items = match &self.items {
            None => draft.items(),
            Some(items) => {
                let kept = items.iter().map(|(key, request)| {
                    check_item(key)?;
                    Ok((key.clone(), rest.kept(set, key, request.item()?, request.secret)?))
                });
                kept.collect::<Result<Items, Problem>>()?
            }
        };
        Ok(Content { items, schema, rollback_to: None })
    }

    fn target(&self) -> Result<Target, Problem> {
        let Some(label) = self.label.clone() else { return Ok(Target::Kept) };
        match &self.rollout {
            None => Ok(Target::Label(label.into())),
            Some(plan) => Ok(Target::Rollout { label: label.into(), plan: plan.plan()? }),
        }
    }
}

/// Makes a release: an immutable, numbered snapshot of items. They are checked against the schema, and become visible to all that
/// follow the label in one step.
#[utoipa::path(
    post,
    path = "/configs/{app}/{env}/releases",
    operation_id = "publishConfig",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("dry_run" = Option<bool>, Query, description = "`true`: check and compare, make nothing"),
        ("If-Match" = Option<String>, Header, description = "The version of the newest release in quotes: only if it is that"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no release yet"),
    ),
    request_body = ReleaseRequest,
    responses(
        (status = 201, description = "Released", body = ReleaseDocument, headers(
            ("Location" = String, description = "The release"), ("ETag" = String, description = "Its version in quotes"))),
        (status = 200, description = "With `dry_run`: what would change", body = DryRun),
        (status = 404, description = "`config-not-found`: there is no release to go back to", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "`rollout-active` or `draft-changed`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 422, description = "`schema-violation`, with `errors`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn publish(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    mut query: Query,
    headers: HeaderMap,
    Json(request): Json<ReleaseRequest, LARGE_JSON_BYTES_MAX>,
) -> Result<Response, Problem> {
    let is_dry = query.choice("dry_run", &[("true", true), ("false", false)])?.unwrap_or(false);
    query.finish()?;
    request.check()?;
    let expect = expected_version(&headers)?;
    let target = request.target()?;
    for _ in 0..ATTEMPTS_MAX {
        let draft = Draft::read(&rest, &caller, &set).await?;
        let content = request.content(&rest, &caller, &set, &draft).await?;
        let release = checked(&rest, &caller, &set, &request, &content)?;
        if is_dry {
            return dry_run(&rest, &caller, &set, &request, &release, draft.state.revision).await;
        }
        let publish = Publish {
            set: set.prefix(),
            record: release.write(),
            writes: draft.writes_to(&content.items, content.schema.as_ref(), &rest.written_by(&caller)),
            draft: Some(draft.state),
            expect,
            target: target.clone(),
            guards: Vec::new(),
        };
        let (revision, outcome) = rest.handle.publish(caller.identity(), publish).await.map_err(Problem::of_write)?;
        match outcome {
            PublishOutcome::Published { version } => {
                let document = ReleaseDocument::of(version, &release, crate::rest::value::Wanted::Auto);
                let location = (LOCATION, format!("{}/releases/{version}", set.url()));
                let etag = (ETAG, format!("\"{version}\""));
                return Ok(reply(StatusCode::CREATED, revision, [location, etag], &document));
            }
            PublishOutcome::DraftChanged => {}
            refused => return Err(refusal(&refused, revision)),
        }
    }
    Err(Problem::new(Kind::DraftChanged, "the draft was changed each time while it was being published"))
}

/// The release, if its items satisfy its schema. Secrets are checked in the clear.
fn checked(
    rest: &Rest,
    caller: &Caller,
    set: &ConfigSet,
    request: &ReleaseRequest,
    content: &Content,
) -> Result<Release, Problem> {
    let schema = content.schema.as_ref().map(schema::parse).transpose()?;
    if let Some(schema) = &schema {
        let mut instance = Map::new();
        for (key, item) in &content.items {
            instance.insert(key.clone(), rest.vault.open(set, key, item)?.instance());
        }
        schema::validate(schema, &Value::Object(instance))?;
    }
    let written = rest.written_by(caller);
    let about = About {
        message: request.message.clone(),
        author: written.author,
        at_ms: written.at_ms,
        rollback_to: content.rollback_to,
        schema,
    };
    Ok(Release { about, items: content.items.clone() })
}

async fn dry_run(
    rest: &Rest,
    caller: &Caller,
    set: &ConfigSet,
    request: &ReleaseRequest,
    release: &Release,
    revision: Revision,
) -> Result<Response, Problem> {
    let label = request.label.as_deref().unwrap_or(LIVE);
    let present = super::labels::version_of(rest, caller, set, label).await?;
    let present = match present {
        Some(version) => Some(release_at(rest, caller, set, version).await?),
        None => None,
    };
    let nothing = Items::new();
    let changes = diff(present.as_ref().map_or(&nothing, |release| &release.items), &release.items);
    Ok(reply(StatusCode::OK, revision, [], &DryRun { valid: true, changes }))
}

/// What the headers say that the newest release must be; 0 is none.
fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let refusal = || Problem::invalid("If-Match is the version of a release in quotes, If-None-Match is \"*\"");
    match (Tags::parse_one(headers, &IF_MATCH)?, Tags::parse_one(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (None, Some(Tags::Any)) => Ok(Some(0)),
        (Some(Tags::Listed(tags)), None) => {
            let version = tags.first().and_then(|tag| u64::try_from(tag.get()).ok());
            version.map(Some).ok_or_else(refusal)
        }
        (Some(_), _) | (None, Some(_)) => Err(refusal()),
    }
}

/// Why there is no release.
fn refusal(outcome: &PublishOutcome, revision: Revision) -> Problem {
    match outcome {
        PublishOutcome::Conflict { latest } => {
            let detail = match latest {
                0 => "there is no release yet".to_owned(),
                latest => format!("the newest release is {latest}"),
            };
            let facts = Facts { current_version: Some(*latest), ..Facts::default() };
            Problem::new(Kind::VersionConflict, detail).seen_at(revision).with(facts)
        }
        PublishOutcome::RolloutActive { version } => rollout_active(*version),
        PublishOutcome::Fenced { current, .. } => fenced(*current),
        PublishOutcome::Published { .. } | PublishOutcome::DraftChanged => {
            unreachable!("neither is a refusal")
        }
    }
}

/// A rollout stands in the way.
pub(crate) fn rollout_active(version: u64) -> Problem {
    let facts = Facts { current_version: Some(version), ..Facts::default() };
    Problem::new(Kind::RolloutActive, format!("release {version} is being rolled out")).with(facts)
}
