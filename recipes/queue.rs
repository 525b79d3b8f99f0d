//! The order of contenders under one prefix, shared by every recipe in which the oldest key holds.
//!
//! A contender is any key that begins with the prefix, nested names included, because that is the range an etcd client looks at.
//! Order is by create revision, then by key: two keys that one transaction created share a revision, and one of them must still
//! be first. It depends on nothing but the keys, so it is the same on every member, however and whenever it was built.
//!
//! Contenders lie sorted in blocks of at most [`BLOCK`]. New ones nearly always come last, which fills blocks completely; two
//! neighbours that together fill no more than half a block become one, so memory stays in proportion to the contenders.
//! Finding a place takes O(log n); counting those ahead adds one step for each block before it: 400 blocks for 100,000 who came
//! one after another.

use bytes::Bytes;
use model::Revision;

/// Most contenders in a block: few enough that moving them is a copy of some kilobytes, enough that blocks stay few.
const BLOCK: usize = 256;

/// One key in a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contender {
    /// When it joined: its place, and its fencing token once it holds.
    pub create_revision: Revision,
    /// The key; memory of its own, not a slice of anything larger.
    pub key: Bytes,
}

impl Contender {
    fn place(&self) -> (Revision, &[u8]) {
        (self.create_revision, &self.key)
    }
}

/// Contenders under one prefix, the holder first.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Sorted, none empty, the last of each before the first of the next; two neighbours fill more than half a block.
    blocks: Vec<Vec<Contender>>,
    len: usize,
}

impl Queue {
    /// The contender that holds.
    #[must_use]
    pub fn head(&self) -> Option<&Contender> {
        self.blocks.first().and_then(|block| block.first())
    }

    /// How many contenders there are, the holder included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody contends.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All contenders in order, the holder first.
    pub fn iter(&self) -> impl Iterator<Item = &Contender> {
        self.blocks.iter().flatten()
    }

    /// Whether a contender is at this place.
    #[must_use]
    pub fn contains(&self, create_revision: Revision, key: &[u8]) -> bool {
        let place = (create_revision, key);
        let block = self.blocks.get(self.block_of(place));
        block.is_some_and(|block| block.binary_search_by(|other| other.place().cmp(&place)).is_ok())
    }

    /// How many contenders come before this place, whether or not somebody is at it.
    #[must_use]
    pub fn ahead_of(&self, create_revision: Revision, key: &[u8]) -> usize {
        let place = (create_revision, key);
        let index = self.block_of(place);
        let earlier: usize = self.blocks[..index].iter().map(Vec::len).sum();
        earlier + self.blocks.get(index).map_or(0, |block| block.partition_point(|other| other.place() < place))
    }

    /// Adds a contender. Adding it again changes nothing: a key that is written again keeps its create revision.
    pub fn insert(&mut self, create_revision: Revision, key: &[u8]) {
        let place = (create_revision, key);
        let contender = || Contender { create_revision, key: Bytes::copy_from_slice(key) };
        let index = self.block_of(place);
        let Some(block) = self.blocks.get_mut(index) else {
            match self.blocks.last_mut() {
                Some(last) if last.len() < BLOCK => last.push(contender()),
                Some(_) | None => self.blocks.push(vec![contender()]),
            }
            self.len += 1;
            return;
        };
        if let Err(at) = block.binary_search_by(|other| other.place().cmp(&place)) {
            block.insert(at, contender());
            self.len += 1;
            if block.len() > BLOCK {
                let upper = block.split_off(BLOCK / 2);
                self.blocks.insert(index + 1, upper);
            }
        }
    }

    /// Takes a contender out. Taking out one that is not there changes nothing.
    pub fn remove(&mut self, create_revision: Revision, key: &[u8]) {
        let place = (create_revision, key);
        let index = self.block_of(place);
        let Some(block) = self.blocks.get_mut(index) else { return };
        let Ok(at) = block.binary_search_by(|other| other.place().cmp(&place)) else { return };
        block.remove(at);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(index);
        } else {
            self.merge_with_next(index);
            self.merge_with_next(index.saturating_sub(1));
        }
    }

    /// The first block that ends at or after `place`; past the last one when none does.
    fn block_of(&self, place: (Revision, &[u8])) -> usize {
        self.blocks.partition_point(|block| block.last().is_some_and(|last| last.place() < place))
    }

    /// Joins two blocks that together fill no more than half of one.
    fn merge_with_next(&mut self, index: usize) {
        if let [block, next, ..] = &mut self.blocks[index..]
            && block.len() + next.len() <= BLOCK / 2
        {
            block.append(next);
            self.blocks.remove(index + 1);
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
