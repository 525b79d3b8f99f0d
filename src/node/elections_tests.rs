//! Leases across elections: three tables with one log between them, on a clock that only the test moves.
//!
//! A lease is renewed for a while, then nobody renews it any more. However leaders change, it may not end before its TTL has passed since
//! the last renewal that was acknowledged, and has to end within twice its TTL and what the elections after that took.

use super::*;

const STEP: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(1);
/// How long nobody leads.
const ELECTION: Duration = Duration::from_millis(700);
/// How much later another member than the leader applies an entry.
const LAG: Duration = Duration::from_millis(100);
const LEASE: LeaseId = LeaseId::new(1);

/// How a run goes.
#[derive(Clone, Copy, Debug)]
struct Plan {
    ttl: i64,
    /// How long the first leader leads.
    tenure: Duration,
    /// What the next one leads of that, in percent; at least a second.
    next: u32,
    /// What the first leader has had of that when the lease is granted.
    phase: Duration,
    /// How often the client renews before it stops.
    renewals: u32,
}

/// What became of it.
#[derive(Debug)]
struct Run {
    acknowledged: Instant,
    ended: Instant,
    elections: u32,
    entries: u32,
}

/// Three members, and the entries on their way to those that follow.
struct Members {
    tables: [LeaseTable; 3],
    leader: Option<usize>,
    leaders: usize,
    told: Vec<(Instant, usize, i64)>,
}

impl Members {
    fn new(ttl: i64, now: Instant) -> Self {
        let mut tables: [LeaseTable; 3] = Default::default();
        for table in &mut tables {
            table.grant(LEASE, ttl, now);
        }
        Self { tables, leader: None, leaders: 0, told: Vec::new() }
    }

    fn elect(&mut self, now: Instant) {
        self.leaders += 1;
        let leader = self.leaders % self.tables.len();
        self.deliver(now + LAG);
        for table in &mut self.tables {
            table.leader_changed(now);
        }
        self.tables[leader].promote(now, GRACE);
        self.leader = Some(leader);
    }

    fn depose(&mut self) {
        if let Some(leader) = self.leader.take() {
            self.tables[leader].demote();
        }
    }

    /// An entry is applied: at once by the leader, later by the rest.
    fn apply(&mut self, leader: usize, remaining: i64, now: Instant) {
        self.told.extend((0..self.tables.len()).filter(|member| *member != leader).map(|m| (now + LAG, m, remaining)));
        self.tables[leader].checkpoint(LEASE, remaining, now);
        self.tables[leader].checkpoint_settled([LEASE].into_iter());
    }

    fn deliver(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.told).into_iter().partition(|(at, ..)| *at <= now);
        self.told = later;
        for (at, member, remaining) in due {
            self.tables[member].checkpoint(LEASE, remaining, at);
        }
    }
}

fn run(plan: Plan) -> Run {
    let start = Instant::now();
    let mut members = Members::new(plan.ttl, start);
    members.elect(start);
    let mut run = Run { acknowledged: start, ended: start, elections: 0, entries: 0 };
    let mut tenure = plan.tenure;
    let mut deposed_at = start + tenure.saturating_sub(plan.phase);
    let mut renewals = plan.renewals;
    let mut next_renewal = start + seconds(plan.ttl) / 3;
    for now in (1..1_000_000).map(|step| start + STEP * step) {
        members.deliver(now);
        match members.leader {
            Some(_) if now >= deposed_at => members.depose(),
            None if now >= deposed_at + ELECTION => {
                members.elect(now);
                run.elections += 1;
                tenure = (tenure * plan.next / 100).max(Duration::from_secs(1));
                deposed_at = now + tenure;
            }
            Some(_) | None => {}
        }
        let Some(leader) = members.leader else { continue };
        if renewals > 0 && now >= next_renewal {
            match members.tables[leader].renew(LEASE, now) {
                Renewal::Renewed { .. } => {}
                Renewal::Checkpointed { .. } => {
                    members.apply(leader, 0, now);
                    run.entries += 1;
                }
                Renewal::Ending | Renewal::Unknown => panic!("{plan:?}: renewed in time, and gone: {run:?}"),
            }
            (renewals, next_renewal, run.acknowledged) = (renewals - 1, now + seconds(plan.ttl) / 3, now);
            if renewals == 0 {
                // Only elections from here on may cost anything.
                run.elections = 0;
            }
        }
        for (_, remaining) in members.tables[leader].take_checkpoints(now, 10) {
            members.apply(leader, remaining, now);
            run.entries += 1;
        }
        if members.tables[leader].take_due(now).is_some() {
            run.ended = now;
            return run;
        }
    }
    panic!("{plan:?}: the lease never ended: {run:?}");
}

fn check(plan: Plan) -> Run {
    let run = run(plan);
    let lived = run.ended - run.acknowledged;
    let ttl = seconds(plan.ttl);
    assert!(lived >= ttl, "{plan:?}: ended after {lived:?}: {run:?}");
    // Rounding up, and the steps of this clock.
    let slack = Duration::from_secs(2);
    let most = ttl * 2 + (GRACE + ELECTION + LAG) * (run.elections + 1) + slack;
    assert!(lived <= most, "{plan:?}: ended after {lived:?}, more than {most:?}: {run:?}");
    run
}

/// The times between elections: from a second to more than a life.
fn tenures(ttl: i64) -> impl Iterator<Item = Duration> {
    let life = seconds(ttl);
    (1..=24).map(move |sixteenths| life * sixteenths / 16).filter(|tenure| *tenure >= Duration::from_secs(1))
}

#[test]
fn k32_whenever_leaders_change_a_lease_that_nobody_renews_ends_in_time() {
    for ttl in [2, 5, 10, 60] {
        for tenure in tenures(ttl) {
            for phase in (0..8).map(|eighth| tenure * eighth / 8) {
                for (renewals, next) in [(0, 100), (0, 25), (0, 70), (0, 150), (1, 100), (4, 100)] {
                    check(Plan { ttl, tenure, next, phase, renewals });
                }
            }
        }
    }
}

#[test]
fn k32_a_leader_change_every_half_ttl_does_not_keep_a_lease_alive() {
    for ttl in [6, 30, 60, 300] {
        let tenure = seconds(ttl) / 2;
        let run = check(Plan { ttl, tenure, next: 100, phase: Duration::ZERO, renewals: 0 });
        assert!(run.elections >= 2, "{run:?}");
    }
}

#[test]
fn a_healthy_lease_costs_no_entry_before_the_client_stops_nor_while_leaders_last() {
    let plan = Plan { ttl: 60, tenure: Duration::from_secs(120), next: 100, phase: Duration::ZERO, renewals: 40 };
    let (long, short) = (run(plan), run(Plan { renewals: 1, ..plan }));
    assert!(long.entries <= 4 && short.entries <= 4, "only its end costs something: {long:?} {short:?}");
}
