//! What recipes remember: decimal numbers, one blank between them.

use bytes::Bytes;

/// The numbers in `value`; `None` if it is anything else than that many of them.
pub(super) fn read<const N: usize>(value: &[u8]) -> Option<[u64; N]> {
    let mut words = std::str::from_utf8(value).ok()?.split(' ');
    let mut numbers = [0; N];
    for number in &mut numbers {
        let word = words.next()?;
        *number = word.parse().ok().filter(|_| !word.starts_with('+'))?;
    }
    words.next().is_none().then_some(numbers)
}

/// The text of `numbers`.
pub(super) fn write<const N: usize>(numbers: [u64; N]) -> Bytes {
    numbers.map(|number| number.to_string()).join(" ").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for numbers in [[0, 0], [1, u64::MAX]] {
            assert_eq!(read(&write(numbers)), Some(numbers));
        }
        for text in [&b""[..], b"1", b"1 2 3", b"1  2", b"+1 2", b"-1 2", b"a b", b"1 2 ", b"18446744073709551616 1"] {
            assert_eq!(read::<2>(text), None, "{text:?}");
        }
    }
}
