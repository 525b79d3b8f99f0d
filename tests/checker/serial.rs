//! Revision-anchored strict serializability: the log is replayed once, and everything that anybody was told is held against it.
//!
//! - An answer at revision r is either the write that made r, and equals what the model does to the state before r, or it
//!   changed nothing, and equals what the model reads from the state at r.
//! - Every revision of the log is one acknowledged write, or one whose outcome nobody knows (each at most once, and not before
//!   it was asked for), or the end of one lease with all its keys.
//! - Revisions respect real time: a write gets a revision above, and a linearizable read one not below, all that anyone had been
//!   told before it began. So a write is in the log before anyone sees it, and never before it was asked for.
//!
//! A serializable read may be old; it must still equal the state at its revision.

use std::collections::BTreeMap;

use super::Violation;
use super::history::{Consistency, Event, History, Instant, Op, Outcome, Record, Request, Revision};
use super::log::{Log, same};
use super::model::State;

/// What the replay found out on the way.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// The revision at which a lease ended with its keys, for leases that had keys.
    pub(crate) lease_ends: BTreeMap<i64, Revision>,
    /// The state after the last revision.
    pub(crate) last: State,
}

/// Holds all records against the log.
pub(crate) fn check(history: &History, log: &Log, violations: &mut Vec<Violation>) -> Replay {
    let told = Told::of(history);
    let mut by_revision: BTreeMap<Revision, Vec<&Record>> = BTreeMap::new();
    for record in &history.records {
        if let Outcome::Answered(answer) = &record.outcome {
            by_revision.entry(answer.revision).or_default().push(record);
        }
    }
    let mut unknown = Unknown::of(history, &told);
    let mut replay = Replay::default();
    for revision in 1..=log.head() {
        let events = log.events(revision);
        let mut records = by_revision.remove(&revision).unwrap_or_default();
        check_events(&replay.last, events, violations);
        if !events.is_empty() {
            match records.iter().position(|record| made(&replay.last, record, events)) {
                Some(owner) => {
                    let record = records.swap_remove(owner);
                    check_time(record, revision, told.before(record.called) + 1, violations);
                }
                None => explain(revision, events, history, &mut unknown, &mut replay, violations),
            }
        }
        replay.last.take(events);
        for record in records {
            check_unchanging(&replay.last, record, violations);
            if record.request.consistency == Consistency::Linearizable {
                check_time(record, revision, told.before(record.called), violations);
            }
        }
    }
    for (revision, records) in by_revision {
        violations.push(violation(format!("{:?} was answered at {revision}, which nobody saw", records[0].request)));
    }
    replay
}

/// Whether a record is the write that made a revision.
fn made(before: &State, record: &Record, events: &[Event]) -> bool {
    let Outcome::Answered(answer) = &record.outcome else { return false };
    let (expected, expected_events) = before.answer(&record.request, answer.revision);
    expected == *answer && same(&expected_events, events)
}

/// An answer that made no revision must be what the state at its revision says, and must not have changed it.
fn check_unchanging(state: &State, record: &Record, violations: &mut Vec<Violation>) {
    let Outcome::Answered(answer) = &record.outcome else { return };
    let (expected, changes) = state.answer(&record.request, answer.revision);
    if !changes.is_empty() {
        violations.push(violation(format!(
            "{:?} was acknowledged with {answer:?}, but that is not what the log has at that revision",
            record.request
        )));
    } else if expected != *answer {
        violations.push(violation(format!("{:?} was told {answer:?}, but the log says {expected:?}", record.request)));
    }
}

fn check_time(record: &Record, revision: Revision, lowest: Revision, violations: &mut Vec<Violation>) {
    if revision < lowest {
        violations.push(violation(format!(
            "{:?}, called at {} us, got revision {revision}, though others had been told of {} before",
            record.request, record.called, lowest
        )));
    }
}

/// The facts that an event carries about its key follow from the events before it.
fn check_events(before: &State, events: &[Event], violations: &mut Vec<Violation>) {
    for event in events {
        let Some(put) = &event.put else {
            if before.get(&event.key).is_none() {
                violations.push(violation(format!("{event:?} deletes a key that does not exist")));
            }
            continue;
        };
        let request = Request::one(Op::Put { key: put.key.clone(), value: put.value.clone(), lease: put.lease });
        let (_, expected) = before.answer(&request, event.revision);
        if !same(&expected, std::slice::from_ref(event)) {
            violations.push(violation(format!("{event:?} should be {expected:?}")));
        }
    }
}

/// Finds what made a revision that nobody was acknowledged.
fn explain(
    revision: Revision,
    events: &[Event],
    history: &History,
    unknown: &mut Unknown<'_>,
    replay: &mut Replay,
    violations: &mut Vec<Violation>,
) {
    if events.iter().all(|event| history.unrecorded.iter().any(|prefix| event.key.starts_with(prefix.as_str()))) {
        return;
    }
    if unknown.use_one(&replay.last, revision, events) {
        return;
    }
    if let Some(lease) = ended_lease(&replay.last, events) {
        replay.lease_ends.entry(lease).or_insert(revision);
        return;
    }
    violations.push(violation(format!("nothing that was asked for explains revision {revision}: {events:?}")));
}

/// The lease whose keys, all of them and nothing else, the events delete.
fn ended_lease(before: &State, events: &[Event]) -> Option<i64> {
    let lease = before.get(&events.first()?.key)?.lease;
    let mut of_lease: Vec<&str> = before.of_lease(lease).map(|kv| kv.key.as_str()).collect();
    let mut deleted: Vec<&str> =
        events.iter().filter(|event| event.put.is_none()).map(|event| event.key.as_str()).collect();
    of_lease.sort_unstable();
    deleted.sort_unstable();
    (lease != 0 && deleted.len() == events.len() && of_lease == deleted).then_some(lease)
}

/// The highest revision that anyone had been told of, over time.
struct Told {
    /// Ascending in both.
    steps: Vec<(Instant, Revision)>,
}

impl Told {
    fn of(history: &History) -> Self {
        let mut seen: Vec<(Instant, Revision)> = Vec::new();
        for record in &history.records {
            if let Outcome::Answered(answer) = &record.outcome {
                seen.push((record.returned, answer.revision));
            }
        }
        for delivery in history.watches.iter().flat_map(|watch| &watch.deliveries) {
            seen.extend(delivery.progress.map(|revision| (delivery.at, revision)));
            seen.extend(delivery.events.last().map(|event| (delivery.at, event.revision)));
        }
        seen.sort_unstable();
        let mut steps: Vec<(Instant, Revision)> = Vec::new();
        for (at, revision) in seen {
            if steps.last().is_none_or(|(_, highest)| revision > *highest) {
                steps.push((at, revision));
            }
        }
        Self { steps }
    }

    /// The highest revision told strictly before an instant.
    fn before(&self, at: Instant) -> Revision {
        let known = self.steps.partition_point(|(told, _)| *told < at);
        known.checked_sub(1).map_or(0, |last| self.steps[last].1)
    }
}

/// Writes of unknown outcome, by the keys that they may change.
struct Unknown<'a> {
    by_key: BTreeMap<&'a str, Vec<usize>>,
    /// The request, the revision that its own must be above, and whether it has explained one already.
    requests: Vec<(&'a Request, Revision, bool)>,
}

impl<'a> Unknown<'a> {
    fn of(history: &'a History, told: &Told) -> Self {
        let mut all = Self { by_key: BTreeMap::new(), requests: Vec::new() };
        for record in history.records.iter().filter(|record| record.outcome == Outcome::Unknown) {
            for op in record.request.then.iter().chain(&record.request.otherwise) {
                if let Op::Put { key, .. } | Op::Delete(key) = op {
                    all.by_key.entry(key).or_default().push(all.requests.len());
                }
            }
            all.requests.push((&record.request, told.before(record.called), false));
        }
        all
    }

    /// Uses a request of unknown outcome for a revision that it explains. Which one of several makes no difference: an outcome
    /// that is unknown may come as late as it likes, and puts differ in their values.
    fn use_one(&mut self, before: &State, revision: Revision, events: &[Event]) -> bool {
        let Some(first) = events.first() else { return false };
        for index in self.by_key.get(first.key.as_str()).into_iter().flatten() {
            let (request, floor, used) = &mut self.requests[*index];
            if !*used && *floor < revision && same(&before.answer(request, revision).1, events) {
                *used = true;
                return true;
            }
        }
        false
    }
}

fn violation(what: String) -> Violation {
    Violation { check: "strict serializability", what }
}
