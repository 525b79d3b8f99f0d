//! Releases, read through a cache: they never change, so what was read once is what is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use model::{Identity, KeyRange, RangeRequest, Revision};
use parking_lot::Mutex;
use recipes::config::release_key;

use super::item::Item;
use super::layers::Asked;
use super::release::Release;
use super::set::ConfigSet;
use crate::rest::Rest;
use crate::rest::problem::{Kind, Problem};

/// Bytes of stored releases that are kept at hand.
const CACHED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Releases that were read lately, by key and the revision that made it: a store that was replaced by another may have others under
/// the same keys.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    inner: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    known: BTreeMap<Bytes, (Revision, Arc<Release>)>,
    /// In the order in which they came, with their sizes.
    order: VecDeque<(Bytes, usize)>,
    bytes: usize,
}

impl Releases {
    fn get(&self, key: &Bytes) -> Option<(Revision, Arc<Release>)> {
        self.inner.lock().known.get(key).cloned()
    }

    fn keep(&self, key: Bytes, made_at: Revision, size: usize, release: Arc<Release>) {
        let mut cached = self.inner.lock();
        if cached.known.insert(key.clone(), (made_at, release)).is_none() {
            cached.order.push_back((key, size));
            cached.bytes += size;
        }
        while cached.bytes > CACHED_BYTES_MAX
            && let Some((oldest, size)) = cached.order.pop_front()
        {
            cached.known.remove(&oldest);
            cached.bytes -= size;
        }
    }
}

/// A release of a set.
pub(crate) async fn release_at(
    rest: &Rest,
    caller: &Identity,
    set: &ConfigSet,
    version: u64,
) -> Result<Arc<Release>, Problem> {
    let key = release_key(&set.prefix(), version);
    // That it is still there is asked each time, without its value; its value, if it is not the one known.
    let single = || RangeRequest::new(KeyRange::Single(key.clone()));
    let missing =
        || Problem::new(Kind::ConfigNotFound, format!("there is no release {version} of {}/{}", set.app, set.env));
    if let Some((made_at, release)) = rest.releases.get(&key) {
        let probe = RangeRequest { keys_only: true, serializable: true, ..single() };
        let probe = rest.handle.range(caller, probe).await.map_err(Problem::of_read)?;
        if probe.kvs.first().is_some_and(|kv| kv.mod_revision == made_at) {
            return Ok(release);
        }
    }
    let read = rest.handle.range(caller, single()).await.map_err(Problem::of_read)?;
    let kv = read.kvs.into_iter().next().ok_or_else(missing)?;
    let release = Release::read(&kv.value).map(Arc::new).ok_or_else(|| {
        Problem::new(Kind::ConfigNotFound, format!("what is kept as release {version} is none; somebody else wrote it"))
    })?;
    rest.releases.keep(key, kv.mod_revision, kv.value.len(), Arc::clone(&release));
    Ok(release)
}

/// What the layers of a configuration come to.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// The release of each layer.
    pub(crate) versions: Vec<Option<u64>>,
    releases: Vec<Option<Arc<Release>>>,
}

impl Effective {
    /// The layers at these versions. A layer whose release somebody deleted by hand has none.
    pub(crate) async fn read(
        rest: &Rest,
        caller: &Identity,
        asked: &Asked,
        versions: Vec<Option<u64>>,
    ) -> Result<Self, Problem> {
        let mut releases = Vec::with_capacity(versions.len());
        for (set, version) in asked.layers.iter().zip(&versions) {
            let release = match version {
                None => None,
                Some(version) => match release_at(rest, caller, set, *version).await {
                    Ok(release) => Some(release),
                    Err(problem) if problem.kind() == Kind::ConfigNotFound => None,
                    Err(problem) => return Err(problem),
                },
            };
            releases.push(release);
        }
        Ok(Self { versions, releases })
    }

    /// The release of a layer.
    pub(crate) fn release(&self, layer: usize) -> Option<&Release> {
        self.releases[layer].as_deref()
    }

    /// Every item, with the layer that it comes from.
    pub(crate) fn items(&self) -> BTreeMap<&str, (usize, &Item)> {
        let mut items = BTreeMap::new();
        for (layer, release) in self.releases.iter().enumerate() {
            let below = release.iter().flat_map(|release| &release.items);
            items.extend(below.map(|(key, item)| (key.as_str(), (layer, item))));
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::Items;
    use super::super::release::About;
    use super::*;

    fn release(items: &[(&str, &str)]) -> Arc<Release> {
        let item = |value: &str| Item { value: value.to_owned().into(), content_type: None };
        let items: Items = items.iter().map(|(key, value)| ((*key).to_owned(), item(value))).collect();
        Arc::new(Release { about: About::default(), items })
    }

    #[test]
    fn an_item_of_a_higher_layer_replaces_the_one_below() {
        let releases = vec![
            Some(release(&[("a", "base"), ("b", "base")])),
            Some(release(&[("b", "env")])),
            None,
            Some(release(&[])),
        ];
        let effective = Effective { versions: vec![Some(1), Some(2), None, Some(3)], releases };
        let items: Vec<_> =
            effective.items().into_iter().map(|(key, (layer, item))| (key, layer, &*item.value)).collect();
        assert_eq!(items, [("a", 0, &b"base"[..]), ("b", 1, b"env")]);
    }

    #[test]
    fn what_is_kept_at_hand_is_bounded() {
        let releases = Releases::default();
        for number in 0..10_u8 {
            let key = Bytes::from(vec![number]);
            releases.keep(key, Revision::new(1), CACHED_BYTES_MAX / 4, release(&[]));
        }
        assert!(releases.get(&Bytes::from_static(&[5])).is_none());
        assert!(releases.get(&Bytes::from_static(&[9])).is_some());
        assert!(releases.inner.lock().bytes <= CACHED_BYTES_MAX);
    }
}
