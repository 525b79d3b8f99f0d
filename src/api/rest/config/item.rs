//! Items: bytes with a media type, as they are given, kept and shown.
//!
//! The draft keeps the bytes as they were put, for etcd's clients to read; what is known beside them is a record of its own. A
//! release is a document of items, composed once and kept as it is.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::secret::is_sealed;
use crate::rest::problem::Problem;
use crate::rest::value::{Encoding, Shown, Wanted};

/// Longest media type in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 128;

/// The media type of an item that came as text in a document.
const TEXT: &str = "text/plain; charset=utf-8";

/// The media type of an item that came as JSON in a document.
const JSON: &str = "application/json";

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Sealed, if it is a secret.
    pub(crate) value: Bytes,
    pub(crate) content_type: Option<String>,
}

/// What is known about an item of a draft beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ItemMeta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    pub(crate) at_ms: u64,
}

impl ItemMeta {
    /// The record in a stored value; what others wrote there may say nothing.
    pub(crate) fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    /// The value to store.
    pub(crate) fn write(&self) -> Bytes {
        serde_json::to_vec(self).expect("a record of texts is always JSON").into()
    }
}

/// An item as a release keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredItem {
    value: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    base64: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
}

impl From<&Item> for StoredItem {
    fn from(item: &Item) -> Self {
        let content_type = item.content_type.clone();
        match std::str::from_utf8(&item.value) {
            Ok(text) => Self { value: text.to_owned(), base64: false, content_type },
            Err(_) => Self { value: STANDARD.encode(&item.value), base64: true, content_type },
        }
    }
}

impl StoredItem {
    /// The item; `None` if somebody wrote what is none.
    pub(crate) fn into_item(self) -> Option<Item> {
        let value = if self.base64 { STANDARD.decode(self.value).ok()?.into() } else { self.value.into() };
        Some(Item { value, content_type: self.content_type })
    }
}

/// An item in a request: a text, or any JSON value, or bytes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "50", "content_type": "text/plain"}))]
pub(crate) struct ItemRequest {
    /// A string is the text that it is, unless `encoding` says otherwise; any other value is kept as JSON.
    #[schema(value_type = serde_json::Value)]
    pub(crate) value: Value,
    /// How a string is meant: `utf8`, which is the default, `base64` or `json`.
    pub(crate) encoding: Option<Encoding>,
    /// The media type; unless given that of text, of JSON, or none for base64.
    pub(crate) content_type: Option<String>,
    /// Whether it shall be encrypted at rest.
    #[serde(default)]
    pub(crate) secret: bool,
}

impl ItemRequest {
    /// The item, not sealed yet.
    pub(crate) fn item(&self) -> Result<Item, Problem> {
        let json = |value: &Value| Bytes::from(value.to_string());
        let (value, default) = match (&self.value, self.encoding) {
            (Value::String(text), None | Some(Encoding::Utf8)) => (Bytes::from(text.clone()), Some(TEXT)),
            (Value::String(text), Some(Encoding::Base64)) => {
                let bytes =
                    STANDARD.decode(text).map_err(|_| Problem::invalid("a value of encoding base64 is none"))?;
                (bytes.into(), None)
            }
            (value, None | Some(Encoding::Json)) => (json(value), Some(JSON)),
            (_, Some(Encoding::Utf8 | Encoding::Base64)) => {
                return Err(Problem::invalid("a value of encoding utf8 or base64 is a string"));
            }
        };
        let content_type = self.content_type.clone().or_else(|| default.map(str::to_owned));
        if let Some(content_type) = &content_type {
            check_content_type(content_type)?;
        }
        Ok(Item { value, content_type })
    }
}

/// A media type is kept as it is given, and given back as a header.
pub(crate) fn check_content_type(text: &str) -> Result<(), Problem> {
    let is_header = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if (1..=CONTENT_TYPE_BYTES_MAX).contains(&text.len()) && text.contains('/') && is_header {
        return Ok(());
    }
    Err(Problem::invalid(format!("a media type is type/subtype, of at most {CONTENT_TYPE_BYTES_MAX} bytes of ASCII")))
}

/// An item as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ItemDocument {
    /// The value: a string, unless `encoding` is `json`; absent for a secret that is not to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>, examples("50"))]
    pub(crate) value: Option<Value>,
    /// How the value is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<Encoding>,
    /// The media type that it was put with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("text/plain"))]
    pub(crate) content_type: Option<String>,
    /// Whether it is encrypted at rest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) secret: bool,
}

impl Item {
    /// Whether its bytes are sealed.
    pub(crate) fn is_secret(&self) -> bool {
        is_sealed(&self.value)
    }

    /// Whether its media type says JSON.
    pub(crate) fn is_json(&self) -> bool {
        let essence = self.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(JSON) || essence.to_ascii_lowercase().ends_with("+json")
    }

    /// The item to be shown; of a secret, that it is one.
    pub(crate) fn document(&self, wanted: Wanted) -> ItemDocument {
        let content_type = self.content_type.clone();
        if self.is_secret() {
            return ItemDocument { value: None, encoding: None, content_type, secret: true };
        }
        let Shown { value, encoding } = self.wanted(wanted).show(&self.value);
        ItemDocument { value: Some(value), encoding: Some(encoding), content_type, secret: false }
    }

    /// What a schema and a diff see of it: JSON as what it is, text as a string, other bytes in base64.
    pub(crate) fn instance(&self) -> Value {
        self.wanted(Wanted::Json).show(&self.value).value
    }

    /// A text that happens to be JSON stays a text.
    fn wanted(&self, wanted: Wanted) -> Wanted {
        if wanted == Wanted::Json && !self.is_json() { Wanted::Auto } else { wanted }
    }
}

/// Items by their keys.
pub(crate) type Items = BTreeMap<String, Item>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(document: Value) -> Result<Item, Problem> {
        serde_json::from_value::<ItemRequest>(document).unwrap().item()
    }

    #[test]
    fn a_value_is_kept_as_what_it_is_meant_to_be() {
        let cases = [
            (json!({"value": "50"}), &b"50"[..], Some(TEXT)),
            (json!({"value": 50}), b"50", Some(JSON)),
            (json!({"value": null}), b"null", Some(JSON)),
            (json!({"value": "50", "encoding": "json"}), b"\"50\"", Some(JSON)),
            (json!({"value": "/w==", "encoding": "base64"}), b"\xff", None),
            (json!({"value": "a", "content_type": "text/x-b"}), b"a", Some("text/x-b")),
        ];
        for (document, value, content_type) in cases {
            let item = request(document.clone()).unwrap();
            assert_eq!((&*item.value, item.content_type.as_deref()), (value, content_type), "{document}");
            assert_eq!(StoredItem::from(&item).into_item(), Some(item));
        }
        for document in [
            json!({"value": 1, "encoding": "utf8"}),
            json!({"value": "!", "encoding": "base64"}),
            json!({"value": "a", "content_type": "text"}),
            json!({"value": "a", "content_type": "text/a\n"}),
        ] {
            assert!(request(document.clone()).is_err(), "{document}");
        }
    }

    #[test]
    fn text_that_looks_like_json_is_text() {
        let item = |content_type: &str| Item { value: "50".into(), content_type: Some(content_type.to_owned()) };
        assert_eq!(item("text/plain").instance(), json!("50"));
        assert_eq!(item("application/json; charset=utf-8").instance(), json!(50));
        assert_eq!(item("application/vnd.a+json").instance(), json!(50));
    }
}
