//! Where one JSON object ends and the next begins, in a body that comes in pieces.

use bytes::{Buf, Bytes, BytesMut};
use tonic::Status;

/// Takes objects out of a body, in one pass over its bytes however they are cut.
#[derive(Debug)]
pub(crate) struct Objects {
    text: BytesMut,
    /// What of `text` was looked at.
    seen: usize,
    depth: usize,
    place: Place,
    bytes_max: usize,
}

/// Where in an object the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Structure,
    Text,
    /// After a backslash.
    Escape,
}

impl Objects {
    /// Objects of more than `bytes_max` bytes are refused.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { text: BytesMut::new(), seen: 0, depth: 0, place: Place::Structure, bytes_max }
    }

    /// More of the body.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.text.extend_from_slice(piece);
    }

    /// The next object, if all of it is there.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`: something else than an object begins. `ResourceExhausted`: the object is too large.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if self.depth == 0 {
            self.skip_space();
            match self.text.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(Status::invalid_argument("the body is not a sequence of JSON objects")),
            }
        }
        while self.seen < self.text.len() {
            let byte = self.text[self.seen];
            self.seen += 1;
            if self.ends_with(byte) {
                let object = self.text.split_to(self.seen).freeze();
                self.seen = 0;
                return Ok(Some(object));
            }
            if self.seen > self.bytes_max {
                return Err(too_large(self.bytes_max));
            }
        }
        Ok(None)
    }

    /// Whether the body may end here.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.skip_space();
        self.text.is_empty()
    }

    fn skip_space(&mut self) {
        if self.seen == 0 {
            let space = self.text.len() - self.text.trim_ascii_start().len();
            self.text.advance(space);
        }
    }

    /// Goes on by one byte; whether an object ends with it.
    fn ends_with(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Structure, b'"') => Place::Text,
            (Place::Text, b'"') => Place::Structure,
            (Place::Text, b'\\') => Place::Escape,
            (Place::Escape, _) => Place::Text,
            (place, _) => place,
        };
        if self.place == Place::Structure {
            match byte {
                b'{' => self.depth += 1,
                b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.depth == 0
    }
}

/// A body, or an object in it, has more than `bytes_max` bytes.
pub(crate) fn too_large(bytes_max: usize) -> Status {
    Status::resource_exhausted(format!("the body has more than {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn all(parts: &[&[u8]]) -> Result<Vec<Bytes>, Status> {
        let mut objects = Objects::new(64);
        let mut found = Vec::new();
        for part in parts {
            objects.push(part);
            while let Some(object) = objects.next()? {
                found.push(object);
            }
        }
        assert!(objects.is_empty(), "something is left: {objects:?}");
        Ok(found)
    }

    #[test]
    fn objects_are_found_wherever_the_body_is_cut() {
        let body = br#" {"a":"}\"{"}{}
            {"b":{"c":["{"]}} "#;
        for cut in 0..=body.len() {
            let found = all(&[&body[..cut], &body[cut..]]).expect("objects");
            assert_eq!(found, [&br#"{"a":"}\"{"}"#[..], b"{}", br#"{"b":{"c":["{"]}}"#], "cut at {cut}");
        }
    }

    #[test]
    fn only_objects_are_taken() {
        for body in ["1", "{} []", "\"{}\"", "}"] {
            assert_eq!(all(&[body.as_bytes()]).expect_err(body).code(), Code::InvalidArgument, "{body}");
        }
    }

    #[test]
    fn an_object_without_an_end_is_refused_when_it_is_too_long() {
        let mut objects = Objects::new(64);
        objects.push(&[b'{'; 64]);
        assert_eq!(objects.next().expect("not too long yet"), None);
        objects.push(b"{");
        assert_eq!(objects.next().expect_err("a byte too much").code(), Code::ResourceExhausted);
    }
}
