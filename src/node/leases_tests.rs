//! The table under a clock that only the test moves.

use super::*;

const GRACE: Duration = Duration::from_secs(1);

fn id(raw: i64) -> LeaseId {
    LeaseId::new(raw)
}

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

fn leading(now: Instant) -> LeaseTable {
    let mut table = LeaseTable::default();
    table.promote(now, GRACE);
    table
}

#[test]
fn a_lease_ends_when_its_time_is_up_and_is_taken_once() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 10, start);
    assert_eq!(table.take_due(after(start, 9)), None);
    assert_eq!(table.next_deadline(), Some(after(start, 10)));
    assert_eq!(table.take_due(after(start, 10)), Some(id(1)));
    assert_eq!(table.take_due(after(start, 10)), None);
    assert_eq!(table.renew(id(1), after(start, 10)), Renewal::Ending, "too late: its revocation is under way");
    assert!(table.remove(id(1)));
    assert_eq!(table.renew(id(1), after(start, 11)), Renewal::Unknown);
}

#[test]
fn a_keepalive_gives_the_full_life_back() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 10, start);
    assert_eq!(table.renew(id(1), after(start, 9)), Renewal::Renewed { ttl: 10, clear_checkpoint: false });
    assert_eq!(table.take_due(after(start, 18)), None);
    assert_eq!(table.life(id(1), after(start, 12)), Some(LeaseLife { remaining: 7, granted_ttl: 10 }));
    assert_eq!(table.take_due(after(start, 19)), Some(id(1)));
}

#[test]
fn an_expired_lease_cannot_be_renewed_before_it_is_taken() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 10, start);
    assert_eq!(table.renew(id(1), after(start, 10)), Renewal::Ending);
}

#[test]
fn k32_a_new_leader_lets_leases_live_longer_but_not_for_ever() {
    let start = Instant::now();
    let mut table = LeaseTable::default();
    table.grant(id(1), 600, start);
    assert_eq!(table.next_deadline(), None, "no clock runs on a follower");
    table.promote(start, GRACE);
    assert_eq!(table.next_deadline(), Some(start + Duration::from_secs(600) + GRACE));
    table.checkpoint(id(1), 200);
    table.demote();
    assert_eq!(table.next_deadline(), None);
    table.promote(after(start, 400), GRACE);
    assert_eq!(table.next_deadline(), Some(after(start, 600) + GRACE), "the noted remaining life counts");
    let renewed = table.renew(id(1), after(start, 401));
    assert_eq!(renewed, Renewal::Renewed { ttl: 600, clear_checkpoint: true });
}

#[test]
fn long_leases_are_noted_when_they_have_less_left_than_known() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 600, start);
    table.grant(id(2), 100, start);
    assert_eq!(table.checkpoints(start), vec![], "nothing is known to be less");
    assert_eq!(table.checkpoints(after(start, 60)), vec![(id(1), 540)], "short leases are not worth it");
    table.checkpoint(id(1), 540);
    assert_eq!(table.checkpoints(after(start, 60)), vec![]);
}

#[test]
fn a_failed_revocation_is_tried_again() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 10, start);
    assert_eq!(table.take_due(after(start, 10)), Some(id(1)));
    table.retry_at(id(1), after(start, 13));
    assert_eq!(table.take_due(after(start, 12)), None);
    assert_eq!(table.take_due(after(start, 13)), Some(id(1)));
}

#[test]
fn many_leases_do_not_all_end_at_once_after_an_election() {
    let start = Instant::now();
    let mut table = LeaseTable::default();
    for raw in 1..=3000 {
        table.grant(id(raw), 2, start);
    }
    table.promote(start, GRACE);
    let due_at = |table: &mut LeaseTable, now| std::iter::from_fn(|| table.take_due(now)).count();
    assert_eq!(due_at(&mut table, after(start, 2)), 0);
    let first = due_at(&mut table, after(start, 3));
    assert!((2200..=2300).contains(&first), "about 750 for each second that passed, not {first}");
    assert_eq!(first + due_at(&mut table, after(start, 4)), 3000);
}

#[test]
fn reconciling_follows_the_facts() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 10, start);
    table.grant(id(2), 10, start);
    let gone = table.reconcile(&[(id(2), 10, 0), (id(3), 20, 0)], after(start, 5));
    assert_eq!(gone, vec![id(1)]);
    assert_eq!(table.life(id(2), after(start, 5)).unwrap().remaining, 5, "known clocks go on");
    assert_eq!(table.life(id(3), after(start, 5)).unwrap().remaining, 20);
}

#[test]
fn an_absurd_ttl_is_held() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), i64::MAX, start);
    table.grant(id(2), -5, start);
    assert_eq!(table.take_due(start), Some(id(2)));
    assert!(table.life(id(1), start).unwrap().remaining > 1_000_000_000);
}
