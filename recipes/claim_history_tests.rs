//! Random histories of a mutex, a read-write lock, a semaphore and sets: through the commands and through plain transactions side by
//! side, and what must hold after every step.

use std::collections::BTreeMap;

use model::KeyRange;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::*;
use crate::testing::{MemoryLedger, plain_claims};
use crate::{Amend, Amendment, Command, Extent, GiveUp, SetLimit};

/// Sessions that take part; few, so that they meet.
const SESSIONS: i64 = 5;

const RW: &str = "rw/";
const LIMIT: &str = "limit";

#[derive(Clone, Debug)]
enum Step {
    Claim(Claim),
    GiveUp(Bytes, Extent),
    Amend(i64, bool),
    Limit(u32),
    Grant(LeaseId),
    Revoke(LeaseId),
    /// The member restarts.
    Restart,
}

fn mutex(prefix: &'static str) -> Place {
    Place::Mutex { prefix: prefix.into() }
}

fn permits(permits: u32) -> Place {
    Place::Permits { prefix: "s/".into(), limit: LIMIT.into(), permits }
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    prop_oneof![
        2 => Just(vec![mutex("a/")]),
        3 => Just(vec![Place::Writer { prefix: RW.into() }]),
        4 => Just(vec![Place::Reader { prefix: RW.into() }]),
        4 => (1..4_u32).prop_map(|count| vec![permits(count)]),
        2 => Just(vec![mutex("a/"), mutex("b/")]),
        1 => Just(vec![mutex("b/"), permits(1)]),
    ]
}

fn record_of(places: &[Place], id: i64) -> Option<Bytes> {
    match places {
        [Place::Mutex { .. } | Place::Permits { .. }] => None,
        [Place::Writer { .. } | Place::Reader { .. }] => Some(format!("meta/rw/{id:x}").into()),
        _ => Some(format!("meta/set/{id:x}").into()),
    }
}

fn claim() -> impl Strategy<Value = Claim> {
    let enqueue = prop_oneof![
        1 => Just(Enqueue::TryOnly),
        4 => Just(Enqueue::Enqueue { waiting_max: None }),
        1 => (0..3_u32).prop_map(|max| Enqueue::Enqueue { waiting_max: Some(max) }),
    ];
    (1..=SESSIONS, places(), enqueue).prop_map(|(id, places, enqueue)| Claim {
        session: Session::Existing(LeaseId::new(id)),
        record: record_of(&places, id),
        places,
        enqueue,
        hold: Bytes::new(),
        meta: Bytes::new(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let lease = || (1..=SESSIONS).prop_map(LeaseId::new);
    let give_up = (1..=SESSIONS, places(), any::<bool>()).prop_map(|(id, places, whole)| {
        let record = record_of(&places, id).unwrap_or_else(|| places[0].key(LeaseId::new(id)));
        Step::GiveUp(record, if whole { Extent::Whole } else { Extent::IfUnseen })
    });
    prop_oneof![
        12 => claim().prop_map(Step::Claim),
        6 => give_up,
        3 => (1..=SESSIONS, any::<bool>()).prop_map(|(id, down)| Step::Amend(id, down)),
        2 => (0..6_u32).prop_map(Step::Limit),
        4 => lease().prop_map(Step::Grant),
        1 => lease().prop_map(Step::Revoke),
        1 => Just(Step::Restart),
    ]
}

/// One store by commands, its twin by plain transactions.
#[derive(Default)]
struct Twins {
    store: MemoryLedger,
    twin: MemoryLedger,
    /// Who held after the step before: by line, the keys and when they were created.
    held: BTreeMap<usize, Vec<(Bytes, Revision)>>,
}

impl Twins {
    fn step(&mut self, step: Step) {
        match step {
            Step::Claim(claim) => {
                let expected = plain_claims::claim(&mut self.twin, &claim);
                assert_eq!(self.store.apply(&Command::Claim(claim)), Outcome::Claim(expected));
            }
            Step::GiveUp(record, extent) => {
                let give_up = GiveUp { record, token: None, extent };
                let expected = plain_claims::give_up(&mut self.twin, &give_up);
                assert_eq!(self.store.apply(&Command::GiveUp(give_up)), Outcome::GiveUp(expected));
            }
            Step::Amend(id, down) => {
                let prefix = Bytes::from(RW);
                let change = if down { Amendment::Downgrade(prefix) } else { Amendment::Upgrade(prefix) };
                let amend = Amend { record: format!("meta/rw/{id:x}").into(), token: None, change };
                self.both(|store| drop(store.apply(&Command::Amend(amend.clone()))));
            }
            Step::Limit(limit) => {
                let set = SetLimit { prefix: "s/".into(), key: LIMIT.into(), limit };
                self.both(|store| drop(store.apply(&Command::SetLimit(set.clone()))));
            }
            Step::Grant(lease) => self.both(|store| {
                store.grant(lease, 10);
            }),
            Step::Revoke(lease) => self.both(|store| store.revoke(lease)),
            Step::Restart => self.store = self.store.restarted(),
        }
        assert_eq!(self.store, self.twin, "both paths leave the same keys, leases and revision");
        self.check();
    }

    fn both(&mut self, change: impl Fn(&mut MemoryLedger)) {
        change(&mut self.store);
        change(&mut self.twin);
    }

    /// Census and standing agree with a scan; nobody who holds loses that by what others do.
    fn check(&mut self) {
        let lines = [mutex("a/"), mutex("b/"), Place::Writer { prefix: RW.into() }, permits(1)];
        for (at, line) in lines.iter().enumerate() {
            let holders = plain_claims::holders(&self.twin, line);
            let Ok(census) = line.census(&mut self.store);
            assert_eq!(census.holders, holders.len(), "{line:?}");
            let now: Vec<_> = holders.iter().map(|kv| (kv.key.clone(), kv.create_revision)).collect();
            for before in self.held.insert(at, now.clone()).unwrap_or_default() {
                let Ok(kv) = self.twin.get(&before.0);
                let is_there = kv.is_some_and(|kv| kv.create_revision == before.1);
                assert!(!is_there || now.contains(&before), "{before:?} held and does so no more");
            }
        }
        let writers = self.held[&2].iter().filter(|(key, _)| key.starts_with(b"rw/write/")).count();
        assert!(writers <= 1, "two writers hold");
        let shares = self.twin.range(&KeyRange::prefix("rw/shared/".into())).count() > 0;
        assert!(writers == 0 || shares || self.held[&2].len() == 1, "a writer is not alone");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn commands_and_plain_transactions_agree(steps in vec(step(), 1..80)) {
        let mut twins = Twins::default();
        for step in steps {
            twins.step(step);
        }
    }
}

/// The histories above are worth something only if they reach what they are about.
#[test]
fn random_histories_reach_every_outcome() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(2), ..Config::default() });
    let mut twins = Twins::default();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut several = 0;
    for _ in 0..4000 {
        let step = step().new_tree(&mut runner).unwrap().current();
        if let Step::Claim(claim) = &step {
            let outcome = plain_claims::claim(&mut twins.twin.clone(), claim);
            *seen.entry(format!("{outcome:?}").split([' ', '(']).next().unwrap().to_owned()).or_default() += 1;
        }
        twins.step(step);
        several += usize::from(twins.held[&2].len() > 2) + usize::from(twins.held[&3].len() > 2);
    }
    for outcome in ["Claimed", "Busy", "QueueFull", "SessionExpired", "OtherClaim", "LimitExceeded"] {
        assert!(seen.get(outcome).is_some_and(|count| *count > 5), "{outcome}: {seen:?}");
    }
    assert!(several > 100, "several hold: {several}");
}
