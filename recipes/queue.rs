//! The order of contenders under one prefix, shared by every recipe in which the oldest key holds.
//!
//! A contender is any key that begins with the prefix, nested names included, because that is the range an etcd client looks at.
//! Order is by create revision, then by key: two keys that one transaction created share a revision, and one of them must still
//! be first. It depends on nothing but the keys, so it is the same on every member, however and whenever it was built.
//!
//! Contenders lie sorted in blocks of at most [`BLOCK`]. New ones nearly always come last, which fills blocks completely; two
//! neighbours that together fill no more than half a block become one, so memory stays in proportion to the contenders.
//! Finding a place takes O(log n); counting or weighing those ahead adds one step for each block before it: 400 blocks for
//! 100,000 who came one after another.
//!
//! A contender weighs as much as the permits that its value asks for; one that asks for none weighs one.

use bytes::Bytes;
use model::{KeyValue, Revision};

use crate::claim_record::weight_of;

/// Most contenders in a block: few enough that moving them is a copy of some kilobytes, enough that blocks stay few.
const BLOCK: usize = 256;

/// One key in a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contender {
    /// When it joined: its place, and its fencing token once it holds.
    pub create_revision: Revision,
    /// The key; memory of its own, not a slice of anything larger.
    pub key: Bytes,
    /// How many permits it takes up: at least one.
    pub weight: u32,
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
    /// What the contenders of each block weigh together.
    weights: Vec<u64>,
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

    /// How many contenders of at most this weight together lead the queue.
    #[must_use]
    pub fn within(&self, weight: u64) -> usize {
        let (mut left, mut count) = (weight, 0);
        for (block, whole) in self.blocks.iter().zip(&self.weights) {
            if *whole <= left {
                left -= whole;
                count += block.len();
                continue;
            }
            for contender in block {
                let Some(rest) = left.checked_sub(u64::from(contender.weight)) else { return count };
                left = rest;
                count += 1;
            }
        }
        count
    }

    /// What the contenders before this place weigh together, whether or not somebody is at it.
    #[must_use]
    pub fn weight_ahead_of(&self, create_revision: Revision, key: &[u8]) -> u64 {
        let place = (create_revision, key);
        let index = self.block_of(place);
        let earlier: u64 = self.weights[..index].iter().sum();
        let block = self.blocks.get(index).map_or(&[][..], Vec::as_slice);
        let before = block.iter().take_while(|other| other.place() < place);
        earlier + before.map(|other| u64::from(other.weight)).sum::<u64>()
    }

    /// The contender that has this many before it.
    #[must_use]
    pub fn nth(&self, mut ahead: usize) -> Option<&Contender> {
        for block in &self.blocks {
            match block.get(ahead) {
                Some(contender) => return Some(contender),
                None => ahead -= block.len(),
            }
        }
        None
    }

    /// Adds the contender that a key is; one that is there keeps its place and gets the weight that the key has now.
    pub fn join(&mut self, kv: &KeyValue) {
        self.insert(kv.create_revision, &kv.key, weight_of(&kv.value));
    }

    /// Adds a contender. Adding it again changes its weight: a key that is written again keeps its create revision.
    pub fn insert(&mut self, create_revision: Revision, key: &[u8], weight: u32) {
        let place = (create_revision, key);
        let contender = || Contender { create_revision, key: Bytes::copy_from_slice(key), weight };
        let index = self.block_of(place);
        let Some(block) = self.blocks.get_mut(index) else {
            return self.push(contender());
        };
        match block.binary_search_by(|other| other.place().cmp(&place)) {
            Ok(at) => {
                let old = std::mem::replace(&mut block[at].weight, weight);
                self.weights[index] = self.weights[index] - u64::from(old) + u64::from(weight);
            }
            Err(at) => {
                block.insert(at, contender());
                self.weights[index] += u64::from(weight);
                self.len += 1;
                if block.len() > BLOCK {
                    let upper = block.split_off(BLOCK / 2);
                    let weight = weight_of_block(&upper);
                    self.weights[index] -= weight;
                    self.blocks.insert(index + 1, upper);
                    self.weights.insert(index + 1, weight);
                }
            }
        }
    }

    /// Adds a contender that comes after all others.
    fn push(&mut self, contender: Contender) {
        let weight = u64::from(contender.weight);
        match (self.blocks.last_mut(), self.weights.last_mut()) {
            (Some(last), Some(sum)) if last.len() < BLOCK => {
                last.push(contender);
                *sum += weight;
            }
            _ => {
                self.blocks.push(vec![contender]);
                self.weights.push(weight);
            }
        }
        self.len += 1;
    }

    /// Takes a contender out. Taking out one that is not there changes nothing.
    pub fn remove(&mut self, create_revision: Revision, key: &[u8]) {
        let place = (create_revision, key);
        let index = self.block_of(place);
        let Some(block) = self.blocks.get_mut(index) else { return };
        let Ok(at) = block.binary_search_by(|other| other.place().cmp(&place)) else { return };
        let gone = block.remove(at);
        self.weights[index] -= u64::from(gone.weight);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(index);
            self.weights.remove(index);
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
            self.weights[index] += self.weights.remove(index + 1);
        }
    }
}

fn weight_of_block(block: &[Contender]) -> u64 {
    block.iter().map(|contender| u64::from(contender.weight)).sum()
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
