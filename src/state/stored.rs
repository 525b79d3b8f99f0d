//! Versions and events as the store keeps them: the newest version of each key by key, superseded ones by key and successor,
//! events by revision.

use std::ops::Bound;

use bytes::Bytes;
use model::{Event, KeyRange, KeyValue, Revision};

use crate::Fault;
use crate::format::{self, HistoryKey, Position};
use crate::scan::{Candidate, Version};
use crate::storage::{Entries, View};

/// Versions to pass over one by one before seeking; a seek costs about as much as this many steps.
const STEPS_MAX: usize = 32;

/// The newest version of a key, if it is live.
pub(crate) fn newest_of(view: &dyn View, key: &Bytes) -> Result<Option<KeyValue>, Fault> {
    let record = view.get(&format::current_key(key))?;
    record.map(|record| format::decode_version(key.clone(), record)).transpose()
}

/// The version of a key that lived at `at` and was superseded since.
pub(crate) fn superseded_of(view: &dyn View, key: &Bytes, at: Revision) -> Result<Option<KeyValue>, Fault> {
    let first = format::history_key(key, at.next());
    let last = format::history_key(key, Revision::new(i64::MAX));
    let Some(next) = view.range(Bound::Included(&first), Bound::Included(&last)).next() else { return Ok(None) };
    let kv = format::decode_version(key.clone(), next?.1)?;
    Ok(Some(kv).filter(|kv| kv.mod_revision <= at))
}

/// The newest version of each live key.
pub(crate) fn newest<'a>(view: &'a dyn View, range: &KeyRange) -> impl Iterator<Item = Result<Candidate, Fault>> + 'a {
    let (start, end) = format::current_bounds(range);
    let entries = view.range(Bound::Included(&start), end.as_ref().map(AsRef::as_ref));
    entries.map(|entry| {
        let (key, record) = entry?;
        Ok(Candidate { key: format::key_of_current(&key), version: Some(Version::Stored(record)) })
    })
}

/// As [`newest`], without those that are newer than `at`.
pub(crate) fn newest_until<'a>(
    view: &'a dyn View,
    range: &KeyRange,
    at: Revision,
) -> impl Iterator<Item = Result<Candidate, Fault>> + 'a {
    let is_in_time = move |candidate: &Candidate| match &candidate.version {
        Some(Version::Stored(record)) => Ok(format::mod_revision_of(record)? <= at),
        Some(Version::Recent(_) | Version::Whole(_)) | None => Ok(true),
    };
    newest(view, range).filter_map(move |candidate| match candidate.as_ref().map(is_in_time) {
        Ok(Ok(true)) | Err(_) => Some(candidate),
        Ok(Ok(false)) => None,
        Ok(Err(fault)) => Some(Err(fault)),
    })
}

/// Superseded versions that lived at a revision.
pub(crate) struct HistoryScan<'a> {
    view: &'a dyn View,
    end: Bound<Bytes>,
    at: Revision,
    entries: Entries<'a>,
    /// The key whose version at that revision has been found.
    done: Option<Bytes>,
    steps: usize,
}

impl<'a> HistoryScan<'a> {
    pub(crate) fn new(view: &'a dyn View, range: &KeyRange, at: Revision) -> Self {
        let (start, end) = format::history_bounds(range);
        let entries = view.range(Bound::Included(&start), end.as_ref().map(AsRef::as_ref));
        Self { view, end, at, entries, done: None, steps: 0 }
    }

    /// Passes over an entry: by doing nothing, or by seeking to the first version after those that cannot be meant.
    fn pass(&mut self, key: &HistoryKey, last: Revision) {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let start = key.with_successor(last);
            self.entries = self.view.range(Bound::Excluded(&start), self.end.as_ref().map(AsRef::as_ref));
            self.steps = 0;
        }
    }

    fn try_next(&mut self) -> Result<Option<Candidate>, Fault> {
        while let Some(entry) = self.entries.next() {
            let (stored, record) = entry?;
            let key = HistoryKey::decode(&stored)?;
            if self.done.as_ref() == Some(&key.prefix) {
                self.pass(&key, Revision::new(i64::MAX));
            } else if key.successor <= self.at {
                self.pass(&key, self.at);
            } else {
                self.steps = 0;
                let is_in_time = format::mod_revision_of(&record)? <= self.at;
                let candidate = Candidate { key: key.key(), version: Some(Version::Stored(record)) };
                self.done = Some(key.prefix);
                if is_in_time {
                    return Ok(Some(candidate));
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for HistoryScan<'_> {
    type Item = Result<Candidate, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}

/// Events from one place in the log up to and including a revision.
pub(crate) fn events(
    view: &dyn View,
    from: Position,
    last: Revision,
) -> impl Iterator<Item = Result<(Position, Event), Fault>> {
    let (start, end) = (format::log_key(from), format::log_key(Position { revision: last, sub: u32::MAX }));
    view.range(Bound::Included(&start), Bound::Included(&end)).map(|entry| {
        let (stored, record) = entry?;
        let position = format::decode_log_key(&stored)?;
        Ok((position, format::decode_event(position.revision, record)?))
    })
}
