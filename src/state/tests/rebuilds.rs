//! A state made from the events and leases of another one: to clients, it is that one.

use model::{LeaseId, Revision};

use super::rig::{Rig, delete, grant, log_id, put, put_leased};
use crate::{Fault, Import, Rebuild, RevisionBump};

fn origin() -> Rig {
    let mut rig = Rig::in_memory();
    rig.apply([grant(1), grant(2), put_leased("leased", 1), put_leased("moved", 1), put_leased("moved", 2)]);
    rig.apply((0..100).map(|n| put(&format!("k{}", n % 7), &n.to_string())));
    rig.ok(delete("k1", "k3"));
    rig.put("k1", "again");
    rig.flush();
    rig
}

/// All that a client could know of it, told to another one.
fn retold(rig: &Rig) -> Rebuild {
    let mut rebuild = Rebuild::new(Revision::ZERO);
    for (id, ttl) in [(1, 10), (2, 10)] {
        rebuild.lease(LeaseId::new(id), ttl, 0);
    }
    for change in rig.everything().2 {
        for (sub, event) in (0..).zip(change.events.iter()) {
            rebuild.event(event.clone(), sub).unwrap();
        }
    }
    rebuild
}

fn taken_in(rebuild: Rebuild) -> Rig {
    let mut rig = Rig::on_disk();
    let imported = rig.import(rebuild.pieces(log_id(9), 300));
    rig.machine().install(imported).unwrap();
    rig
}

#[test]
fn to_clients_it_is_the_same() {
    let origin = origin();
    let mut rig = taken_in(retold(&origin));
    assert_eq!(rig.machine().applied().0, Some(log_id(9)));
    assert_eq!(rig.everything().0, origin.everything().0, "every version of every key");
    assert_eq!(rig.everything().2, origin.everything().2);
    assert_eq!(rig.reader().size().in_use, origin.reader().size().in_use);
    let keys = |rig: &Rig, id| rig.reader().lease(LeaseId::new(id)).unwrap().keys;
    assert_eq!(keys(&rig, 1), ["leased"]);
    assert_eq!(keys(&rig, 2), ["moved"]);
    assert!(origin.stored(0x30) > 10);
    assert_eq!(rig.stored(0x30), origin.stored(0x30));
    rig.restart();
    assert_eq!(rig.everything(), taken_in(retold(&origin)).everything(), "it was durable");
}

#[test]
fn events_out_of_order_and_without_a_key_are_refused() {
    let event = origin().everything().2[3].events[0].clone();
    let mut rebuild = Rebuild::new(Revision::ZERO);
    rebuild.event(event.clone(), 1).unwrap();
    for sub in [0, 1] {
        assert!(matches!(rebuild.event(event.clone(), sub), Err(Fault::Damaged(_))), "{sub}");
    }
    let mut nameless = event;
    nameless.kv.key.clear();
    assert!(matches!(rebuild.event(nameless, 2), Err(Fault::Damaged(_))));
}

#[test]
fn a_revision_is_set_forward_on_the_way_in() {
    let origin = origin();
    let before = origin.reader().revision().get();
    let place: std::sync::Arc<dyn crate::Place> = std::sync::Arc::new(crate::MemoryPlace::default());
    let import = |bump| {
        let mut import = Import::new(&place)?.with_bump(Some(RevisionBump(bump)));
        origin.reader().export()?.pieces(300).try_for_each(|piece| import.write(piece?))?;
        import.finish()
    };
    let machine = crate::Machine::open_imported(import(1000).unwrap(), crate::Options::default()).unwrap();
    let reader = machine.reader();
    let forward = Revision::new(before + 1000);
    assert_eq!((reader.revision(), reader.compact_revision()), (forward, forward));
    assert_eq!(reader.get_at(b"k1", Revision::ZERO).unwrap().unwrap().value, "again");
    assert!(matches!(import(i64::MAX.unsigned_abs()), Err(Fault::Damaged(_))));
}
