//! Checkpoints under a clock that only the test moves, with a log that is a list.

use futures::FutureExt;

use super::*;

const TTL: i64 = 60;

fn id(raw: i64) -> LeaseId {
    LeaseId::new(raw)
}

/// A leader with one lease that was checkpointed, 30 s after `start`.
fn checkpointed(start: Instant) -> (LeaseTable, Instant) {
    let mut table = LeaseTable::default();
    table.promote(start, Duration::ZERO);
    table.grant(id(1), TTL, start);
    let now = start + Duration::from_secs(30);
    table.checkpoint(id(1), 30, now);
    (table, now)
}

/// Proposes what is due; the entry, if there was anything.
fn propose(
    checkpoints: &mut Checkpoints,
    table: &mut LeaseTable,
    now: Instant,
    proposed: Proposed,
) -> Option<Vec<LeaseCheckpoint>> {
    let mut entry = None;
    checkpoints.propose_due(table, now, |lives| {
        entry = Some(lives);
        futures::future::ready(proposed).boxed()
    });
    entry
}

/// The keepalive of a checkpointed lease, whose voiding is proposed and becomes of it what `proposed` says.
fn renewed(proposed: Proposed) -> (Checkpoints, LeaseTable, oneshot::Receiver<KeepAliveAnswer>, Instant) {
    let (mut table, now) = checkpointed(Instant::now());
    let mut checkpoints = Checkpoints::default();
    let (answer, answered) = oneshot::channel();
    assert_eq!(table.renew(id(1), now), crate::leases::Renewal::Checkpointed { ttl: TTL });
    checkpoints.void(id(1), TTL, answer);
    let entry = propose(&mut checkpoints, &mut table, now, proposed).unwrap();
    assert_eq!(entry, [LeaseCheckpoint { id: id(1), remaining: 0 }]);
    (checkpoints, table, answered, now)
}

#[test]
fn a_renewal_is_promised_when_the_log_says_nothing_else_any_more() {
    let (mut checkpoints, mut table, mut answered, now) = renewed(Ok(LogIndex::new(7)));
    let (again, mut answered_again) = oneshot::channel();
    checkpoints.void(id(1), TTL, again);
    let proposed = checkpoints.proposed().now_or_never().unwrap();
    checkpoints.answered(&mut table, proposed, LogIndex::new(6), now);
    assert!(answered.try_recv().is_err(), "applied, and not told yet");
    assert_eq!(propose(&mut checkpoints, &mut table, now, Ok(LogIndex::new(8))), None, "one at a time");
    table.checkpoint(id(1), 0, now);
    checkpoints.told(&mut table, LogIndex::new(7));
    assert_eq!(answered.try_recv().unwrap(), Ok(Some(TTL)));
    assert_eq!(answered_again.try_recv().unwrap(), Ok(Some(TTL)), "one entry serves all");
    assert_eq!(table.renew(id(1), now), crate::leases::Renewal::Renewed { ttl: TTL });
}

#[test]
fn nothing_is_promised_when_the_entry_failed_or_the_leadership_is_over() {
    for (error, told) in [
        (Unavailable::LeaderChanged, Unavailable::NoLeader),
        (Unavailable::NoLeader, Unavailable::NoLeader),
        (Unavailable::Timeout, Unavailable::Timeout),
    ] {
        let (mut checkpoints, mut table, mut answered, now) = renewed(Err(error.into()));
        let proposed = checkpoints.proposed().now_or_never().unwrap();
        checkpoints.answered(&mut table, proposed, LogIndex::new(9), now);
        assert_eq!(answered.try_recv().unwrap(), Err(told));
        let still = crate::leases::Renewal::Checkpointed { ttl: TTL };
        assert_eq!(table.renew(id(1), now), still, "what the log says still counts");
    }
    let (mut checkpoints, _, mut answered, _) = renewed(Ok(LogIndex::new(7)));
    checkpoints.abandon();
    assert_eq!(answered.try_recv().unwrap(), Err(Unavailable::NoLeader));
    assert!(checkpoints.proposed().now_or_never().is_none());
}

#[test]
fn an_entry_of_which_nothing_is_told_holds_nothing_up() {
    let (mut checkpoints, mut table, mut answered, now) = renewed(Ok(LogIndex::new(7)));
    table.remove(id(1));
    let proposed = checkpoints.proposed().now_or_never().unwrap();
    checkpoints.answered(&mut table, proposed, LogIndex::new(6), now);
    assert_eq!(answered.try_recv().unwrap(), Ok(None), "it ended meanwhile");
}

/// Entries, and checkpoints in them, for 10,000 leases of 60 s, each granted so much later than the one before.
fn cost(apart: Duration) -> (usize, usize) {
    let start = Instant::now();
    let (mut table, mut checkpoints) = (LeaseTable::default(), Checkpoints::default());
    table.promote(start, Duration::ZERO);
    let mut granted = 0;
    let mut entries: Vec<usize> = Vec::new();
    for now in (0..1_500).map(|step| start + Duration::from_millis(100) * step) {
        while granted < 10_000 && start + apart * granted <= now {
            granted += 1;
            table.grant(id(granted.into()), TTL, now);
        }
        let index = LogIndex::new(entries.len() as u64 + 1);
        if let Some(entry) = propose(&mut checkpoints, &mut table, now, Ok(index)) {
            for LeaseCheckpoint { id, remaining } in &entry {
                table.checkpoint(*id, *remaining, now);
            }
            entries.push(entry.len());
            let proposed = checkpoints.proposed().now_or_never().unwrap();
            checkpoints.answered(&mut table, proposed, index, now);
        }
        while let Some(due) = table.take_due(now) {
            table.remove(due);
        }
    }
    (entries.len(), entries.iter().sum())
}

#[test]
fn ten_thousand_unattended_leases_of_a_minute_cost_at_most_an_entry_a_second() {
    let (entries, checkpoints) = cost(Duration::from_millis(6));
    assert!(entries <= 110, "{entries} entries in the two minutes that they live");
    assert_eq!(checkpoints, 30_000, "three each");
    let (entries, checkpoints) = cost(Duration::ZERO);
    assert!(entries <= 12, "{entries} entries for leases that are granted at once");
    assert_eq!(checkpoints, 30_000);
}
