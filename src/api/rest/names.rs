//! Names in paths, and the keys that they stand for.
//!
//! ```text
//! lock     /<namespace>/locks/<name>/<session>      namespace "-": <name>/<session>, the name being any etcd prefix
//! session  /<namespace>/_sessions/<session>
//! ```
//!
//! `<session>` is the lease in lower-case hexadecimal without padding, as etcd's clients write it: one spelling for one lease,
//! or two clients would stand in two lines. A name is escaped in the key where it would otherwise be more than one part of a
//! path (`/` and `%`), because a lock `a/b` would block lock `a`: etcd's contenders of `a` are all keys under `a/`.

use bytes::Bytes;
use model::LeaseId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::problem::Problem;

/// Longest name in bytes, before escaping.
const NAME_BYTES_MAX: usize = 512;

/// Longest namespace in bytes.
const NAMESPACE_BYTES_MAX: usize = 63;

/// The namespace of the short form of paths.
const DEFAULT_NAMESPACE: &str = "default";

/// The namespace that takes lock names as etcd prefixes.
const VERBATIM_NAMESPACE: &str = "-";

/// What a part of a URL's path may hold as it is.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A namespace: whose locks and sessions are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace(String);

impl Default for Namespace {
    fn default() -> Self {
        Self(DEFAULT_NAMESPACE.to_owned())
    }
}

impl Namespace {
    /// Letters, digits, `.`, `_` and `-`, beginning with a letter or digit; or `-` alone.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let is_name = starts_well && text.len() <= NAMESPACE_BYTES_MAX && text.bytes().all(is_word);
        if is_name || text == VERBATIM_NAMESPACE {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::invalid(format!(
            "a namespace has 1 to {NAMESPACE_BYTES_MAX} letters, digits, '.', '_' or '-', and begins with a letter or a digit"
        )))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the keys of all session records begin with.
    pub(crate) fn session_records(&self) -> Bytes {
        format!("/{}/_sessions/", self.0).into()
    }

    /// What the keys of all locks begin with; `None` where they can begin with anything.
    pub(crate) fn locks(&self) -> Option<String> {
        (self.0 != VERBATIM_NAMESPACE).then(|| format!("/{}/locks/", self.0))
    }

    /// Whether names are etcd prefixes here.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.0 == VERBATIM_NAMESPACE
    }

    /// Where the REST resources of the namespace are.
    pub(crate) fn url(&self) -> String {
        if self.0 == DEFAULT_NAMESPACE { "/v1".to_owned() } else { format!("/v1/ns/{}", self.0) }
    }
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) namespace: Namespace,
    /// Its name, unescaped.
    pub(crate) name: String,
}

impl Lock {
    /// The lock `name` of a namespace.
    pub(crate) fn parse(namespace: Namespace, name: &str) -> Result<Self, Problem> {
        check_name(name)?;
        Ok(Self { namespace, name: name.to_owned() })
    }

    /// The name under which etcd's clients lock it: `etcdctl lock <this>`.
    pub(crate) fn etcd_name(&self) -> String {
        match self.namespace.locks() {
            Some(locks) => locks + &escape(&self.name),
            None => self.name.clone(),
        }
    }

    /// What the keys of its contenders begin with.
    pub(crate) fn prefix(&self) -> Bytes {
        (self.etcd_name() + "/").into()
    }

    /// Where a session's claim on it is.
    pub(crate) fn claim_url(&self, session: SessionId) -> String {
        let name = escape_in_path(&self.name);
        format!("{}/locks/{name}/claims/{session}", self.namespace.url())
    }
}

/// The name of the lock that a claim's key is under, if it is one of `namespace`.
pub(crate) fn lock_of_claim(namespace: &Namespace, key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?;
    let (escaped, session) = key.strip_prefix(&namespace.locks()?)?.rsplit_once('/')?;
    SessionId::parse(session).ok()?;
    if escaped.contains('/') {
        return None;
    }
    percent_decode_str(escaped).decode_utf8().ok().map(Into::into)
}

/// Whether anything can be called so.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let is_dots = name == "." || name == "..";
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) || is_dots {
        return Err(Problem::invalid(format!(
            "a name has 1 to {NAME_BYTES_MAX} bytes, no control characters, and is neither '.' nor '..'"
        )));
    }
    Ok(())
}

/// A name as a part of a URL's path.
pub(crate) fn escape_in_path(name: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(name, PATH_SEGMENT)
}

/// A name as one part of a key.
pub(crate) fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// A session: a lease that has a name every client agrees on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId(LeaseId);

impl SessionId {
    /// The one spelling of an id: lower-case hexadecimal of 1 to 2^63-1, without padding.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let is_canonical = !text.starts_with('0') && text.len() <= 16 && text.bytes().all(is_hex);
        is_canonical
            .then(|| i64::from_str_radix(text, 16).ok())
            .flatten()
            .map(|raw| Self(LeaseId::new(raw)))
            .ok_or_else(|| {
                Problem::invalid(
                    "a session id is 1 to 7fffffffffffffff in lower-case hexadecimal without leading zeros",
                )
            })
    }

    /// The session that a lease is.
    pub(crate) const fn of(lease: LeaseId) -> Self {
        Self(lease)
    }

    /// Its lease.
    pub(crate) const fn lease(self) -> LeaseId {
        self.0
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(namespace: &str, name: &str) -> Lock {
        Lock::parse(Namespace::parse(namespace).unwrap(), name).unwrap()
    }

    #[test]
    fn a_lock_is_where_etcds_clients_look_for_it() {
        assert_eq!(lock("default", "orders").etcd_name(), "/default/locks/orders");
        assert_eq!(lock("default", "orders").prefix(), "/default/locks/orders/");
        assert_eq!(lock("-", "/my/app/lock").etcd_name(), "/my/app/lock");
    }

    #[test]
    fn t19_a_slash_in_a_name_is_not_a_slash_in_the_key() {
        assert_eq!(lock("a", "x/y").etcd_name(), "/a/locks/x%2Fy");
        assert_eq!(lock("a", "x%2Fy").etcd_name(), "/a/locks/x%252Fy", "two names are two locks");
        for name in ["x/y", "x%2Fy", "%", "grün", "a b"] {
            let key = format!("{}/1f", lock("a", name).etcd_name());
            assert_eq!(lock_of_claim(&Namespace::parse("a").unwrap(), key.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_keys_are_no_claims() {
        let namespace = Namespace::default();
        for key in ["/default/locks/a", "/default/locks/a/xyz", "/other/locks/a/1", "/default/locks/a/b/1", "\u{0}"] {
            assert_eq!(lock_of_claim(&namespace, key.as_bytes()), None, "{key}");
        }
        assert_eq!(lock_of_claim(&namespace, b"/default/locks/\xff/1"), None);
    }

    #[test]
    fn urls_lead_back() {
        let session = SessionId::parse("1f").unwrap();
        assert_eq!(lock("default", "a/b c").claim_url(session), "/v1/locks/a%2Fb%20c/claims/1f");
        assert_eq!(lock("shop", "a").claim_url(session), "/v1/ns/shop/locks/a/claims/1f");
    }

    #[test]
    fn names_are_bounded() {
        let namespace = Namespace::default;
        assert!(Lock::parse(namespace(), &"x".repeat(NAME_BYTES_MAX)).is_ok());
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["", ".", "..", "a\nb", "a\u{0}", "a\u{7f}", &long] {
            assert!(Lock::parse(namespace(), name).is_err(), "{name:?}");
        }
        let long = "x".repeat(NAMESPACE_BYTES_MAX + 1);
        for name in ["", "_a", ".a", "a/b", "a b", "--", "ü", &long] {
            assert!(Namespace::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn t20_a_session_has_one_spelling() {
        assert_eq!(SessionId::parse("694d805f7877a227").unwrap().lease().get(), 7_587_862_094_720_508_455);
        assert_eq!(SessionId::parse("7fffffffffffffff").unwrap().to_string(), "7fffffffffffffff");
        for text in
            ["", "0", "01", "8000000000000000", "ffffffffffffffff", "1F", "0x1", "-1", "+1", "new", "11111111111111111"]
        {
            assert!(SessionId::parse(text).is_err(), "{text}");
        }
    }
}
