//! What the value of a claim's record says: JSON, for people and tools to read, written by the commands alone.
//!
//! The record of a claim on one line is the claim's own key. Where that key may not be written again (a read-write lock orders by it) or
//! where there are several, the record is a key apart, on the same lease, and lists them.
//!
//! Values that others wrote may say anything; what cannot be read says nothing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the value of a claim that asks for permits begins: [`weight_of`] reads no further.
const PERMITS: &[u8] = b"{\"permits\":";

/// What a claim's record says. The order of the fields is that in the value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// How many permits of a semaphore the claim takes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permits: Option<u32>,
    /// Names under which the session holds the claim, the unnamed hold being empty; nothing means the unnamed one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
    /// The claim's keys, where the record is one apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The key which says that a writer lets readers in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// What the claimant says about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
}

impl ClaimRecord {
    /// The record in a value.
    #[must_use]
    pub fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    /// The value of the record; empty when there is nothing to say, as etcd's clients leave it.
    #[must_use]
    pub fn write(&self) -> Bytes {
        if *self == Self::default() {
            return Bytes::new();
        }
        serde_json::to_vec(self).expect("texts, numbers and JSON are always JSON").into()
    }

    /// How many names the session holds the claim under.
    #[must_use]
    pub fn hold_count(&self) -> usize {
        self.holds.len().max(1)
    }

    /// Whether `name` is among the holds.
    pub(crate) fn is_held_as(&self, name: &str) -> bool {
        if self.holds.is_empty() { name.is_empty() } else { self.holds.iter().any(|hold| hold == name) }
    }

    /// Adds a hold, which is not among them.
    pub(crate) fn add_hold(&mut self, name: &str) {
        if self.holds.is_empty() {
            self.holds.push(String::new());
        }
        self.holds.push(name.to_owned());
    }

    /// Takes a hold out, which is among them. Returns whether others remain.
    pub(crate) fn drop_hold(&mut self, name: &str) -> bool {
        self.holds.retain(|hold| hold != name);
        !self.holds.is_empty()
    }

    /// The holds of a claim that is made under `name`.
    pub(crate) fn first_hold(name: &str) -> Vec<String> {
        if name.is_empty() { Vec::new() } else { vec![name.to_owned()] }
    }
}

/// How many permits a claim of this value takes up: one, unless it says more.
#[must_use]
pub fn weight_of(value: &[u8]) -> u32 {
    let Some(rest) = value.strip_prefix(PERMITS) else { return 1 };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let permits = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
    permits.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_says_nothing_when_there_is_nothing_to_say() {
        assert_eq!(ClaimRecord::default().write(), "");
        let record = ClaimRecord {
            permits: Some(3),
            holds: vec![String::new(), "a".into()],
            keys: vec!["k\"".into()],
            shared: Some("s".into()),
            meta: Some(serde_json::json!({"pod": "a"})),
        };
        assert_eq!(record.write(), r#"{"permits":3,"holds":["","a"],"keys":["k\""],"shared":"s","meta":{"pod":"a"}}"#);
        assert_eq!(ClaimRecord::read(&record.write()), record);
        for foreign in [&b""[..], b"text", b"[]", b"7", b"\xff", br#"{"permits":"x"}"#] {
            assert_eq!(ClaimRecord::read(foreign), ClaimRecord::default());
        }
    }

    #[test]
    fn a_weight_is_at_least_one_and_read_from_the_front() {
        let record = ClaimRecord { permits: Some(41), meta: Some(serde_json::json!({})), ..ClaimRecord::default() };
        assert_eq!(weight_of(&record.write()), 41);
        for value in [&b""[..], b"x", b"{\"permits\":", b"{\"permits\":0}", b"{\"permits\":99999999999}", b"{\"a\":7}"]
        {
            assert_eq!(weight_of(value), 1);
        }
    }

    #[test]
    fn t15_holds_are_counted_by_name() {
        let mut record = ClaimRecord::default();
        assert!(record.is_held_as("") && !record.is_held_as("a"));
        record.add_hold("a");
        assert_eq!((record.hold_count(), record.is_held_as(""), record.is_held_as("a")), (2, true, true));
        assert!(record.drop_hold(""));
        assert_eq!(record.hold_count(), 1);
        assert!(!record.drop_hold("a"));
    }
}
