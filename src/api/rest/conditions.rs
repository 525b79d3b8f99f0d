//! Headers that negotiate: what the client accepts, and under which conditions it wants something done.
//!
//! Entity tags of this API are numbers in quotes: the `mod_revision` of a key, the fencing token of a claim. Conditional
//! writes are compared in the log entry itself, so there is no moment between check and write.

use axum::http::header::{ACCEPT, IF_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use model::Revision;

use super::problem::{Kind, Problem};

/// Most tags that are looked at.
const TAGS_MAX: usize = 64;

/// What `If-Match` or `If-None-Match` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: whatever there is.
    Any,
    /// One of these; at least one.
    Listed(Vec<Revision>),
}

impl Tags {
    /// The tags in header `name`, if it is there.
    pub(crate) fn parse(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let refusal = || {
            Problem::invalid(format!(
                "{name} must be \"*\" or numbers in quotes, such as \"18423\", as the server's ETag has it"
            ))
        };
        let mut tags = Vec::new();
        for value in headers.get_all(name) {
            for tag in value.to_str().map_err(|_| refusal())?.split(',') {
                let tag = tag.trim();
                if tag == "*" {
                    return Ok(Some(Self::Any));
                }
                if tags.len() == TAGS_MAX {
                    return Err(Problem::invalid(format!("{name} may hold at most {TAGS_MAX} tags")));
                }
                tags.push(revision(tag).ok_or_else(refusal)?);
            }
        }
        Ok((!tags.is_empty()).then_some(Self::Listed(tags)))
    }

    /// The same where only one tag makes sense.
    pub(crate) fn parse_one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        match Self::parse(headers, name)? {
            Some(Self::Listed(tags)) if tags.len() > 1 => {
                Err(Problem::invalid(format!("{name} may name one tag here")))
            }
            tags => Ok(tags),
        }
    }

    /// The one revision that a write has to name in `If-Match`; `meaning` says what that revision is.
    pub(crate) fn required(headers: &HeaderMap, meaning: &str) -> Result<Revision, Problem> {
        match Self::parse_one(headers, &IF_MATCH)? {
            Some(Self::Listed(tags)) => Ok(tags[0]),
            Some(Self::Any) => Err(Problem::invalid(format!("If-Match must name {meaning}; \"*\" says nothing here"))),
            None => Err(Problem::new(Kind::PreconditionRequired, format!("If-Match must name {meaning}, in quotes"))),
        }
    }

    /// Whether something at `revision` is meant.
    pub(crate) fn matches(&self, revision: Revision) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.contains(&revision),
        }
    }
}

/// A number in quotes. A tag that a proxy made weak is still the tag that was given out.
fn revision(tag: &str) -> Option<Revision> {
    let digits = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok().map(Revision::new)).flatten()
}

/// The tag of a revision.
pub(crate) fn etag(revision: Revision) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits in quotes are a header value")
}

/// Whether the client asks for `media_type` by name. Wildcards ask for nothing in particular.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    ranges.filter_map(|range| range.split(';').next()).any(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(value: &'static str) -> Result<Option<Tags>, Problem> {
        Tags::parse(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(value))]), &IF_MATCH)
    }

    fn listed(revisions: &[i64]) -> Option<Tags> {
        Some(Tags::Listed(revisions.iter().map(|revision| Revision::new(*revision)).collect()))
    }

    #[test]
    fn tags_are_numbers_in_quotes() {
        assert_eq!(tags("\"18423\"").unwrap(), listed(&[18_423]));
        assert_eq!(tags("\"1\", W/\"2\"").unwrap(), listed(&[1, 2]));
        assert_eq!(tags("*").unwrap(), Some(Tags::Any));
        assert_eq!(Tags::parse(&HeaderMap::new(), &IF_MATCH).unwrap(), None);
        for value in ["18423", "\"\"", "\"abc\"", "\"1", "\"-1\"", "", "\"1\",", "\"9223372036854775808\""] {
            assert!(tags(value).is_err(), "{value}");
        }
    }

    #[test]
    fn where_one_is_meant_two_are_refused() {
        let headers = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static("\"1\", \"2\""))]);
        assert!(Tags::parse_one(&headers, &IF_MATCH).is_err());
    }

    #[test]
    fn a_media_type_is_accepted_by_name() {
        let accept = |value: &'static str| HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]);
        assert!(accepts(&accept("text/html, Text/Event-Stream;q=0.5"), "text/event-stream"));
        assert!(!accepts(&accept("*/*"), "text/event-stream"));
        assert!(!accepts(&HeaderMap::new(), "text/event-stream"));
    }
}
