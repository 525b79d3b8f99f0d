//! Small replicated facts: what a flush keeps of them, what readers see, and that they travel.

use bytes::Bytes;

use super::rig::{Rig, bytes};
use crate::facts::FactBook;

fn facts(rig: &Rig) -> Vec<(Bytes, Bytes)> {
    rig.reader().facts().under(b"").map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn set(rig: &mut Rig, name: &str, value: &str) {
    rig.machine().facts_mut().set(bytes(name), bytes(value));
}

#[test]
fn facts_are_seen_with_the_group_and_kept_by_the_flush() {
    for mut rig in Rig::both() {
        set(&mut rig, "a/1", "one");
        set(&mut rig, "a/2", "two");
        set(&mut rig, "b/1", "");
        let before = rig.reader().facts();
        assert_eq!(before.get(b"a/1"), None, "the group is not there yet");
        rig.put("k", "v");
        assert_eq!(rig.reader().facts().get(b"a/1"), Some(&bytes("one")));
        assert_eq!(rig.reader().facts().under(b"a/").count(), 2);
        assert_eq!(before.get(b"a/1"), None, "what was taken does not change");
        let (hash, known) = (rig.reader().hash().unwrap(), facts(&rig));
        rig.flush();
        rig.crash();
        assert_eq!((rig.reader().hash().unwrap(), facts(&rig)), (hash, known));
    }
}

#[test]
fn what_was_not_flushed_is_made_again_by_the_log_alone() {
    for mut rig in Rig::both() {
        set(&mut rig, "kept", "1");
        rig.put("k", "v");
        rig.flush();
        rig.machine().facts_mut().remove(b"kept");
        set(&mut rig, "lost", "1");
        rig.put("k", "w");
        assert_eq!(facts(&rig), [(bytes("lost"), bytes("1"))]);
        rig.restart();
        assert_eq!(facts(&rig), [(bytes("kept"), bytes("1"))]);
        rig.machine().facts_mut().remove(b"kept");
        rig.replay_at_most(usize::MAX);
        rig.flush();
        rig.restart();
        assert_eq!(facts(&rig), []);
        assert_eq!(rig.stored(0x12), 0);
    }
}

#[test]
fn facts_travel_and_those_of_the_old_state_go() {
    for [mut sender, mut rig] in [[Rig::on_disk(), Rig::in_memory()], [Rig::in_memory(), Rig::on_disk()]] {
        set(&mut sender, "a", "sent");
        sender.put("k", "v");
        sender.put("k", "w");
        sender.flush();
        set(&mut rig, "a", "own");
        set(&mut rig, "b", "own");
        rig.put("k", "v");
        rig.take_over(&sender);
        assert_eq!(facts(&rig), [(bytes("a"), bytes("sent"))]);
        assert_eq!(rig.reader().hash().unwrap(), sender.reader().hash().unwrap());
        rig.restart();
        assert_eq!(facts(&rig), [(bytes("a"), bytes("sent"))]);
    }
}

#[test]
fn facts_that_wait_for_a_flush_make_it_due() {
    let mut rig = Rig::in_memory();
    assert!(!rig.machine().is_full());
    set(&mut rig, "large", &"x".repeat(8 * 1024));
    assert!(rig.machine().is_full());
    rig.put("k", "v");
    rig.flush();
    assert!(!rig.machine().is_full());
}

#[test]
fn two_states_with_different_facts_do_not_look_alike() {
    let [mut one, mut other] = Rig::both();
    one.put("k", "v");
    other.put("k", "v");
    assert_eq!(one.reader().hash().unwrap(), other.reader().hash().unwrap());
    set(&mut one, "a", "1");
    one.put("k", "w");
    other.put("k", "w");
    assert_ne!(one.reader().hash().unwrap(), other.reader().hash().unwrap());
}

#[test]
fn removing_what_is_not_there_writes_nothing() {
    let mut book = FactBook::default();
    book.remove(b"a");
    assert!(book.take_unflushed().is_empty());
}
