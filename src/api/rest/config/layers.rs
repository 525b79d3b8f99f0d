//! What a client gets: the releases that its layers come to, and the items that they make together.
//!
//! - The layers of `{app}/{env}` are, from below, the sets `{app}/base`, `{app}/{env}` and, for a client of a cluster,
//!   `{app}/{env}.{cluster}`; or the environments that the client lists.
//! - Each layer comes to one release, or to none. The set's own: the version that is pinned, else that of the label. Any
//!   other: that of the same label if it has it, else that of `live`.
//! - While a release is rolled out to where the label is, a client that belongs to a step that has begun gets it; all others get
//!   what the label names.
//! - An item of a higher layer replaces that of the same key below it, as a whole.

use std::collections::BTreeMap;

use model::{Event, EventKind, Identity, KeyRange, KeyValue, Revision};
use recipes::config::{Rollout, Scope, number};
use sha2::{Digest, Sha256};

use super::draft::read_together;
use super::set::{BASE, ConfigSet, LIVE, check_client, check_name, parse_version};
use crate::rest::Rest;
use crate::rest::problem::Problem;
use crate::rest::query::Query;

/// Most layers.
const LAYERS_MAX: usize = 8;

/// Most labels of a client.
const LABELS_MAX: usize = 64;

/// Longest name or value of a client's label, in bytes.
const LABEL_BYTES_MAX: usize = 256;

/// Who asks for which configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// From below; the set itself is one of them.
    pub(crate) layers: Vec<ConfigSet>,
    /// Which of them is the set itself.
    pub(crate) own: usize,
    pub(crate) label: String,
    /// Pins the set's own layer.
    pub(crate) version: Option<u64>,
    pub(crate) client: Option<Client>,
}

/// Who asks, as far as rollouts are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Asked {
    /// What the parameters ask for.
    pub(crate) fn of(set: ConfigSet, query: &mut Query) -> Result<Self, Problem> {
        let cluster = query.text("cluster")?;
        let layers = match (query.text("layers")?, cluster) {
            (Some(_), Some(_)) => return Err(Problem::invalid("give either \"layers\" or \"cluster\"")),
            (Some(listed), None) => listed.split(',').map(|env| set.of_env(env)).collect::<Result<Vec<_>, _>>()?,
            (None, cluster) => default_layers(&set, cluster.as_deref())?,
        };
        if layers.len() > LAYERS_MAX {
            return Err(Problem::invalid(format!("a configuration has at most {LAYERS_MAX} layers")));
        }
        let own = layers.iter().position(|layer| *layer == set);
        let own = own.ok_or_else(|| Problem::invalid("the environment itself must be one of its layers"))?;
        if (1..layers.len()).any(|at| layers[..at].contains(&layers[at])) {
            return Err(Problem::invalid("a layer is listed twice"));
        }
        let label = query.text("label")?;
        let version = query.text("version")?.map(|text| parse_version(&text)).transpose()?;
        if label.is_some() && version.is_some() {
            return Err(Problem::invalid("give either \"label\" or \"version\""));
        }
        let label = label.unwrap_or_else(|| LIVE.to_owned());
        check_name("a label", &label)?;
        Ok(Self { layers, own, label, version, client: Client::of(query)? })
    }

    /// The set itself.
    pub(crate) fn set(&self) -> &ConfigSet {
        &self.layers[self.own]
    }

    /// The keys whose changes can change what it comes to: labels and the rollout of each layer.
    pub(crate) fn ranges(&self) -> Vec<KeyRange> {
        let range = |set: &ConfigSet| KeyRange::from_wire(set.key("labels/"), set.key("rollout\0"));
        self.layers.iter().map(range).collect()
    }

    /// The layer that a key is of, and which part of it the key is.
    fn place<'k>(&self, key: &'k [u8]) -> Option<(usize, &'k str)> {
        let parts = self.layers.iter().enumerate();
        parts.into_iter().find_map(|(place, set)| {
            let part = key.strip_prefix(set.prefix().as_ref())?;
            Some((place, std::str::from_utf8(part).ok()?))
        })
    }

    /// Whether a key within [`Asked::ranges`] is a label or a rollout that matters here.
    pub(crate) fn concerns(&self, key: &[u8]) -> bool {
        self.place(key).is_some_and(|(_, part)| {
            let label = part.strip_prefix("labels/");
            part == "rollout" || label.is_some_and(|label| label == self.label || label == LIVE)
        })
    }
}

fn default_layers(set: &ConfigSet, cluster: Option<&str>) -> Result<Vec<ConfigSet>, Problem> {
    let mut layers = Vec::new();
    if set.env != BASE {
        layers.push(set.of_env(BASE)?);
    }
    layers.push(set.clone());
    if let Some(cluster) = cluster {
        layers.push(set.of_env(&format!("{}.{cluster}", set.env))?);
    }
    Ok(layers)
}

impl Client {
    /// Who parameters `client` and `client_labels` say that the client is.
    pub(crate) fn of(query: &mut Query) -> Result<Option<Self>, Problem> {
        let labels = query.text("client_labels")?.map(|text| parse_labels(&text)).transpose()?;
        let Some(name) = query.text("client")? else {
            return match labels {
                None => Ok(None),
                Some(_) => Err(Problem::invalid("client_labels has no meaning without client")),
            };
        };
        check_client(&name)?;
        Ok(Some(Self { name, labels: labels.unwrap_or_default() }))
    }

    /// Whether the client is among those that get the release of `rollout` by now.
    fn belongs_to(&self, set: &ConfigSet, rollout: &Rollout) -> bool {
        rollout.steps_begun().iter().any(|step| match &step.scope {
            Scope::Percent(percent) => share_of(set, &self.name) < u64::from(*percent) * 100,
            Scope::Selector(wanted) => wanted.iter().all(|(name, value)| self.labels.get(name) == Some(value)),
        })
    }
}

/// `name:value,name:value`.
pub(crate) fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut labels = BTreeMap::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once(':').ok_or_else(|| Problem::invalid("labels are name:value,name:value"))?;
        labels.insert(name.to_owned(), value.to_owned());
    }
    check_labels(&labels)?;
    Ok(labels)
}

/// Labels that a client may have.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    let is_text = |text: &str| text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control);
    let all_fit = labels.iter().all(|(name, value)| !name.is_empty() && is_text(name) && is_text(value));
    if all_fit && labels.len() <= LABELS_MAX {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "there are at most {LABELS_MAX} labels, of names and values of at most {LABEL_BYTES_MAX} bytes without control characters"
    )))
}

/// Where in ten thousand a client is: the same for every release of a set, so that a larger percentage has all clients of
/// a smaller one; and another for another set, so that it is not always the same clients that go first.
fn share_of(set: &ConfigSet, client: &str) -> u64 {
    let digest = Sha256::new().chain_update(set.prefix()).chain_update(client).finalize();
    digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % 10_000
}

/// Labels and rollout of each layer, as of a revision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pointers {
    layers: Vec<LayerPointers>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct LayerPointers {
    label: Option<u64>,
    live: Option<u64>,
    rollout: Option<Rollout>,
}

impl LayerPointers {
    fn set(&mut self, asked: &Asked, part: &str, value: Option<&[u8]>) {
        if part == "rollout" {
            self.rollout = value.and_then(Rollout::parse);
            return;
        }
        let label = part.strip_prefix("labels/");
        if label == Some(&asked.label) {
            self.label = value.and_then(number);
        }
        if label == Some(LIVE) {
            self.live = value.and_then(number);
        }
    }
}

impl Pointers {
    /// Reads them as of `at`, zero being now; with the revision that they are of.
    pub(crate) async fn read(
        rest: &Rest,
        caller: &Identity,
        asked: &Asked,
        at: Revision,
    ) -> Result<(Revision, Self), Problem> {
        let mut pointers = Self { layers: vec![LayerPointers::default(); asked.layers.len()] };
        let mut seen = at;
        for (place, set) in asked.layers.iter().enumerate() {
            let parts = [format!("labels/{}", asked.label), format!("labels/{LIVE}"), "rollout".to_owned()];
            let keys = parts.each_ref().map(|part| KeyRange::Single(set.key(part)));
            // All layers as of one revision: that of the first that is read.
            let (revision, found) = read_together(rest, caller, keys, seen).await?;
            if seen == Revision::ZERO {
                seen = revision;
            }
            for (part, kvs) in parts.iter().zip(found) {
                pointers.layers[place].set(asked, part, kvs.first().map(|kv: &KeyValue| kv.value.as_ref()));
            }
        }
        Ok((seen, pointers))
    }

    /// Takes a change into account.
    pub(crate) fn follow(&mut self, asked: &Asked, event: &Event) {
        if let Some((place, part)) = asked.place(&event.kv.key) {
            let value = (event.kind == EventKind::Put).then_some(&*event.kv.value);
            self.layers[place].set(asked, part, value);
        }
    }

    /// The release of each layer.
    pub(crate) fn versions(&self, asked: &Asked) -> Vec<Option<u64>> {
        let layers = self.layers.iter().enumerate();
        let version = |(place, layer): (usize, &LayerPointers)| {
            if place == asked.own && asked.version.is_some() {
                return asked.version;
            }
            let (label, named) = match layer.label {
                None if place != asked.own => (LIVE, layer.live),
                named => (asked.label.as_str(), named),
            };
            let rolling = layer.rollout.as_ref().filter(|rollout| rollout.label == label);
            let is_among = |rollout: &&Rollout| {
                asked.client.as_ref().is_some_and(|client| client.belongs_to(&asked.layers[place], rollout))
            };
            rolling.filter(is_among).map(|rollout| rollout.version).or(named)
        };
        layers.map(version).collect()
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
