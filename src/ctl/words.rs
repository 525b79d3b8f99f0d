//! Lines that people type, in words: quoted ones as Go's strings are.

/// The words of a line. None if a quotation is not closed or holds what no string can.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = match first {
            '"' => unquote(rest)?,
            '\'' => {
                let (word, tail) = rest[1..].split_once('\'')?;
                (word.to_owned(), tail)
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        words.push(word);
        rest = tail.trim_start();
    }
    Some(words)
}

/// A quoted string at the beginning of `text`, and what comes after it.
pub(crate) fn unquote(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (word, tail) = raw.split_once('`')?;
        return Some((word.to_owned(), tail));
    }
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut word = Vec::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return String::from_utf8(word).ok().map(|word| (word, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => word.push(b'\n'),
                't' => word.push(b'\t'),
                'r' => word.push(b'\r'),
                'a' => word.push(7),
                'b' => word.push(8),
                'v' => word.push(11),
                'f' => word.push(12),
                'x' => word.push(u8::try_from(number(&mut chars, 2, 16)?).ok()?),
                'u' => push(&mut word, char::from_u32(number(&mut chars, 4, 16)?)?),
                'U' => push(&mut word, char::from_u32(number(&mut chars, 8, 16)?)?),
                quote @ ('"' | '\\' | '\'') => push(&mut word, quote),
                digit @ '0'..='7' => {
                    let high = digit.to_digit(8)? * 64;
                    word.push(u8::try_from(high + number(&mut chars, 2, 8)?).ok()?);
                }
                _ => return None,
            },
            _ => push(&mut word, c),
        }
    }
    None
}

fn push(word: &mut Vec<u8>, c: char) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn number(chars: &mut std::str::CharIndices<'_>, digits: usize, base: u32) -> Option<u32> {
    (0..digits).try_fold(0_u32, |number, _| Some(number * base + chars.next()?.1.to_digit(base)?))
}
