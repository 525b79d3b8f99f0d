//! Configuration in bulk: all sets of a namespace as one document, and back.
//!
//! What travels are drafts and schemas: what is brought in is published as anything else, after a look at it. Secrets travel as they
//! are kept, sealed for their set and item; a member with the same key can read them where they arrive.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::{KeyRange, Revision};
use recipes::config::EditDraft;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::diff::{JsonPatch, diff};
use super::draft::Draft;
use super::edits::EditedDraft;
use super::item::{Item, Items, check_content_type};
use super::items::conflict_of;
use super::schema;
use super::set::{ConfigSet, all_sets, check_item, parts_of};
use crate::rest::Rest;
use crate::rest::body::{Json, LARGE_JSON_BYTES_MAX};
use crate::rest::caller::Caller;
use crate::rest::names::Namespace;
use crate::rest::path::OfNamespace;
use crate::rest::problem::{Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;

/// Sets of a namespace.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sets": [{"app": "shop", "env": "prod",
    "items": {"pool.size": {"value": "50", "content_type": "text/plain"}}}]}))]
pub(crate) struct Transfer {
    /// Each once.
    pub(crate) sets: Vec<TransferredSet>,
}

/// The draft of a set.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferredSet {
    /// The application.
    pub(crate) app: String,
    /// The environment.
    pub(crate) env: String,
    /// Its items by their keys.
    pub(crate) items: BTreeMap<String, TransferredItem>,
    /// Its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Value>,
}

/// An item as it travels.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferredItem {
    /// Its value; a secret is sealed.
    pub(crate) value: String,
    /// Whether the value is in base64.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) base64: bool,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
}

/// What an import did, or would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"dry_run": false, "sets": [{"app": "shop", "env": "prod",
    "changes": [{"op": "add", "path": "/pool.size", "value": "50"}],
    "edited": {"mod_revision": 18423, "created": 1, "replaced": 0, "deleted": 0}}]}))]
pub(crate) struct Imported {
    /// Whether nothing was written.
    pub(crate) dry_run: bool,
    /// Set by set, in the order of the request.
    pub(crate) sets: Vec<ImportedSet>,
}

/// What an import did to a set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedSet {
    /// The application.
    pub(crate) app: String,
    /// The environment.
    pub(crate) env: String,
    /// What changes in the draft, as a JSON Patch.
    pub(crate) changes: JsonPatch,
    /// What was done; absent if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) edited: Option<EditedDraft>,
}

/// What becomes of items that an import does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Merge,
    Replace,
}

impl From<&Item> for TransferredItem {
    fn from(item: &Item) -> Self {
        let content_type = item.content_type.clone();
        match std::str::from_utf8(&item.value) {
            Ok(text) => Self { value: text.to_owned(), base64: false, content_type },
            Err(_) => Self { value: STANDARD.encode(&item.value), base64: true, content_type },
        }
    }
}

impl TransferredItem {
    fn item(&self) -> Result<Item, Problem> {
        let value = if self.base64 {
            STANDARD.decode(&self.value).map_err(|_| Problem::invalid("a value of base64 is none"))?.into()
        } else {
            Bytes::from(self.value.clone())
        };
        if let Some(content_type) = &self.content_type {
            check_content_type(content_type)?;
        }
        Ok(Item { value, content_type: self.content_type.clone() })
    }
}

/// The drafts of all sets of a namespace, as of one revision each.
#[utoipa::path(
    get,
    path = "/configs:export",
    operation_id = "exportConfigs",
    tag = "configuration",
    params(
        ("app" = Option<String>, Query, description = "Only sets of this application", example = "shop"),
        ("env" = Option<String>, Query, description = "Only sets of this environment", example = "prod"),
    ),
    responses((status = 200, description = "The drafts", body = Transfer))
)]
pub(crate) async fn export(
    State(rest): State<Rest>,
    caller: Caller,
    OfNamespace(namespace): OfNamespace,
    mut query: Query,
) -> Result<Response, Problem> {
    let (app, env) = (query.text("app")?, query.text("env")?);
    query.finish()?;
    let (revision, sets) = list_sets(&rest, &caller, &namespace).await?;
    let is_wanted = |set: &ConfigSet| {
        app.as_ref().is_none_or(|app| *app == set.app) && env.as_ref().is_none_or(|env| *env == set.env)
    };
    let mut transfer = Transfer::default();
    for set in sets.into_iter().filter(is_wanted) {
        let draft = Draft::read(&rest, &caller, &set).await?;
        let schema = draft.schema.as_ref().map(|kv| schema::parse(&kv.value)).transpose()?;
        let items = draft.items.iter().map(|(key, draft)| (key.clone(), TransferredItem::from(&draft.item)));
        transfer.sets.push(TransferredSet { app: set.app, env: set.env, items: items.collect(), schema });
    }
    Ok(reply(StatusCode::OK, revision, [], &transfer))
}

/// The sets of a namespace: those that have a draft or a release.
async fn list_sets(rest: &Rest, caller: &Caller, namespace: &Namespace) -> Result<(Revision, Vec<ConfigSet>), Problem> {
    if namespace.is_verbatim() {
        return Err(Problem::invalid("namespace \"-\" holds no configuration"));
    }
    let prefix = all_sets(namespace);
    let range = KeyRange::prefix(prefix.clone().into());
    let read = model::RangeRequest { keys_only: true, ..model::RangeRequest::new(range) };
    let read = rest.handle.range(caller, read).await.map_err(Problem::of_read)?;
    let mut sets: Vec<ConfigSet> = Vec::new();
    for kv in &read.kvs {
        let Some((app, env, _)) = std::str::from_utf8(&kv.key[prefix.len()..]).ok().and_then(parts_of) else {
            continue;
        };
        if sets.last().is_none_or(|last| last.app != app || last.env != env) {
            // Keys that others wrote beside the sets belong to none.
            sets.extend(ConfigSet::parse(namespace.clone(), app, env).ok());
        }
    }
    Ok((read.revision, sets))
}

/// Brings drafts in: each set in one revision, all its changes or none. Nothing is published by it.
#[utoipa::path(
    post,
    path = "/configs:import",
    operation_id = "importConfigs",
    tag = "configuration",
    params(
        ("mode" = Option<String>, Query, description = "`merge`, which is the default, keeps items that are not brought; \
            `replace` deletes them", example = "merge"),
        ("dry_run" = Option<bool>, Query, description = "`true`: compare, write nothing"),
    ),
    request_body = Transfer,
    responses(
        (status = 200, description = "What was done, or would be", body = Imported),
        (status = 409, description = "`secret-unreadable`: a secret was sealed with another key, or for another item",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`schema-violation`: a schema is none", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn import(
    State(rest): State<Rest>,
    caller: Caller,
    OfNamespace(namespace): OfNamespace,
    mut query: Query,
    Json(request): Json<Transfer, LARGE_JSON_BYTES_MAX>,
) -> Result<Response, Problem> {
    let mode = query.choice("mode", &[("merge", Mode::Merge), ("replace", Mode::Replace)])?.unwrap_or(Mode::Merge);
    let is_dry = query.choice("dry_run", &[("true", true), ("false", false)])?.unwrap_or(false);
    query.finish()?;
    // Everything is looked at before anything is written.
    let mut checked = Vec::with_capacity(request.sets.len());
    for brought in &request.sets {
        checked.push(Brought::of(&rest, &namespace, brought)?);
    }
    let mut sets = Vec::with_capacity(checked.len());
    for brought in checked {
        sets.push(brought.bring_in(&rest, &caller, mode, is_dry).await?);
    }
    let imported = Imported { dry_run: is_dry, sets };
    Ok(reply(StatusCode::OK, rest.handle.revision(), [], &imported))
}

/// A set to be brought in, checked.
struct Brought {
    set: ConfigSet,
    items: Items,
    schema: Option<Bytes>,
}

impl Brought {
    fn of(rest: &Rest, namespace: &Namespace, brought: &TransferredSet) -> Result<Self, Problem> {
        let set = ConfigSet::parse(namespace.clone(), &brought.app, &brought.env)?;
        let mut items = Items::new();
        for (key, item) in &brought.items {
            check_item(key)?;
            items.insert(key.clone(), rest.kept(&set, key, item.item()?, false)?);
        }
        let schema = brought.schema.as_ref().map(|schema| Bytes::from(schema.to_string()));
        schema.as_ref().map(schema::parse).transpose()?;
        Ok(Self { set, items, schema })
    }

    async fn bring_in(self, rest: &Rest, caller: &Caller, mode: Mode, is_dry: bool) -> Result<ImportedSet, Problem> {
        let Self { set, items, schema } = self;
        let draft = Draft::read(rest, caller, &set).await?;
        let present = draft.items();
        let (items, schema) = match mode {
            Mode::Replace => (items, schema),
            Mode::Merge => {
                let mut merged = present.clone();
                merged.extend(items);
                (merged, schema.or_else(|| draft.schema.as_ref().map(|kv| kv.value.clone())))
            }
        };
        let changes = diff(&present, &items);
        let writes = draft.writes_to(&items, schema.as_ref(), &rest.written_by(caller));
        let edited = if is_dry || writes.is_empty() {
            None
        } else {
            let edit = EditDraft { set: set.prefix(), writes: writes.clone(), conditions: vec![], guards: vec![] };
            let done = rest.handle.edit_draft(caller.identity(), edit).await.map_err(Problem::of_write)?;
            let before = conflict_of(done.1, done.0)?;
            Some(EditedDraft::of(&writes, &before, done.0))
        };
        Ok(ImportedSet { app: set.app, env: set.env, changes, edited })
    }
}
