//! Feature flags: items in flagd's shape, and what one comes to for a context.
//!
//! ```text
//! {"state": "ENABLED" | "DISABLED", "variants": {name: value, …}, "defaultVariant": name}
//! ```
//!
//! A flag comes to the value of its default variant. Rules (`targeting`) are not evaluated here: a flag that has one is answered with
//! an error, so that nobody takes the default for what the rule would have said. To give variants to parts of the clients,
//! roll a release out to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::item::Item;

/// A flag as it is kept.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flag {
    state: State,
    variants: BTreeMap<String, Value>,
    default_variant: String,
    #[serde(default)]
    targeting: Map<String, Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Enabled,
    Disabled,
}

/// What a flag came to (OpenFeature Remote Evaluation Protocol).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({"key": "new-checkout", "value": true, "variant": "on", "reason": "STATIC"}))]
pub(crate) struct Evaluated {
    /// The flag.
    pub(crate) key: String,
    /// Its value; absent for a flag that is disabled: the caller's own default holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) value: Option<Value>,
    /// The variant that has this value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    /// `STATIC` or `DISABLED`.
    pub(crate) reason: &'static str,
    /// What the flag says about itself.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = serde_json::Map<String, Value>)]
    pub(crate) metadata: Map<String, Value>,
}

/// Why a flag came to nothing (OpenFeature Remote Evaluation Protocol).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"key": "new-checkout", "errorCode": "FLAG_NOT_FOUND", "errorDetails": "there is no such flag"}))]
pub(crate) struct NotEvaluated {
    /// The flag.
    pub(crate) key: String,
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR`, `INVALID_CONTEXT` or `GENERAL`.
    pub(crate) error_code: &'static str,
    /// In words.
    pub(crate) error_details: String,
}

/// Whether an item is meant to be a flag: JSON, an object, with variants.
pub(crate) fn is_flag(item: &Item) -> bool {
    item.is_json() && !item.is_secret() && item.instance().get("variants").is_some()
}

/// What the flag that `item` is comes to.
pub(crate) fn evaluate(key: &str, item: &Item) -> Result<Evaluated, NotEvaluated> {
    let fail = |error_code, error_details: String| NotEvaluated { key: key.to_owned(), error_code, error_details };
    let flag: Flag = serde_json::from_value(item.instance())
        .map_err(|error| fail("PARSE_ERROR", format!("the item is no flag in flagd's shape: {error}")))?;
    let Flag { state, mut variants, default_variant, targeting, metadata } = flag;
    if state == State::Disabled {
        let key = key.to_owned();
        return Ok(Evaluated { key, value: None, variant: None, reason: "DISABLED", metadata });
    }
    if !targeting.is_empty() {
        return Err(fail("GENERAL", "the flag has a targeting rule, and rules are not evaluated here".to_owned()));
    }
    let value = variants.remove(&default_variant);
    let value = value.ok_or_else(|| fail("PARSE_ERROR", format!("there is no variant {default_variant:?}")))?;
    Ok(Evaluated {
        key: key.to_owned(),
        value: Some(value),
        variant: Some(default_variant),
        reason: "STATIC",
        metadata,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(flag: &Value) -> Item {
        Item { value: flag.to_string().into(), content_type: Some("application/json".to_owned()) }
    }

    #[test]
    fn a_flag_comes_to_its_default_variant() {
        let flag = json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"});
        let evaluated = evaluate("f", &item(&flag)).unwrap();
        assert_eq!((evaluated.value, evaluated.variant.as_deref()), (Some(json!(true)), Some("on")));
        assert!(is_flag(&item(&flag)) && !is_flag(&item(&json!({"pool": 7}))));
        let text = Item { content_type: Some("text/plain".to_owned()), ..item(&flag) };
        assert!(!is_flag(&text));
    }

    #[test]
    fn a_flag_that_is_disabled_has_no_value() {
        let flag = json!({"state": "DISABLED", "variants": {"on": 1}, "defaultVariant": "on", "targeting": {"if": []}});
        let evaluated = evaluate("f", &item(&flag)).unwrap();
        assert_eq!((evaluated.value, evaluated.reason), (None, "DISABLED"));
    }

    #[test]
    fn a_rule_is_not_taken_for_its_default() {
        let flag = |change: Value| {
            let mut flag = json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"});
            flag.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            evaluate("f", &item(&flag)).map_err(|error| error.error_code)
        };
        assert_eq!(flag(json!({"targeting": {"if": [true, "on"]}})), Err("GENERAL"));
        assert!(flag(json!({"targeting": {}})).is_ok());
        assert_eq!(flag(json!({"defaultVariant": "no"})), Err("PARSE_ERROR"));
        assert_eq!(flag(json!({"state": "enabled"})), Err("PARSE_ERROR"));
    }
}
