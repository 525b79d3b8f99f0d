//! Drafts: the items of a set as they are now, with what is known about them, and the schema; read at one revision.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Identity, KeyRange, KeyValue, Op, OpResponse, RangeRequest, Revision, TxnRequest};
use recipes::config::{DraftState, Write};

use super::item::{Item, ItemMeta, Items};
use super::set::ConfigSet;
use crate::rest::Rest;
use crate::rest::problem::Problem;

/// A draft.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) items: BTreeMap<String, DraftItem>,
    /// Its schema, as it was put.
    pub(crate) schema: Option<KeyValue>,
    /// What it must still be when something is made of it.
    pub(crate) state: DraftState,
}

/// An item of a draft.
#[derive(Clone, Debug)]
pub(crate) struct DraftItem {
    pub(crate) item: Item,
    /// When it was last written.
    pub(crate) mod_revision: Revision,
    /// Who wrote it, if that is known, and when.
    pub(crate) written: Option<ItemMeta>,
}

impl DraftItem {
    /// The item whose key and record are given. A record that is not of the last write says nothing of who made that; one that is older
    /// than the item is of an item that was before.
    pub(crate) fn of(item: KeyValue, meta: Option<&KeyValue>) -> Self {
        let of_this = meta.filter(|meta| meta.mod_revision >= item.create_revision);
        let record = of_this.map(|meta| ItemMeta::read(&meta.value));
        let is_of_last = of_this.is_some_and(|meta| meta.mod_revision == item.mod_revision);
        Self {
            mod_revision: item.mod_revision,
            item: Item {
                value: item.value,
                content_type: record.as_ref().and_then(|record| record.content_type.clone()),
            },
            written: record.filter(|_| is_of_last),
        }
    }
}

impl Draft {
    /// Reads the draft of `set`.
    pub(crate) async fn read(rest: &Rest, caller: &Identity, set: &ConfigSet) -> Result<Self, Problem> {
        let ranges = [set.folder("items/"), set.folder("meta/"), KeyRange::Single(set.key("schema"))];
        let (revision, read) = read_together(rest, caller, ranges, Revision::ZERO).await?;
        let [items, metas, schema] = read;
        let keys = u32::try_from(items.len() + metas.len() + schema.len()).unwrap_or(u32::MAX);
        let mut metas: BTreeMap<String, KeyValue> = named(set, "meta/", metas)?;
        let items = named(set, "items/", items)?.into_iter();
        let items = items.map(|(key, item)| {
            let meta = metas.remove(&key);
            (key, DraftItem::of(item, meta.as_ref()))
        });
        let state = DraftState { keys, revision };
        Ok(Self { items: items.collect(), schema: schema.into_iter().next(), state })
    }

    /// Its items alone.
    pub(crate) fn items(&self) -> Items {
        self.items.iter().map(|(key, draft)| (key.clone(), draft.item.clone())).collect()
    }

    /// What makes a draft of these items and this schema of it: what is the same already is left alone.
    pub(crate) fn writes_to(&self, items: &Items, schema: Option<&Bytes>, meta: &ItemMeta) -> Vec<Write> {
        let gone = self.items.keys().filter(|key| !items.contains_key(*key));
        let mut writes: Vec<Write> = gone.flat_map(|key| delete(key)).collect();
        for (key, item) in items {
            if self.items.get(key).is_none_or(|present| present.item != *item) {
                writes.extend(put(key, item, meta));
            }
        }
        let present = self.schema.as_ref().map(|kv| &kv.value);
        if present != schema {
            writes.push(Write { key: "schema".into(), value: schema.cloned() });
        }
        writes
    }
}

/// The writes that put an item.
pub(crate) fn put(key: &str, item: &Item, meta: &ItemMeta) -> [Write; 2] {
    let meta = ItemMeta { content_type: item.content_type.clone(), ..meta.clone() };
    [
        Write { key: format!("items/{key}").into(), value: Some(item.value.clone()) },
        Write { key: format!("meta/{key}").into(), value: Some(meta.write()) },
    ]
}

/// The writes that delete an item.
pub(crate) fn delete(key: &str) -> [Write; 2] {
    [format!("items/{key}"), format!("meta/{key}")].map(|key| Write { key: key.into(), value: None })
}

/// The keys of a folder, by what is behind it.
pub(crate) fn named(set: &ConfigSet, folder: &str, kvs: Vec<KeyValue>) -> Result<BTreeMap<String, KeyValue>, Problem> {
    let skip = set.key(folder).len();
    let named = kvs.into_iter().map(|kv| {
        let name = std::str::from_utf8(&kv.key[skip..]).map(str::to_owned);
        let name = name.map_err(|_| {
            let key = String::from_utf8_lossy(&kv.key);
            Problem::invalid(format!("somebody wrote key {key:?}, which is not UTF-8; delete it over the etcd API"))
        })?;
        Ok((name, kv))
    });
    named.collect()
}

/// Reads ranges as of one revision, zero being now, together with the revision of the store.
pub(crate) async fn read_together<const N: usize>(
    rest: &Rest,
    caller: &Identity,
    ranges: [KeyRange; N],
    at: Revision,
) -> Result<(Revision, [Vec<KeyValue>; N]), Problem> {
    let read = |range| Op::Range(RangeRequest { serializable: at > Revision::ZERO, ..RangeRequest::new(range).at(at) });
    let txn = TxnRequest { success: ranges.map(read).into(), ..TxnRequest::default() };
    let done = rest.handle.txn(caller.clone(), txn).await.map_err(Problem::of_read)?;
    let mut found = done.responses.into_iter().map(|response| match response {
        OpResponse::Range(range) => range.kvs,
        OpResponse::Put(_) | OpResponse::Delete(_) | OpResponse::Txn(_) => Vec::new(),
    });
    Ok((done.revision, std::array::from_fn(|_| found.next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(value: &'static str, create: i64, modified: i64) -> KeyValue {
        let (create_revision, mod_revision) = (Revision::new(create), Revision::new(modified));
        KeyValue { value: value.into(), create_revision, mod_revision, ..KeyValue::default() }
    }

    #[test]
    fn what_is_known_of_an_item_is_of_that_item() {
        let meta = |at| kv(r#"{"content_type":"text/plain","author":"ann","at_ms":1}"#, 1, at);
        let same = DraftItem::of(kv("1", 5, 5), Some(&meta(5)));
        assert_eq!(same.item.content_type.as_deref(), Some("text/plain"));
        assert_eq!(same.written.unwrap().author, "ann");
        let overwritten = DraftItem::of(kv("2", 5, 6), Some(&meta(5)));
        assert_eq!(overwritten.item.content_type.as_deref(), Some("text/plain"));
        assert!(overwritten.written.is_none(), "somebody else wrote it since");
        let another = DraftItem::of(kv("3", 7, 7), Some(&meta(5)));
        assert_eq!(another.item.content_type, None, "it was deleted and made anew");
    }

    #[test]
    fn a_draft_becomes_another_by_what_differs() {
        let item = |value: &str| Item { value: value.to_owned().into(), content_type: None };
        let draft = |value: &str| DraftItem { item: item(value), mod_revision: Revision::new(2), written: None };
        let items = [("a", "1"), ("b", "1"), ("c", "1")];
        let items = items.into_iter().map(|(key, value)| (key.to_owned(), draft(value))).collect();
        let state = DraftState { keys: 3, revision: Revision::new(2) };
        let draft = Draft { items, schema: Some(kv("{}", 2, 2)), state };
        let wanted = [("a", "1"), ("b", "2"), ("d", "1")];
        let wanted: Items = wanted.into_iter().map(|(key, value)| (key.to_owned(), item(value))).collect();
        let writes = draft.writes_to(&wanted, None, &ItemMeta::default());
        let keys: Vec<_> = writes.iter().map(|write| (&*write.key, write.value.is_some())).collect();
        let expected: [(&[u8], bool); 7] = [
            (b"items/c", false),
            (b"meta/c", false),
            (b"items/b", true),
            (b"meta/b", true),
            (b"items/d", true),
            (b"meta/d", true),
            (b"schema", false),
        ];
        assert_eq!(keys, expected);
    }
}
