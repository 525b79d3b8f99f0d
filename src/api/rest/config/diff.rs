//! What differs between two sets of items, as a JSON Patch (RFC 6902) of the object of items.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::item::{Item, Items};

/// Operations that make one object of items of another.
pub(crate) type JsonPatch = Vec<PatchOperation>;

/// An operation of a JSON Patch.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum PatchOperation {
    /// An item is new.
    Add {
        /// Its key, as a JSON Pointer.
        #[schema(examples("/pool.size"))]
        path: String,
        /// Its value: JSON as what it is, text as a string, other bytes in base64; `null` for a secret.
        value: Value,
    },
    /// An item has another value or media type.
    Replace {
        /// Its key, as a JSON Pointer.
        path: String,
        /// Its value; `null` for a secret.
        value: Value,
    },
    /// An item is gone.
    Remove {
        /// Its key, as a JSON Pointer.
        path: String,
    },
}

/// What makes `after` of `before`, in order of the keys.
pub(crate) fn diff(before: &Items, after: &Items) -> JsonPatch {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut patch: Vec<(&String, PatchOperation)> =
        gone.map(|key| (key, PatchOperation::Remove { path: pointer(key) })).collect();
    for (key, item) in after {
        let (path, value) = (pointer(key), shown(item));
        match before.get(key) {
            None => patch.push((key, PatchOperation::Add { path, value })),
            Some(present) if present != item => patch.push((key, PatchOperation::Replace { path, value })),
            Some(_) => {}
        }
    }
    patch.sort_by_key(|(key, _)| *key);
    patch.into_iter().map(|(_, operation)| operation).collect()
}

fn shown(item: &Item) -> Value {
    if item.is_secret() { Value::Null } else { item.instance() }
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(items: &[(&str, &str)]) -> Items {
        let item = |value: &str| Item { value: value.to_owned().into(), content_type: Some("text/plain".to_owned()) };
        items.iter().map(|(key, value)| ((*key).to_owned(), item(value))).collect()
    }

    #[test]
    fn a_diff_is_a_json_patch() {
        let before = items(&[("a", "1"), ("b/~c", "1"), ("d", "1")]);
        let mut after = items(&[("a", "1"), ("b/~c", "2"), ("e", "quorate-secret-1:x")]);
        let expected = json!([
            {"op": "replace", "path": "/b~1~0c", "value": "2"},
            {"op": "remove", "path": "/d"},
            {"op": "add", "path": "/e", "value": null},
        ]);
        assert_eq!(serde_json::to_value(diff(&before, &after)).unwrap(), expected);
        assert!(diff(&before, &before).is_empty());
        after.get_mut("a").unwrap().content_type = None;
        assert_eq!(diff(&items(&[("a", "1")]), &after).len(), 3, "another media type is another item");
    }
}
