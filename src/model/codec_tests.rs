//! What is encoded decodes to itself; what is cut, bent or foreign is refused without a panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Access, AuthCommand, Permission, TokenDigest};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    (bytes(), bytes()).prop_map(|(key, end)| KeyRange::from_wire(key, end))
}

fn alarm_change() -> impl Strategy<Value = AlarmChange> {
    let kind = prop_oneof![Just(AlarmKind::NoSpace), Just(AlarmKind::Corrupt)];
    let cause = prop_oneof![Just(None), Just(Some(AlarmCause::Request)), Just(Some(AlarmCause::Watch))];
    (kind, any::<u64>(), cause).prop_map(|(kind, member, cause)| {
        let member = MemberId::new(member);
        match cause {
            Some(cause) => AlarmChange::Raise(Alarm { kind, member, cause }),
            None => AlarmChange::End { kind, member },
        }
    })
}

fn put() -> impl Strategy<Value = PutRequest> {
    (bytes(), bytes(), any::<i64>(), any::<[bool; 3]>()).prop_map(|(key, value, lease, [a, b, c])| PutRequest {
        key,
        value,
        lease: LeaseId::new(lease),
        prev_kv: a,
        ignore_value: b,
        ignore_lease: c,
    })
}

fn read() -> impl Strategy<Value = RangeRequest> {
    let order = prop_oneof![Just(SortOrder::None), Just(SortOrder::Ascend), Just(SortOrder::Descend)];
    let target = prop_oneof![Just(SortTarget::Key), Just(SortTarget::Version), Just(SortTarget::Value)];
    (range(), any::<[i64; 6]>(), order, target, any::<[bool; 3]>()).prop_map(|(range, n, order, target, flags)| {
        RangeRequest {
            range,
            limit: n[0],
            revision: Revision::new(n[1]),
            order,
            target,
            serializable: flags[0],
            keys_only: flags[1],
            count_only: flags[2],
            min_mod_revision: Revision::new(n[2]),
            max_mod_revision: Revision::new(n[3]),
            min_create_revision: Revision::new(n[4]),
            max_create_revision: Revision::new(n[5]),
        }
    })
}

fn delete() -> impl Strategy<Value = DeleteRequest> {
    (range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRequest { range, prev_kv })
}

fn compare() -> impl Strategy<Value = Compare> {
    let result = prop_oneof![Just(CompareResult::Equal), Just(CompareResult::Less), Just(CompareResult::Unknown)];
    let operand = prop_oneof![
        any::<i64>().prop_map(Operand::Version),
        any::<i64>().prop_map(Operand::Create),
        any::<i64>().prop_map(Operand::Mod),
        bytes().prop_map(Operand::Value),
        any::<i64>().prop_map(Operand::Lease),
        Just(Operand::Unknown),
    ];
    (range(), result, operand).prop_map(|(range, result, operand)| Compare { range, result, operand })
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let leaf = Just(TxnRequest::default());
    leaf.prop_recursive(3, 24, 3, |inner| {
        let op = prop_oneof![
            read().prop_map(Op::Range),
            put().prop_map(Op::Put),
            delete().prop_map(Op::Delete),
            inner.prop_map(Op::Txn),
        ];
        (vec(compare(), 0..3), vec(op.clone(), 0..3), vec(op, 0..3))
            .prop_map(|(compares, success, failure)| TxnRequest { compares, success, failure })
    })
}

fn auth() -> impl Strategy<Value = AuthCommand> {
    let name = || ".{0,8}";
    let access = prop_oneof![Just(Access::Read), Just(Access::Write), Just(Access::ReadWrite)];
    prop_oneof![
        Just(AuthCommand::Enable),
        Just(AuthCommand::Disable),
        (name(), proptest::option::of(bytes())).prop_map(|(name, password)| AuthCommand::UserAdd { name, password }),
        name().prop_map(|name| AuthCommand::UserDelete { name }),
        (name(), bytes()).prop_map(|(name, password)| AuthCommand::UserChangePassword { name, password }),
        (name(), name()).prop_map(|(user, role)| AuthCommand::UserGrantRole { user, role }),
        (name(), name()).prop_map(|(user, role)| AuthCommand::UserRevokeRole { user, role }),
        name().prop_map(|name| AuthCommand::RoleAdd { name }),
        name().prop_map(|name| AuthCommand::RoleDelete { name }),
        (name(), access, range()).prop_map(|(role, access, range)| AuthCommand::RoleGrantPermission {
            role,
            permission: Permission { access, range }
        }),
        (name(), range()).prop_map(|(role, range)| AuthCommand::RoleRevokePermission { role, range }),
        (name(), any::<[u8; 32]>(), any::<u64>()).prop_map(|(user, token, auth_revision)| AuthCommand::GrantToken {
            user,
            token: TokenDigest(token),
            auth_revision
        }),
    ]
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let checkpoint = any::<[i64; 2]>().prop_map(|[id, remaining]| LeaseCheckpoint { id: LeaseId::new(id), remaining });
    let command = prop_oneof![
        put().prop_map(Command::Put),
        delete().prop_map(Command::Delete),
        txn().prop_map(Command::Txn),
        any::<i64>().prop_map(|n| Command::Compact { revision: Revision::new(n) }),
        any::<[i64; 2]>().prop_map(|[id, ttl]| Command::LeaseGrant { id: LeaseId::new(id), ttl }),
        any::<i64>().prop_map(|id| Command::LeaseRevoke { id: LeaseId::new(id) }),
        vec(checkpoint, 0..5).prop_map(Command::LeaseCheckpoint),
        bytes().prop_map(Command::Recipe),
        alarm_change().prop_map(Command::Alarm),
        proptest::option::of(bytes()).prop_map(|target| Command::Downgrade { target }),
        auth().prop_map(Command::Auth),
    ];
    (any::<[u64; 3]>(), ".{0,8}", command).prop_map(|([id, proposed_at_ms, auth_revision], user, command)| Proposal {
        id,
        proposed_at_ms,
        identity: Identity { user, auth_revision },
        command,
    })
}

proptest! {
    #[test]
    fn decoding_inverts_encoding(proposal in proposal()) {
        prop_assert_eq!(Proposal::decode(proposal.encode()), Ok(proposal));
    }

    #[test]
    fn the_id_is_read_without_the_rest(proposal in proposal()) {
        let encoded = proposal.encode();
        prop_assert_eq!(Proposal::id_of(&encoded), Some(proposal.id));
        prop_assert_eq!(Proposal::id_of(&encoded[..8]), None);
    }

    #[test]
    fn every_cut_is_refused(proposal in proposal()) {
        let encoded = proposal.encode();
        for length in 0..encoded.len() {
            prop_assert!(Proposal::decode(encoded.slice(..length)).is_err());
        }
    }

    #[test]
    fn noise_never_panics(noise in vec(any::<u8>(), 0..200), proposal in proposal(), at in any::<prop::sample::Index>(), byte: u8) {
        let _ = Proposal::decode(noise.into());
        let mut bent = proposal.encode().to_vec();
        let at = at.index(bent.len());
        bent[at] = byte;
        let _ = Proposal::decode(bent.into());
    }
}

fn nested(depth: usize) -> Proposal {
    let mut txn = TxnRequest::default();
    for _ in 1..depth {
        txn = TxnRequest { success: vec![Op::Txn(txn)], ..TxnRequest::default() };
    }
    Proposal { id: 1, proposed_at_ms: 0, identity: Identity::default(), command: Command::Txn(txn) }
}

#[test]
fn nesting_is_bounded() {
    assert!(Proposal::decode(nested(DEPTH_MAX).encode()).is_ok());
    let error = Proposal::decode(nested(DEPTH_MAX + 1).encode()).unwrap_err();
    assert_eq!(error.to_string(), "malformed log entry: transactions nested too deeply");
}

#[test]
fn a_false_count_asks_for_no_memory() {
    let mut entry = nested(1).encode().to_vec();
    let end = entry.len();
    entry[end - 12..end - 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Proposal::decode(entry.into()).is_err());
}

#[test]
fn decoding_shares_memory() {
    let put = PutRequest { key: "key".into(), value: vec![7; 100].into(), ..PutRequest::default() };
    let proposal = Proposal { command: Command::Put(put), ..nested(1) };
    let encoded = proposal.encode();
    let Command::Put(decoded) = Proposal::decode(encoded.clone()).unwrap().command else { panic!("a put") };
    assert!(encoded.as_ptr_range().contains(&decoded.value.as_ptr()));
}
