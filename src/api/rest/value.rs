//! Keys and values in JSON. Stored bytes stay bytes; a document shows them, it does not wrap what is stored.
//!
//! Text is shown as it is, anything else in base64, and which of the two is always said. A value is shown as JSON only to who
//! asks for it, so that the type of a field does not depend on what somebody wrote.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::KeyValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::Problem;
use super::query::Query;

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// As the text that it is.
    Utf8,
    /// In base64.
    Base64,
    /// As the JSON that it is; the order of members and digits beyond 64 bits are not kept.
    Json,
}

/// How values shall be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Wanted {
    /// As text where it is text, else in base64.
    #[default]
    Auto,
    /// In base64, whatever it is.
    Base64,
    /// As JSON where it is JSON, else as `Auto`.
    Json,
}

/// Bytes as a document shows them.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) value: Value,
    pub(crate) encoding: Encoding,
}

/// A key with its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyDocument {
    /// The key.
    #[schema(examples("app/color"))]
    pub(crate) key: String,
    /// `base64` when the key is not UTF-8; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_encoding: Option<Encoding>,
    /// The value: a string, unless `encoding` is `json`.
    #[schema(value_type = serde_json::Value, examples("blue"))]
    pub(crate) value: Value,
    /// How the value is shown.
    pub(crate) encoding: Encoding,
    /// Revision at which the key was created.
    pub(crate) create_revision: i64,
    /// Revision of the last write; also the ETag.
    pub(crate) mod_revision: i64,
    /// Writes since it was created.
    pub(crate) version: i64,
    /// The session that the key lives as long as; absent when it does not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
}

impl Wanted {
    /// What parameter `encoding` asks for.
    pub(crate) fn of(query: &mut Query) -> Result<Self, Problem> {
        let choices = [("auto", Self::Auto), ("base64", Self::Base64), ("json", Self::Json)];
        Ok(query.choice("encoding", &choices)?.unwrap_or_default())
    }

    /// Shows bytes.
    pub(crate) fn show(self, bytes: &[u8]) -> Shown {
        if self == Self::Json
            && let Ok(value) = serde_json::from_slice(bytes)
        {
            return Shown { value, encoding: Encoding::Json };
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if self != Self::Base64 => Shown { value: text.into(), encoding: Encoding::Utf8 },
            _ => Shown { value: STANDARD.encode(bytes).into(), encoding: Encoding::Base64 },
        }
    }

    /// Shows a key with its value.
    pub(crate) fn document(self, kv: &KeyValue) -> KeyDocument {
        let (key, key_encoding) = show_key(&kv.key);
        let Shown { value, encoding } = self.show(&kv.value);
        KeyDocument {
            key,
            key_encoding,
            value,
            encoding,
            create_revision: kv.create_revision.get(),
            mod_revision: kv.mod_revision.get(),
            version: kv.version,
            session: kv.lease.is_some().then(|| format!("{:x}", kv.lease.get())),
        }
    }
}

/// How a value is given in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GivenAs {
    /// As the text that it is.
    #[default]
    Utf8,
    /// In base64.
    Base64,
}

impl GivenAs {
    /// The bytes that `text` stands for.
    pub(crate) fn read(self, text: String) -> Result<Bytes, Problem> {
        match self {
            Self::Utf8 => Ok(text.into()),
            Self::Base64 => {
                let bytes = STANDARD.decode(&text).map_err(|error| Problem::invalid(format!("value: {error}")))?;
                Ok(bytes.into())
            }
        }
    }
}

/// A key, and how it is shown if not as text.
pub(crate) fn show_key(key: &[u8]) -> (String, Option<Encoding>) {
    match std::str::from_utf8(key) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(key), Some(Encoding::Base64)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        let shown = |value: Value, encoding| Shown { value, encoding };
        assert_eq!(Wanted::Auto.show(b"42"), shown(json!("42"), Encoding::Utf8), "text stays a string");
        assert_eq!(Wanted::Auto.show(b"\xff"), shown(json!("/w=="), Encoding::Base64));
        assert_eq!(Wanted::Base64.show(b"42"), shown(json!("NDI="), Encoding::Base64));
        assert_eq!(Wanted::Json.show(b"{\"a\":[1]}"), shown(json!({"a": [1]}), Encoding::Json));
        assert_eq!(Wanted::Json.show(b"plain"), shown(json!("plain"), Encoding::Utf8));
        assert_eq!(Wanted::Json.show(b"\xff"), shown(json!("/w=="), Encoding::Base64));
        assert_eq!(Wanted::Json.show(b""), shown(json!(""), Encoding::Utf8));
    }

    #[test]
    fn deep_json_is_text() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(Wanted::Json.show(deep.as_bytes()).encoding, Encoding::Utf8);
    }

    #[test]
    fn a_key_that_is_no_text_says_so() {
        assert_eq!(show_key(b"app/color"), ("app/color".to_owned(), None));
        assert_eq!(show_key(b"\xff"), ("/w==".to_owned(), Some(Encoding::Base64)));
    }
}
