//! Reads of the history, made on a thread where they may block. Everything they need is in them, so that the hub, and with it
//! all other watchers, goes on meanwhile.

use std::sync::Arc;

use model::{Change, KeyRange, Revision};

use crate::history::{History, HistoryError};
use crate::interval::IntervalIndex;
use crate::matches::Matches;
use crate::message::Selection;
use crate::recent::size_of_change;
use crate::request::Filters;
use crate::slab::Key;
use crate::watcher::Watcher;

/// Bytes of changes read at once.
const BYTES_MAX: usize = 1 << 20;

/// One read for many watchers that are about equally far behind.
#[derive(Debug)]
pub(crate) struct Scan(pub(crate) Vec<Member>);

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) watcher: Key<Watcher>,
    pub(crate) range: KeyRange,
    pub(crate) filters: Filters,
    pub(crate) prev_kv: bool,
    /// First revision not handed over yet.
    pub(crate) next: Revision,
}

/// What a scan brought.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// Revision of the store when it was read; not less than that of any event found.
    pub(crate) revision: Revision,
    /// Everything below this revision was looked at.
    pub(crate) next: Revision,
    pub(crate) findings: Vec<(Key<Watcher>, Finding)>,
}

#[derive(Debug)]
pub(crate) enum Finding {
    /// What the watcher had to see next was compacted; this is what is left.
    Compacted(Revision),
    /// What it wants, perhaps nothing, and the bytes that this keeps alive.
    Events { selections: Vec<Selection>, bytes: usize },
}

impl Scan {
    /// Reads on from the revision of the member that is furthest behind.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Fault`]
    pub(crate) fn run(&self, history: &dyn History) -> Result<Scanned, HistoryError> {
        let mut compacted = history.compact_revision();
        loop {
            match self.read(history, compacted) {
                // Compacted between two looks: each time higher, so this ends.
                Err(HistoryError::Compacted(higher)) if higher > compacted => compacted = higher,
                result => return result,
            }
        }
    }

    fn read(&self, history: &dyn History, compacted: Revision) -> Result<Scanned, HistoryError> {
        let mut findings: Vec<(Key<Watcher>, Finding)> =
            self.0.iter().map(|member| (member.watcher, member.finding(compacted))).collect();
        let revision = history.revision();
        let Some(from) = self.0.iter().map(|member| member.next).filter(|next| *next >= compacted).min() else {
            return Ok(Scanned { revision, next: compacted, findings });
        };
        let changes = history.changes(from, BYTES_MAX)?;
        let next = changes.last().map_or(from, |change| change.revision.next());
        let index = self.index(compacted);
        let mut matches = Matches::new();
        for change in changes {
            self.look_at(history, &index, change, &mut matches, &mut findings)?;
        }
        Ok(Scanned { revision: revision.max(next.previous()), next, findings })
    }

    fn index(&self, compacted: Revision) -> IntervalIndex<usize> {
        let mut index = IntervalIndex::new();
        for (nth, member) in self.0.iter().enumerate().filter(|(_, member)| member.next >= compacted) {
            index.insert(&member.range, nth);
        }
        index
    }

    fn look_at(
        &self,
        history: &dyn History,
        index: &IntervalIndex<usize>,
        mut change: Change,
        matches: &mut Matches<usize>,
        findings: &mut [(Key<Watcher>, Finding)],
    ) -> Result<(), HistoryError> {
        matches.clear();
        for (place, event) in (0u32..).zip(change.events.iter()) {
            index.visit(&event.kv.key, |nth| {
                let member = &self.0[nth];
                if change.revision >= member.next && member.filters.lets_through(event.kind) {
                    matches.push(nth, place);
                }
            });
        }
        let wanted = matches.iter().filter(|(nth, _)| self.0[*nth].prev_kv).map(|(_, place)| place as usize);
        look_up_previous(history, &mut change, wanted)?;
        let size = size_of_change(&change);
        for (nth, selection) in matches.selections(&change.events) {
            if let Finding::Events { selections, bytes } = &mut findings[nth].1 {
                selections.push(selection);
                *bytes += size;
            }
        }
        Ok(())
    }
}

impl Member {
    fn finding(&self, compacted: Revision) -> Finding {
        if self.next < compacted {
            return Finding::Compacted(compacted);
        }
        Finding::Events { selections: Vec::new(), bytes: 0 }
    }
}

/// Changes that no batch brought.
#[derive(Debug)]
pub(crate) enum Missed {
    Changes(Vec<Change>),
    /// They are gone too; this is what is left.
    Compacted(Revision),
}

impl Missed {
    /// Reads on from `from`. The versions before are looked up for all events, as a batch would have brought them: who will
    /// want them is not known yet.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Fault`]
    pub(crate) fn read(history: &dyn History, from: Revision) -> Result<Self, HistoryError> {
        let mut changes = match history.changes(from, BYTES_MAX) {
            Err(HistoryError::Compacted(left)) if left > from => return Ok(Self::Compacted(left)),
            result => result?,
        };
        for change in &mut changes {
            let all = 0..change.events.len();
            look_up_previous(history, change, all)?;
        }
        Ok(Self::Changes(changes))
    }
}

/// Sets the version before for events of a change that comes from the history, where it can still be read.
fn look_up_previous(
    history: &dyn History,
    change: &mut Change,
    places: impl Iterator<Item = usize>,
) -> Result<(), HistoryError> {
    let before = change.revision.previous();
    for place in places {
        let event = &change.events[place];
        if event.is_create() || event.previous.is_some() {
            continue;
        }
        match history.value_at(&event.kv.key, before) {
            Ok(None) => {}
            Ok(previous) => Arc::make_mut(&mut change.events)[place].previous = previous,
            Err(HistoryError::Compacted(_)) => return Ok(()),
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}
