//! Pages of lists: how many entries, and where the next page begins.
//!
//! All pages of a list show one revision, that of the first: a scan is a snapshot. The token says which, for which list, and
//! after what to go on. To clients it is opaque.
//!
//! ```text
//! token = base64url( format:u8(=1) revision:i64 prefix_length:u32 prefix after )      integers are big-endian
//! ```

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, BufMut, Bytes};
use model::Revision;

use super::problem::{Kind, Problem};
use super::query::Query;

const FORMAT: u8 = 1;

/// Entries of a page unless the client says how many.
const LIMIT_DEFAULT: i64 = 100;

/// Most entries of a page.
const LIMIT_MAX: i64 = 1000;

/// A page that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// At most this many entries: 1 to 1000.
    pub(crate) limit: i64,
    /// Where the page before it ended; `None` for the first.
    pub(crate) from: Option<Place>,
}

/// The end of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What every page of the list shows.
    pub(crate) revision: Revision,
    /// What the list's entries have in common.
    pub(crate) prefix: Bytes,
    /// The last entry, in the list's own terms.
    pub(crate) after: Bytes,
}

impl Page {
    /// The page of the list of `prefix` that `limit` and `page_token` ask for.
    pub(crate) fn of(query: &mut Query, prefix: &Bytes) -> Result<Self, Problem> {
        let limit = query.positive("limit")?.unwrap_or(LIMIT_DEFAULT);
        if limit > LIMIT_MAX {
            return Err(Problem::invalid(format!("limit must be between 1 and {LIMIT_MAX}")));
        }
        let Some(token) = query.text("page_token")? else { return Ok(Self { limit, from: None }) };
        let place = Place::parse(&token).filter(|place| place.prefix == *prefix);
        let refusal = || Problem::invalid("page_token is not one that this list has given out");
        Ok(Self { limit, from: Some(place.ok_or_else(refusal)?) })
    }

    /// The revision to read at; zero is the latest.
    pub(crate) fn revision(&self) -> Revision {
        self.from.as_ref().map_or(Revision::ZERO, |place| place.revision)
    }

    /// Why the page could not be read: a list that was begun can expire.
    pub(crate) fn problem(&self, error: impl Into<node::Error>) -> Problem {
        let problem = Problem::of_read(error);
        if self.from.is_some() && problem.kind() == Kind::RevisionCompacted {
            return Problem::new(Kind::PageExpired, "the revision of the list's first page was compacted; start again");
        }
        problem
    }
}

impl Place {
    fn parse(token: &str) -> Option<Self> {
        let mut bytes = Bytes::from(URL_SAFE_NO_PAD.decode(token).ok()?);
        if bytes.try_get_u8().ok()? != FORMAT {
            return None;
        }
        let revision = bytes.try_get_i64().ok().filter(|revision| *revision > 0)?;
        let prefix_length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
        if prefix_length > bytes.len() {
            return None;
        }
        let prefix = bytes.split_to(prefix_length);
        Some(Self { revision: Revision::new(revision), prefix, after: bytes })
    }

    /// The token that leads here.
    pub(crate) fn token(&self) -> String {
        let mut bytes = Vec::with_capacity(13 + self.prefix.len() + self.after.len());
        bytes.put_u8(FORMAT);
        bytes.put_i64(self.revision.get());
        bytes.put_u32(u32::try_from(self.prefix.len()).expect("a prefix that came in a request is short"));
        bytes.put_slice(&self.prefix);
        bytes.put_slice(&self.after);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { revision: Revision::new(18_423), prefix: "/a/".into(), after: Bytes::from_static(b"/a/\xffz") }
    }

    fn page(query: &str, prefix: &'static str) -> Result<Page, Problem> {
        Page::of(&mut Query::parse(query).unwrap(), &Bytes::from_static(prefix.as_bytes()))
    }

    #[test]
    fn a_token_leads_back() {
        let token = place().token();
        let page = page(&format!("page_token={token}&limit=7"), "/a/").unwrap();
        assert_eq!(page, Page { limit: 7, from: Some(place()) });
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(page("", "").unwrap().limit, 100);
        assert_eq!(page("limit=1000", "").unwrap().limit, 1000);
        assert!(page("limit=1001", "").is_err());
        assert!(page("limit=0", "").is_err());
    }

    #[test]
    fn foreign_and_broken_tokens_are_refused() {
        let token = place().token();
        assert!(page(&format!("page_token={token}"), "/b/").is_err(), "of another list");
        for broken in [&token[1..], &token[..6], "", "AAAA", "!", "AQAAAAAAAAAAAAAAAA"] {
            assert!(page(&format!("page_token={broken}"), "/a/").is_err(), "{broken}");
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        bytes[9..13].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(page(&format!("page_token={}", URL_SAFE_NO_PAD.encode(bytes)), "/a/").is_err());
    }

    #[test]
    fn a_list_that_was_begun_expires() {
        let first = Page { limit: 1, from: None };
        let later = Page { limit: 1, from: Some(place()) };
        let compacted = || node::Error::from(model::Rejection::Compacted);
        assert_eq!(first.problem(compacted()).kind(), Kind::RevisionCompacted);
        assert_eq!(later.problem(compacted()).kind(), Kind::PageExpired);
    }
}
