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
    assert_eq!(table.renew(id(1), after(start, 9)), Renewal::Renewed { ttl: 10 });
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
    assert_eq!((table.next_deadline(), table.next_checkpoint()), (None, None), "no clock runs on a follower");
    table.promote(start, GRACE);
    assert_eq!(table.next_deadline(), Some(start + Duration::from_secs(600) + GRACE));
    // Said while another leads: from then on the clock of every member counts.
    table.demote();
    table.checkpoint(id(1), 200, after(start, 400));
    assert_eq!(table.next_deadline(), None);
    table.promote(after(start, 500), GRACE);
    assert_eq!(table.next_deadline(), Some(after(start, 600) + GRACE), "the noted remaining life counts");
    table.promote(after(start, 600), GRACE);
    assert_eq!(table.next_deadline(), Some(after(start, 600) + GRACE), "and has one grace, whoever leads");
    assert_eq!(table.renew(id(1), after(start, 600)), Renewal::Checkpointed { ttl: 600 });
    table.checkpoint(id(1), 0, after(start, 601));
    assert_eq!(table.renew(id(1), after(start, 602)), Renewal::Renewed { ttl: 600 });
    table.promote(after(start, 700), GRACE);
    assert_eq!(table.next_deadline(), Some(after(start, 1300) + GRACE), "the checkpoint is void");
    table.checkpoint(id(1), 200, after(start, 700));
    table.promote(after(start, 1000), GRACE);
    assert_eq!(table.take_due(after(start, 1000)), Some(id(1)), "its time was up while nobody led");
}

/// When a lease of `ttl` seconds that nobody renews is checkpointed, in seconds from its start, and what it then has left.
fn checkpoints_of(ttl: i64) -> Vec<(u64, i64)> {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), ttl, start);
    let mut taken = Vec::new();
    while let Some(at) = table.next_checkpoint() {
        for (lease, left) in table.take_checkpoints(at, 10) {
            table.checkpoint(lease, left, at);
            table.checkpoint_settled([lease].into_iter());
            taken.push(((at - start).as_secs(), left));
        }
    }
    taken
}

#[test]
fn an_unattended_lease_is_checkpointed_a_few_times_and_a_healthy_one_never() {
    assert_eq!(checkpoints_of(60), [(22, 38), (41, 19), (50, 10)]);
    assert_eq!(checkpoints_of(2), [(0, 2)], "even the shortest once");
    let day = checkpoints_of(24 * 3600);
    assert!(day.len() <= 24 + 10, "{} checkpoints", day.len());
    assert!(day.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 3600), "{day:?}");
    assert_eq!(day[0].0, 3600);

    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 60, start);
    for third in 1..100 {
        let now = after(start, third * 20);
        assert_eq!(table.take_checkpoints(now, 10), []);
        assert_eq!(table.renew(id(1), now), Renewal::Renewed { ttl: 60 });
    }
}

#[test]
fn a_checkpoint_that_may_be_in_the_log_is_voided_before_more_is_promised() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 80, start);
    assert_eq!(table.take_checkpoints(after(start, 30), 10), [(id(1), 51)]);
    assert_eq!(table.renew(id(1), after(start, 31)), Renewal::Checkpointed { ttl: 80 }, "it is under way");
    table.checkpoint(id(1), 0, after(start, 32));
    assert_eq!(table.renew(id(1), after(start, 32)), Renewal::Checkpointed { ttl: 80 }, "an older one was voided");
    table.checkpoint_settled([id(1)].into_iter());
    assert_eq!(table.renew(id(1), after(start, 33)), Renewal::Renewed { ttl: 80 });
}

#[test]
fn a_checkpoint_that_failed_is_due_again() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 80, start);
    table.grant(id(2), 80, start);
    assert_eq!(table.take_checkpoints(after(start, 30), 1), [(id(1), 51)], "no more than asked for");
    table.checkpoint_again_at([id(1), id(3)].into_iter(), after(start, 33));
    assert_eq!(table.take_checkpoints(after(start, 32), 10), [(id(2), 49)]);
    assert_eq!(table.take_checkpoints(after(start, 33), 10), [(id(1), 48)]);
}

#[test]
fn a_failed_revocation_is_tried_again() {
    let start = Instant::now();
    let mut table = leading(start);
    table.grant(id(1), 10, start);
    assert_eq!(table.take_due(after(start, 10)), Some(id(1)));
    table.retry_at(id(1), after(start, 13));
    assert_eq!(
        table.renew(id(1), after(start, 11)),
        Renewal::Ending,
        "the one that failed may be in the log all the same"
    );
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

#[test]
fn a_lease_that_somebody_shortens_ends_sooner_unless_it_is_renewed() {
    let start = Instant::now();
    let mut table = LeaseTable::default();
    table.promote(start, Duration::ZERO);
    table.grant(id(1), 60, start);
    table.checkpoint(id(1), 2, after(start, 10));
    table.shorten(id(1), 2, after(start, 10));
    assert_eq!(table.next_deadline(), Some(after(start, 12)));
    table.shorten(id(1), 30, after(start, 10));
    assert_eq!(table.next_deadline(), Some(after(start, 12)), "never longer");
    assert_eq!(table.renew(id(1), after(start, 11)), Renewal::Checkpointed { ttl: 60 }, "the log has to say so first");
    assert_eq!(table.next_deadline(), Some(after(start, 71)));
    let _ = table.take_checkpoints(after(start, 71), 1);
    table.demote();
    table.shorten(id(1), 1, after(start, 72));
    assert_eq!(table.next_deadline(), None, "no clock runs on a follower");
}
