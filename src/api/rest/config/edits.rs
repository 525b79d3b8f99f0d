//! A draft as a whole: all its items, and several of them changed in one revision.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use model::Revision;
use recipes::config::{Condition, EditDraft, Expect, Write};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::draft::{self, Draft, DraftItem};
use super::item::{ItemDocument, ItemRequest};
use super::items::conflict_of;
use super::set::{OfSet, check_item};
use crate::rest::Rest;
use crate::rest::body::{Json, LARGE_JSON_BYTES_MAX};
use crate::rest::caller::Caller;
use crate::rest::problem::{Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::reply::reply;
use crate::rest::value::Wanted;

/// A draft.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DraftDocument {
    /// Its items by their keys.
    pub(crate) items: BTreeMap<String, DraftItemDocument>,
    /// Whether it has a schema.
    pub(crate) has_schema: bool,
    /// The revision that this shows.
    pub(crate) revision: i64,
}

/// An item of a draft.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DraftItemDocument {
    /// The item.
    #[serde(flatten)]
    pub(crate) item: ItemDocument,
    /// When it was last written; also its ETag.
    pub(crate) mod_revision: i64,
    /// Who wrote it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<String>,
    /// When, in milliseconds since 1970, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written_at_ms: Option<u64>,
}

impl DraftItemDocument {
    fn of(draft: &DraftItem, wanted: Wanted) -> Self {
        let written = draft.written.as_ref();
        Self {
            item: draft.item.document(wanted),
            mod_revision: draft.mod_revision.get(),
            author: written.map(|written| written.author.clone()).filter(|author| !author.is_empty()),
            written_at_ms: written.map(|written| written.at_ms),
        }
    }
}

/// Changes of a draft, all or none, in one revision.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"changes": [
    {"op": "put", "key": "pool.size", "value": "50"},
    {"op": "delete", "key": "pool.old", "if_match": 18423},
]}))]
pub(crate) struct EditRequest {
    /// Each key at most once.
    pub(crate) changes: Vec<ChangeRequest>,
}

/// A change of an item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum ChangeRequest {
    /// Put it.
    Put {
        /// Its key.
        key: String,
        /// What it shall be.
        #[serde(flatten)]
        item: ItemRequest,
        /// Only if its `mod_revision` is this; 0: only if there is no such item.
        if_match: Option<i64>,
    },
    /// Delete it, if it exists.
    Delete {
        /// Its key.
        key: String,
        /// Only if its `mod_revision` is this.
        if_match: Option<i64>,
    },
}

/// A draft that was changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"mod_revision": 18424, "created": 1, "replaced": 0, "deleted": 1}))]
pub(crate) struct EditedDraft {
    /// The revision of all the changes: the `mod_revision` of what was put.
    pub(crate) mod_revision: i64,
    /// Items that are new.
    pub(crate) created: usize,
    /// Items that were there and were put.
    pub(crate) replaced: usize,
    /// Items that were there and are gone.
    pub(crate) deleted: usize,
}

impl EditedDraft {
    /// What `writes` did to keys that had been written at `before`.
    pub(crate) fn of(writes: &[Write], before: &[Revision], revision: Revision) -> Self {
        let mut done = Self { mod_revision: revision.get(), created: 0, replaced: 0, deleted: 0 };
        for (write, before) in writes.iter().zip(before).filter(|(write, _)| write.key.starts_with(b"items/")) {
            match (write.value.is_some(), *before > Revision::ZERO) {
                (true, false) => done.created += 1,
                (true, true) => done.replaced += 1,
                (false, true) => done.deleted += 1,
                (false, false) => {}
            }
        }
        done
    }
}

/// All items of a draft.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/items",
    operation_id = "listConfigItems",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("encoding" = Option<String>, Query, description = "`auto`, `base64` or `json`"),
    ),
    responses((status = 200, description = "The draft", body = DraftDocument, example = json!({
        "items": {"pool.size": {"value": "50", "encoding": "utf8", "content_type": "text/plain", "mod_revision": 18423}},
        "has_schema": false, "revision": 18423
    })))
)]
pub(crate) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&mut query)?;
    query.finish()?;
    let draft = Draft::read(&rest, &caller, &set).await?;
    let items = draft.items.iter().map(|(key, item)| (key.clone(), DraftItemDocument::of(item, wanted)));
    let revision = draft.state.revision;
    let document =
        DraftDocument { items: items.collect(), has_schema: draft.schema.is_some(), revision: revision.get() };
    Ok(reply(StatusCode::OK, revision, [], &document))
}

/// Changes several items of a draft in one revision, all or none.
#[utoipa::path(
    patch,
    path = "/configs/{app}/{env}/items",
    operation_id = "editConfigItems",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
    ),
    request_body = EditRequest,
    responses(
        (status = 200, description = "All of it was done", body = EditedDraft),
        (status = 412, description = "`version-conflict`: an `if_match` does not hold; nothing was done",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn edit(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
    Json(request): Json<EditRequest, LARGE_JSON_BYTES_MAX>,
) -> Result<Response, Problem> {
    query.finish()?;
    let meta = rest.written_by(&caller);
    let (mut writes, mut conditions) = (Vec::new(), Vec::new());
    for change in request.changes {
        let (key, if_match) = match change {
            ChangeRequest::Put { key, item, if_match } => {
                check_item(&key)?;
                let kept = rest.kept(&set, &key, item.item()?, item.secret)?;
                writes.extend(draft::put(&key, &kept, &meta));
                (key, if_match)
            }
            ChangeRequest::Delete { key, if_match } => {
                check_item(&key)?;
                writes.extend(draft::delete(&key));
                (key, if_match)
            }
        };
        conditions.extend(if_match.map(|revision| expected(&key, revision)));
    }
    let edit = EditDraft { set: set.prefix(), writes: writes.clone(), conditions, guards: vec![] };
    let (revision, outcome) = rest.handle.edit_draft(caller.identity(), edit).await.map_err(Problem::of_write)?;
    let before = conflict_of(outcome, revision)?;
    Ok(reply(StatusCode::OK, revision, [], &EditedDraft::of(&writes, &before, revision)))
}

fn expected(key: &str, revision: i64) -> Condition {
    let expect = if revision == 0 { Expect::Absent } else { Expect::WrittenAt(vec![Revision::new(revision)]) };
    Condition { key: format!("items/{key}").into(), expect }
}
