//! Parameters after the question mark: known ones, once each, or the request is refused.
//!
//! A mistyped name that is ignored is a filter that is not applied; so what nobody takes is an error ([`Query::finish`]).
//! Values are bytes, because keys are.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bytes::Bytes;
use percent_encoding::percent_decode;

use super::problem::Problem;

/// Most parameters that are looked at.
const PARAMETERS_MAX: usize = 32;

/// The parameters that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, Bytes)>,
}

impl Query {
    /// The parameters of `text`, which is what follows the question mark.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, Bytes)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = String::from_utf8_lossy(&decode(name)).into_owned();
            if pairs.len() == PARAMETERS_MAX {
                return Err(Problem::invalid(format!("a request has at most {PARAMETERS_MAX} parameters")));
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Problem::invalid(format!("parameter {name:?} is given twice")));
            }
            pairs.push((name, decode(value)));
        }
        Ok(Self { pairs })
    }

    /// The value of `name`, if it is given.
    pub(crate) fn bytes(&mut self, name: &str) -> Option<Bytes> {
        let at = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.swap_remove(at).1)
    }

    /// The value of `name`, if it is given, as text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let value = self.bytes(name).map(|value| String::from_utf8(value.into()));
        value.transpose().map_err(|_| Problem::invalid(format!("parameter {name:?} is not UTF-8")))
    }

    /// The value of `name`, if it is given, as a number of at least 1.
    pub(crate) fn positive(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| Problem::invalid(format!("parameter {name:?} must be a whole number above 0")))
    }

    /// The value of `name`, if it is given, as one of `choices`.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        chosen.map(Some).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            Problem::invalid(format!("parameter {name:?} must be one of: {}", words.join(", ")))
        })
    }

    /// Nothing else may have been given.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.pairs.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::invalid(format!("there is no parameter {name:?} here"))),
        }
    }
}

/// As forms are decoded: a plus is a blank.
fn decode(text: &str) -> Bytes {
    percent_decode(text.replace('+', " ").as_bytes()).collect::<Vec<u8>>().into()
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bytes() {
        let mut query = Query::parse("prefix=%2Fa%ff+b&limit=10&empty=&bare&&").unwrap();
        assert_eq!(query.bytes("prefix").unwrap().as_ref(), b"/a\xff b");
        assert_eq!(query.positive("limit").unwrap(), Some(10));
        assert_eq!(query.text("empty").unwrap().as_deref(), Some(""));
        assert_eq!(query.text("bare").unwrap().as_deref(), Some(""));
        assert_eq!(query.text("absent").unwrap(), None);
        query.finish().unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Query::parse("a=1&%61=2").unwrap_err().detail().contains("twice"));
        assert!(Query::parse("a=1").unwrap().finish().unwrap_err().detail().contains("\"a\""));
        assert!(Query::parse("a=%ff").unwrap().text("a").is_err());
        for limit in ["0", "-1", "ten", "", "1.5", "9223372036854775808"] {
            assert!(Query::parse(&format!("limit={limit}")).unwrap().positive("limit").is_err(), "{limit}");
        }
        let many: String = (0..=PARAMETERS_MAX).map(|number| format!("p{number}=&")).collect();
        assert!(Query::parse(&many).is_err());
    }

    #[test]
    fn a_choice_is_one_of_the_words() {
        let choices = [("stale", 1), ("linearizable", 2)];
        let choose = |text: &str| Query::parse(text).unwrap().choice("consistency", &choices);
        assert_eq!(choose("consistency=stale").unwrap(), Some(1));
        assert_eq!(choose("").unwrap(), None);
        assert!(choose("consistency=Stale").unwrap_err().detail().contains("stale, linearizable"));
    }
}
