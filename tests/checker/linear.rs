//! Linearizability of each key by itself, by values alone (Wing and Gong's search with Lowe's memory of visited states).
//!
//! Revisions are not looked at, so this is a second opinion on what [`super::serial`] finds. A multi-key transaction is held
//! against each of its keys as an operation of its own, which every linearizable history allows. A key that ever hangs on a
//! lease is left out, because it may end without a request, and so are lists, whose keys are not known before.
//!
//! Writes answer with what was there before, so histories are nearly deterministic and the search short. What is unknown may
//! happen at any time after its call, or never.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Violation;
use super::history::{Answer, Consistency, Done, History, Instant, KeyValue, Op, Outcome, Record, Test};

/// States that the search of one key may visit before it gives up, which counts as a failure: far more than it ever needs.
const STATES_MAX: usize = 2_000_000;

/// A value, or that there is none.
type Value<'a> = Option<&'a str>;

/// What one request does to one key.
#[derive(Clone, Debug)]
struct Step<'a> {
    called: Instant,
    /// None if the outcome is unknown: it may happen at any time, or never.
    returned: Option<Instant>,
    /// What must be there before; none if nobody knows.
    requires: Option<Value<'a>>,
    /// What is there after; none for what was there before.
    becomes: Option<Value<'a>>,
}

/// Searches an order for each key.
pub(crate) fn check(history: &History, violations: &mut Vec<Violation>) {
    let leased = leased_keys(history);
    let mut by_key: BTreeMap<&str, Vec<Step<'_>>> = BTreeMap::new();
    for record in &history.records {
        for (key, step) in steps(record) {
            if !leased.contains(key) && !history.unrecorded.iter().any(|prefix| key.starts_with(prefix.as_str())) {
                by_key.entry(key).or_default().push(step);
            }
        }
    }
    for (key, steps) in by_key {
        if let Err(what) = search(&relevant(steps)) {
            violations.push(Violation { check: "linearizability", what: format!("key {key:?}: {what}") });
        }
    }
}

fn leased_keys(history: &History) -> BTreeSet<&str> {
    let ops = history.records.iter().flat_map(|record| record.request.then.iter().chain(&record.request.otherwise));
    ops.filter_map(|op| match op {
        Op::Put { key, lease, .. } if *lease != 0 => Some(key.as_str()),
        _ => None,
    })
    .collect()
}

/// What a request does to each of its keys.
fn steps(record: &Record) -> Vec<(&str, Step<'_>)> {
    match &record.outcome {
        Outcome::Answered(answer) if record.request.consistency == Consistency::Linearizable => {
            answered(record, answer)
        }
        Outcome::Answered(_) | Outcome::Refused => Vec::new(),
        Outcome::Unknown => unknown(record),
    }
}

fn answered<'a>(record: &'a Record, answer: &'a Answer) -> Vec<(&'a str, Step<'a>)> {
    let branch = if answer.passed { &record.request.then } else { &record.request.otherwise };
    let step = |requires, becomes| Step { called: record.called, returned: Some(record.returned), requires, becomes };
    let mut steps = Vec::new();
    for (op, done) in branch.iter().zip(&answer.results) {
        match (op, done) {
            (Op::Put { key, value, .. }, Done::Put(before)) => {
                steps.push((key.as_str(), step(Some(value_of(before)), Some(Some(value.as_str())))));
            }
            (Op::Delete(key), Done::Deleted(before)) => {
                steps.push((key.as_str(), step(Some(value_of(before)), Some(None))))
            }
            (Op::Get(key), Done::Got(found)) => steps.push((key.as_str(), step(Some(value_of(found)), None))),
            _ => {}
        }
    }
    steps
}

/// An unknown request happens, if it does, with its tests passed: its other branch only reads.
fn unknown(record: &Record) -> Vec<(&str, Step<'_>)> {
    let request = &record.request;
    let required = |key: &str| {
        request.tests.iter().find_map(|test| match test {
            Test::Value(tested, value) if tested == key => Some(Some(value.as_str())),
            Test::Created(tested, 0) if tested == key => Some(None),
            Test::Value(..) | Test::Created(..) => None,
        })
    };
    let step = |key, becomes| Step { called: record.called, returned: None, requires: required(key), becomes };
    request
        .then
        .iter()
        .filter_map(|op| match op {
            Op::Put { key, value, .. } => Some((key.as_str(), step(key, Some(Some(value.as_str()))))),
            Op::Delete(key) => Some((key.as_str(), step(key, Some(None)))),
            Op::Get(_) | Op::List(_) => None,
        })
        .collect()
}

fn value_of(kv: &Option<KeyValue>) -> Value<'_> {
    kv.as_ref().map(|kv| kv.value.as_str())
}

/// Leaves out unknown puts whose value nobody ever saw: whatever followed them would have seen it, so they did not happen, or
/// were overwritten by something as unseen.
fn relevant(mut steps: Vec<Step<'_>>) -> Vec<Step<'_>> {
    let seen: HashSet<Value<'_>> = steps.iter().filter_map(|step| step.requires).collect();
    steps.retain(|step| {
        step.returned.is_some() || step.becomes == Some(None) || step.becomes.is_some_and(|v| seen.contains(&v))
    });
    steps.sort_by_key(|step| step.called);
    steps
}

/// A point of the search: what has happened, and what is there.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Point<'a> {
    happened: Vec<u64>,
    value: Value<'a>,
}

impl Point<'_> {
    fn has(&self, index: usize) -> bool {
        self.happened[index / 64] >> (index % 64) & 1 == 1
    }
}

/// Looks for an order of the steps in which each finds what it requires, and none happens before it was called or after it
/// had returned.
fn search(steps: &[Step<'_>]) -> Result<(), String> {
    let mut visited = HashSet::new();
    let mut open = vec![Point { happened: vec![0; steps.len().div_ceil(64)], value: None }];
    let (mut furthest, mut stuck) = (0, String::new());
    while let Some(point) = open.pop() {
        // What has not happened yet must happen before the first of it returns.
        let waiting = || steps.iter().enumerate().filter(|(index, _)| !point.has(*index));
        let Some(horizon) = waiting().filter_map(|(_, step)| step.returned).min() else { return Ok(()) };
        let now = waiting().take_while(|(_, step)| step.called <= horizon);
        let can: Vec<usize> = now
            .filter(|(_, step)| step.requires.is_none_or(|value| value == point.value))
            .map(|(index, _)| index)
            .collect();
        // A read that sees what is there can happen at once, and forecloses nothing.
        let read = can.iter().find(|index| steps[**index].becomes.is_none()).copied();
        for index in read.map_or(can, |read| vec![read]) {
            let mut next = point.clone();
            next.happened[index / 64] |= 1 << (index % 64);
            next.value = steps[index].becomes.unwrap_or(next.value);
            if visited.insert(next.clone()) {
                open.push(next);
            }
        }
        let done = point.happened.iter().map(|bits| bits.count_ones()).sum::<u32>();
        if done >= furthest {
            let next: Vec<_> = waiting().take(3).map(|(_, step)| step).collect();
            (furthest, stuck) =
                (done, format!("{done} of {} steps in order, then {:?} and {next:?}", steps.len(), point.value));
        }
        if visited.len() > STATES_MAX {
            return Err(format!("no answer within {STATES_MAX} states: {stuck}"));
        }
    }
    if steps.iter().all(|step| step.returned.is_none()) { Ok(()) } else { Err(format!("there is no order: {stuck}")) }
}
