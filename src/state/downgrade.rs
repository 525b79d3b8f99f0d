//! The version that the cluster is to go back to, kept as a fact: noted and shown, for tools that ask for it. There is one at a time.

use bytes::Bytes;

use crate::facts::{FactBook, Facts};

const NAME: &[u8] = b"downgrade/target";

/// The version that the cluster is to go back to.
pub(crate) fn target(facts: &Facts) -> Option<Bytes> {
    facts.get(NAME).cloned()
}

/// Notes a version, unless there is one, or that there is none. Returns what was noted before.
pub(crate) fn change(book: &mut FactBook, to: Option<Bytes>) -> Option<Bytes> {
    let before = target(book.facts());
    match to {
        Some(to) if before.is_none() => book.set(Bytes::from_static(NAME), to),
        Some(_) => {}
        None => book.remove(NAME),
    }
    before
}
