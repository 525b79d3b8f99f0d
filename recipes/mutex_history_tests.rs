//! Random histories of one lock: through the commands and through plain transactions side by side, and what must hold after
//! every step.

use std::collections::BTreeSet;

use model::KeyRange;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::*;
use crate::testing::{MemoryLedger, plain};
use crate::{Command, OpenSession, SessionRecord};

const LOCK: &[u8] = b"l/";
/// Sessions that take part; few, so that they meet.
const SESSIONS: i64 = 6;

#[derive(Clone, Debug)]
enum Step {
    Acquire(Acquire),
    /// Of a session's claim: with the token it has, one that it had, or none.
    Release(LeaseId, Option<Token>),
    Grant(LeaseId),
    Revoke(LeaseId),
    /// An etcd client writes below the prefix: a claim's key, on a lease if that exists, or a name of its own.
    RawPut(Bytes, LeaseId),
    RawDelete(Bytes),
    /// The member restarts.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Token {
    Current,
    Old,
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (1..=SESSIONS).prop_map(LeaseId::new)
}

fn acquire() -> impl Strategy<Value = Acquire> {
    let record = |lease: LeaseId| SessionRecord { key: format!("s/{lease}").into(), value: "r".into() };
    let session = prop_oneof![
        2 => lease().prop_map(Session::Existing),
        1 => (lease(), any::<bool>()).prop_map(move |(lease, has_record)| {
            Session::New(OpenSession { lease, ttl: 10, record: has_record.then(|| record(lease)) })
        }),
    ];
    let enqueue = prop_oneof![
        1 => Just(Enqueue::TryOnly),
        3 => Just(Enqueue::Enqueue { waiting_max: None }),
        1 => (0..3_u32).prop_map(|max| Enqueue::Enqueue { waiting_max: Some(max) }),
    ];
    let prefix = prop_oneof![4 => Just(LOCK), 1 => Just(&b"l/nested/"[..])];
    (prefix, session, enqueue, any::<u8>()).prop_map(|(prefix, session, enqueue, value)| Acquire {
        prefix: Bytes::from_static(prefix),
        session,
        enqueue,
        value: vec![value].into(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let raw_key = prop_oneof![lease().prop_map(|lease| contender_key(LOCK, lease)), Just(Bytes::from_static(b"l/raw"))];
    let token = prop_oneof![
        3 => Just(Some(Token::Current)),
        1 => Just(Some(Token::Old)),
        1 => Just(None),
    ];
    prop_oneof![
        12 => acquire().prop_map(Step::Acquire),
        6 => (lease(), token).prop_map(|(lease, token)| Step::Release(lease, token)),
        4 => lease().prop_map(Step::Grant),
        2 => lease().prop_map(Step::Revoke),
        1 => (raw_key.clone(), lease()).prop_map(|(key, lease)| Step::RawPut(key, lease)),
        1 => raw_key.prop_map(Step::RawDelete),
        1 => Just(Step::Restart),
    ]
}

/// One store by commands, its twin by plain transactions.
#[derive(Default)]
struct Twins {
    store: MemoryLedger,
    twin: MemoryLedger,
    /// The highest token that ever held.
    token: Revision,
}

impl Twins {
    fn step(&mut self, step: Step) {
        match step {
            Step::Acquire(acquire) => self.acquire(acquire),
            Step::Release(lease, token) => self.release(contender_key(LOCK, lease), token),
            Step::Restart => self.store = self.store.restarted(),
            Step::Grant(lease) => self.both(|store| {
                store.grant(lease, 10);
            }),
            Step::Revoke(lease) => self.both(|store| store.revoke(lease)),
            Step::RawDelete(key) => self.both(|store| store.delete_range(&KeyRange::Single(key.clone()))),
            Step::RawPut(key, lease) => self.both(|store| {
                let lease = store.lease_ttl(lease).map_or(LeaseId::NONE, |_| lease);
                store.put_all([(key.clone(), Bytes::new(), lease)]);
            }),
        }
        assert_eq!(self.store, self.twin, "both paths leave the same keys, leases and revision");
        self.check_holder();
    }

    fn both(&mut self, change: impl Fn(&mut MemoryLedger)) {
        change(&mut self.store);
        change(&mut self.twin);
    }

    fn acquire(&mut self, acquire: Acquire) {
        let expected = plain::acquire(&mut self.twin, &acquire);
        let before = self.store.clone();
        let command = Command::Acquire(acquire);
        let outcome = self.store.apply(&command);
        assert_eq!(outcome, Outcome::Acquire(expected.clone()));
        let after = self.store.clone();
        let again = self.store.apply(&command);
        assert_eq!(self.store, after, "asking again writes nothing");
        match expected {
            AcquireOutcome::Granted { claim, .. } => {
                assert_eq!(again, Outcome::Acquire(AcquireOutcome::Granted { claim, is_new: false }));
            }
            AcquireOutcome::Queued { claim, ahead, holder, .. } => {
                let same = AcquireOutcome::Queued { claim, is_new: false, ahead, holder };
                assert_eq!(again, Outcome::Acquire(same));
            }
            AcquireOutcome::Busy { .. }
            | AcquireOutcome::QueueFull { .. }
            | AcquireOutcome::SessionExpired
            | AcquireOutcome::SessionConflict => {
                assert_eq!(after, before, "a claim that is refused writes nothing");
                assert_eq!(again, outcome);
            }
        }
    }

    fn release(&mut self, key: Bytes, token: Option<Token>) {
        let Ok(claim) = self.store.get(&key);
        let current = claim.map_or(Revision::ZERO, |claim| claim.create_revision);
        let token = token.map(|token| match token {
            Token::Current => current,
            Token::Old => current.previous(),
        });
        let release = Release { key, token };
        let expected = plain::release(&mut self.twin, &release);
        assert_eq!(self.store.apply(&Command::Release(release)), Outcome::Release(expected));
    }

    /// At most one holder, the same by index and by scan; its token never falls, so grants come first come, first served.
    fn check_holder(&mut self) {
        let prefix = Bytes::from_static(LOCK);
        let scanned = plain::first(&self.twin, &KeyRange::prefix(prefix.clone()));
        let keys = self.store.range(&KeyRange::prefix(prefix.clone())).count();
        let Ok(queue) = self.store.contenders(&prefix);
        assert_eq!(queue.len(), keys);
        assert!(queue.iter().enumerate().all(|(at, one)| queue.ahead_of(one.create_revision, &one.key) == at));
        assert_eq!(queue.head().map(|head| &head.key), scanned.as_ref().map(|kv| &kv.key));
        if let Some(holder) = scanned {
            assert!(holder.create_revision >= self.token, "token {} after {}", holder.create_revision, self.token);
            self.token = holder.create_revision;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn commands_and_plain_transactions_agree_and_one_holds_at_a_time(steps in vec(step(), 1..80)) {
        let mut twins = Twins::default();
        for step in steps {
            twins.step(step);
        }
    }
}

/// The histories above are worth something only if they reach every outcome.
#[test]
fn random_histories_reach_every_outcome() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(2), ..Config::default() });
    let mut twins = Twins::default();
    let mut seen = BTreeSet::new();
    for _ in 0..2000 {
        let step = step().new_tree(&mut runner).unwrap().current();
        if let Step::Acquire(acquire) = &step {
            let outcome = plain::acquire(&mut twins.twin.clone(), acquire);
            seen.insert(format!("{outcome:?}").split([' ', '(']).next().map(str::to_owned));
        }
        twins.step(step);
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(twins.token > Revision::new(100));
}
