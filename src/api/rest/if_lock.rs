//! `If-Lock`: a write that happens only while a claim holds.
//!
//! ```text
//! If-Lock: "orders";session="694d805f7877a227";token=1842          a list of strings with parameters (RFC 9651)
//! ```
//!
//! Parameters are `session`, `token`, and `ns` for a lock of another namespace than the path's. The claim is compared in the log entry
//! of the write itself: it must be there, of that token, and the first in its line. A holder that lost its lock while it was paused
//! cannot write, whenever its write arrives.

use axum::http::{HeaderMap, HeaderName};
use model::{Compare, CompareResult, KeyRange, Operand, Revision};
use recipes::Guard;

use super::names::{Lock, Namespace, SessionId, Sort};
use super::problem::{Facts, Kind, Problem};

/// The header.
pub(crate) const IF_LOCK: HeaderName = HeaderName::from_static("if-lock");

/// Most claims that one write can be made to depend on.
const CLAIMS_MAX: usize = 16;

/// A claim that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldClaim {
    lock: Lock,
    session: SessionId,
    token: Revision,
}

/// The claims in the header, which name locks of `namespace` unless they say otherwise.
pub(crate) fn if_lock(headers: &HeaderMap, namespace: &Namespace) -> Result<Vec<HeldClaim>, Problem> {
    let mut claims = Vec::new();
    for value in headers.get_all(IF_LOCK) {
        let text = value.to_str().map_err(|_| malformed())?;
        let mut rest = text.trim();
        loop {
            let (claim, after) = HeldClaim::parse(rest, namespace)?;
            claims.push(claim);
            if claims.len() > CLAIMS_MAX {
                return Err(Problem::invalid(format!("If-Lock may name at most {CLAIMS_MAX} claims")));
            }
            match after.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None if after.is_empty() => break,
                None => return Err(malformed()),
            }
        }
    }
    Ok(claims)
}

fn malformed() -> Problem {
    Problem::invalid("If-Lock must be like \"orders\";session=\"694d805f7877a227\";token=1842, or a list of such")
}

impl HeldClaim {
    /// One member of the list, and what follows it.
    fn parse<'a>(text: &'a str, namespace: &Namespace) -> Result<(Self, &'a str), Problem> {
        let (name, mut rest) = string(text).ok_or_else(malformed)?;
        let (mut session, mut token, mut namespace) = (None, None, namespace.clone());
        while let Some(parameter) = rest.trim_start().strip_prefix(';') {
            let (key, value) = parameter.trim_start().split_once('=').ok_or_else(malformed)?;
            let after = match key {
                "session" => {
                    let (id, after) = string(value).ok_or_else(malformed)?;
                    session = Some(SessionId::parse(&id)?);
                    after
                }
                "ns" => {
                    let (name, after) = string(value).ok_or_else(malformed)?;
                    namespace = Namespace::parse(&name)?;
                    after
                }
                "token" => {
                    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
                    let number = value[..digits].parse().ok().filter(|token: &i64| *token > 0);
                    token = Some(Revision::new(number.ok_or_else(malformed)?));
                    &value[digits..]
                }
                other => return Err(Problem::invalid(format!("If-Lock has no parameter {other:?}"))),
            };
            rest = after;
        }
        let (session, token) = session.zip(token).ok_or_else(malformed)?;
        let lock = Lock::of(Sort::Lock, namespace, &name)?;
        Ok((Self { lock, session, token }, rest.trim_start()))
    }

    /// The comparisons of a transaction that say so: the claim has this token, and no claim of the line is older.
    pub(crate) fn compares(&self) -> [Compare; 2] {
        let own = recipes::contender_key(&self.lock.prefix(), self.session.lease());
        let (token, before) = (self.token.get(), self.token.previous().get());
        [
            Compare { range: KeyRange::Single(own), result: CompareResult::Equal, operand: Operand::Create(token) },
            Compare {
                range: KeyRange::prefix(self.lock.prefix()),
                result: CompareResult::Greater,
                operand: Operand::Create(before),
            },
        ]
    }

    /// The same for a recipe that takes guards.
    pub(crate) fn guard(&self) -> Guard {
        Guard { key: recipes::contender_key(&self.lock.prefix(), self.session.lease()), token: self.token }
    }

    /// Says that the claim does not hold; `current` is the holder's token, if somebody holds.
    pub(crate) fn stale(&self, current: Option<Revision>) -> Problem {
        let detail = format!(
            "{}: the claim of session {} with token {} does not hold; nothing was written",
            self.lock.name, self.session, self.token
        );
        let facts = Facts { current_token: current.map(Revision::get), ..Facts::default() };
        Problem::new(Kind::FencingTokenStale, detail).with(facts)
    }

    /// Whether the claim whose key is `guard` is meant.
    pub(crate) fn prefix(&self) -> bytes::Bytes {
        self.lock.prefix()
    }
}

/// A string in quotes, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((found, &text[at + 2..])),
            '\\' => found.push(chars.next().map(|(_, char)| char).filter(|char| matches!(char, '"' | '\\'))?),
            ' '..='~' => found.push(char),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn claims(value: &'static str) -> Result<Vec<HeldClaim>, Problem> {
        let headers = HeaderMap::from_iter([(IF_LOCK, HeaderValue::from_static(value))]);
        if_lock(&headers, &Namespace::default())
    }

    #[test]
    fn a_claim_is_a_lock_a_session_and_a_token() {
        let found = claims(r#""orders";session="1f";token=1842"#).unwrap();
        let lock = Lock::of(Sort::Lock, Namespace::default(), "orders").unwrap();
        let claim = HeldClaim { lock, session: SessionId::parse("1f").unwrap(), token: Revision::new(1842) };
        assert_eq!(found, [claim]);
        assert_eq!(found[0].guard(), Guard { key: "/default/locks/orders/1f".into(), token: Revision::new(1842) });
        let two = claims(r#""a\"b"; token=7 ;session="1", "c";session="2";token=8;ns="shop""#).unwrap();
        assert_eq!((two[0].lock.name.as_str(), two[1].lock.namespace.as_str()), ("a\"b", "shop"));
        assert!(if_lock(&HeaderMap::new(), &Namespace::default()).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_that_is_refused() {
        for value in [
            "",
            "orders",
            r#""orders""#,
            r#""orders";session="1f""#,
            r#""orders";token=1"#,
            r#""orders";session="1f";token=0"#,
            r#""orders";session="1f";token=-1"#,
            r#""orders";session=1f;token=1"#,
            r#""orders";session="1f";token=1;mode="x""#,
            r#""orders";session="1f";token=1 "x""#,
            r#""orders";session="1f";token=1,"#,
            r#""ord"#,
            r#""";session="1f";token=1"#,
        ] {
            assert!(claims(value).is_err(), "{value}");
        }
    }
}
