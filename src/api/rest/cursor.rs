//! Cursors: how far a reader of changes has come, `<epoch>.<revision>`.
//!
//! The epoch tells a store from one whose revisions mean something else: another cluster, or this one after a restore that
//! took revisions back. It is the cluster's identity for now, in hexadecimal. To clients a cursor is opaque.

use std::fmt;

use model::{ClusterId, Revision};

/// Longest text that is looked at: sixteen digits, a dot, nineteen digits.
const TEXT_BYTES_MAX: usize = 36;

/// Which history a revision is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// The history of a cluster.
    pub(crate) const fn of(cluster: ClusterId) -> Self {
        Self(cluster.get())
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Everything up to a revision was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) epoch: Epoch,
    pub(crate) revision: Revision,
}

impl Cursor {
    /// The cursor that `text` is, if it is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (epoch, revision) = text.split_once('.')?;
        let is_hex = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_number = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_digit());
        if !is_hex || !is_number {
            return None;
        }
        let epoch = Epoch(u64::from_str_radix(epoch, 16).ok()?);
        let revision = Revision::new(revision.parse().ok().filter(|revision| *revision > 0)?);
        Some(Self { epoch, revision })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (epoch, revision) in [(0, 1), (0xcdf8_1819_4e3a_8c32, 18_423), (u64::MAX, i64::MAX)] {
            let cursor = Cursor { epoch: Epoch(epoch), revision: Revision::new(revision) };
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        assert_eq!(Cursor { epoch: Epoch(7), revision: Revision::new(18_421) }.to_string(), "7.18421");
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let long = "1".repeat(1000);
        for text in [
            "",
            ".",
            "7",
            "7.",
            ".7",
            "7.0",
            "7.-1",
            "7.+1",
            "+7.1",
            "g.1",
            "7.1.1",
            "7.1 ",
            "7.9223372036854775808",
            &long,
        ] {
            assert_eq!(Cursor::parse(text), None, "{text:?}");
        }
    }
}
