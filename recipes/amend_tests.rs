//! Changes of claims, above all of the mode in which a read-write lock is held.

use model::LeaseId;

use super::*;
use crate::testing::MemoryLedger;
use crate::{Claim, ClaimOutcome, Command, Enqueue, Extent, GiveUp, Session};

const RW: &str = "rw/";

fn place(mode: char) -> Place {
    let prefix = RW.into();
    if mode == 'w' { Place::Writer { prefix } } else { Place::Reader { prefix } }
}

fn record(id: i64) -> Bytes {
    format!("meta/{id:x}").into()
}

fn with_leases(count: i64) -> MemoryLedger {
    let mut ledger = MemoryLedger::default();
    assert!((1..=count).all(|id| ledger.grant(LeaseId::new(id), 10)));
    ledger
}

fn ask(ledger: &mut MemoryLedger, id: i64, mode: char) -> (Revision, Standing) {
    let claim = Claim {
        session: Session::Existing(LeaseId::new(id)),
        places: vec![place(mode)],
        record: Some(record(id)),
        enqueue: Enqueue::Enqueue { waiting_max: None },
        hold: Bytes::new(),
        meta: Bytes::new(),
    };
    match ledger.apply(&Command::Claim(claim)) {
        Outcome::Claim(ClaimOutcome::Claimed { claim, .. }) => (claim.token, claim.standing),
        other => panic!("{other:?}"),
    }
}

fn amend(ledger: &mut MemoryLedger, id: i64, change: Amendment) -> AmendOutcome {
    let amend = Command::Amend(Amend { record: record(id), token: None, change });
    match ledger.apply(&Command::decode(amend.encode()).unwrap()) {
        Outcome::Amend(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn down(ledger: &mut MemoryLedger, id: i64) -> AmendOutcome {
    amend(ledger, id, Amendment::Downgrade(RW.into()))
}

fn up(ledger: &mut MemoryLedger, id: i64) -> AmendOutcome {
    amend(ledger, id, Amendment::Upgrade(RW.into()))
}

#[track_caller]
fn token(outcome: AmendOutcome) -> Revision {
    match outcome {
        AmendOutcome::Amended { token, .. } => token,
        other => panic!("{other:?}"),
    }
}

fn leave(ledger: &mut MemoryLedger, id: i64) {
    ledger.apply(&Command::GiveUp(GiveUp { record: record(id), token: None, extent: Extent::Whole }));
}

#[test]
fn t15_a_writer_that_lets_readers_in_keeps_place_and_token() {
    let mut ledger = with_leases(5);
    let (mine, _) = ask(&mut ledger, 1, 'w');
    for (id, mode) in [(2, 'r'), (3, 'w'), (4, 'r')] {
        ask(&mut ledger, id, mode);
    }
    assert_eq!(token(down(&mut ledger, 1)), mine);
    assert_eq!(ask(&mut ledger, 2, 'r').1, Standing::Granted);
    assert_eq!(ask(&mut ledger, 3, 'w').1, Standing::Queued { ahead: 2 });
    assert_eq!(ask(&mut ledger, 4, 'r').1, Standing::Queued { ahead: 3 }, "not past the next writer");
    assert_eq!(ask(&mut ledger, 5, 'r').1, Standing::Queued { ahead: 4 }, "the key that says so is no place");
    let before = ledger.clone();
    assert_eq!(token(down(&mut ledger, 1)), mine);
    assert_eq!(ledger, before, "doing it twice writes nothing");
    assert_eq!(down(&mut ledger, 3), AmendOutcome::NotPossible, "who waits lets nobody in");
    leave(&mut ledger, 1);
    assert_eq!(ask(&mut ledger, 3, 'w').1, Standing::Queued { ahead: 1 });
    leave(&mut ledger, 2);
    assert_eq!(ask(&mut ledger, 3, 'w').1, Standing::Granted);
}

#[test]
fn a_writer_takes_back_what_it_let_in_only_when_nobody_is_in() {
    let mut ledger = with_leases(3);
    let (mine, _) = ask(&mut ledger, 1, 'w');
    ask(&mut ledger, 2, 'r');
    down(&mut ledger, 1);
    assert_eq!(up(&mut ledger, 1), AmendOutcome::NotPossible);
    leave(&mut ledger, 2);
    assert_eq!(token(up(&mut ledger, 1)), mine);
    assert_eq!(ask(&mut ledger, 3, 'r').1, Standing::Queued { ahead: 1 });
}

#[test]
fn a_reader_becomes_a_writer_only_alone_and_with_a_new_token() {
    let mut ledger = with_leases(3);
    let (old, _) = ask(&mut ledger, 1, 'r');
    ask(&mut ledger, 2, 'r');
    assert_eq!(up(&mut ledger, 1), AmendOutcome::NotPossible);
    leave(&mut ledger, 2);
    ask(&mut ledger, 3, 'w');
    assert_eq!(up(&mut ledger, 1), AmendOutcome::NotPossible, "the writer that waits would be passed");
    leave(&mut ledger, 3);
    let new = token(up(&mut ledger, 1));
    assert!(new > old);
    assert_eq!(ask(&mut ledger, 1, 'w'), (new, Standing::Granted));
    assert_eq!(ask(&mut ledger, 2, 'r').1, Standing::Queued { ahead: 1 });
    leave(&mut ledger, 1);
    assert_eq!(ask(&mut ledger, 2, 'r').1, Standing::Granted);
}

#[test]
fn what_is_said_is_said_of_the_claim_that_is_meant() {
    let mut ledger = with_leases(1);
    assert_eq!(amend(&mut ledger, 1, Amendment::Meta("{}".into())), AmendOutcome::NotHeld);
    let (current, _) = ask(&mut ledger, 1, 'w');
    let stale = Amend { record: record(1), token: Some(current.next()), change: Amendment::Meta("{}".into()) };
    assert_eq!(ledger.apply(&Command::Amend(stale)), Outcome::Amend(AmendOutcome::Stale { current }));
    let AmendOutcome::Amended { token, value } = amend(&mut ledger, 1, Amendment::Meta(r#"{"a":1}"#.into())) else {
        panic!("amended");
    };
    assert_eq!((token, ClaimRecord::read(&value).meta), (current, Some(serde_json::json!({"a": 1}))));
    let bad = Amend { record: record(1), token: None, change: Amendment::Meta("{".into()) };
    assert_eq!(ledger.apply(&Command::Amend(bad)), Outcome::Invalid(Invalid::Meta));
}
