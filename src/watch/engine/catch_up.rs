//! How watchers that are behind get to the head: from the recent changes, or by scans of the history.
//!
//! From memory a watcher is caught up within the turn that finds room in its stream. From the history it takes scans, one at a
//! time, each for all that are about equally far behind: the furthest first, so that they meet the others and share the rest.

use model::Revision;

use super::Engine;
use crate::message::{Selection, Selections, WatchEvents, WatchMessage};
use crate::scan::{Finding, Member, Missed, Scan, Scanned};
use crate::slab::Key;
use crate::watcher::{Position, Stream, Watcher};

/// Watchers of one scan.
const MEMBERS_MAX: usize = 512;

/// Bytes of events beyond which no further revision goes into the same message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

impl Engine {
    /// Serves the watchers behind on this stream, if there are any, when its turn comes.
    pub(super) fn start_serving(&mut self, key: Key<Stream>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if !stream.behind.is_empty() && !stream.is_served {
            stream.is_served = true;
            self.served.push_back(key);
        }
    }

    /// Serves streams in turn, one watcher at a time, until there is no more to do or about `checks` events were looked at.
    pub(super) fn serve(&mut self, checks: usize) {
        let mut left = checks;
        while left > 0 {
            let Some(key) = self.served.pop_front() else { return };
            let Some(stream) = self.streams.get_mut(key) else { continue };
            let first = stream.behind.first().copied();
            match first.filter(|_| stream.queue.has_room_beside(stream.claims)) {
                None => stream.is_served = false,
                Some((next, watcher)) => {
                    left = left.saturating_sub(1 + self.advance(watcher, next));
                    self.served.push_back(key);
                }
            }
        }
    }

    /// Hands one watcher one message of what it missed. Returns how many events were looked at.
    fn advance(&mut self, key: Key<Watcher>, next: Revision) -> usize {
        let Some(watcher) = self.watchers.get(key) else { return 0 };
        // One that starts in the compacted past must hear so, even if the past is still in memory by chance.
        let starts_too_early = next == watcher.start && next < self.history.compact_revision();
        if next < self.recent.start() || starts_too_early {
            self.put(key, Position::Remote, next);
            return 0;
        }
        let (mut selections, mut bytes, mut checks, mut reached) = (Vec::new(), 0, 0, next);
        for kept in self.recent.since(next) {
            reached = kept.change.revision.next();
            checks += kept.change.events.len();
            if let Some(selection) = watcher.select(&kept.change) {
                selections.push(selection);
                bytes += kept.bytes;
            }
            if bytes >= MESSAGE_BYTES_MAX {
                break;
            }
        }
        if self.hand_over(key, self.revision(), selections, bytes) {
            self.place(key, reached);
        }
        checks
    }

    /// Hands a watcher what it missed; says whether there was room, which there always is for nothing.
    fn hand_over(&mut self, key: Key<Watcher>, revision: Revision, selections: Vec<Selection>, bytes: usize) -> bool {
        let Some(watcher) = self.watchers.get_mut(key) else { return true };
        let Some(stream) = self.streams.get_mut(watcher.stream) else { return true };
        let count: usize = selections.iter().map(Selection::len).sum();
        let Some(selections) = Selections::from_vec(selections) else { return true };
        let events = WatchEvents { id: watcher.id, revision, prev_kv: watcher.prev_kv, selections };
        let is_taken = stream.queue.push(WatchMessage::Events(events), bytes);
        if is_taken {
            watcher.is_quiet = false;
            self.counters.events.add(count as u64);
        }
        is_taken
    }

    /// The scan to be made next, if one is due. Its members wait until it is [finished](Self::finish_scan).
    pub(crate) fn next_scan(&mut self) -> Option<Scan> {
        let due: Vec<(Revision, Key<Watcher>)> = self.remote.iter().take(MEMBERS_MAX).copied().collect();
        let mut members = Vec::with_capacity(due.len());
        for (next, key) in due {
            self.put(key, Position::Scanned, next);
            let Some(watcher) = self.watchers.get(key) else { continue };
            let (range, filters, prev_kv) = (watcher.range.clone(), watcher.filters, watcher.prev_kv);
            members.push(Member { watcher: key, range, filters, prev_kv, next });
        }
        (!members.is_empty()).then_some(Scan(members))
    }

    /// Hands over what a scan found. Who was cancelled meanwhile is not told; who has no room stays where it was.
    pub(crate) fn finish_scan(&mut self, scanned: Scanned) {
        for (key, finding) in scanned.findings {
            let Some(watcher) = self.watchers.get(key) else { continue };
            let (stream, next) = (watcher.stream, watcher.next);
            #[cfg(seeded_bugs)]
            let scanned_next = scanned.next;
            match finding {
                Finding::Compacted(left) => self.lose(key, left),
                #[cfg(seeded_bugs)]
                Finding::Events { .. } if model::seeded_bug("watch that skips what it missed") => {
                    self.place(key, next.max(scanned_next));
                }
                Finding::Events { selections, bytes } => {
                    if self.hand_over(key, scanned.revision, selections, bytes) {
                        self.place(key, next.max(scanned.next));
                    } else {
                        self.put(key, Position::Behind, next);
                    }
                }
            }
            self.start_serving(stream);
        }
    }

    /// Ends a watcher whose next revision is gone.
    fn lose(&mut self, key: Key<Watcher>, compact_revision: Revision) {
        let Some(watcher) = self.watchers.get(key) else { return };
        let Some(stream) = self.streams.get(watcher.stream) else { return };
        let next = watcher.next;
        if stream.queue.push(WatchMessage::Compacted { id: watcher.id, compact_revision }, 0) {
            self.index.remove(&watcher.range, key);
            self.put(key, Position::Compacted, next);
        } else {
            self.put(key, Position::Behind, next);
        }
    }

    /// Fans out changes that no batch brought. If they are gone, every watcher that had to see them is behind from now on,
    /// and will find that out for itself when there is room to say so.
    pub(crate) fn take_missed(&mut self, missed: Missed) {
        match missed {
            Missed::Changes(changes) if changes.is_empty() => {
                tracing::warn!(known = %self.known, "a batch came before the history showed it");
                self.known = self.revision();
            }
            Missed::Changes(changes) => self.take_changes(&changes),
            Missed::Compacted(left) => self.skip_to(left),
        }
    }

    fn skip_to(&mut self, left: Revision) {
        let due = self.recent.next();
        tracing::info!(from = %due, to = %left, "changes were compacted before watchers saw them");
        let live = self.watchers.iter().filter(|(_, watcher)| watcher.position == Position::Live);
        let cut_off: Vec<(Key<Watcher>, Revision)> =
            live.map(|(key, watcher)| (key, watcher.next.max(due))).filter(|(_, next)| *next < left).collect();
        self.recent.skip_to(left);
        for (key, next) in cut_off {
            self.put(key, Position::Behind, next);
            if let Some(watcher) = self.watchers.get(key) {
                self.start_serving(watcher.stream);
            }
        }
    }
}
