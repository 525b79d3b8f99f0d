//! Durations as people write them: one whole number and one unit, `10s`, `1500ms`, `5m`, `2h`.
//!
//! Strict on purpose: what is not exactly that is refused with a sentence that says so, so that no client depends on a guess.
//! Bounds belong to the field, not to the type: [`Span::within`] is asked by whoever knows the field.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::{Kind, Problem};

/// Longest text that is looked at: more digits than any bound has.
const TEXT_BYTES_MAX: usize = 20;

/// A duration in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[0-9]+(ms|s|m|h)$", examples("10s", "1500ms", "5m"))]
pub(crate) struct Span(Duration);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration is a whole number and one unit of ms, s, m, h, such as \"10s\" or \"1500ms\"")
    }
}

impl TryFrom<String> for Span {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl Span {
    /// The duration that `text` says.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Malformed);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| Malformed)?;
        let millis_in_unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(Malformed),
        };
        number.checked_mul(millis_in_unit).map(Duration::from_millis).map(Self).ok_or(Malformed)
    }

    /// The duration, if `field` takes it.
    pub(crate) fn within(self, field: &str, least: Duration, most: Duration) -> Result<Duration, Problem> {
        if (least..=most).contains(&self.0) {
            return Ok(self.0);
        }
        let detail = format!("{field} must be between {} and {}", text(least), text(most));
        Err(Problem::new(Kind::InvalidRequest, detail))
    }
}

/// The shortest way to write a duration of whole milliseconds.
fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (millis_in_unit, unit) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if millis != 0 && millis.is_multiple_of(millis_in_unit) {
            return format!("{}{unit}", millis / millis_in_unit);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read() {
        for (text, millis) in
            [("10s", 10_000), ("1500ms", 1500), ("5m", 300_000), ("2h", 7_200_000), ("0s", 0), ("007s", 7000)]
        {
            assert_eq!(Span::parse(text), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let huge = format!("{}h", u64::MAX);
        let long = "1".repeat(1000) + "s";
        for text in
            ["", "s", "10", "10 s", " 10s", "10s ", "-1s", "+1s", "1.5s", "1m30s", "10S", "1d", "٣s", &huge, &long]
        {
            assert_eq!(Span::parse(text), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn bounds_are_included_and_named() {
        let (least, most) = (Duration::from_millis(500), Duration::from_secs(60));
        let within = |text: &str| Span::parse(text).unwrap().within("wait", least, most);
        assert_eq!(within("500ms").unwrap(), least);
        assert_eq!(within("1m").unwrap(), most);
        assert!(within("61s").unwrap_err().detail().contains("wait must be between 500ms and 1m"));
        assert!(within("499ms").is_err());
    }
}
