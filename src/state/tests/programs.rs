//! Random programs on the machine and on the reference: every answer, every change and every read must agree, whatever the storage
//! and whenever it is flushed, cleaned up or lost.

use bytes::Bytes;
use model::{
    Command, Compare, CompareResult, DeleteRequest, KeyRange, LeaseCheckpoint, LeaseId, LogId, Op, Operand, PutRequest,
    RangeRequest, Rejection, Revision, SortOrder, SortTarget, TxnRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use recipes::{Acquire, Enqueue, OpenSession, Release, Session, contender_key};

use super::reference::Reference;
use super::rig::{Rig, without_previous};
use crate::{Fault, Import, Outcome, ReadError};

/// What happens to a machine.
#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Command>),
    Read(RangeRequest),
    Flush,
    /// Freezes an overlay whose flush runs only at the next step that needs it.
    Freeze,
    Clean,
    Crash,
    /// Begins to send the state to another member in pieces of so many bytes, or sends one more.
    Send(usize),
    /// Sends the rest, and puts it in the place of the state that the other member has.
    Install,
}

/// A member that now and then gets the state of the one under test while that one goes on.
struct Other {
    rig: Rig,
    transfer: Option<Transfer>,
}

struct Transfer {
    pieces: Box<dyn Iterator<Item = Result<Bytes, Fault>>>,
    import: Import,
    applied: Option<LogId>,
}

impl Other {
    fn send(&mut self, rig: &Rig, bytes_max: usize) {
        let transfer = self.transfer.get_or_insert_with(|| {
            let export = rig.reader().export().unwrap();
            let applied = export.applied();
            let import = Import::new(&self.rig.place).unwrap().in_groups_of(1_000);
            Transfer { pieces: Box::new(export.pieces(bytes_max)), import, applied }
        });
        if let Some(piece) = transfer.pieces.next() {
            transfer.import.write(piece.unwrap()).unwrap();
        }
    }

    fn install(&mut self, rig: &Rig) {
        self.send(rig, 500);
        let Some(Transfer { pieces, mut import, applied }) = self.transfer.take() else { return };
        pieces.for_each(|piece| import.write(piece.unwrap()).unwrap());
        let imported = import.finish().unwrap();
        assert_eq!(imported.applied(), applied);
        let before = self.rig.machine().applied().0;
        let (flush, cleanup) = (self.rig.machine().start_flush(), self.rig.machine().take_cleanup());
        match self.rig.machine().install(imported) {
            Ok(()) => assert_eq!(self.rig.machine().applied().0, applied),
            Err(Fault::OutOfOrder { .. }) => assert!(applied < before, "{applied:?} {before:?}"),
            Err(fault) => panic!("{fault}"),
        }
        flush.run().unwrap();
        cleanup.map(|job| job.run().unwrap());
        self.rig.catch_up(rig);
        assert_eq!(self.rig.everything(), rig.everything());
        assert_eq!(self.rig.reader().size().in_use.min(1), rig.reader().size().in_use.min(1));
    }
}

fn key() -> impl Strategy<Value = Bytes> {
    let keys: [&'static [u8]; 9] = [b"a", b"a\0", b"a\0\xff", b"ab", b"b", b"l/1", b"l/2", b"l/22", b"\xff"];
    prop::sample::select(keys.to_vec()).prop_map(Bytes::from_static)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        3 => key().prop_map(KeyRange::Single),
        1 => key().prop_map(KeyRange::From),
        2 => (key(), key()).prop_map(|(start, end)| KeyRange::Span { start, end }),
        1 => Just(KeyRange::From(Bytes::from_static(b"\0"))),
        1 => Just(KeyRange::prefix(Bytes::from_static(b"l/"))),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![Just(Bytes::new()), "[xyz]{1,3}".prop_map(Bytes::from), Just(Bytes::from(vec![7; 700]))]
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (1..4_i64).prop_map(LeaseId::new)
}

fn revision() -> impl Strategy<Value = Revision> {
    prop_oneof![3 => Just(0), 1 => Just(-1), 6 => 1..40_i64].prop_map(Revision::new)
}

fn put() -> impl Strategy<Value = PutRequest> {
    let leases = prop_oneof![2 => Just(LeaseId::NONE), 1 => lease()];
    (key(), value(), leases, any::<bool>(), 0..12).prop_map(|(key, value, lease, prev_kv, flags)| {
        let (ignore_value, ignore_lease) = (flags & 3 == 3, flags & 12 == 8 && flags & 1 == 1);
        PutRequest {
            key,
            value: if ignore_value { Bytes::new() } else { value },
            lease: if ignore_lease { LeaseId::NONE } else { lease },
            prev_kv,
            ignore_value,
            ignore_lease,
        }
    })
}

fn delete() -> impl Strategy<Value = DeleteRequest> {
    (range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRequest { range, prev_kv })
}

fn read() -> impl Strategy<Value = RangeRequest> {
    let order = prop::sample::select(vec![SortOrder::None, SortOrder::Ascend, SortOrder::Descend]);
    let target = prop::sample::select(vec![
        SortTarget::Key,
        SortTarget::Version,
        SortTarget::Create,
        SortTarget::Mod,
        SortTarget::Value,
    ]);
    let filter = || prop_oneof![6 => Just(0), 1 => 1..20_i64].prop_map(Revision::new);
    let filters = (filter(), filter(), filter(), filter());
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (range(), -1..4_i64, revision(), order, target, flags, filters).prop_map(
        |(range, limit, revision, order, target, (keys_only, count_only), filters)| RangeRequest {
            limit,
            revision,
            order,
            target,
            keys_only,
            count_only,
            min_mod_revision: filters.0,
            max_mod_revision: filters.1,
            min_create_revision: filters.2,
            max_create_revision: filters.3,
            ..RangeRequest::new(range)
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let result = prop::sample::select(vec![
        CompareResult::Equal,
        CompareResult::Greater,
        CompareResult::Less,
        CompareResult::NotEqual,
        CompareResult::Unknown,
    ]);
    let operand = prop_oneof![
        (0..3_i64).prop_map(Operand::Version),
        (0..20_i64).prop_map(Operand::Create),
        (0..20_i64).prop_map(Operand::Mod),
        (0..3_i64).prop_map(Operand::Lease),
        value().prop_map(Operand::Value),
        Just(Operand::Unknown),
    ];
    (range(), result, operand).prop_map(|(range, result, operand)| Compare { range, result, operand })
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let op =
        prop_oneof![2 => read().prop_map(Op::Range), 4 => put().prop_map(Op::Put), 2 => delete().prop_map(Op::Delete)];
    let inner = (vec(compare(), 0..2), vec(op.clone(), 0..3), vec(op.clone(), 0..3));
    let inner = inner.prop_map(|(compares, success, failure)| Op::Txn(TxnRequest { compares, success, failure }));
    let op = prop_oneof![4 => op, 1 => inner];
    (vec(compare(), 0..3), vec(op.clone(), 0..5), vec(op, 0..5)).prop_map(|(compares, success, failure)| TxnRequest {
        compares,
        success,
        failure,
    })
}

fn recipe() -> impl Strategy<Value = recipes::Command> {
    let prefix = || prop::sample::select(vec![&b"l/"[..], b"l/2", b"a"]).prop_map(Bytes::from_static);
    let enqueue = prop_oneof![
        Just(Enqueue::TryOnly),
        Just(Enqueue::Enqueue { waiting_max: None }),
        Just(Enqueue::Enqueue { waiting_max: Some(1) })
    ];
    let acquire = (prefix(), lease(), any::<bool>(), enqueue).prop_map(|(prefix, lease, is_new, enqueue)| {
        let open = OpenSession { lease, ttl: 5, record: None };
        let session = if is_new { Session::New(open) } else { Session::Existing(lease) };
        recipes::Command::Acquire(Acquire { prefix, session, enqueue, value: Bytes::from_static(b"claim") })
    });
    let release = (prefix(), lease()).prop_map(|(prefix, lease)| {
        recipes::Command::Release(Release { key: contender_key(&prefix, lease), token: None })
    });
    prop_oneof![3 => acquire, 2 => release]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => put().prop_map(Command::Put),
        3 => delete().prop_map(Command::Delete),
        4 => txn().prop_map(Command::Txn),
        3 => recipe().prop_map(|recipe| Command::Recipe(recipe.encode())),
        1 => revision().prop_map(|revision| Command::Compact { revision }),
        2 => lease().prop_map(|id| Command::LeaseGrant { id, ttl: 10 }),
        1 => lease().prop_map(|id| Command::LeaseRevoke { id }),
        1 => (lease(), 0..9_i64).prop_map(|(id, remaining)| {
            Command::LeaseCheckpoint(vec![LeaseCheckpoint { id, remaining }])
        }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => vec(command(), 1..4).prop_map(Step::Apply),
        6 => read().prop_map(Step::Read),
        2 => Just(Step::Flush),
        1 => Just(Step::Freeze),
        1 => Just(Step::Clean),
        1 => Just(Step::Crash),
        2 => (5..600_usize).prop_map(Step::Send),
        1 => Just(Step::Install),
    ];
    vec(step, 1..60)
}

fn apply(rig: &mut Rig, reference: &mut Reference, commands: &[Command]) {
    let revision = reference.revision;
    let expected: Vec<_> = commands.iter().map(|command| reference.reply(command)).collect();
    let applied = rig.apply(commands.to_vec());
    for (reply, expected) in applied.replies.iter().zip(&expected) {
        assert_eq!(reply, expected);
    }
    assert_eq!(applied.batch.changes, reference.changes(revision.next()));
    assert_eq!(applied.batch.revision, reference.revision);
    assert_eq!(applied.batch.compact_revision, reference.compact_revision);
    let granted = expected.iter().filter(|reply| matches!(reply.result, Ok(Outcome::LeaseGranted { .. }))).count();
    assert!(applied.batch.leases.len() >= granted);
}

fn compare_reads(rig: &Rig, reference: &Reference, request: &RangeRequest) {
    let answer = rig.reader().range(request).map_err(|error| match error {
        ReadError::Rejected(rejection) => rejection,
        ReadError::Fault(fault) => panic!("{fault}"),
    });
    assert_eq!(answer, reference.range(request));
}

/// Looks at everything there is to see.
fn compare_states(rig: &Rig, reference: &Reference) {
    let reader = rig.reader();
    assert_eq!(reader.revision(), reference.revision);
    assert_eq!(reader.compact_revision(), reference.compact_revision);
    let leases: Vec<_> = reference.leases.iter().map(|(id, (ttl, remaining))| (*id, *ttl, *remaining)).collect();
    assert_eq!(reader.leases(), leases);
    for (id, ..) in leases {
        assert_eq!(reader.lease(id).unwrap().keys, reference.keys_of(id));
    }
    let first = reference.compact_revision.max(Revision::FIRST);
    let all = KeyRange::From(Bytes::from_static(b"\0"));
    for at in first.get()..=reference.revision.get() {
        let revision = Revision::new(at);
        compare_reads(rig, reference, &RangeRequest::new(all.clone()).at(revision));
        for key in [&b"a"[..], b"a\0", b"l/1", b"nothing"] {
            assert_eq!(reader.get_at(key, revision).unwrap(), reference.get(key, revision));
        }
    }
    let changes = without_previous(reader.changes(first, usize::MAX).unwrap());
    assert_eq!(changes, without_previous(reference.changes(first)));
    if reference.compact_revision > Revision::FIRST {
        let below = reference.compact_revision.previous();
        assert!(matches!(reader.changes(below, 1), Err(ReadError::Rejected(Rejection::Compacted))));
    }
    let live = reference.range(&RangeRequest::new(all)).unwrap().kvs;
    let bytes: usize = live.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
    assert!(reader.size().in_use <= bytes as u64);
}

fn run([mut rig, other]: [Rig; 2], steps: &[Step]) -> Rig {
    let mut other = Other { rig: other, transfer: None };
    let mut reference = Reference::new();
    let mut frozen = None;
    for step in steps {
        match step {
            Step::Apply(commands) => apply(&mut rig, &mut reference, commands),
            Step::Read(request) => compare_reads(&rig, &reference, request),
            Step::Flush => {
                if let Some(job) = frozen.take() {
                    crate::FlushJob::run(job).unwrap();
                }
                rig.flush();
            }
            Step::Freeze => frozen = Some(rig.machine().start_flush()),
            Step::Clean => rig.clean(),
            Step::Crash => {
                frozen = None;
                // It ends with the sender.
                other.transfer = None;
                rig.crash();
            }
            Step::Send(bytes_max) => other.send(&rig, *bytes_max),
            Step::Install => other.install(&rig),
        }
    }
    drop(frozen);
    other.install(&rig);
    compare_states(&other.rig, &reference);
    compare_states(&rig, &reference);
    rig.flush();
    compare_states(&rig, &reference);
    rig.flush();
    rig.clean();
    assert_eq!(rig.reader().cleaned_revision(), reference.compact_revision);
    compare_states(&rig, &reference);
    rig.crash();
    compare_states(&rig, &reference);
    rig
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

#[test]
fn programs_in_memory_agree_with_the_reference() {
    let result = runner(300).run(&steps(), |steps| {
        run([Rig::in_memory(), Rig::in_memory()], &steps);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn programs_on_disk_agree_with_the_reference_and_with_any_flush_schedule() {
    let result = runner(12).run(&steps(), |steps| {
        let disk = run([Rig::on_disk(), Rig::in_memory()], &steps);
        let unflushed: Vec<_> = steps.into_iter().filter(|step| matches!(step, Step::Apply(_))).collect();
        let memory = run([Rig::in_memory(), Rig::in_memory()], &unflushed);
        assert_eq!(disk.everything(), memory.everything());
        Ok(())
    });
    result.unwrap();
}

#[test]
fn programs_in_memory_can_be_taken_over_on_disk() {
    let result = runner(4).run(&steps(), |steps| {
        run([Rig::in_memory(), Rig::on_disk()], &steps);
        Ok(())
    });
    result.unwrap();
}
