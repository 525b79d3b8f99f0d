//! Ranges of keys, with etcd's rules for `key` and `range_end`.

use std::ops::Bound;

use bytes::Bytes;

/// A set of keys that lie side by side in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// Exactly this key.
    Single(Bytes),
    /// This key and every key after it.
    From(Bytes),
    /// Every key from `start`, which is included, to `end`, which is not; empty when `end <= start`.
    Span {
        /// First key.
        start: Bytes,
        /// First key that is no longer part of the range.
        end: Bytes,
    },
}

impl KeyRange {
    /// The range that etcd's pair of fields means: no `range_end` is one key, a single zero byte is "from here on".
    #[must_use]
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        if range_end.is_empty() {
            Self::Single(key)
        } else if range_end.as_ref() == [0] {
            Self::From(key)
        } else {
            Self::Span { start: key, end: range_end }
        }
    }

    /// Every key that begins with `prefix`; the empty prefix means all keys.
    #[must_use]
    pub fn prefix(prefix: Bytes) -> Self {
        let Some(last) = prefix.iter().rposition(|byte| *byte != 0xff) else {
            return Self::From(if prefix.is_empty() { Bytes::from_static(&[0]) } else { prefix });
        };
        let mut end = prefix[..=last].to_vec();
        end[last] += 1;
        Self::Span { start: prefix, end: end.into() }
    }

    /// The first key that the range may hold: etcd's `key`.
    #[must_use]
    pub fn start(&self) -> &Bytes {
        match self {
            Self::Single(start) | Self::From(start) | Self::Span { start, .. } => start,
        }
    }

    /// etcd's `range_end`.
    #[must_use]
    pub fn range_end(&self) -> Bytes {
        match self {
            Self::Single(_) => Bytes::new(),
            Self::From(_) => Bytes::from_static(&[0]),
            Self::Span { end, .. } => end.clone(),
        }
    }

    /// The same set as a pair of bounds over keys.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        match self {
            Self::Single(key) => (Bound::Included(key), Bound::Included(key)),
            Self::From(key) => (Bound::Included(key), Bound::Unbounded),
            Self::Span { start, end } => (Bound::Included(start), Bound::Excluded(end)),
        }
    }

    /// The part of the range from `key` on, which has to be in it.
    #[must_use]
    pub fn rest_from(&self, key: Bytes) -> Self {
        match self {
            Self::Single(_) => Self::Single(key),
            Self::From(_) => Self::From(key),
            Self::Span { start: _, end } => Self::Span { start: key, end: end.clone() },
        }
    }

    /// Whether no key can be in the range, because it ends before it begins.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Span { start, end } if end <= start)
    }

    /// Whether `key` is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Single(single) => single == key,
            Self::From(start) => key >= start.as_ref(),
            Self::Span { start, end } => key >= start.as_ref() && key < end.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_pairs_mean_what_etcd_says() {
        let key = Bytes::from_static(b"b");
        assert_eq!(KeyRange::from_wire(key.clone(), Bytes::new()), KeyRange::Single(key.clone()));
        assert_eq!(KeyRange::from_wire(key.clone(), Bytes::from_static(&[0])), KeyRange::From(key.clone()));
        let span = KeyRange::from_wire(key, Bytes::from_static(b"d"));
        assert!(span.contains(b"b") && span.contains(b"cz") && !span.contains(b"d") && !span.contains(b"a"));
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_empty() {
        let range = KeyRange::from_wire(Bytes::from_static(b"b"), Bytes::from_static(b"b"));
        assert!(range.is_empty() && !range.contains(b"b"));
    }

    #[test]
    fn the_rest_of_a_range_ends_where_the_range_does() {
        let key = Bytes::from_static(b"c");
        for end in [&b""[..], b"\0", b"e"] {
            let range = KeyRange::from_wire(Bytes::from_static(b"c"), Bytes::copy_from_slice(end));
            let rest = range.rest_from(key.clone());
            assert_eq!((rest.start(), rest.range_end()), (&key, range.range_end()));
        }
    }

    #[test]
    fn prefix_carries_over_trailing_ff() {
        let range = KeyRange::prefix(Bytes::from_static(b"a\xff"));
        assert!(range.contains(b"a\xff\xff") && !range.contains(b"b"));
        assert_eq!(KeyRange::prefix(Bytes::from_static(b"\xff")), KeyRange::From(Bytes::from_static(b"\xff")));
        assert!(KeyRange::prefix(Bytes::new()).contains(b"\0"));
    }

    #[test]
    fn range_end_is_the_inverse_of_from_wire() {
        for end in [&b""[..], b"\0", b"z"] {
            let range = KeyRange::from_wire(Bytes::from_static(b"k"), Bytes::copy_from_slice(end));
            assert_eq!(range.range_end().as_ref(), end);
        }
    }
}
