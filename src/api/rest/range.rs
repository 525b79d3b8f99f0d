//! Ranges that go on where another ended.

use bytes::Bytes;
use model::KeyRange;

/// The keys of `prefix` that come after `last`.
pub(crate) fn after(prefix: &Bytes, last: &[u8]) -> KeyRange {
    let start: Bytes = [last, &[0]].concat().into();
    let end = KeyRange::prefix(prefix.clone()).range_end();
    KeyRange::from_wire(start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_is_neither_the_last_nor_beyond_the_prefix() {
        let range = after(&Bytes::from_static(b"a/"), b"a/5");
        assert!(
            range.contains(b"a/5\0") && range.contains(b"a/6") && !range.contains(b"a/5") && !range.contains(b"a0")
        );
        let all = after(&Bytes::new(), b"\xff");
        assert!(all.contains(b"\xff\0") && !all.contains(b"\xff"));
        let high = after(&Bytes::from_static(b"\xff"), b"\xffa");
        assert!(high.contains(b"\xffb") && !high.contains(b"\xff"));
    }
}
