//! Durations as etcd writes them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// A duration such as "1h30m", "10m", "500ms" or, as files have them, "5000000000ns".
///
/// # Errors
///
/// What is wrong with `text`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    ensure!(!rest.is_empty(), "a duration is empty");
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0);
        let digits = digits.with_context(|| format!("{text:?} is not a duration such as \"1h30m\" or \"500ms\""))?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().with_context(|| format!("{text:?} is too long"))?;
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let part = seconds(number, unit).or_else(|| fraction(number, unit));
        let Some(part) = part else {
            bail!("{text:?} has the unknown unit {unit:?}; there are h, m, s, ms, us and ns")
        };
        total = total.checked_add(part).with_context(|| format!("{text:?} is too long"))?;
        rest = tail;
    }
    Ok(total)
}

fn seconds(number: u64, unit: &str) -> Option<Duration> {
    let seconds = match unit {
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    Some(Duration::from_secs(number.saturating_mul(seconds)))
}

fn fraction(number: u64, unit: &str) -> Option<Duration> {
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "us" => Some(Duration::from_micros(number)),
        "ns" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        for (text, millis) in [("1h30m", 5_400_000), ("500ms", 500), ("1s500ms", 1500), ("2000000ns", 2), ("3000us", 3)]
        {
            assert_eq!(parse_duration(text).expect(text), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "1", "h", "1d", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615s1s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
