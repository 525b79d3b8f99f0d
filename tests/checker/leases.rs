//! Leases: each acknowledged renewal, counted from when it was *sent*, keeps the lease alive for its whole time; its end takes
//! its keys along; and it stays dead.

use std::collections::BTreeMap;

use super::Violation;
use super::history::{
    Answer, Consistency, Done, History, Instant, KeyValue, LeaseCall, LeaseOutcome, LeaseRecord, Outcome, Revision,
};
use super::log::Log;
use super::serial::Replay;

/// Holds every lease against what was said of it.
pub(crate) fn check(history: &History, log: &Log, replay: &Replay, violations: &mut Vec<Violation>) {
    let mut by_lease: BTreeMap<i64, Vec<&LeaseRecord>> = BTreeMap::new();
    for record in &history.leases {
        by_lease.entry(record.lease).or_default().push(record);
    }
    let end = history.records.iter().map(|record| record.returned).max().unwrap_or(0);
    for (lease, records) in by_lease {
        let ended = replay.lease_ends.get(&lease).copied();
        let life = Life { lease, records, ended, seen_to_end: ended.and_then(|revision| log.first_seen(revision)) };
        let found = [life.early(), life.risen(), life.late(end, history.lease_slack, replay), life.written_after(log)];
        let shown = life.told_gone().and_then(|gone| shown_after(history, lease, gone));
        let found = found.into_iter().flatten().chain(shown);
        violations.extend(found.map(|what| Violation { check: "lease", what: format!("lease {lease:x} {what}") }));
    }
}

/// All that is known of one lease.
struct Life<'a> {
    lease: i64,
    records: Vec<&'a LeaseRecord>,
    /// The revision that deleted its keys.
    ended: Option<Revision>,
    /// When a watcher first saw that.
    seen_to_end: Option<Instant>,
}

impl Life<'_> {
    /// When a client was first told that the lease is gone.
    fn told_gone(&self) -> Option<Instant> {
        let gone = self.records.iter().filter(|record| record.outcome == LeaseOutcome::Gone);
        gone.map(|record| record.returned).min()
    }

    /// When anyone first knew of its end.
    fn known_gone(&self) -> Option<Instant> {
        self.told_gone().into_iter().chain(self.seen_to_end).min()
    }

    /// It ended although an acknowledged renewal still held.
    fn early(&self) -> Option<String> {
        let gone = self.known_gone()?;
        if self.records.iter().any(|record| record.call == LeaseCall::Revoke && record.called <= gone) {
            return None;
        }
        let held_until =
            self.renewals().filter(|(called, _)| *called <= gone).map(|(called, ttl)| called + ttl).max()?;
        (gone < held_until).then(|| format!("was gone at {gone} us, but had been renewed until {held_until}"))
    }

    /// It was renewed after its end was known.
    fn risen(&self) -> Option<String> {
        let gone = self.known_gone()?;
        let (called, _) = self.renewals().find(|(called, _)| *called > gone)?;
        Some(format!("was gone at {gone} us, but was renewed by a call at {called}"))
    }

    /// It did not end, though nobody renewed it for long: an election may give it its time once more, not again and again.
    fn late(&self, end: Instant, slack: Option<Instant>, replay: &Replay) -> Option<String> {
        let (_, ttl) = self.renewals().last()?;
        replay.last.of_lease(self.lease).next()?;
        let last = self.records.iter().map(|record| record.returned).max()?;
        let due = last + 2 * ttl + slack?;
        (end > due).then(|| format!("was last renewed before {last} us for {ttl}, and still has keys at {end}"))
    }

    /// A key was attached to it after its end.
    fn written_after(&self, log: &Log) -> Option<String> {
        let ended = self.ended?;
        let late = log.iter().filter(|(revision, _)| *revision > ended).find(|(_, events)| {
            events.iter().any(|event| event.put.as_ref().is_some_and(|put| put.lease == self.lease))
        });
        late.map(|(revision, _)| format!("ended at revision {ended}, but {revision} attaches a key to it"))
    }

    /// When each acknowledged grant and renewal was sent, and for how long it holds.
    fn renewals(&self) -> impl Iterator<Item = (Instant, u64)> {
        self.records.iter().filter_map(|record| match record.outcome {
            LeaseOutcome::Alive(ttl) => Some((record.called, ttl)),
            LeaseOutcome::Gone | LeaseOutcome::Unknown => None,
        })
    }
}

/// A linearizable read shows a key of a lease after a client was told that the lease is gone.
fn shown_after(history: &History, lease: i64, gone: Instant) -> Option<String> {
    let shows = |answer: &Answer| answer.results.iter().flat_map(shown).any(|kv| kv.lease == lease);
    let shown = history.records.iter().find(|record| {
        record.called > gone
            && record.request.consistency == Consistency::Linearizable
            && matches!(&record.outcome, Outcome::Answered(answer) if shows(answer))
    })?;
    Some(format!("was gone at {gone} us, but a request at {} still finds a key of it", shown.called))
}

fn shown(done: &Done) -> &[KeyValue] {
    match done {
        Done::Put(kv) | Done::Deleted(kv) | Done::Got(kv) => kv.as_slice(),
        Done::Listed(all) => all,
    }
}
