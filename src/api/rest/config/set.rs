//! Configuration sets, what they are called, and what in a path names a part of one.
//!
//! ```text
//! /<namespace>/config/<app>/<env>/…        what is behind: `recipes::config`
//! ```

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bytes::Bytes;
use model::KeyRange;

use crate::rest::names::{Namespace, escape_in_path};
use crate::rest::path::Params;
use crate::rest::problem::Problem;

/// Longest name of an application, an environment or a label, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Longest name of an item or a client, in bytes.
const KEY_BYTES_MAX: usize = 512;

/// The environment that lies below all others of an application.
pub(crate) const BASE: &str = "base";

/// The label that clients follow if they name none.
pub(crate) const LIVE: &str = "live";

/// The configuration of an application in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigSet {
    pub(crate) namespace: Namespace,
    pub(crate) app: String,
    pub(crate) env: String,
}

impl ConfigSet {
    /// The set of those names.
    pub(crate) fn parse(namespace: Namespace, app: &str, env: &str) -> Result<Self, Problem> {
        if namespace.is_verbatim() {
            return Err(Problem::invalid("namespace \"-\" holds no configuration"));
        }
        check_name("an application", app)?;
        check_name("an environment", env)?;
        Ok(Self { namespace, app: app.to_owned(), env: env.to_owned() })
    }

    /// The set of another environment of the application.
    pub(crate) fn of_env(&self, env: &str) -> Result<Self, Problem> {
        Self::parse(self.namespace.clone(), &self.app, env)
    }

    /// What all its keys begin with.
    pub(crate) fn prefix(&self) -> Bytes {
        format!("{}{}/{}/", all_sets(&self.namespace), self.app, self.env).into()
    }

    /// The key of one of its parts.
    pub(crate) fn key(&self, part: &str) -> Bytes {
        [self.prefix().as_ref(), part.as_bytes()].concat().into()
    }

    /// All keys of one of its folders.
    pub(crate) fn folder(&self, folder: &str) -> KeyRange {
        KeyRange::prefix(self.key(folder))
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("{}/configs/{}/{}", self.namespace.url(), self.app, self.env)
    }

    /// Where one of its items is.
    pub(crate) fn item_url(&self, key: &str) -> String {
        let parts: Vec<String> = key.split('/').map(|part| escape_in_path(part).to_string()).collect();
        format!("{}/items/{}", self.url(), parts.join("/"))
    }
}

/// What the keys of all sets of a namespace begin with.
pub(crate) fn all_sets(namespace: &Namespace) -> String {
    format!("/{}/config/", namespace.as_str())
}

/// The application, the environment and the part that a key below [`all_sets`] is of.
pub(crate) fn parts_of(rest: &str) -> Option<(&str, &str, &str)> {
    let (app, rest) = rest.split_once('/')?;
    let (env, part) = rest.split_once('/')?;
    Some((app, env, part))
}

/// Applications, environments, labels: letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_word) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{what} has a name of 1 to {NAME_BYTES_MAX} letters, digits, '.', '_' or '-', and begins with a letter or a digit"
    )))
}

/// What an item may be called: parts between slashes, none of them empty, `.` or `..`.
pub(crate) fn check_item(key: &str) -> Result<(), Problem> {
    let parts_fit = key.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if parts_fit && key.len() <= KEY_BYTES_MAX && !key.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "an item's key has 1 to {KEY_BYTES_MAX} bytes and no control characters; no part between slashes is empty, '.' or '..'"
    )))
}

/// `…/configs/{app}/{env}`.
pub(crate) struct OfSet(pub(crate) ConfigSet);

/// `…/configs/{app}/{env}/items/{key}`: everything behind, slashes included.
pub(crate) struct OfItem {
    pub(crate) set: ConfigSet,
    pub(crate) key: String,
}

/// `…/configs/{app}/{env}/releases/{version}`.
pub(crate) struct OfRelease {
    pub(crate) set: ConfigSet,
    pub(crate) version: u64,
}

/// `…/configs/{app}/{env}/labels/{label}`.
pub(crate) struct OfLabel {
    pub(crate) set: ConfigSet,
    pub(crate) label: String,
}

/// `…/configs/{app}/{env}/clients/{client}`.
pub(crate) struct OfClient {
    pub(crate) set: ConfigSet,
    pub(crate) client: String,
}

fn set_of(params: &Params) -> Result<ConfigSet, Problem> {
    ConfigSet::parse(params.namespace()?, params.part("app"), params.part("env"))
}

/// A release's number.
pub(crate) fn parse_version(text: &str) -> Result<u64, Problem> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let version = is_number.then(|| text.parse::<u64>().ok()).flatten();
    let version = version.filter(|version| (1..=i64::MAX.unsigned_abs()).contains(version));
    version.ok_or_else(|| Problem::invalid("a release's version is a whole number above 0"))
}

/// What a client may be called.
pub(crate) fn check_client(client: &str) -> Result<(), Problem> {
    check_item(client)?;
    if client.contains('/') { Err(Problem::invalid("a client's name holds no slash")) } else { Ok(()) }
}

impl<S: Send + Sync> FromRequestParts<S> for OfSet {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        set_of(&Params::of(parts, state).await?).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfItem {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        let key = params.part("key");
        check_item(key)?;
        Ok(Self { set: set_of(&params)?, key: key.to_owned() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfRelease {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { set: set_of(&params)?, version: parse_version(params.part("version"))? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfLabel {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        let label = params.part("label");
        check_name("a label", label)?;
        Ok(Self { set: set_of(&params)?, label: label.to_owned() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        let client = params.part("client");
        check_client(client)?;
        Ok(Self { set: set_of(&params)?, client: client.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(app: &str, env: &str) -> Result<ConfigSet, Problem> {
        ConfigSet::parse(Namespace::default(), app, env)
    }

    #[test]
    fn a_set_is_a_folder_of_its_namespace() {
        let set = set("shop", "prod").unwrap();
        assert_eq!(set.prefix(), "/default/config/shop/prod/");
        assert_eq!(set.key("items/a"), "/default/config/shop/prod/items/a");
        assert_eq!(set.url(), "/v1/configs/shop/prod");
        assert_eq!(set.item_url("pool/max size"), "/v1/configs/shop/prod/items/pool/max%20size");
        assert_eq!(parts_of("shop/prod/items/a/b"), Some(("shop", "prod", "items/a/b")));
        assert_eq!(parts_of("shop/prod"), None);
    }

    #[test]
    fn names_are_bounded() {
        for name in ["", "-a", "a/b", "ü", "a b", &"x".repeat(64)] {
            assert!(set(name, "prod").is_err() && set("shop", name).is_err(), "{name:?}");
        }
        assert!(ConfigSet::parse(Namespace::parse("-").unwrap(), "shop", "prod").is_err());
        for key in ["", "/", "a//b", "a/", "a/../b", ".", "a\nb", &"x".repeat(513)] {
            assert!(check_item(key).is_err(), "{key:?}");
        }
        assert!(check_item("pool.size").is_ok() && check_item("größe/a b").is_ok());
        assert!(check_client("web-1").is_ok() && check_client("a/b").is_err());
        for version in ["", "0", "-1", "+1", "x", "9223372036854775808"] {
            assert!(parse_version(version).is_err(), "{version:?}");
        }
    }
}
