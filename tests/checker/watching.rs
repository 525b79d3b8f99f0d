//! Watches: events in order, each once, all of them, all of a revision together, and none older than asked for.

use super::Violation;
use super::history::{Event, History, Revision, WatchRecord};
use super::log::{Log, same};
use super::model::State;

/// Holds every watcher against the log.
pub(crate) fn check(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    for watch in &history.watches {
        let mut reached = watch.start - 1;
        let before = violations.len();
        for delivery in &watch.deliveries {
            let said = one_message(watch, delivery.progress, &delivery.events, &mut reached, log);
            violations.extend(said.map(|what| Violation { check: "watch", what: format!("{}: {what}", watch.name) }));
            if violations.len() > before {
                break;
            }
        }
    }
    check_before(history, log, violations);
}

/// Advances over one message; what is wrong with it, if anything.
fn one_message(
    watch: &WatchRecord,
    progress: Option<Revision>,
    events: &[Event],
    reached: &mut Revision,
    log: &Log,
) -> Option<String> {
    for events in events.chunk_by(|a, b| a.revision == b.revision) {
        let revision = events.first()?.revision;
        if revision < watch.start {
            return Some(format!("an event of {revision}, but the watch starts at {}", watch.start));
        }
        if revision <= *reached {
            return Some(format!("an event of {revision} after {reached} had been reached"));
        }
        if let Some(missed) = missed(watch, *reached, revision, log) {
            return Some(format!("nothing of {missed}, but an event of {revision}"));
        }
        let expected: Vec<Event> = expected(watch, revision, log).cloned().collect();
        if !same(&expected, events) {
            return Some(format!("{events:?} in one message at {revision}, where the log has {expected:?}"));
        }
        *reached = revision;
    }
    if let Some(progress) = progress {
        if let Some(missed) = missed(watch, *reached, progress + 1, log) {
            return Some(format!("nothing of {missed}, but a notice that {progress} was reached"));
        }
        *reached = progress.max(*reached);
    }
    None
}

/// The first revision strictly between two that has an event for the watcher.
fn missed(watch: &WatchRecord, after: Revision, before: Revision, log: &Log) -> Option<Revision> {
    (after + 1..before).find(|revision| expected(watch, *revision, log).next().is_some())
}

fn expected<'a>(watch: &'a WatchRecord, revision: Revision, log: &'a Log) -> impl Iterator<Item = &'a Event> {
    log.events(revision).iter().filter(|event| event.key.starts_with(watch.prefix.as_str()))
}

/// What watches say was there before an event was there. Below a compaction they need not know.
fn check_before(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    let mut said: Vec<(&WatchRecord, &Event)> = history
        .watches
        .iter()
        .flat_map(|watch| {
            watch.deliveries.iter().flat_map(|delivery| &delivery.events).map(move |event| (watch, event))
        })
        .collect();
    said.sort_by_key(|(_, event)| event.revision);
    let mut said = said.into_iter().peekable();
    let mut state = State::default();
    for (revision, events) in log.iter() {
        while let Some((watch, event)) = said.next_if(|(_, event)| event.revision <= revision) {
            let there = state.get(&event.key);
            let forgotten = event.before.is_none() && revision <= history.compacted;
            if event.before.as_ref() != there && !forgotten {
                let what = format!("{}: {event:?}, but before it there was {there:?}", watch.name);
                violations.push(Violation { check: "watch", what });
            }
        }
        state.take(events);
    }
}
