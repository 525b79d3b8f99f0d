//! The queue against a sorted set; its blocks stay sorted and in proportion, whatever joins and leaves.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn revision(raw: usize) -> Revision {
    Revision::new(raw.try_into().unwrap())
}

/// What the rest of the type relies on.
fn check(queue: &Queue) {
    assert!(queue.blocks.iter().all(|block| (1..=BLOCK).contains(&block.len())), "a block is empty or too long");
    assert_eq!(queue.blocks.iter().map(Vec::len).sum::<usize>(), queue.len());
    assert!(queue.iter().zip(queue.iter().skip(1)).all(|(one, next)| one < next), "out of order");
    let is_filled = |pair: &[Vec<Contender>]| pair[0].len() + pair[1].len() > BLOCK / 2;
    assert!(queue.blocks.windows(2).all(is_filled), "memory is out of proportion");
    assert!(queue.blocks.iter().map(|block| weight_of_block(block)).eq(queue.weights.iter().copied()));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, u8),
    Remove(usize, u8),
    /// Takes the n-th out, counted around.
    RemoveNth(usize),
    /// Some join at the end, as new contenders do.
    Append(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..40_usize, 0..3_u8).prop_map(|(at, key)| Step::Insert(at, key)),
        1 => (0..40_usize, 0..3_u8).prop_map(|(at, key)| Step::Remove(at, key)),
        8 => any::<usize>().prop_map(Step::RemoveNth),
        1 => (1..200_usize).prop_map(Step::Append),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_sorted_set(steps in vec(step(), 1..120)) {
        let mut queue = Queue::default();
        let mut set = BTreeSet::new();
        let mut newest = 1000;
        for step in steps {
            match step {
                Step::Insert(at, key) => {
                    queue.insert(revision(at), &[key], 1);
                    set.insert((revision(at), vec![key]));
                }
                Step::Remove(at, key) => {
                    queue.remove(revision(at), &[key]);
                    set.remove(&(revision(at), vec![key]));
                }
                Step::RemoveNth(n) => {
                    if let Some(place) = set.iter().nth(n % set.len().max(1)).cloned() {
                        queue.remove(place.0, &place.1);
                        set.remove(&place);
                    }
                }
                Step::Append(count) => for _ in 0..count {
                    newest += 1;
                    queue.insert(revision(newest), b"k", 1);
                    set.insert((revision(newest), b"k".to_vec()));
                },
            }
            check(&queue);
            let flat: Vec<_> = queue.iter().map(|one| (one.create_revision, one.key.to_vec())).collect();
            prop_assert!(flat.iter().eq(set.iter()));
            prop_assert_eq!(queue.head(), queue.iter().next());
            prop_assert_eq!(queue.is_empty(), set.is_empty());
            for at in [0, 20, 1000, newest / 2, newest, newest + 1] {
                let place = (revision(at), b"k".to_vec());
                prop_assert_eq!(queue.contains(place.0, &place.1), set.contains(&place));
                prop_assert_eq!(queue.ahead_of(place.0, &place.1), set.range(..place).count());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_join_are_counted_and_leave_from_everywhere() {
    const CONTENDERS: usize = 100_000;
    let mut queue = Queue::default();
    for at in 0..CONTENDERS {
        assert_eq!(queue.ahead_of(revision(at), b"k"), at);
        queue.insert(revision(at), b"k", 1);
    }
    assert_eq!(queue.blocks.len(), CONTENDERS.div_ceil(BLOCK), "those who join last fill the blocks");
    for odd in (1..CONTENDERS).step_by(2) {
        queue.remove(revision(odd), b"k");
    }
    check(&queue);
    for at in (0..CONTENDERS).step_by(2) {
        assert_eq!(queue.ahead_of(revision(at), b"k"), 0);
        assert_eq!(queue.head().map(|head| head.create_revision), Some(revision(at)));
        queue.remove(revision(at), b"k");
    }
    assert!(queue.is_empty() && queue.blocks.is_empty());
}

#[test]
fn a_queue_filled_in_the_order_of_keys_is_in_the_order_of_revisions() {
    let mut queue = Queue::default();
    for step in 0..5000_usize {
        let scattered = step * 7919 % 5000;
        queue.insert(revision(scattered), format!("{step:05}").as_bytes(), 1);
    }
    check(&queue);
    assert!(queue.iter().map(|one| one.create_revision).eq((0..5000).map(revision)));
}

#[test]
fn a_block_that_thins_out_joins_either_neighbour() {
    let mut queue = Queue::default();
    for at in 0..3 * BLOCK {
        queue.insert(revision(at), b"k", 1);
    }
    for at in (0..BLOCK - 10).chain(BLOCK..2 * BLOCK - 10) {
        queue.remove(revision(at), b"k");
        check(&queue);
    }
    assert_eq!(queue.blocks.len(), 2);
}

#[test]
fn those_of_one_revision_stand_by_key_and_twice_is_once() {
    let mut queue = Queue::default();
    for key in ["b", "a", "b"] {
        queue.insert(revision(7), key.as_bytes(), 1);
    }
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.head().map(|head| head.key.as_ref()), Some(&b"a"[..]));
    assert_eq!(queue.ahead_of(revision(7), b"b"), 1);
    queue.remove(revision(6), b"a");
    queue.remove(revision(7), b"c");
    assert_eq!(queue.len(), 2);
}

#[test]
fn weights_are_summed_whatever_joins_grows_and_leaves() {
    const CONTENDERS: usize = 1500;
    let weight = |at: usize| u32::try_from(at % 7 + 1).unwrap();
    let sum = |range: std::ops::Range<usize>| range.map(|at| u64::from(weight(at))).sum::<u64>();
    let mut queue = Queue::default();
    for step in 0..CONTENDERS {
        let at = step * 7919 % CONTENDERS;
        queue.insert(revision(at), b"k", 1);
        queue.insert(revision(at), b"k", weight(at));
    }
    check(&queue);
    for at in (0..CONTENDERS).step_by(13) {
        assert_eq!(queue.weight_ahead_of(revision(at), b"k"), sum(0..at));
        assert_eq!(queue.within(sum(0..at)), at);
        assert_eq!(queue.within(sum(0..at + 1) - 1), at, "one that does not fit whole does not fit");
        assert_eq!(queue.nth(at).map(|one| one.create_revision), Some(revision(at)));
    }
    assert_eq!((queue.within(0), queue.within(u64::MAX), queue.nth(CONTENDERS)), (0, CONTENDERS, None));
    for at in 0..CONTENDERS - 100 {
        queue.remove(revision(at), b"k");
    }
    check(&queue);
    assert_eq!(queue.weight_ahead_of(revision(CONTENDERS), b"k"), sum(CONTENDERS - 100..CONTENDERS));
}

#[test]
fn a_contender_does_not_hold_the_log_entry_it_came_in() {
    let entry = Bytes::from(vec![b'k'; 1 << 20]);
    let mut queue = Queue::default();
    queue.insert(revision(1), &entry.slice(..4), 1);
    assert!(entry.is_unique());
}
