//! A set of keys made of ranges: merged once, asked often.

use std::cmp::Ordering;

use bytes::{BufMut, Bytes, BytesMut};
use model::KeyRange;

/// First key, and the first that is no longer part of it; none: it never ends.
type Span = (Bytes, Option<Bytes>);

/// Spans by ascending start, of which no two touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet {
    spans: Vec<Span>,
}

impl IntervalSet {
    /// No key at all.
    pub(crate) const fn empty() -> Self {
        Self { spans: Vec::new() }
    }

    /// The union of `ranges`.
    pub(crate) fn of<'a>(ranges: impl IntoIterator<Item = &'a KeyRange>) -> Self {
        let mut spans: Vec<Span> = ranges.into_iter().filter(|range| !range.is_empty()).map(span).collect();
        spans.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for (start, end) in spans {
            match merged.last_mut() {
                Some((_, last)) if last.as_ref().is_none_or(|last| start <= *last) => {
                    if by_end(last.as_ref(), end.as_ref()).is_lt() {
                        *last = end;
                    }
                }
                Some(_) | None => merged.push((start, end)),
            }
        }
        Self { spans: merged }
    }

    /// Whether all of `range` is in the set. An empty range counts as the key that it begins with.
    pub(crate) fn covers(&self, range: &KeyRange) -> bool {
        let Some((_, last)) = self.span_at(range.start()) else { return false };
        match range {
            // The span goes beyond the key, so it has all of the key.
            KeyRange::Single(_) => true,
            KeyRange::From(_) => last.is_none(),
            KeyRange::Span { end, .. } => by_end(Some(end), last.as_ref()).is_le(),
        }
    }

    /// Whether `key` is in the set.
    pub(crate) fn covers_key(&self, key: &[u8]) -> bool {
        self.span_at(key).is_some()
    }

    fn span_at(&self, key: &[u8]) -> Option<&Span> {
        let after = self.spans.partition_point(|(start, _)| start.as_ref() <= key);
        let span = self.spans.get(after.checked_sub(1)?)?;
        span.1.as_ref().is_none_or(|end| key < end.as_ref()).then_some(span)
    }
}

fn span(range: &KeyRange) -> Span {
    match range {
        KeyRange::Single(key) => (key.clone(), Some(successor(key))),
        KeyRange::From(start) => (start.clone(), None),
        KeyRange::Span { start, end } => (start.clone(), Some(end.clone())),
    }
}

/// The first key after `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(key.len() + 1);
    out.put_slice(key);
    out.put_u8(0);
    out.freeze()
}

/// No end is after every end.
fn by_end(a: Option<&Bytes>, b: Option<&Bytes>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn range((key, end): (&'static str, &'static str)) -> KeyRange {
        KeyRange::from_wire(Bytes::from_static(key.as_bytes()), Bytes::from_static(end.as_bytes()))
    }

    fn set(ranges: &[(&'static str, &'static str)]) -> IntervalSet {
        let ranges: Vec<KeyRange> = ranges.iter().copied().map(range).collect();
        IntervalSet::of(&ranges)
    }

    #[test]
    fn what_touches_is_one() {
        let set = set(&[("c", "e"), ("a", "b"), ("b", "c"), ("k", ""), ("k\0", "l")]);
        assert_eq!(set.spans.len(), 2);
        assert!(set.covers(&range(("a", "e"))) && set.covers(&range(("k", "l"))));
        assert!(!set.covers(&range(("a", "f"))) && !set.covers(&range(("e", ""))) && !set.covers(&range(("a", "l"))));
    }

    #[test]
    fn a_key_is_not_every_key_after_it() {
        let set = set(&[("b", "")]);
        assert!(set.covers(&range(("b", ""))) && set.covers_key(b"b"));
        for other in [("b", "\0"), ("b", "c"), ("b\0", ""), ("a", "c")] {
            assert!(!set.covers(&range(other)), "{other:?}");
        }
    }

    #[test]
    fn only_what_never_ends_covers_what_never_ends() {
        let all = set(&[("a", "c"), ("b", "\0")]);
        for inside in [("a", "\0"), ("z", "\0"), ("a", "zz"), ("zz", "")] {
            assert!(all.covers(&range(inside)), "{inside:?}");
        }
        assert!(!all.covers(&range(("", "\0"))) && !all.covers_key(b""));
        assert!(!set(&[("a", "z")]).covers(&range(("a", "\0"))));
    }

    /// Short keys of two letters, and ranges between them.
    fn ranges() -> impl Strategy<Value = Vec<KeyRange>> {
        let key = || vec(0u8..3, 0..3).prop_map(Bytes::from);
        vec((key(), key()).prop_map(|(key, end)| KeyRange::from_wire(key, end)), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The union, key by key. What lies between keys of at most three bytes is told by keys of four.
        #[test]
        fn it_is_the_union(ranges in ranges(), asked in ranges()) {
            let set = IntervalSet::of(&ranges);
            let keys: Vec<Bytes> = (0u32..1024).flat_map(|n| {
                let bytes = [(n >> 8 & 3) as u8, (n >> 6 & 3) as u8, (n >> 4 & 3) as u8, (n >> 2 & 3) as u8];
                (0..=4).map(move |length| Bytes::copy_from_slice(&bytes[..length]))
            }).collect();
            let in_union = |key: &Bytes| ranges.iter().any(|range| range.contains(key));
            for key in &keys {
                prop_assert_eq!(set.covers_key(key), in_union(key));
            }
            for range in asked.iter().filter(|range| !range.is_empty()) {
                let unbounded = matches!(range, KeyRange::From(_));
                let covered = keys.iter().filter(|key| range.contains(key)).all(in_union)
                    && (!unbounded || ranges.iter().any(|range| matches!(range, KeyRange::From(_))));
                prop_assert_eq!(set.covers(range), covered, "{:?}", range);
            }
        }
    }
}
