//! The rules for leases as replicated facts, and for recipes on top of them.

use bytes::Bytes;
use model::{Command, EventKind, LeaseChange, LeaseCheckpoint, LeaseId, Rejection, Revision};
use recipes::{Acquire, AcquireOutcome, Enqueue, OpenSession, Release, Session, contender_key};

use super::rig::{Rig, bytes, delete, grant, put, put_leased, revoke};
use crate::{LeaseInfo, Outcome};

fn id(lease: i64) -> LeaseId {
    LeaseId::new(lease)
}

fn attached(rig: &Rig, lease: i64) -> Vec<Bytes> {
    rig.reader().lease(id(lease)).unwrap().keys
}

#[test]
fn grants_are_refused_when_the_lease_exists_or_cannot() {
    let mut rig = Rig::in_memory();
    let grant_for = |lease, ttl| Command::LeaseGrant { id: id(lease), ttl };
    assert_eq!(rig.ok(grant_for(-3, 60)), Outcome::LeaseGranted { id: id(-3), ttl: 60 });
    assert_eq!(rig.refused(grant_for(-3, 5)), Rejection::LeaseExists);
    assert_eq!(rig.refused(grant_for(1, i64::MAX)), Rejection::LeaseTtlTooLarge);
    assert_eq!(rig.refused(grant_for(0, 5)), Rejection::LeaseNotFound, "zero names no lease");
    assert_eq!(rig.reader().leases(), [(id(-3), 60, 0)]);
    assert_eq!(rig.refused(revoke(1)), Rejection::LeaseNotFound);
    assert_eq!(rig.reader().lease(id(1)), None);
}

#[test]
fn keys_follow_the_lease_of_their_last_put() {
    for mut rig in Rig::both() {
        rig.apply([grant(1), grant(2), put_leased("b", 1), put_leased("a", 1)]);
        assert_eq!(attached(&rig, 1), [bytes("a"), bytes("b")], "in byte order");
        rig.ok(put_leased("a", 2));
        rig.flush();
        assert_eq!((attached(&rig, 1), attached(&rig, 2)), (vec![bytes("b")], vec![bytes("a")]));
        rig.ok(put("a", "without"));
        rig.ok(delete("b", ""));
        assert_eq!((attached(&rig, 1), attached(&rig, 2)), (vec![], vec![]));
        rig.ok(put_leased("b", 1));
        rig.crash();
        assert_eq!((attached(&rig, 1), attached(&rig, 2)), (vec![bytes("b")], vec![]));
    }
}

#[test]
fn a_revocation_deletes_all_keys_in_byte_order_in_one_revision() {
    for mut rig in Rig::both() {
        rig.apply([grant(1), put_leased("b", 1), put_leased("a", 1), put("c", "")]);
        rig.flush();
        rig.ok(put_leased("aa", 1));
        let applied = rig.apply([revoke(1)]);
        assert_eq!(applied.replies[0].revision, Revision::new(6));
        assert_eq!(applied.batch.leases, [LeaseChange::Revoked { id: id(1) }]);
        let [change] = &applied.batch.changes[..] else { panic!() };
        let deleted: Vec<_> = change.events.iter().map(|event| (event.kind, event.kv.key.clone())).collect();
        assert_eq!(deleted, ["a", "aa", "b"].map(|key| (EventKind::Delete, bytes(key))));
        rig.flush();
        rig.restart();
        assert_eq!(rig.reader().leases(), []);
        assert_eq!(rig.reader().range(&super::rig::read("\0", "\0")).unwrap().count, 1);
    }
}

#[test]
fn checkpoints_are_kept_and_reported() {
    for mut rig in Rig::both() {
        rig.ok(grant(1));
        let notes = [(1, 4), (9, 5)].map(|(lease, remaining)| LeaseCheckpoint { id: id(lease), remaining });
        let applied = rig.apply([Command::LeaseCheckpoint(notes.to_vec())]);
        assert_eq!(
            applied.batch.leases,
            [LeaseChange::Checkpointed { id: id(1), remaining: 4 }],
            "unknown ones are passed over"
        );
        rig.flush();
        rig.restart();
        assert_eq!(rig.reader().lease(id(1)), Some(LeaseInfo { ttl: 10, remaining: 4, keys: vec![] }));
    }
}

fn acquire(lease: i64) -> Command {
    let session = Session::New(OpenSession { lease: id(lease), ttl: 5, record: None });
    let acquire = Acquire {
        prefix: bytes("lock/"),
        session,
        enqueue: Enqueue::Enqueue { waiting_max: None },
        value: Bytes::new(),
    };
    Command::Recipe(recipes::Command::Acquire(acquire).encode())
}

fn release(lease: i64) -> Command {
    let key = contender_key(b"lock/", id(lease));
    Command::Recipe(recipes::Command::Release(Release { key, token: None }).encode())
}

fn ahead(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Recipe(recipes::Outcome::Acquire(AcquireOutcome::Granted { .. })) => 0,
        Outcome::Recipe(recipes::Outcome::Acquire(AcquireOutcome::Queued { ahead, .. })) => ahead,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recipe_is_one_revision_with_the_lease_that_it_opens() {
    let mut rig = Rig::in_memory();
    let applied = rig.apply([acquire(1)]);
    assert_eq!(applied.batch.leases, [LeaseChange::Granted { id: id(1), ttl: 5 }]);
    assert_eq!((applied.batch.changes.len(), applied.batch.revision), (1, Revision::new(2)));
    assert_eq!(attached(&rig, 1), [contender_key(b"lock/", id(1))]);
    let asked_again = rig.reply(acquire(1));
    assert_eq!(
        (ahead(asked_again.result.unwrap()), asked_again.revision),
        (0, Revision::new(2)),
        "a read takes no revision"
    );
}

#[test]
fn the_line_is_the_same_whoever_wrote_its_keys_and_whatever_was_forgotten() {
    for mut rig in Rig::both() {
        assert_eq!(ahead(rig.ok(acquire(1))), 0);
        assert_eq!(ahead(rig.ok(acquire(2))), 1);
        rig.put("lock/by-hand", "");
        rig.put("lock", "not below the prefix");
        assert_eq!(ahead(rig.ok(acquire(3))), 3);
        rig.flush();
        // The queue is forgotten with the machine and found again from the keys.
        rig.crash();
        rig.ok(release(1));
        assert_eq!(ahead(rig.ok(acquire(3))), 2);
        rig.ok(revoke(2));
        rig.ok(delete("lock/by-hand", ""));
        assert_eq!(ahead(rig.ok(acquire(3))), 0);
    }
}
