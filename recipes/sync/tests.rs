//! What all synchronisers have in common: one binary form each, and what makes no sense is refused before it can write.

mod barriers;
mod counters;
mod groups;
mod latches;
mod queues;

use model::{KeyRange, Revision};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::testing::MemoryLedger;
use crate::{Command, OpenSession, SessionRecord};

pub(super) fn lease(id: i64) -> LeaseId {
    LeaseId::new(id)
}

pub(super) fn existing(id: i64) -> Session {
    Session::Existing(lease(id))
}

/// A lease that lives as long as something else than a session.
pub(super) fn opening(id: i64) -> OpenSession {
    OpenSession { lease: lease(id), ttl: 10, record: None }
}

/// A store with leases 1 to `count`.
pub(super) fn with_leases(count: i64) -> MemoryLedger {
    let mut ledger = MemoryLedger::default();
    assert!((1..=count).all(|id| ledger.grant(lease(id), 10)));
    ledger
}

/// Applies what arrives in a log entry: the command after encoding and decoding; the same on a member that has just started.
pub(super) fn run(ledger: &mut MemoryLedger, command: SyncCommand) -> SyncOutcome {
    let command = Command::decode(Command::Sync(command).encode()).unwrap();
    let mut restarted = ledger.restarted();
    let outcome = ledger.apply(&command);
    assert_eq!(restarted.apply(&command), outcome);
    assert_eq!(restarted, *ledger);
    match outcome {
        Outcome::Sync(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// Names of the keys below `prefix`.
pub(super) fn names(ledger: &MemoryLedger, prefix: &'static str) -> Vec<String> {
    let below = KeyRange::prefix(prefix.into());
    ledger.range(&below).map(|kv| String::from_utf8(kv.key[prefix.len()..].to_vec()).unwrap()).collect()
}

/// The value of a key.
pub(super) fn value(ledger: &MemoryLedger, key: &'static str) -> Option<String> {
    let range = KeyRange::Single(key.into());
    ledger.range(&range).next().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn open_strategy() -> impl Strategy<Value = OpenSession> {
    let record = (bytes(), bytes()).prop_map(|(key, value)| SessionRecord { key, value });
    (any::<i64>(), any::<i64>(), option::of(record)).prop_map(|(id, ttl, record)| OpenSession {
        lease: lease(id),
        ttl,
        record,
    })
}

fn session() -> impl Strategy<Value = Session> {
    prop_oneof![any::<i64>().prop_map(existing), open_strategy().prop_map(Session::New)]
}

fn barrier_command() -> impl Strategy<Value = SyncCommand> {
    let enter = (bytes(), bytes(), session(), any::<u32>()).prop_map(|(prefix, record, session, count)| Enter {
        prefix,
        record,
        session,
        count,
    });
    let leave = (bytes(), bytes(), any::<i64>(), option::of(any::<u64>()))
        .prop_map(|(prefix, record, id, generation)| Leave { prefix, record, lease: lease(id), generation });
    let arrive = (bytes(), session(), any::<u32>(), option::of(any::<u64>()))
        .prop_map(|(prefix, session, parties, generation)| Arrive { prefix, session, parties, generation });
    prop_oneof![
        bytes().prop_map(|key| SyncCommand::HoldBarrier(HoldBarrier { key })),
        enter.prop_map(SyncCommand::Enter),
        leave.prop_map(SyncCommand::Leave),
        arrive.prop_map(SyncCommand::Arrive),
    ]
}

fn number_command() -> impl Strategy<Value = SyncCommand> {
    let set = (bytes(), bytes(), any::<u32>()).prop_map(|(key, parties, count)| SetLatch { key, parties, count });
    let count_down =
        (bytes(), bytes(), option::of(bytes())).prop_map(|(key, parties, by)| CountDown { key, parties, by });
    let bound = || option::of(any::<i64>());
    let increment =
        (bytes(), any::<i64>(), bound(), bound()).prop_map(|(key, by, min, max)| Increment { key, by, min, max });
    let set_counter = (bytes(), any::<i64>(), bound()).prop_map(|(key, value, expect)| SetCounter {
        key,
        value,
        expect: expect.map(Revision::new),
    });
    prop_oneof![
        set.prop_map(SyncCommand::SetLatch),
        count_down.prop_map(SyncCommand::CountDown),
        (bytes(), bytes()).prop_map(|(key, parties)| SyncCommand::DropLatch(DropLatch { key, parties })),
        increment.prop_map(SyncCommand::Increment),
        set_counter.prop_map(SyncCommand::SetCounter),
    ]
}

fn queue_command() -> impl Strategy<Value = SyncCommand> {
    let join = (bytes(), session(), bytes()).prop_map(|(prefix, session, value)| Join { prefix, session, value });
    let send = (bytes(), bytes(), bytes(), option::of(open_strategy()))
        .prop_map(|(messages, holds, value, delay)| Send { messages, holds, value, delay });
    let take =
        (bytes(), bytes(), bytes(), bytes(), session()).prop_map(|(messages, holds, dead, attempts_max, session)| {
            Take { messages, holds, dead, attempts_max, session }
        });
    let verdict =
        prop_oneof![Just(Verdict::Done), option::of(open_strategy()).prop_map(|delay| Verdict::Return { delay })];
    let settle = (bytes(), bytes(), any::<i64>(), verdict).prop_map(|(message, hold, token, verdict)| Settle {
        message,
        hold,
        token: Revision::new(token),
        verdict,
    });
    prop_oneof![
        join.prop_map(SyncCommand::Join),
        send.prop_map(SyncCommand::Send),
        take.prop_map(SyncCommand::Take),
        settle.prop_map(SyncCommand::Settle),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![barrier_command(), number_command(), queue_command()].prop_map(Command::Sync)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn decoding_inverts_encoding_and_refuses_every_cut(command in command(), more: u8) {
        let encoded = command.encode();
        for length in 0..encoded.len() {
            prop_assert!(Command::decode(encoded.slice(..length)).is_err());
        }
        prop_assert!(Command::decode([&encoded[..], &[more]].concat().into()).is_err());
        prop_assert_eq!(Command::decode(encoded), Ok(command));
    }

    /// Whatever is asked of whatever is stored: the ledger's own checks, such as of keys written twice, hold.
    #[test]
    fn no_command_breaks_the_ledger(
        commands in vec(command(), 1..20), values in vec((bytes(), bytes()), 0..8), leases in vec(any::<i64>(), 0..4),
    ) {
        let mut ledger = MemoryLedger::default();
        for id in leases {
            ledger.grant(lease(id), 10);
        }
        for (key, value) in values {
            if !key.is_empty() {
                ledger.put_all([(key, value, LeaseId::NONE)]);
            }
        }
        for command in commands {
            ledger.apply(&command);
        }
    }
}

/// The log keeps these bytes for ever: a change here is a new tag, never a new expectation.
#[test]
fn the_binary_form_is_fixed() {
    let form = |command: SyncCommand| Command::Sync(command).encode();
    let hold = SyncCommand::HoldBarrier(HoldBarrier { key: "b".into() });
    assert_eq!(form(hold).as_ref(), b"\x19\x01\0\0\0b");
    let enter = Enter { prefix: "d/".into(), record: "r".into(), session: existing(7), count: 3 };
    assert_eq!(form(SyncCommand::Enter(enter)).as_ref(), b"\x1a\x02\0\0\0d/\x01\0\0\0r\0\x07\0\0\0\0\0\0\0\x03\0\0\0");
    let leave = Leave { prefix: "d/".into(), record: "r".into(), lease: lease(7), generation: Some(2) };
    assert_eq!(
        form(SyncCommand::Leave(leave)).as_ref(),
        b"\x1b\x02\0\0\0d/\x01\0\0\0r\x07\0\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0"
    );
    let increment = Increment { key: "c".into(), by: -1, min: Some(0), max: None };
    assert_eq!(
        form(SyncCommand::Increment(increment)).as_ref(),
        b"\x20\x01\0\0\0c\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0\0\0"
    );
    let settle = Settle {
        message: "m".into(),
        hold: "h".into(),
        token: Revision::new(5),
        verdict: Verdict::Return { delay: None },
    };
    assert_eq!(form(SyncCommand::Settle(settle)).as_ref(), b"\x25\x01\0\0\0m\x01\0\0\0h\x05\0\0\0\0\0\0\0\x01\0");
}
