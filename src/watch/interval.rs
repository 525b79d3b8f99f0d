//! From a key to everything that watches it.
//!
//! Single keys are in a hash map. Ranges are in a treap, a search tree kept balanced by random priorities, ordered by
//! (start, end); each node knows which node of its subtree ends last, so a lookup turns away from subtrees that end before
//! the key. Equal ranges share a node. Insertion and removal cost O(log n), a lookup O(log n + what it finds) in all but
//! contrived cases. A treap, because it is the smallest balanced tree that takes such a mark; nodes lie in one vector and name
//! each other by place, so there is nothing unsafe and little to allocate.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use model::KeyRange;

pub(crate) struct IntervalIndex<V> {
    singles: HashMap<Bytes, Members<V>>,
    nodes: Vec<Node<V>>,
    vacant: Vec<u32>,
    root: u32,
    /// State of the generator of priorities.
    random: u32,
}

/// No node.
const NIL: u32 = u32::MAX;

struct Node<V> {
    start: Bytes,
    /// First key after the range; `None` if it has no end.
    end: Option<Bytes>,
    members: Members<V>,
    left: u32,
    right: u32,
    /// Not lower than those of both children.
    priority: u32,
    /// The node of this subtree whose range ends last.
    farthest: u32,
}

/// Who shares a key or a range: mostly one.
enum Members<V> {
    One(V),
    Many(BTreeSet<V>),
}

impl<V: Copy + Ord> IntervalIndex<V> {
    pub(crate) fn new() -> Self {
        Self { singles: HashMap::new(), nodes: Vec::new(), vacant: Vec::new(), root: NIL, random: 0x9e37_79b9 }
    }

    /// Adds a member with its range, which is not empty. It must not be there yet.
    pub(crate) fn insert(&mut self, range: &KeyRange, member: V) {
        let (start, end) = match range {
            KeyRange::Single(key) => {
                self.singles
                    .entry(key.clone())
                    .and_modify(|members| members.insert(member))
                    .or_insert(Members::One(member));
                return;
            }
            KeyRange::From(start) => (start, None),
            KeyRange::Span { start, end } => (start, Some(end)),
        };
        if let Some(node) = self.find(start, end) {
            self.nodes[node as usize].members.insert(member);
            return;
        }
        let node = self.new_node(start.clone(), end.cloned(), member);
        let (before, after) = self.split(self.root, node);
        let before = self.merge(before, node);
        self.root = self.merge(before, after);
    }

    /// Removes a member that was added with this range.
    pub(crate) fn remove(&mut self, range: &KeyRange, member: V) {
        let (start, end) = match range {
            KeyRange::Single(key) => {
                if self.singles.get_mut(key).is_some_and(|members| members.remove(member)) {
                    self.singles.remove(key);
                }
                return;
            }
            KeyRange::From(start) => (start, None),
            KeyRange::Span { start, end } => (start, Some(end)),
        };
        let Some(node) = self.find(start, end) else { return };
        if self.nodes[node as usize].members.remove(member) {
            self.root = self.detach(self.root, node);
            self.nodes[node as usize].start = Bytes::new();
            self.nodes[node as usize].end = None;
            self.vacant.push(node);
        }
    }

    /// Calls `found` for every member whose range holds `key`.
    pub(crate) fn visit(&self, key: &[u8], mut found: impl FnMut(V)) {
        if let Some(members) = self.singles.get(key) {
            members.visit(&mut found);
        }
        self.visit_ranges(self.root, key, &mut found);
    }

    fn visit_ranges(&self, root: u32, key: &[u8], found: &mut impl FnMut(V)) {
        let Some(node) = self.nodes.get(root as usize) else { return };
        if !ends_after(self.nodes[node.farthest as usize].end.as_ref(), key) {
            return;
        }
        self.visit_ranges(node.left, key, found);
        // Everything to the right starts even later.
        if node.start.as_ref() > key {
            return;
        }
        if ends_after(node.end.as_ref(), key) {
            node.members.visit(found);
        }
        self.visit_ranges(node.right, key, found);
    }

    fn find(&self, start: &Bytes, end: Option<&Bytes>) -> Option<u32> {
        let mut at = self.root;
        while let Some(node) = self.nodes.get(at as usize) {
            at = match compare((start, end), (&node.start, node.end.as_ref())) {
                Ordering::Less => node.left,
                Ordering::Greater => node.right,
                Ordering::Equal => return Some(at),
            };
        }
        None
    }

    fn new_node(&mut self, start: Bytes, end: Option<Bytes>, member: V) -> u32 {
        let priority = self.next_priority();
        let node = Node { start, end, members: Members::One(member), left: NIL, right: NIL, priority, farthest: NIL };
        let place = self.vacant.pop().unwrap_or_else(|| u32::try_from(self.nodes.len()).unwrap_or(NIL));
        assert!(place != NIL, "memory ends before four billion ranges");
        if place as usize == self.nodes.len() {
            self.nodes.push(node);
        } else {
            self.nodes[place as usize] = node;
        }
        self.nodes[place as usize].farthest = place;
        place
    }

    /// The next number of a xorshift generator: cheap, and not in the hands of whoever chooses the ranges.
    fn next_priority(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    /// Takes a subtree apart: what is ordered before `pivot`, which is not part of it, and what comes after.
    fn split(&mut self, root: u32, pivot: u32) -> (u32, u32) {
        if root == NIL {
            return (NIL, NIL);
        }
        if self.compare_nodes(root, pivot) == Ordering::Less {
            let (before, after) = self.split(self.nodes[root as usize].right, pivot);
            self.nodes[root as usize].right = before;
            self.mark(root);
            (root, after)
        } else {
            let (before, after) = self.split(self.nodes[root as usize].left, pivot);
            self.nodes[root as usize].left = after;
            self.mark(root);
            (before, root)
        }
    }

    /// Joins two subtrees, all of `before` being ordered before all of `after`.
    fn merge(&mut self, before: u32, after: u32) -> u32 {
        if before == NIL || after == NIL {
            return if before == NIL { after } else { before };
        }
        if self.nodes[before as usize].priority >= self.nodes[after as usize].priority {
            self.nodes[before as usize].right = self.merge(self.nodes[before as usize].right, after);
            self.mark(before);
            before
        } else {
            self.nodes[after as usize].left = self.merge(before, self.nodes[after as usize].left);
            self.mark(after);
            after
        }
    }

    /// Takes `node` out of the subtree, and returns what is its root then.
    fn detach(&mut self, root: u32, node: u32) -> u32 {
        let (left, right) = (self.nodes[root as usize].left, self.nodes[root as usize].right);
        match self.compare_nodes(node, root) {
            Ordering::Equal => return self.merge(left, right),
            Ordering::Less => self.nodes[root as usize].left = self.detach(left, node),
            Ordering::Greater => self.nodes[root as usize].right = self.detach(right, node),
        }
        self.mark(root);
        root
    }

    /// Finds out anew which node of the subtree ends last.
    fn mark(&mut self, root: u32) {
        let node = &self.nodes[root as usize];
        let mut farthest = root;
        for child in [node.left, node.right] {
            let Some(child) = self.nodes.get(child as usize) else { continue };
            let (candidate, best) = (&self.nodes[child.farthest as usize], &self.nodes[farthest as usize]);
            if compare_ends(candidate.end.as_ref(), best.end.as_ref()) == Ordering::Greater {
                farthest = child.farthest;
            }
        }
        self.nodes[root as usize].farthest = farthest;
    }

    fn compare_nodes(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (&self.nodes[a as usize], &self.nodes[b as usize]);
        compare((&a.start, a.end.as_ref()), (&b.start, b.end.as_ref()))
    }
}

impl<V: Copy + Ord> Members<V> {
    fn insert(&mut self, member: V) {
        match self {
            Self::One(first) => *self = Self::Many(BTreeSet::from([*first, member])),
            Self::Many(members) => _ = members.insert(member),
        }
    }

    /// Returns whether nobody is left.
    fn remove(&mut self, member: V) -> bool {
        match self {
            Self::One(last) => *last == member,
            Self::Many(members) => {
                members.remove(&member);
                members.is_empty()
            }
        }
    }

    fn visit(&self, found: &mut impl FnMut(V)) {
        match self {
            Self::One(member) => found(*member),
            Self::Many(members) => members.iter().for_each(|&member| found(member)),
        }
    }
}

fn ends_after(end: Option<&Bytes>, key: &[u8]) -> bool {
    end.is_none_or(|end| end.as_ref() > key)
}

fn compare(a: (&Bytes, Option<&Bytes>), b: (&Bytes, Option<&Bytes>)) -> Ordering {
    a.0.cmp(b.0).then_with(|| compare_ends(a.1, b.1))
}

/// No end comes after every end.
fn compare_ends(a: Option<&Bytes>, b: Option<&Bytes>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.cmp(b),
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
    }
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
