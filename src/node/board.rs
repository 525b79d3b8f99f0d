//! The lines that somebody here waits in: the same order of contenders that the machine decides by, kept from the applied changes.
//!
//! Invariant: a line is what the keys under its prefix were at `max(line.as_of, seen)`, `seen` being the last revision followed, and
//! so is a limit. Lines may be of different revisions for a moment; who is at the front of a line stays there until it leaves,
//! so nobody is taken for a holder who was none.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bytes::Bytes;
use model::{Event, EventKind, KeyRange, RangeRequest, Revision};
use recipes::{Lines, Place, Queue, SemaphoreLimit, sharers};
use state::{ReadError, Reader};

/// One line.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) queue: Queue,
    as_of: Revision,
    /// Records of the claims that wait here, by their tokens: in the order in which they will hold.
    pub(crate) waiting: BTreeSet<(Revision, Bytes)>,
    /// How many claims that are followed look at it.
    users: usize,
    /// Whether places have moved since all were told.
    pub(crate) moved: bool,
}

/// The limit of a semaphore.
#[derive(Debug)]
struct LimitAt {
    limit: Option<SemaphoreLimit>,
    as_of: Revision,
    line: Bytes,
}

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) lines: BTreeMap<Bytes, Line>,
    limits: BTreeMap<Bytes, LimitAt>,
    /// Revision of the last batch followed.
    seen: Revision,
    /// The line of a prefix that is not looked at.
    nobody: Queue,
}

impl Lines for Board {
    type Fault = Infallible;

    fn line(&mut self, prefix: &Bytes) -> Result<&Queue, Infallible> {
        Ok(self.lines.get(prefix).map_or(&self.nobody, |line| &line.queue))
    }

    fn limit(&mut self, key: &Bytes) -> Result<Option<SemaphoreLimit>, Infallible> {
        Ok(self.limits.get(key).and_then(|at| at.limit))
    }
}

impl Board {
    /// Has a claim on these places look at the lines from here on, which are as they were at `seen_at` or later.
    pub(crate) fn join(&mut self, places: &[Place], seen_at: Revision, reader: &Reader) -> Result<(), ReadError> {
        for place in places {
            for prefix in place.lines() {
                let known = self.lines.get(&prefix).is_some_and(|line| line.as_of.max(self.seen) >= seen_at);
                if !known {
                    self.read_line(&prefix, reader)?;
                }
            }
            if let Place::Permits { prefix, limit, .. } = place {
                let known = self.limits.get(limit).is_some_and(|at| at.as_of.max(self.seen) >= seen_at);
                if !known {
                    self.read_limit(limit, prefix, reader)?;
                }
            }
        }
        for prefix in places.iter().flat_map(Place::lines) {
            self.lines.entry(prefix).or_default().users += 1;
        }
        Ok(())
    }

    /// A claim on these places looks at the lines no more.
    pub(crate) fn leave(&mut self, places: &[Place]) {
        for prefix in places.iter().flat_map(Place::lines) {
            if let Some(line) = self.lines.get_mut(&prefix) {
                line.users = line.users.saturating_sub(1);
            }
        }
    }

    /// Forgets the lines that nobody looks at.
    pub(crate) fn sweep(&mut self) {
        self.lines.retain(|_, line| line.users > 0);
        self.limits.retain(|_, at| self.lines.contains_key(&at.line));
    }

    /// Reads everything anew.
    pub(crate) fn read_again(&mut self, reader: &Reader) -> Result<(), ReadError> {
        let prefixes: Vec<Bytes> = self.lines.keys().cloned().collect();
        prefixes.iter().try_for_each(|prefix| self.read_line(prefix, reader))?;
        let limits: Vec<(Bytes, Bytes)> = self.limits.iter().map(|(key, at)| (key.clone(), at.line.clone())).collect();
        limits.iter().try_for_each(|(key, line)| self.read_limit(key, line, reader))
    }

    fn read_line(&mut self, prefix: &Bytes, reader: &Reader) -> Result<(), ReadError> {
        let read = reader.range(&RangeRequest::new(KeyRange::prefix(prefix.clone())))?;
        let mut queue = Queue::default();
        for kv in &read.kvs {
            queue.join(kv);
        }
        let line = self.lines.entry(Bytes::copy_from_slice(prefix)).or_default();
        (line.queue, line.as_of, line.moved) = (queue, read.revision, true);
        Ok(())
    }

    fn read_limit(&mut self, key: &Bytes, line: &Bytes, reader: &Reader) -> Result<(), ReadError> {
        let read = reader.range(&RangeRequest::new(KeyRange::Single(key.clone())))?;
        let limit = read.kvs.first().map(|kv| SemaphoreLimit::read(&kv.value));
        let at = LimitAt { limit, as_of: read.revision, line: Bytes::copy_from_slice(line) };
        self.limits.insert(Bytes::copy_from_slice(key), at);
        if let Some(line) = self.lines.get_mut(line) {
            line.moved = true;
        }
        Ok(())
    }

    /// Everything up to `revision` was followed.
    pub(crate) fn seen(&mut self, revision: Revision) {
        self.seen = revision;
    }

    /// Follows one event of `revision`; adds the lines in which places may have moved.
    pub(crate) fn follow(&mut self, event: &Event, revision: Revision, touched: &mut BTreeSet<Bytes>) {
        let key = &event.kv.key;
        if let Some(at) = self.limits.get_mut(key).filter(|at| revision > at.as_of) {
            at.limit = (event.kind == EventKind::Put).then(|| SemaphoreLimit::read(&event.kv.value));
            touched.insert(at.line.clone());
        }
        // Every prefix of a line that this key can be under: whoever waits here chose it, but all end in a slash.
        let slashes = key.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for at in slashes {
            let Some((prefix, line)) = self.lines.get_key_value(&key[..=at]) else { continue };
            if revision <= line.as_of {
                continue;
            }
            let prefix = prefix.clone();
            let line = self.lines.get_mut(&prefix).expect("it was found just now");
            if line.follow(event) || key.starts_with(&sharers(&prefix)) {
                touched.insert(prefix);
            }
        }
    }
}

impl Line {
    /// Follows one event under the prefix. Returns whether anybody moved.
    fn follow(&mut self, event: &Event) -> bool {
        match event.kind {
            EventKind::Put => {
                self.queue.join(&event.kv);
                !event.is_create()
            }
            EventKind::Delete => {
                let gone = event.previous.as_ref().expect("a live deletion says what it deleted");
                self.queue.remove(gone.create_revision, &gone.key);
                true
            }
        }
    }
}
