//! Releases as they are kept: a document, composed by whoever publishes, never changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::item::{Item, Items, StoredItem};

/// A release.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Release {
    pub(crate) about: About,
    pub(crate) items: Items,
}

/// A release without its items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    pub(crate) message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    pub(crate) at_ms: u64,
    /// Of which release it is a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollback_to: Option<u64>,
    /// What its items were checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    about: About,
    items: BTreeMap<String, StoredItem>,
}

impl Release {
    /// The release in a stored value; `None` if somebody wrote what is none.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let Stored { about, items } = serde_json::from_slice(value).ok()?;
        let items = items.into_iter().map(|(key, item)| Some((key, item.into_item()?))).collect::<Option<Items>>()?;
        Some(Self { about, items })
    }

    /// The value to store.
    pub(crate) fn write(&self) -> Bytes {
        let items = self.items.iter().map(|(key, item): (&String, &Item)| (key.clone(), item.into())).collect();
        let stored = Stored { about: self.about.clone(), items };
        serde_json::to_vec(&stored).expect("a release is texts and JSON").into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let item = |value: &'static [u8]| Item { value: value.into(), content_type: Some("text/plain".to_owned()) };
        let items = Items::from([("a".to_owned(), item(b"1")), ("b".to_owned(), item(b"\xff"))]);
        let about = About { message: "m".to_owned(), at_ms: 7, schema: Some(json!({})), ..About::default() };
        let release = Release { about, items };
        assert_eq!(Release::read(&release.write()), Some(release));
        for value in [&b""[..], b"{}", b"[]", br#"{"items":{"a":{"value":"!","base64":true}}}"#] {
            assert_eq!(Release::read(value), None);
        }
    }
}
