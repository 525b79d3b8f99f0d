//! A configuration as its clients read it: one document of all layers, with a tag to ask whether it has changed, or to wait until it
//! does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{Identity, Revision};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::follow::Changes;
use super::item::{Item, ItemDocument};
use super::items::reveals_secrets;
use super::layers::{Asked, Pointers};
use super::release_read::Effective;
use super::set::{ConfigSet, OfSet};
use crate::rest::Rest;
use crate::rest::caller::Caller;
use crate::rest::cursor::Cursor;
use crate::rest::duration::Span;
use crate::rest::envelope::REVISION;
use crate::rest::problem::{Kind, Problem, ProblemDocument};
use crate::rest::query::Query;
use crate::rest::value::Wanted;

/// Longest wait of a request.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Most bytes of `If-None-Match` that are looked at.
const TAGS_BYTES_MAX: usize = 4096;

/// The release of the set's own layer.
const CONFIG_VERSION: HeaderName = HeaderName::from_static("config-version");

/// A configuration as it is for who asks.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "app": "shop", "env": "prod", "version": 42, "label": "live",
    "layers": [{"env": "base", "version": 3}, {"env": "prod", "version": 42}],
    "items": {"pool.size": {"value": "50", "encoding": "utf8", "content_type": "text/plain", "layer": "prod"}},
    "revision": 18423, "cursor": "cdf818194e3a8c32.18423"
}))]
pub(crate) struct ConfigDocument {
    /// The application.
    pub(crate) app: String,
    /// The environment.
    pub(crate) env: String,
    /// The release of the environment's own layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
    /// The label that was asked for; absent for a version that was pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    /// The layers from below, and the release that each comes to.
    pub(crate) layers: Vec<LayerDocument>,
    /// All items by their keys.
    pub(crate) items: BTreeMap<String, LayeredItem>,
    /// The revision that this shows.
    pub(crate) revision: i64,
    /// Watch from here to hear of all that changes after this: `…/watch?cursor=…`.
    pub(crate) cursor: String,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LayerDocument {
    /// Its environment.
    pub(crate) env: String,
    /// The release that it comes to; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
}

/// An item of a configuration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LayeredItem {
    /// The item.
    #[serde(flatten)]
    pub(crate) item: ItemDocument,
    /// The environment whose release it is from.
    pub(crate) layer: String,
}

/// How a configuration shall be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) wanted: Wanted,
    /// Whether secrets are shown in the clear.
    pub(crate) reveals: bool,
}

impl View {
    /// What the parameters ask for.
    pub(crate) fn of(query: &mut Query) -> Result<Self, Problem> {
        Ok(Self { wanted: Wanted::of(query)?, reveals: reveals_secrets(query)? })
    }

    /// Shows an item of `set`.
    pub(crate) fn show(self, rest: &Rest, set: &ConfigSet, key: &str, item: &Item) -> Result<ItemDocument, Problem> {
        if !item.is_secret() || !self.reveals {
            return Ok(item.document(self.wanted));
        }
        let shown = rest.vault.open(set, key, item)?.document(self.wanted);
        Ok(ItemDocument { secret: true, ..shown })
    }
}

impl ConfigDocument {
    /// What `effective` is at `revision`.
    pub(crate) fn of(
        rest: &Rest,
        asked: &Asked,
        view: View,
        effective: &Effective,
        revision: Revision,
    ) -> Result<Self, Problem> {
        let shown = effective.items().into_iter().map(|(key, (layer, item))| {
            let set = &asked.layers[layer];
            let item = view.show(rest, set, key, item)?;
            Ok((key.to_owned(), LayeredItem { item, layer: set.env.clone() }))
        });
        let set = asked.set();
        Ok(Self {
            app: set.app.clone(),
            env: set.env.clone(),
            version: effective.versions[asked.own],
            label: asked.version.is_none().then(|| asked.label.clone()),
            layers: layers(asked, &effective.versions),
            items: shown.collect::<Result<_, Problem>>()?,
            revision: revision.get(),
            cursor: Cursor { epoch: rest.epoch(), revision }.to_string(),
        })
    }
}

/// The layers of a configuration at these versions.
pub(crate) fn layers(asked: &Asked, versions: &[Option<u64>]) -> Vec<LayerDocument> {
    let layers = asked.layers.iter().zip(versions);
    layers.map(|(set, version)| LayerDocument { env: set.env.clone(), version: *version }).collect()
}

/// The tag of a configuration: releases never change, so their numbers say it all.
fn tag(asked: &Asked, versions: &[Option<u64>]) -> String {
    let mut tag = String::from("\"");
    for (set, version) in asked.layers.iter().zip(versions) {
        let separator = if tag.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(tag, "{separator}{}:{}", set.env, version.unwrap_or(0));
    }
    tag + "\""
}

/// Whether `If-None-Match` names `tag`.
fn is_known(headers: &HeaderMap, tag: &str) -> Result<bool, Problem> {
    let Some(value) = headers.get(IF_NONE_MATCH) else { return Ok(false) };
    let text = value.to_str().ok().filter(|text| text.len() <= TAGS_BYTES_MAX);
    let text = text.ok_or_else(|| Problem::invalid("If-None-Match is no list of tags"))?;
    // A tag holds commas, so the list is not split at them.
    Ok(text.trim() == "*" || text.match_indices(tag).next().is_some())
}

/// The configuration of an application in an environment: the items of all its layers in one document. With `wait` and
/// `If-None-Match` the answer comes when it is another than the one known, or is 304 at the end of the wait.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}",
    operation_id = "getConfig",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("label" = Option<String>, Query, description = "The label whose release is wanted; `live` is the default"),
        ("version" = Option<i64>, Query, description = "This release, instead of a label's"),
        ("cluster" = Option<String>, Query, description = "Puts the environment `{env}.{cluster}` on top"),
        ("layers" = Option<String>, Query, description = "Environments from below, instead of `base,{env}`",
            example = "base,prod"),
        ("client" = Option<String>, Query, description = "Who asks: decides which steps of a rollout one belongs to"),
        ("client_labels" = Option<String>, Query, description = "Labels of the client: `zone:a,tier:web`"),
        ("encoding" = Option<String>, Query, description = "`auto`, `base64` or `json`"),
        ("secrets" = Option<String>, Query, description = "`reveal` to get secrets in the clear; `hide` is the default"),
        ("wait" = Option<String>, Query, description = "With `If-None-Match`: how long to wait for a change, up to `10m`"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what is known"),
    ),
    responses(
        (status = 200, description = "The configuration", body = ConfigDocument, headers(
            ("ETag" = String, description = "Names the releases of all layers"),
            ("Config-Version" = i64, description = "The release of the environment's own layer"),
        )),
        (status = 304, description = "It has not changed"),
        (status = 404, description = "`config-not-found`: nothing was released there", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::of(set, &mut query)?;
    let view = View::of(&mut query)?;
    let wait = query.text("wait")?.map(|text| Span::parse(&text)).transpose();
    let wait = wait.map_err(|malformed| Problem::invalid(format!("wait: {malformed}")))?;
    query.finish()?;
    let wait = wait.map(|span| span.within("wait", Duration::ZERO, WAIT_MAX)).transpose()?;
    let (mut revision, mut pointers) = Pointers::read(&rest, &caller, &asked, Revision::ZERO).await?;
    let known = is_known(&headers, &tag(&asked, &pointers.versions(&asked)))?;
    if let Some(wait) = wait.filter(|_| known) {
        let changed = until_changed(&rest, &caller, &asked, (revision, pointers), wait);
        (revision, pointers) = rest.unless_stopping(changed).await??;
    }
    let versions = pointers.versions(&asked);
    answer(&rest, &caller, &asked, view, versions, revision, &headers).await
}

/// The pointers as soon as they lead elsewhere, or at the end of the wait.
async fn until_changed(
    rest: &Rest,
    caller: &Identity,
    asked: &Asked,
    (revision, pointers): (Revision, Pointers),
    wait: Duration,
) -> Result<(Revision, Pointers), Problem> {
    let deadline = Instant::now() + wait;
    let before = pointers.versions(asked);
    let mut changes = Changes::after(rest, asked, revision, pointers).await;
    while let Ok(changed) = timeout_at(deadline, changes.next()).await {
        let Some((revision, pointers)) = changed else {
            return Pointers::read(rest, caller, asked, Revision::ZERO).await;
        };
        if pointers.versions(asked) != before {
            return Ok((revision, pointers));
        }
    }
    let (revision, pointers) = changes.seen();
    Ok((revision, pointers.clone()))
}

async fn answer(
    rest: &Rest,
    caller: &Identity,
    asked: &Asked,
    view: View,
    versions: Vec<Option<u64>>,
    revision: Revision,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = tag(asked, &versions);
    let version = versions[asked.own];
    let mut response = if is_known(headers, &tag)? {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let effective = Effective::read(rest, caller, asked, versions).await?;
        if effective.release(asked.own).is_none() {
            let set = asked.set();
            let what = version.map_or_else(|| format!("label {}", asked.label), |version| format!("release {version}"));
            let detail = format!("there is no {what} of {}/{}", set.app, set.env);
            return Err(Problem::new(Kind::ConfigNotFound, detail).seen_at(revision));
        }
        axum::Json(ConfigDocument::of(rest, asked, view, &effective, revision)?).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(REVISION, revision.get().into());
    headers.insert(ETAG, HeaderValue::try_from(tag).expect("names of environments are header values"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(if view.reveals { "no-store" } else { "no-cache" }));
    if let Some(version) = version {
        headers.insert(CONFIG_VERSION, version.into());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::names::Namespace;

    #[test]
    fn a_tag_is_known_as_a_whole() {
        let set = ConfigSet::parse(Namespace::default(), "shop", "prod").unwrap();
        let asked = Asked::of(set, &mut Query::default()).unwrap();
        let tag = tag(&asked, &[Some(3), Some(42)]);
        assert_eq!(tag, "\"base:3,prod:42\"");
        let known = |text: &str| {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(text).unwrap())]);
            is_known(&headers, &tag).unwrap()
        };
        for text in ["\"base:3,prod:42\"", "W/\"base:3,prod:42\"", "\"x\", \"base:3,prod:42\"", "*"] {
            assert!(known(text), "{text}");
        }
        for text in ["\"base:3,prod:4\"", "\"prod:42\"", "base:3,prod:42"] {
            assert!(!known(text), "{text}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag).unwrap());
    }
}
