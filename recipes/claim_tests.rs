//! Claims against the traps that other lock services fell into; `tN` is the number of the trap in the design notes.

use model::KeyRange;

use super::*;
use crate::testing::MemoryLedger;
use crate::{Command, Extent, GiveUp, GiveUpOutcome, LimitOutcome, Notice, OpenSession, SetLimit, Tell, TellOutcome};

const LOCK: &str = "/ns/locks/orders/";
const RW: &str = "/ns/rwlocks/catalog/";
const PERMITS: &str = "/ns/semaphores/workers/claims/";
const LIMIT: &str = "/ns/_meta/semaphores/workers";
const FOREVER: Enqueue = Enqueue::Enqueue { waiting_max: None };

fn lease(id: i64) -> LeaseId {
    LeaseId::new(id)
}

/// A store with leases 1 to `count`.
fn with_leases(count: i64) -> MemoryLedger {
    let mut ledger = MemoryLedger::default();
    assert!((1..=count).all(|id| ledger.grant(lease(id), 10)));
    ledger
}

fn mutex(prefix: &str) -> Place {
    Place::Mutex { prefix: prefix.to_owned().into() }
}

fn writer() -> Place {
    Place::Writer { prefix: RW.into() }
}

fn reader() -> Place {
    Place::Reader { prefix: RW.into() }
}

fn permits(permits: u32) -> Place {
    Place::Permits { prefix: PERMITS.into(), limit: LIMIT.into(), permits }
}

/// A claim on places whose record is one apart where it has to be.
fn claim(id: i64, places: &[Place]) -> Claim {
    let apart = places.len() > 1 || matches!(places, [Place::Writer { .. } | Place::Reader { .. }]);
    Claim {
        session: Session::Existing(lease(id)),
        places: places.to_vec(),
        record: apart.then(|| format!("/ns/_meta/{id:x}").into()),
        enqueue: FOREVER,
        hold: Bytes::new(),
        meta: Bytes::new(),
    }
}

/// Applies what arrives in a log entry: the command after encoding and decoding.
fn run(ledger: &mut MemoryLedger, command: &Command) -> Outcome {
    ledger.apply(&Command::decode(command.encode()).unwrap())
}

fn ask(ledger: &mut MemoryLedger, claim: &Claim) -> ClaimOutcome {
    match run(ledger, &Command::Claim(claim.clone())) {
        Outcome::Claim(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn claimed(ledger: &mut MemoryLedger, claim: &Claim) -> Claimed {
    match ask(ledger, claim) {
        ClaimOutcome::Claimed { claim, .. } => claim,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn stands(ledger: &mut MemoryLedger, id: i64, places: &[Place]) -> Standing {
    claimed(ledger, &claim(id, places)).standing
}

fn give_up(ledger: &mut MemoryLedger, claim: &Claim, token: Option<Revision>, extent: Extent) -> GiveUpOutcome {
    let record = claim.record_key();
    match run(ledger, &Command::GiveUp(GiveUp { record, token, extent })) {
        Outcome::GiveUp(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn set_limit(ledger: &mut MemoryLedger, limit: u32) -> LimitOutcome {
    match run(ledger, &Command::SetLimit(SetLimit { prefix: PERMITS.into(), key: LIMIT.into(), limit })) {
        Outcome::Limit(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

const fn queued(ahead: usize) -> Standing {
    Standing::Queued { ahead }
}

#[test]
fn t09_a_release_that_is_sent_again_spares_the_newer_claim() {
    let mut ledger = with_leases(1);
    let mine = claim(1, &[mutex(LOCK)]);
    let token = claimed(&mut ledger, &mine).token;
    assert_eq!(give_up(&mut ledger, &mine, Some(token), Extent::Whole), GiveUpOutcome::Gone { token });
    assert_eq!(give_up(&mut ledger, &mine, Some(token), Extent::Whole), GiveUpOutcome::NotHeld);
    let current = claimed(&mut ledger, &mine).token;
    assert_eq!(give_up(&mut ledger, &mine, Some(token), Extent::Whole), GiveUpOutcome::Stale { current });
}

#[test]
fn t10_asking_again_finds_the_same_place_and_from_the_second_time_on_writes_nothing() {
    let mut ledger = with_leases(2);
    claimed(&mut ledger, &claim(1, &[mutex(LOCK)]));
    let first = claimed(&mut ledger, &claim(2, &[mutex(LOCK)]));
    assert_eq!(claimed(&mut ledger, &claim(2, &[mutex(LOCK)])), first);
    let before = ledger.clone();
    assert_eq!(claimed(&mut ledger, &claim(2, &[mutex(LOCK)])), first);
    assert_eq!(ledger, before);
}

#[test]
fn t11_what_was_made_and_not_asked_for_again_is_given_back_and_the_rest_stays() {
    for places in [vec![mutex(LOCK)], vec![writer()], vec![reader()], vec![mutex("a/"), mutex("b/")]] {
        let mut ledger = with_leases(1);
        let (before, mine) = (ledger.clone(), claim(1, &places));
        let token = claimed(&mut ledger, &mine).token;
        assert_eq!(give_up(&mut ledger, &mine, Some(token), Extent::IfUnseen), GiveUpOutcome::Gone { token });
        assert_eq!(ledger.range(&KeyRange::prefix("/".into())).count(), 0, "nothing is left behind");
        assert_eq!(before.range(&KeyRange::prefix("/".into())).count(), 0);

        let token = claimed(&mut ledger, &mine).token;
        assert_eq!(claimed(&mut ledger, &mine).token, token, "another request is told of the claim");
        assert_eq!(give_up(&mut ledger, &mine, Some(token), Extent::IfUnseen), GiveUpOutcome::Stays { holds: 1 });
        assert_eq!(claimed(&mut ledger, &mine).token, token);
    }
}

#[test]
fn t13_a_try_on_what_is_held_writes_nothing_and_opens_no_session() {
    for place in [mutex(LOCK), writer(), permits(2)] {
        let mut ledger = with_leases(1);
        set_limit(&mut ledger, 2);
        claimed(&mut ledger, &claim(1, std::slice::from_ref(&place)));
        let before = ledger.clone();
        let open = OpenSession { lease: lease(9), ttl: 10, record: None };
        let tried = Claim { session: Session::New(open), enqueue: Enqueue::TryOnly, ..claim(9, &[place]) };
        assert!(matches!(ask(&mut ledger, &tried), ClaimOutcome::Busy { holder: Some(_) }));
        assert_eq!(ledger, before);
    }
}

#[test]
fn t15_another_hold_keeps_the_token_and_the_claim_goes_with_the_last() {
    let mut ledger = with_leases(1);
    let under = |name: &'static str| Claim { hold: name.into(), ..claim(1, &[mutex(LOCK)]) };
    let token = claimed(&mut ledger, &under("")).token;
    for _ in 0..2 {
        let again = claimed(&mut ledger, &under("inner"));
        assert_eq!((again.token, ClaimRecord::read(&again.value).hold_count()), (token, 2));
    }
    let inner = Extent::Hold("inner".into());
    for _ in 0..2 {
        assert_eq!(give_up(&mut ledger, &under(""), None, inner.clone()), GiveUpOutcome::Stays { holds: 1 });
    }
    assert_eq!(give_up(&mut ledger, &under(""), None, Extent::Hold("".into())), GiveUpOutcome::Gone { token });
}

#[test]
fn holds_are_bounded() {
    let mut ledger = with_leases(1);
    for name in 0..HOLDS_MAX {
        claimed(&mut ledger, &Claim { hold: format!("{name}").into(), ..claim(1, &[mutex(LOCK)]) });
    }
    let more = Claim { hold: "more".into(), ..claim(1, &[mutex(LOCK)]) };
    assert_eq!(ask(&mut ledger, &more), ClaimOutcome::TooManyHolds);
}

#[test]
fn t14_only_those_at_the_front_hold_and_nobody_behind_one_who_waits() {
    let mut ledger = with_leases(5);
    for (id, place) in [(1, reader()), (2, reader()), (3, writer()), (4, reader()), (5, writer())] {
        claimed(&mut ledger, &claim(id, &[place]));
    }
    let all = |ledger: &mut MemoryLedger| {
        [stands(ledger, 3, &[writer()]), stands(ledger, 4, &[reader()]), stands(ledger, 5, &[writer()])]
    };
    assert_eq!(all(&mut ledger), [queued(2), queued(3), queued(4)]);
    ledger.revoke(lease(1));
    ledger.revoke(lease(2));
    assert_eq!(all(&mut ledger), [Standing::Granted, queued(1), queued(2)]);
    ledger.revoke(lease(3));
    assert_eq!(stands(&mut ledger, 4, &[reader()]), Standing::Granted);
    assert_eq!(stands(&mut ledger, 5, &[writer()]), queued(1));
}

#[test]
fn t18_t19_a_claim_has_one_place_in_each_line_and_none_in_a_line_below_another() {
    let mut ledger = with_leases(1);
    for places in [[mutex("a/"), mutex("a/")], [mutex("a/"), mutex("a/b/")], [writer(), reader()]] {
        assert_eq!(run(&mut ledger, &Command::Claim(claim(1, &places))), Outcome::Invalid(Invalid::PlaceTwice));
    }
    let contends = Claim { record: Some(format!("{RW}record").into()), ..claim(1, &[writer()]) };
    assert_eq!(run(&mut ledger, &Command::Claim(contends)), Outcome::Invalid(Invalid::RecordContends));
    let without = Claim { record: None, ..claim(1, &[writer()]) };
    assert_eq!(run(&mut ledger, &Command::Claim(without)), Outcome::Invalid(Invalid::RecordMisplaced));
}

/// The layout of etcd's recipe: its readers and writers wait for keys of a lower mod revision.
#[test]
fn t22_the_keys_of_a_read_write_lock_are_never_written_again() {
    let mut ledger = with_leases(2);
    for id in [1, 2] {
        for hold in ["", "a", "b"] {
            claimed(&mut ledger, &Claim { hold: hold.into(), ..claim(id, &[reader()]) });
        }
    }
    let below = KeyRange::prefix(RW.into());
    assert_eq!(ledger.range(&below).count(), 2);
    assert!(ledger.range(&below).all(|kv| kv.version == 1 && kv.mod_revision == kv.create_revision));
}

#[test]
fn t21_contenders_of_etcds_own_clients_stand_in_the_same_lines() {
    let mut ledger = with_leases(2);
    ledger.put_all([(Bytes::from(format!("{RW}write/17")), Bytes::new(), lease(1))]);
    assert_eq!(stands(&mut ledger, 2, &[reader()]), queued(1));
    ledger.revoke(lease(1));
    assert_eq!(stands(&mut ledger, 2, &[reader()]), Standing::Granted);
}

#[test]
fn a_semaphore_gives_whole_claims_in_the_order_of_the_line() {
    let mut ledger = with_leases(4);
    assert_eq!(ask(&mut ledger, &claim(1, &[permits(1)])), ClaimOutcome::NoLimit);
    assert_eq!(set_limit(&mut ledger, 3).previous, None);
    assert_eq!(ask(&mut ledger, &claim(1, &[permits(4)])), ClaimOutcome::LimitExceeded { limit: 3 });
    assert_eq!(stands(&mut ledger, 1, &[permits(2)]), Standing::Granted);
    assert_eq!(stands(&mut ledger, 2, &[permits(2)]), queued(1));
    assert_eq!(stands(&mut ledger, 3, &[permits(1)]), queued(2), "it would fit, but it is not its turn");
    assert_eq!(ask(&mut ledger, &claim(2, &[permits(1)])), ClaimOutcome::OtherClaim);
    ledger.revoke(lease(1));
    assert_eq!(stands(&mut ledger, 2, &[permits(2)]), Standing::Granted);
    assert_eq!(stands(&mut ledger, 3, &[permits(1)]), Standing::Granted);
}

#[test]
fn a_limit_that_falls_takes_nothing_away_and_lets_nobody_in_until_it_has_drained() {
    let mut ledger = with_leases(4);
    set_limit(&mut ledger, 4);
    for id in [1, 2] {
        assert_eq!(stands(&mut ledger, id, &[permits(2)]), Standing::Granted);
    }
    set_limit(&mut ledger, 2);
    let before = ledger.clone();
    assert_eq!(set_limit(&mut ledger, 2).previous, Some(2));
    assert_eq!(ledger, before, "the same limit again writes nothing");
    assert_eq!(stands(&mut ledger, 2, &[permits(2)]), Standing::Granted);
    assert_eq!(stands(&mut ledger, 3, &[permits(1)]), queued(2));
    ledger.revoke(lease(1));
    assert_eq!(stands(&mut ledger, 3, &[permits(1)]), queued(1));
    set_limit(&mut ledger, 1);
    set_limit(&mut ledger, 3);
    assert_eq!(stands(&mut ledger, 2, &[permits(2)]), Standing::Granted);
    assert_eq!(stands(&mut ledger, 3, &[permits(1)]), Standing::Granted);
}

#[test]
fn several_locks_are_taken_in_one_revision_or_not_at_all() {
    let mut ledger = with_leases(3);
    claimed(&mut ledger, &claim(1, &[mutex("b/")]));
    let before = ledger.clone();
    let both = [mutex("a/"), mutex("b/")];
    let tried = Claim { enqueue: Enqueue::TryOnly, ..claim(2, &both) };
    assert!(matches!(ask(&mut ledger, &tried), ClaimOutcome::Busy { .. }));
    assert_eq!(ledger, before);
    assert_eq!(stands(&mut ledger, 2, &both), queued(1));
    assert_eq!(stands(&mut ledger, 3, &[mutex("b/"), mutex("a/")]), queued(2));
    let created: Vec<_> = ledger.range(&KeyRange::prefix("a/".into())).map(|kv| kv.create_revision).collect();
    assert!(created.windows(2).all(|pair| pair[0] < pair[1]));
    ledger.revoke(lease(1));
    assert_eq!(stands(&mut ledger, 2, &both), Standing::Granted);
    assert_eq!(stands(&mut ledger, 3, &[mutex("b/"), mutex("a/")]), queued(1));
    assert_eq!(ask(&mut ledger, &claim(2, &[mutex("a/"), mutex("c/")])), ClaimOutcome::OtherClaim);
    assert_eq!(ask(&mut ledger, &Claim { record: Some("/x".into()), ..claim(2, &both) }), ClaimOutcome::OtherClaim);
}

#[test]
fn a_claim_in_pieces_is_not_taken_for_whole() {
    let mut ledger = with_leases(1);
    let both = claim(1, &[mutex("a/"), mutex("b/")]);
    claimed(&mut ledger, &both);
    ledger.delete_range(&KeyRange::Single("b/1".into()));
    assert_eq!(ask(&mut ledger, &both), ClaimOutcome::Broken);
    assert!(matches!(give_up(&mut ledger, &both, None, Extent::Whole), GiveUpOutcome::Gone { .. }));
    assert!(matches!(ask(&mut ledger, &both), ClaimOutcome::Claimed { is_new: true, .. }));
}

#[test]
fn a_record_reaches_no_keys_but_those_of_its_own_lease() {
    let mut ledger = with_leases(2);
    let keys = ClaimRecord { keys: vec!["theirs".into(), "mine".into()], ..ClaimRecord::default() };
    ledger.put_all([
        ("theirs".into(), Bytes::new(), lease(2)),
        ("mine".into(), Bytes::new(), lease(1)),
        ("record".into(), keys.write(), lease(1)),
    ]);
    let forged = GiveUp { record: "record".into(), token: None, extent: Extent::Whole };
    run(&mut ledger, &Command::GiveUp(forged));
    let left: Vec<_> = ledger.range(&KeyRange::prefix("".into())).map(|kv| kv.key.clone()).collect();
    assert!(left.is_empty() || left == ["theirs"], "{left:?}");
    assert!(ledger.get(b"theirs").unwrap().is_some() && ledger.get(b"mine").unwrap().is_none());
}

#[test]
fn a_broken_claims_session_is_told_and_keeps_its_other_claims() {
    let mut ledger = with_leases(1);
    let (mine, other) = (claim(1, &[mutex(LOCK)]), claim(1, &[mutex("other/")]));
    let token = claimed(&mut ledger, &mine).token;
    claimed(&mut ledger, &other);
    let notice = Notice { key: "/ns/_notices/1".into(), value: "why".into() };
    let tell = Tell { record: mine.record_key(), token: Some(token), notice: notice.clone() };
    assert_eq!(run(&mut ledger, &Command::Tell(tell.clone())), Outcome::Tell(TellOutcome::Told { token }));
    assert_eq!(give_up(&mut ledger, &mine, None, Extent::Broken(notice)), GiveUpOutcome::Gone { token });
    let told = ledger.get(b"/ns/_notices/1").unwrap().unwrap();
    assert_eq!((told.lease, told.version), (lease(1), 2));
    assert_eq!(claimed(&mut ledger, &other).standing, Standing::Granted);
    assert_eq!(run(&mut ledger, &Command::Tell(tell)), Outcome::Tell(TellOutcome::NotHeld));
}

#[test]
fn t12_a_member_that_takes_over_grants_the_same() {
    let mut ledger = with_leases(3);
    set_limit(&mut ledger, 3);
    for (id, place) in [(1, permits(2)), (2, permits(1)), (3, permits(1))] {
        claimed(&mut ledger, &claim(id, &[place]));
    }
    let mut other = ledger.restarted();
    for (id, place) in [(1, permits(2)), (2, permits(1)), (3, permits(1))] {
        let place = [place];
        assert_eq!(stands(&mut ledger, id, &place), stands(&mut other, id, &place));
    }
}

/// The log keeps these bytes for ever: a change here is a new tag, never a new expectation.
#[test]
fn the_binary_forms_are_fixed() {
    let claim = Claim {
        session: Session::Existing(lease(7)),
        places: vec![
            Place::Writer { prefix: "w/".into() },
            Place::Permits { prefix: "s/".into(), limit: "l".into(), permits: 3 },
        ],
        record: Some("r".into()),
        enqueue: Enqueue::TryOnly,
        hold: "h".into(),
        meta: "{}".into(),
    };
    let session = b"\x04\0\x07\0\0\0\0\0\0\0";
    let places = b"\x02\x01\x02\0\0\0w/\x03\x02\0\0\0s/\x01\0\0\0l\x03\0\0\0";
    let rest = b"\x01\x01\0\0\0r\0\x01\0\0\0h\x02\0\0\0{}";
    assert_eq!(Command::Claim(claim).encode(), [&session[..], places, rest].concat());
    let notice = Notice { key: "n".into(), value: "v".into() };
    let give_up = |extent| Command::GiveUp(GiveUp { record: "r".into(), token: None, extent }).encode();
    assert_eq!(give_up(Extent::Whole), &b"\x05\x01\0\0\0r\0\0"[..]);
    assert_eq!(give_up(Extent::Hold("h".into())), &b"\x05\x01\0\0\0r\0\x01\x01\0\0\0h"[..]);
    assert_eq!(give_up(Extent::IfUnseen), &b"\x05\x01\0\0\0r\0\x02"[..]);
    assert_eq!(give_up(Extent::Broken(notice.clone())), &b"\x05\x01\0\0\0r\0\x03\x01\0\0\0n\x01\0\0\0v"[..]);
    let limit = SetLimit { prefix: "s/".into(), key: "l".into(), limit: 3 };
    assert_eq!(Command::SetLimit(limit).encode(), &b"\x07\x02\0\0\0s/\x01\0\0\0l\x03\0\0\0"[..]);
    let tell = Tell { record: "r".into(), token: Some(Revision::new(5)), notice };
    assert_eq!(Command::Tell(tell).encode(), &b"\x08\x01\0\0\0r\x01\x05\0\0\0\0\0\0\0\x01\0\0\0n\x01\0\0\0v"[..]);
}
