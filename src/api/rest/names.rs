//! Names in paths, and the keys that they stand for.
//!
//! ```text
//! session    /<namespace>/_sessions/<session>
//! lock       /<namespace>/locks/<name>/<session>
//! rw-lock    /<namespace>/rwlocks/<name>/{read,write,shared}/<session>      /<namespace>/_meta/rwlocks/<name>/<session>
//! semaphore  /<namespace>/semaphores/<name>/claims/<session>                /<namespace>/_meta/semaphores/<name>
//! lock-set   a lock's key for each                                          /<namespace>/_meta/locksets/<name>/<session>
//! ```
//!
//! In namespace `-` what stands before `/<session>`, `/{read,write,shared}` and `/claims` is the name itself: any etcd prefix.
//!
//! `<session>` is the lease in lower-case hexadecimal without padding, as etcd's clients write it: one spelling for one lease,
//! or two clients would stand in two lines. A name is escaped in the key where it would otherwise be more than one part of a
//! path (`/` and `%`), because a lock `a/b` would block lock `a`: etcd's contenders of `a` are all keys under `a/`.

use bytes::Bytes;
use model::LeaseId;
use node::Claimable;
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

    /// What a session is told: a key on its lease.
    pub(crate) fn notice_key(&self, session: SessionId) -> Bytes {
        format!("/{}/_notices/{session}", self.0).into()
    }

    /// What the keys of all things of a sort begin with; `None` where they can begin with anything.
    pub(crate) fn all_of(&self, sort: Sort) -> Option<String> {
        (self.0 != VERBATIM_NAMESPACE).then(|| format!("/{}/{}/", self.0, sort.folder()))
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

/// What can be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// One holder at a time.
    Lock,
    /// One writer or many readers.
    RwLock,
    /// As many permits as its limit says.
    Semaphore,
    /// Several locks at once.
    LockSet,
}

impl Sort {
    /// Where they are in URLs.
    pub(crate) const fn segment(self) -> &'static str {
        match self {
            Self::Lock => "locks",
            Self::RwLock => "rw-locks",
            Self::Semaphore => "semaphores",
            Self::LockSet => "lock-sets",
        }
    }

    /// Where they are among the keys.
    const fn folder(self) -> &'static str {
        match self {
            Self::Lock => "locks",
            Self::RwLock => "rwlocks",
            Self::Semaphore => "semaphores",
            Self::LockSet => "locksets",
        }
    }
}

/// A thing that can be claimed: a lock of any sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) namespace: Namespace,
    pub(crate) sort: Sort,
    /// Its name, unescaped.
    pub(crate) name: String,
}

impl Lock {
    /// The lock `name` of a namespace.
    #[cfg(test)]
    pub(crate) fn parse(namespace: Namespace, name: &str) -> Result<Self, Problem> {
        Self::of(Sort::Lock, namespace, name)
    }

    /// The thing `name` of a sort in a namespace.
    pub(crate) fn of(sort: Sort, namespace: Namespace, name: &str) -> Result<Self, Problem> {
        check_name(name)?;
        Ok(Self { namespace, sort, name: name.to_owned() })
    }

    /// The name under which etcd's clients lock it: `etcdctl lock <this>`.
    pub(crate) fn etcd_name(&self) -> String {
        match self.namespace.all_of(self.sort) {
            Some(all) => all + &escape(&self.name),
            None => self.name.clone(),
        }
    }

    /// What the keys of its line begin with. A set has no line of its own, but the records of its claims.
    pub(crate) fn prefix(&self) -> Bytes {
        match self.sort {
            Sort::Lock | Sort::RwLock => (self.etcd_name() + "/").into(),
            Sort::Semaphore => (self.etcd_name() + "/claims/").into(),
            Sort::LockSet => self.records(),
        }
    }

    /// What the keys of the records of its claims begin with, where those are keys apart.
    fn records(&self) -> Bytes {
        (self.meta_key() + "/").into()
    }

    /// The key of what is known of it beside its line.
    fn meta_key(&self) -> String {
        format!("/{}/_meta/{}/{}", self.namespace.as_str(), self.sort.folder(), escape(&self.name))
    }

    /// The key of a semaphore's limit.
    pub(crate) fn limit_key(&self) -> Bytes {
        self.meta_key().into()
    }

    /// What it is to the member.
    pub(crate) fn claimable(&self) -> Claimable {
        let prefix = self.prefix();
        match self.sort {
            Sort::Lock => Claimable::Mutex { prefix },
            Sort::RwLock => Claimable::ReadWrite { prefix, records: self.records() },
            Sort::Semaphore => Claimable::Semaphore { prefix, limit: self.limit_key() },
            Sort::LockSet => Claimable::Set { records: prefix },
        }
    }

    /// Where the records of its claims are, if those are keys apart.
    pub(crate) fn records_apart(&self) -> Option<Bytes> {
        match self.sort {
            Sort::Lock | Sort::Semaphore => None,
            Sort::RwLock | Sort::LockSet => Some(self.records()),
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        let name = escape_in_path(&self.name);
        format!("{}/{}/{name}", self.namespace.url(), self.sort.segment())
    }

    /// Where a session's claim on it is.
    pub(crate) fn claim_url(&self, session: SessionId) -> String {
        format!("{}/claims/{session}", self.url())
    }
}

/// The thing that a session's claim of this key or record is on, if it is one of `namespace`, and the session.
pub(crate) fn claimed_by(namespace: &Namespace, key: &[u8]) -> Option<(Lock, SessionId)> {
    let key = std::str::from_utf8(key).ok()?;
    let (line, session) = key.rsplit_once('/')?;
    let session = SessionId::parse(session).ok()?;
    let under = |sort| line.strip_prefix(&*namespace.all_of(sort)?);
    let (sort, name) = if let Some(name) = under(Sort::Lock) {
        (Sort::Lock, name)
    } else if let Some(name) = under(Sort::RwLock) {
        (Sort::RwLock, name.strip_suffix("/read").or_else(|| name.strip_suffix("/write"))?)
    } else if let Some(name) = under(Sort::Semaphore) {
        (Sort::Semaphore, name.strip_suffix("/claims")?)
    } else {
        (Sort::LockSet, line.strip_prefix(&format!("/{}/_meta/locksets/", namespace.as_str()))?)
    };
    if name.contains('/') {
        return None;
    }
    let name = percent_decode_str(name).decode_utf8().ok()?;
    Some((Lock { namespace: namespace.clone(), sort, name: name.into_owned() }, session))
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
            let (lock, _) = claimed_by(&Namespace::parse("a").unwrap(), key.as_bytes()).unwrap();
            assert_eq!((lock.sort, lock.name.as_str()), (Sort::Lock, name));
        }
    }

    #[test]
    fn other_keys_are_no_claims() {
        let namespace = Namespace::default();
        for key in ["/default/locks/a", "/default/locks/a/xyz", "/other/locks/a/1", "/default/locks/a/b/1", "\u{0}"] {
            assert_eq!(claimed_by(&namespace, key.as_bytes()), None, "{key}");
        }
        assert_eq!(claimed_by(&namespace, b"/default/locks/\xff/1"), None);
    }

    #[test]
    fn a_claim_of_any_sort_is_found_by_its_key() {
        let namespace = Namespace::default();
        let session = SessionId::parse("1f").unwrap();
        for (sort, key) in [
            (Sort::Lock, "/default/locks/a%2Fb/1f"),
            (Sort::RwLock, "/default/rwlocks/a%2Fb/read/1f"),
            (Sort::RwLock, "/default/rwlocks/a%2Fb/write/1f"),
            (Sort::Semaphore, "/default/semaphores/a%2Fb/claims/1f"),
            (Sort::LockSet, "/default/_meta/locksets/a%2Fb/1f"),
        ] {
            let lock = Lock::of(sort, namespace.clone(), "a/b").unwrap();
            assert_eq!(claimed_by(&namespace, key.as_bytes()), Some((lock, session)), "{key}");
        }
        for key in ["/default/rwlocks/a/shared/1f", "/default/semaphores/a/1f", "/default/_meta/rwlocks/a/1f"] {
            assert_eq!(claimed_by(&namespace, key.as_bytes()), None, "{key}");
        }
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
