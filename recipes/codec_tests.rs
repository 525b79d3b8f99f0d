//! What is encoded decodes to itself; what is cut, bent or foreign is refused without a panic.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::config::*;
use crate::{About, Enqueue, Guard, Session, SessionRecord};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn open() -> impl Strategy<Value = OpenSession> {
    let record = (bytes(), bytes()).prop_map(|(key, value)| SessionRecord { key, value });
    (any::<i64>(), any::<i64>(), option::of(record)).prop_map(|(lease, ttl, record)| OpenSession {
        lease: LeaseId::new(lease),
        ttl,
        record,
    })
}

fn acquire() -> impl Strategy<Value = Acquire> {
    let session = prop_oneof![
        any::<i64>().prop_map(|lease| Session::Existing(LeaseId::new(lease))),
        open().prop_map(Session::New)
    ];
    let enqueue = prop_oneof![
        Just(Enqueue::TryOnly),
        option::of(any::<u32>()).prop_map(|waiting_max| Enqueue::Enqueue { waiting_max })
    ];
    (bytes(), session, enqueue, bytes()).prop_map(|(prefix, session, enqueue, value)| Acquire {
        prefix,
        session,
        enqueue,
        value,
    })
}

fn guards() -> impl Strategy<Value = Vec<Guard>> {
    vec((bytes(), any::<i64>()).prop_map(|(key, token)| Guard { key, token: Revision::new(token) }), 0..3)
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    vec((bytes(), option::of(bytes())).prop_map(|(key, value)| Write { key, value }), 0..3)
}

fn expect() -> impl Strategy<Value = Expect> {
    let revisions = || vec(any::<i64>().prop_map(Revision::new), 0..3);
    prop_oneof![
        Just(Expect::Absent),
        Just(Expect::Present),
        revisions().prop_map(Expect::WrittenAt),
        revisions().prop_map(Expect::NotWrittenAt),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let labels = proptest::collection::btree_map("[a-z]{0,3}", "[a-zü]{0,3}", 0..3);
    let scope = prop_oneof![any::<u32>().prop_map(Scope::Percent), labels.prop_map(Scope::Selector)];
    let step = (scope, any::<u32>(), any::<u32>());
    let step = step.prop_map(|(scope, min_acks, max_failures)| Step { scope, min_acks, max_failures });
    (vec(step, 0..3), any::<bool>()).prop_map(|(steps, halts)| {
        let on_failure = if halts { OnFailure::Halt } else { OnFailure::Rollback };
        Plan { steps, on_failure }
    })
}

fn version() -> impl Strategy<Value = u64> {
    0..=i64::MAX.unsigned_abs()
}

fn publish() -> impl Strategy<Value = Publish> {
    let draft = (any::<u32>(), any::<i64>())
        .prop_map(|(keys, revision)| DraftState { keys, revision: Revision::new(revision) });
    let target = prop_oneof![
        Just(Target::Kept),
        bytes().prop_map(Target::Label),
        (bytes(), plan()).prop_map(|(label, plan)| Target::Rollout { label, plan }),
    ];
    (bytes(), bytes(), writes(), option::of(draft), option::of(version()), target, guards()).prop_map(
        |(set, record, writes, draft, expect, target, guards)| Publish {
            set,
            record,
            writes,
            draft,
            expect,
            target,
            guards,
        },
    )
}

fn acknowledge() -> impl Strategy<Value = Acknowledge> {
    let status = prop_oneof![Just(AckStatus::Applied), Just(AckStatus::Failed), Just(AckStatus::Rejected)];
    (bytes(), bytes(), any::<i64>(), version(), status, bytes()).prop_map(
        |(set, client, lease, version, status, value)| Acknowledge {
            set,
            client,
            lease: LeaseId::new(lease),
            version,
            status,
            value,
        },
    )
}

fn configuration() -> impl Strategy<Value = Command> {
    let condition = (bytes(), expect()).prop_map(|(key, expect)| Condition { key, expect });
    let edit = (bytes(), writes(), vec(condition, 0..3), guards())
        .prop_map(|(set, writes, conditions, guards)| EditDraft { set, writes, conditions, guards });
    let label = (bytes(), bytes(), option::of(version()), option::of(expect()), guards())
        .prop_map(|(set, label, version, expect, guards)| MoveLabel { set, label, version, expect, guards });
    let action = prop_oneof![Just(RolloutAction::Pause), Just(RolloutAction::Resume), Just(RolloutAction::Abort)];
    let control =
        (bytes(), version(), action).prop_map(|(set, version, action)| ControlRollout { set, version, action });
    prop_oneof![
        edit.prop_map(Command::EditDraft),
        publish().prop_map(Command::Publish),
        label.prop_map(Command::MoveLabel),
        acknowledge().prop_map(Command::Acknowledge),
        control.prop_map(Command::ControlRollout),
    ]
}

fn campaign() -> impl Strategy<Value = Campaign> {
    (acquire(), option::of(about())).prop_map(|(Acquire { prefix, session, value, .. }, about)| Campaign {
        prefix,
        session,
        value,
        about,
    })
}

fn proclaim() -> impl Strategy<Value = Proclaim> {
    (bytes(), any::<i64>(), bytes(), option::of(about())).prop_map(|(prefix, term, value, about)| Proclaim {
        prefix,
        term: Revision::new(term),
        value,
        about,
    })
}

fn about() -> impl Strategy<Value = About> {
    (bytes(), bytes()).prop_map(|(prefix, value)| About { prefix, value })
}

fn command() -> impl Strategy<Value = Command> {
    let release =
        (bytes(), option::of(any::<i64>())).prop_map(|(key, token)| Release { key, token: token.map(Revision::new) });
    prop_oneof![
        open().prop_map(Command::OpenSession),
        acquire().prop_map(Command::Acquire),
        release.prop_map(Command::Release),
        configuration(),
        campaign().prop_map(Command::Campaign),
        proclaim().prop_map(Command::Proclaim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn decoding_inverts_encoding(command in command()) {
        prop_assert_eq!(Command::decode(command.encode()), Ok(command));
    }

    #[test]
    fn every_cut_and_every_addition_is_refused(command in command(), more: u8) {
        let encoded = command.encode();
        for length in 0..encoded.len() {
            prop_assert!(Command::decode(encoded.slice(..length)).is_err());
        }
        let longer = [&encoded[..], &[more]].concat();
        prop_assert!(Command::decode(longer.into()).is_err());
    }

    /// Nothing has two binary forms, so bent bytes are refused or mean another command.
    #[test]
    fn bent_bytes_never_panic_and_mean_what_they_say(
        noise in vec(any::<u8>(), 0..100), command in command(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bent = command.encode().to_vec();
        let at = at.index(bent.len());
        bent[at] = byte;
        for input in [noise, bent] {
            if let Ok(decoded) = Command::decode(input.clone().into()) {
                prop_assert_eq!(decoded.encode(), input);
            }
        }
    }
}

/// The log keeps these bytes for ever: a change here is a new tag, never a new expectation.
#[test]
fn the_binary_form_is_fixed() {
    let lease = LeaseId::new(0x1a2b);
    let record = Some(SessionRecord { key: "s".into(), value: "r".into() });
    let open = OpenSession { lease, ttl: 10, record };
    let session = b"\x2b\x1a\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x01\x01\0\0\0s\x01\0\0\0r";
    let acquire = |session, enqueue| Acquire { prefix: "l/".into(), session, enqueue, value: "v".into() };
    let form = |parts: &[&[u8]]| parts.concat();

    let opened = Command::OpenSession(open.clone());
    assert_eq!(opened.encode(), form(&[b"\x01", session]));
    let bounded = Command::Acquire(acquire(Session::New(open), Enqueue::Enqueue { waiting_max: Some(3) }));
    assert_eq!(bounded.encode(), form(&[b"\x02\x02\0\0\0l/\x01", session, b"\x02\x03\0\0\0\x01\0\0\0v"]));
    let tried = Command::Acquire(acquire(Session::Existing(lease), Enqueue::TryOnly));
    assert_eq!(tried.encode().as_ref(), b"\x02\x02\0\0\0l/\0\x2b\x1a\0\0\0\0\0\0\0\x01\0\0\0v");
    let unbounded = Command::Acquire(acquire(Session::Existing(lease), Enqueue::Enqueue { waiting_max: None }));
    assert_eq!(unbounded.encode().as_ref(), b"\x02\x02\0\0\0l/\0\x2b\x1a\0\0\0\0\0\0\x01\x01\0\0\0v");
    let released = Command::Release(Release { key: "l/1".into(), token: Some(Revision::new(5)) });
    assert_eq!(released.encode().as_ref(), b"\x03\x03\0\0\0l/1\x01\x05\0\0\0\0\0\0\0");
}

#[test]
fn a_false_length_asks_for_no_memory() {
    let error = Command::decode(Bytes::from_static(b"\x03\xff\xff\xff\xff")).unwrap_err();
    assert_eq!(error.to_string(), "malformed recipe: a field is longer than the command");
}

#[test]
fn decoding_shares_memory() {
    let encoded = Command::Release(Release { key: vec![7; 100].into(), token: None }).encode();
    let Command::Release(decoded) = Command::decode(encoded.clone()).unwrap() else { panic!("a release") };
    assert!(encoded.as_ptr_range().contains(&decoded.key.as_ptr()));
}
