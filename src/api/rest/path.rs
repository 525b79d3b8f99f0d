//! What a path names, checked before a handler runs. The tenant form and the short form of a path lead to the same handler.

use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use bytes::Bytes;
use model::{KEY_BYTES_MAX, Revision};
use percent_encoding::percent_decode_str;

use super::names::{Lock, Namespace, SessionId, Sort, check_name};
use super::problem::{Kind, Problem};

/// A namespace: `/v1/ns/{ns}/…`, or the default one.
pub(crate) struct OfNamespace(pub(crate) Namespace);

/// `…/sessions/{id}`.
pub(crate) struct OfSession {
    pub(crate) namespace: Namespace,
    pub(crate) session: SessionId,
}

/// `…/locks/{name}`, and the same for the other sorts of locks.
pub(crate) struct OfLock(pub(crate) Lock);

/// `…/locks/{name}/claims/{session}`, and the same for the other sorts of locks.
pub(crate) struct OfClaim {
    pub(crate) lock: Lock,
    pub(crate) session: SessionId,
}

/// The same where a new session may be asked for.
pub(crate) struct OfNewClaim {
    pub(crate) lock: Lock,
    /// `None`: the session is to be opened with the claim.
    pub(crate) session: Option<SessionId>,
}

/// `…/{things}/{name}`, for any kind of things.
pub(crate) struct OfName {
    pub(crate) namespace: Namespace,
    pub(crate) name: String,
}

/// `…/{things}/{name}/{members}/{session}`, for any kind of things.
pub(crate) struct OfMember {
    pub(crate) of: OfName,
    pub(crate) session: SessionId,
}

/// The same where a new session may be asked for.
pub(crate) struct OfNewMember {
    pub(crate) of: OfName,
    /// `None`: the session is to be opened with the membership.
    pub(crate) session: Option<SessionId>,
}

/// `…/queues/{name}/claims/{claim}`: a loan, `<message>.<token>`.
pub(crate) struct OfLoan {
    pub(crate) of: OfName,
    pub(crate) message: String,
    pub(crate) token: Revision,
}

/// `/v1/kv/{key}`: everything behind, slashes included, as bytes.
pub(crate) struct OfKey(pub(crate) Bytes);

/// `…/locks/{name}/tokens/{token}`.
pub(crate) struct OfToken {
    pub(crate) lock: Lock,
    pub(crate) token: Revision,
}

/// The named parts of a path.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of a request.
    pub(crate) async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Problem::invalid("the path is not UTF-8"))?;
        Ok(Self(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    /// The part that the route calls `name`; empty if it has none, which no name is.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The namespace that the path is in.
    pub(crate) fn namespace(&self) -> Result<Namespace, Problem> {
        match self.part("ns") {
            "" => Ok(Namespace::default()),
            text => Namespace::parse(text),
        }
    }

    fn name(&self) -> Result<OfName, Problem> {
        let name = self.part("name").to_owned();
        check_name(&name)?;
        Ok(OfName { namespace: self.namespace()?, name })
    }

    /// A session that is open, or `None` for `new`.
    fn new_session(&self) -> Result<Option<SessionId>, Problem> {
        match self.part("session") {
            "new" => Ok(None),
            id => SessionId::parse(id).map(Some),
        }
    }

    /// The lock of whatever sort: what a route calls it says which.
    fn lock(&self) -> Result<Lock, Problem> {
        const SORTS: [(&str, Sort); 3] =
            [("rw_lock", Sort::RwLock), ("semaphore", Sort::Semaphore), ("lock_set", Sort::LockSet)];
        let named = SORTS.into_iter().find(|(part, _)| !self.part(part).is_empty());
        let (part, sort) = named.unwrap_or(("name", Sort::Lock));
        Lock::of(sort, self.namespace()?, self.part(part))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfNamespace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Params::of(parts, state).await?.namespace().map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { namespace: params.namespace()?, session: SessionId::parse(params.part("id"))? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfLock {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Params::of(parts, state).await?.lock().map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfClaim {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { lock: params.lock()?, session: SessionId::parse(params.part("session"))? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfNewClaim {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { lock: params.lock()?, session: params.new_session()? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { lock: params.lock()?, token: parse_token(params.part("token"))? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Params::of(parts, state).await?.name()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfMember {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { of: params.name()?, session: SessionId::parse(params.part("session"))? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfNewMember {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self { of: params.name()?, session: params.new_session()? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfLoan {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        let loan = params.part("claim").rsplit_once('.').filter(|(message, _)| !message.is_empty());
        let (message, token) =
            loan.ok_or_else(|| Problem::invalid("a loan is a message and a token, with a dot between"))?;
        let (message, token) = (message.to_owned(), parse_token(token)?);
        Ok(Self { of: params.name()?, message, token })
    }
}

fn parse_token(text: &str) -> Result<Revision, Problem> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let token = is_number.then(|| text.parse().ok()).flatten().filter(|token| *token > 0);
    token.map(Revision::new).ok_or_else(|| Problem::invalid("a fencing token is a whole number above 0"))
}

impl<S: Send + Sync> FromRequestParts<S> for OfKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(OriginalUri(uri)) = OriginalUri::from_request_parts(parts, state).await;
        let escaped = uri.path().strip_prefix("/v1/kv/").unwrap_or_default();
        check_key(percent_decode_str(escaped).collect::<Vec<u8>>().into()).map(Self)
    }
}

/// Whether the store takes such a key: what it would say, said before anything is proposed or read.
fn check_key(key: Bytes) -> Result<Bytes, Problem> {
    if key.is_empty() {
        return Err(Problem::invalid("the key is empty"));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Problem::new(Kind::ValueTooLarge, format!("a key has at most {KEY_BYTES_MAX} bytes")));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_number_above_zero() {
        assert_eq!(parse_token("1842").unwrap(), Revision::new(1842));
        for text in ["", "0", "-1", "+1", "1.0", "abc", "9223372036854775808"] {
            assert!(parse_token(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_bounded() {
        assert!(check_key(Bytes::new()).is_err());
        assert!(check_key(vec![b'k'; KEY_BYTES_MAX].into()).is_ok());
        let problem = check_key(vec![b'k'; KEY_BYTES_MAX + 1].into()).unwrap_err();
        assert_eq!(problem.kind(), Kind::ValueTooLarge);
    }
}
