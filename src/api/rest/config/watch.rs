//! Following a configuration over a stream of events: first what it is, then each change of it, one event for each revision.
//!
//! - An event tells what makes the configuration at its revision of the one that was told before; so whoever applies the events in
//!   order has it, wherever it began.
//! - A cursor names a revision, and what the configuration was there is read from the store: whoever comes back hears exactly what
//!   changed since. Where that is no longer kept, or never was, a `reset` brings the whole.
//! - A reader that is slow is not waited for: what has piled up is told as one event, marked `coalesced`.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use model::Revision;
use serde::Serialize;
use utoipa::ToSchema;

use super::effective::{ConfigDocument, LayerDocument, View, layers};
use super::follow::{Changes, Heard};
use super::item::ItemDocument;
use super::layers::{Asked, Pointers};
use super::release_read::Effective;
use super::set::OfSet;
use crate::rest::Rest;
use crate::rest::caller::Caller;
use crate::rest::cursor::Cursor;
use crate::rest::envelope::RequestId;
use crate::rest::frames::{Beat, Frame, Framing, Pulse, Source, goaway, respond};
use crate::rest::problem::{Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::resume::{Progress, ResetReason, Restart, Since};

/// Most changes of an event.
const CHANGES_MAX: usize = 500;

/// Changes that may have piled up before they are told as one: a reader that keeps up has one at a time.
const PILED_UP_MAX: usize = 8;

/// A configuration, in place of a cursor that cannot be used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigReset {
    /// Why it cannot.
    pub(crate) reason: ResetReason,
    /// The cursor that was given, or reached.
    pub(crate) from: String,
    /// The cursor that takes its place.
    pub(crate) to: String,
    /// The configuration.
    #[serde(flatten)]
    pub(crate) config: ConfigDocument,
}

/// What a revision changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 42, "label": "live", "layers": [{"env": "base", "version": 3}, {"env": "prod", "version": 42}],
    "changes": [{"type": "put", "key": "pool.size", "value": "50", "encoding": "utf8", "content_type": "text/plain",
        "layer": "prod", "prev": {"value": "20", "encoding": "utf8", "content_type": "text/plain"}}],
    "revision": 18423
}))]
pub(crate) struct ConfigChange {
    /// The release of the environment's own layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
    /// The label that is followed; absent for a version that was pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    /// The layers from below, and the release that each comes to.
    pub(crate) layers: Vec<LayerDocument>,
    /// Items that are other than before, in order of their keys.
    pub(crate) changes: Vec<ItemChange>,
    /// The revision.
    pub(crate) revision: i64,
    /// Whether several changes were told as one, because the reader was slow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) coalesced: bool,
}

/// A change of an item.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum ItemChange {
    /// It is new, or another.
    Put {
        /// Its key.
        key: String,
        /// What it is.
        #[serde(flatten)]
        item: ItemDocument,
        /// The environment whose release it is from.
        layer: String,
        /// What it was before, if it was there.
        #[serde(skip_serializing_if = "Option::is_none")]
        prev: Option<ItemDocument>,
    },
    /// It is gone.
    Delete {
        /// Its key.
        key: String,
        /// What it was before.
        prev: ItemDocument,
    },
}

/// Follows a configuration: first what it is, then each release that reaches the client, one event for each revision.
///
/// Events: `snapshot` (the configuration, when no cursor is given), `release` (what a revision changed), `progress` (nothing changed up
/// to here), `reset` (the cursor cannot be used: the configuration in its place, and why), `goaway` (the server stops; connect again). A
/// change of many items comes in several named `part`, without an id; the event that has the id completes them. The id is a cursor:
/// give the last one in `Last-Event-ID` or `cursor`, and nothing is missed or told twice.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/watch",
    operation_id = "watchConfig",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("cursor" = Option<String>, Query, description = "The id of the last event that was heard; a configuration has one too"),
        ("label" = Option<String>, Query, description = "The label to follow; `live` is the default"),
        ("version" = Option<i64>, Query, description = "This release: only the layers around it can change"),
        ("cluster" = Option<String>, Query, description = "Puts the environment `{env}.{cluster}` on top"),
        ("layers" = Option<String>, Query, description = "Environments from below, instead of `base,{env}`"),
        ("client" = Option<String>, Query, description = "Who follows: decides which steps of a rollout one belongs to"),
        ("client_labels" = Option<String>, Query, description = "Labels of the client: `zone:a,tier:web`"),
        ("encoding" = Option<String>, Query, description = "`auto`, `base64` or `json`"),
        ("secrets" = Option<String>, Query, description = "`reveal` to get secrets in the clear; `hide` is the default"),
        ("Last-Event-ID" = Option<String>, Header, description = "As `cursor`, before which it goes"),
    ),
    responses(
        (status = 200, description = "Events without end: server-sent events, or lines of JSON (`{event, id, data}`) with \
            `Accept: application/x-ndjson`", content(
            (String = "text/event-stream"),
            (String = "application/x-ndjson"),
        )),
        (status = 400, description = "`invalid-request`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn watch(
    State(rest): State<Rest>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    OfSet(set): OfSet,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::of(set, &mut query)?;
    let view = View::of(&mut query)?;
    let since = Since::asked(&headers, &mut query)?;
    query.finish()?;
    let framing = Framing::accepted(&headers).unwrap_or(Framing::EventStream);
    let wish = Wish { caller, asked, view, request_id: request_id.to_string() };
    let follower = rest.unless_stopping(ConfigFollower::open(rest.clone(), wish, since)).await??;
    Ok(respond(framing, follower))
}

/// What is to be followed, and by whom.
struct Wish {
    caller: Caller,
    asked: Asked,
    view: View,
    request_id: String,
}

/// A client that follows a configuration.
struct ConfigFollower {
    rest: Rest,
    wish: Wish,
    changes: Changes,
    /// What was told last.
    told: Effective,
    /// Frames that are ready to be sent.
    ready: Vec<Frame>,
    pulse: Pulse,
    is_over: bool,
}

impl ConfigFollower {
    /// Begins to follow. What can be refused is refused here, before the stream is.
    async fn open(rest: Rest, wish: Wish, since: Since) -> Result<Self, Problem> {
        rest.handle.confirm_reads().await.map_err(Problem::of_read)?;
        let restart = match since.check(rest.epoch(), rest.handle.revision()) {
            Ok(cursor) => match Self::go_on(&rest, &wish, cursor.revision).await {
                Ok(found) => {
                    let (revision, pointers, told) = found;
                    return Ok(Self::following(rest, wish, revision, pointers, told).await);
                }
                Err(problem) if problem.kind() == Kind::RevisionCompacted => {
                    Restart { reason: Some((ResetReason::Compacted, cursor.to_string())) }
                }
                Err(problem) => return Err(problem),
            },
            Err(restart) => restart,
        };
        let (revision, pointers, told) = Self::go_on(&rest, &wish, Revision::ZERO).await?;
        let mut follower = Self::following(rest, wish, revision, pointers, told).await;
        let frame = follower.whole(restart, revision)?;
        follower.ready.push(frame);
        Ok(follower)
    }

    /// The configuration as of a revision, zero being now.
    async fn go_on(rest: &Rest, wish: &Wish, at: Revision) -> Result<(Revision, Pointers, Effective), Problem> {
        let (revision, pointers) = Pointers::read(rest, &wish.caller, &wish.asked, at).await?;
        let versions = pointers.versions(&wish.asked);
        let told = Effective::read(rest, &wish.caller, &wish.asked, versions).await?;
        Ok((revision, pointers, told))
    }

    async fn following(rest: Rest, wish: Wish, revision: Revision, pointers: Pointers, told: Effective) -> Self {
        let pulse = Pulse::new(rest.draining.clone());
        let changes = Changes::after(&rest, &wish.asked, revision, pointers).await;
        Self { rest, wish, changes, told, ready: Vec::new(), pulse, is_over: false }
    }

    fn cursor(&self, revision: Revision) -> Cursor {
        Cursor { epoch: self.rest.epoch(), revision }
    }

    /// The event that tells the whole configuration.
    fn whole(&self, restart: Restart, revision: Revision) -> Result<Frame, Problem> {
        let config = ConfigDocument::of(&self.rest, &self.wish.asked, self.wish.view, &self.told, revision)?;
        let to = self.cursor(revision);
        let Some((reason, from)) = restart.reason else {
            return Ok(Frame::event("snapshot", &config).resumable(&to));
        };
        Ok(Frame::event("reset", &ConfigReset { reason, from, to: to.to_string(), config }).resumable(&to))
    }

    /// Tells what the changes up to `revision` made of the configuration.
    async fn tell(&mut self, mut revision: Revision) -> Result<(), Problem> {
        let coalesced = self.changes.piled_up() >= PILED_UP_MAX;
        if coalesced {
            revision = self.changes.catch_up().unwrap_or(revision);
        }
        let mut versions = self.changes.pointers().versions(&self.wish.asked);
        let own = self.wish.asked.own;
        // A label that was taken away names nothing new.
        versions[own] = versions[own].or(self.told.versions[own]);
        if versions == self.told.versions {
            return Ok(());
        }
        let now = Effective::read(&self.rest, &self.wish.caller, &self.wish.asked, versions).await?;
        let changes = self.difference(&now)?;
        self.told = now;
        self.ready = self.frames(changes, revision, coalesced);
        Ok(())
    }

    fn difference(&self, now: &Effective) -> Result<Vec<ItemChange>, Problem> {
        let (asked, before, after) = (&self.wish.asked, self.told.items(), now.items());
        let show = |key: &str, (layer, item): (usize, &super::item::Item)| {
            self.wish.view.show(&self.rest, &asked.layers[layer], key, item)
        };
        let mut changes = Vec::new();
        let keys: std::collections::BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for key in keys {
            match (before.get(key), after.get(key)) {
                (old, Some(new)) if old.is_none_or(|old| old.1 != new.1) => {
                    let (key, layer) = (key.to_owned(), asked.layers[new.0].env.clone());
                    let prev = old.map(|old| show(&key, *old)).transpose()?;
                    changes.push(ItemChange::Put { item: show(&key, *new)?, key, layer, prev });
                }
                (Some(old), None) => changes.push(ItemChange::Delete { key: key.to_owned(), prev: show(key, *old)? }),
                (_, _) => {}
            }
        }
        Ok(changes)
    }

    /// The frames of a change, the last to be sent first.
    fn frames(&self, mut changes: Vec<ItemChange>, revision: Revision, coalesced: bool) -> Vec<Frame> {
        let asked = &self.wish.asked;
        let mut frames = Vec::new();
        loop {
            let rest = changes.split_off(changes.len().min(CHANGES_MAX));
            let is_last = rest.is_empty();
            let document = ConfigChange {
                version: self.told.versions[asked.own],
                label: asked.version.is_none().then(|| asked.label.clone()),
                layers: layers(asked, &self.told.versions),
                changes,
                revision: revision.get(),
                coalesced,
            };
            if is_last {
                frames.push(Frame::event("release", &document).resumable(&self.cursor(revision)));
                frames.reverse();
                return frames;
            }
            frames.push(Frame::event("part", &document));
            changes = rest;
        }
    }

    /// Tells the whole again, because what happened is no longer kept.
    async fn begin_anew(&mut self) -> Result<(), Problem> {
        let (seen, _) = self.changes.seen();
        let reason = Some((ResetReason::Compacted, self.cursor(seen).to_string()));
        let (revision, pointers, told) = Self::go_on(&self.rest, &self.wish, Revision::ZERO).await?;
        self.changes = Changes::after(&self.rest, &self.wish.asked, revision, pointers).await;
        self.told = told;
        let frame = self.whole(Restart { reason }, revision)?;
        self.ready.push(frame);
        Ok(())
    }

    /// The stream cannot go on. Its client connects again, and hears why as a proper answer if that is still so.
    fn fail(&mut self, problem: Problem) -> Frame {
        self.is_over = true;
        let revision = self.rest.handle.revision();
        Frame::event("problem", &problem.into_document(self.wish.request_id.clone(), revision))
    }
}

impl Source for ConfigFollower {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop() {
                return Some(frame);
            }
            if self.is_over {
                return None;
            }
            let done = match self.pulse.wait_for(self.changes.hear()).await {
                Beat::Came(Some(Heard::Changed(revision))) => self.tell(revision).await,
                Beat::Came(Some(Heard::Progress(revision))) => {
                    let progress = Progress { revision: revision.get() };
                    return Some(Frame::event("progress", &progress).resumable(&self.cursor(revision)));
                }
                Beat::Came(Some(Heard::Compacted)) => self.begin_anew().await,
                Beat::Quiet => {
                    self.changes.request_progress().await;
                    return Some(Frame::Ping);
                }
                Beat::Came(None) | Beat::Stopping => {
                    self.is_over = true;
                    return Some(goaway());
                }
            };
            if let Err(problem) = done {
                return Some(self.fail(problem));
            }
        }
    }
}
