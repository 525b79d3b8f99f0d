//! The index against the plainest thing that does the same.

use proptest::prelude::*;

use super::*;

/// Few letters and short keys, so that ranges meet, nest and coincide.
fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(prop::sample::select(vec![0u8, b'a', b'b', b'c', 0xff]), 1..4).prop_map(Bytes::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::Single),
        key().prop_map(KeyRange::From),
        (key(), key())
            .prop_filter("not empty", |(a, b)| a != b)
            .prop_map(|(a, b)| KeyRange::Span { start: a.clone().min(b.clone()), end: a.max(b) }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(KeyRange),
    /// Removes one of those there, chosen by this number.
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => range().prop_map(Step::Insert), 2 => any::<usize>().prop_map(Step::Remove)]
}

fn found<V: Copy + Ord>(index: &IntervalIndex<V>, key: &[u8]) -> Vec<V> {
    let mut found = Vec::new();
    index.visit(key, |member| found.push(member));
    found.sort_unstable();
    found
}

/// Order, priorities and marks of a subtree; returns its height.
fn check_subtree(index: &IntervalIndex<usize>, root: u32) -> usize {
    let Some(node) = index.nodes.get(root as usize) else { return 0 };
    let (mut farthest, mut height) = (node.end.clone(), 0);
    for (child, order) in [(node.left, Ordering::Less), (node.right, Ordering::Greater)] {
        if child == NIL {
            continue;
        }
        assert_eq!(index.compare_nodes(child, root), order);
        assert!(index.nodes[child as usize].priority <= node.priority);
        height = height.max(check_subtree(index, child));
        let end = index.nodes[index.nodes[child as usize].farthest as usize].end.clone();
        if compare_ends(end.as_ref(), farthest.as_ref()) == Ordering::Greater {
            farthest = end;
        }
    }
    assert_eq!(index.nodes[node.farthest as usize].end, farthest);
    height + 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn finds_what_a_scan_of_all_ranges_finds(steps in prop::collection::vec(step(), 1..80), keys in prop::collection::vec(key(), 20)) {
        let mut index = IntervalIndex::new();
        let mut ranges: Vec<(KeyRange, usize)> = Vec::new();
        for (member, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(range) => {
                    index.insert(&range, member);
                    ranges.push((range, member));
                }
                Step::Remove(nth) if !ranges.is_empty() => {
                    let (range, member) = ranges.swap_remove(nth % ranges.len());
                    index.remove(&range, member);
                }
                Step::Remove(_) => {}
            }
            check_subtree(&index, index.root);
        }
        for key in &keys {
            let mut expected: Vec<usize> =
                ranges.iter().filter(|(range, _)| range.contains(key)).map(|(_, member)| *member).collect();
            expected.sort_unstable();
            prop_assert_eq!(found(&index, key), expected);
        }
        for (range, member) in ranges {
            index.remove(&range, member);
        }
        prop_assert!(index.root == NIL && index.singles.is_empty() && index.vacant.len() == index.nodes.len());
    }
}

#[test]
fn many_ranges_in_order_make_no_deep_tree() {
    let mut index = IntervalIndex::new();
    for nth in 0..20_000usize {
        let start = Bytes::from(format!("{nth:08}"));
        let end = Bytes::from(format!("{nth:08}~"));
        index.insert(&KeyRange::Span { start, end }, nth);
    }
    let height = check_subtree(&index, index.root);
    assert!(height < 64, "height {height}, when 15 would be perfect");
    assert_eq!(found(&index, b"00012345x"), [12_345]);
}
