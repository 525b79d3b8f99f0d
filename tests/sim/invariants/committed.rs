//! What is committed stays: at an index, every leader and every disk that calls an entry committed means the same one; and it lies on the
//! platters of a majority, also while everything that was not synced is as good as lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cluster::Cluster;
use crate::disk::LogImage;
use crate::network::Place;
use crate::trace::{Trace, violation};
use crate::wire::{Wire, WireObserver};

/// Everything known to be committed.
pub(crate) struct Committed {
    trace: Trace,
    /// Term by index, of the entries that somebody named.
    terms: BTreeMap<u64, u64>,
}

/// Listens to what leaders say.
pub(crate) struct Listener(pub(crate) Arc<Mutex<Committed>>);

impl WireObserver for Listener {
    fn sent(&mut self, from: Place, _to: Place, frame: &Wire<'_>) {
        if let Wire::Append(request) | Wire::Heartbeat(request) = frame
            && let Some(commit) = &request.leader_commit
        {
            self.0.lock().say(from, wal::LogId { term: commit.term, index: commit.index });
        }
    }
}

impl Committed {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, terms: BTreeMap::new() }
    }

    /// The last entry known to be committed.
    pub(crate) fn last(&self) -> Option<wal::LogId> {
        self.terms.last_key_value().map(|(index, term)| wal::LogId { term: *term, index: *index })
    }

    fn say(&mut self, place: Place, id: wal::LogId) {
        let known = *self.terms.entry(id.index).or_insert(id.term);
        if known != id.term {
            violation!(self.trace, "committed", "{place} calls {id:?} committed, which is of term {known}");
        }
    }

    /// Looks at all disks.
    pub(crate) fn look(&mut self, cluster: &Cluster) {
        let platters: Vec<(Place, Option<LogImage>)> =
            cluster.disks().into_iter().map(|(place, disk)| (place, disk.platter())).collect();
        for (place, image) in platters.iter().filter_map(|(place, image)| Some((*place, image.as_ref()?))) {
            if let Some(commit) = image.state.commit {
                self.say(place, commit);
                self.compare(place, image, commit.index);
            }
        }
        let Some(voters) = cluster.voters().filter(|voters| !voters.is_empty()) else { return };
        let platters: Vec<_> = platters.into_iter().filter(|(place, _)| voters.contains(place)).collect();
        if let Some(last) = self.last() {
            self.count(&platters, "committed", |image| image.holds(last));
        }
        for (place, process) in cluster.processes() {
            // Zero is also what a member says that has applied nothing.
            let applied = process.handle.status().applied.get();
            if applied > 0 {
                self.count(&platters, &format!("applied by {place}"), |image| image.reaches(applied));
            }
        }
    }

    /// What lies on a disk up to its commit is what others call committed.
    fn compare(&self, place: Place, image: &LogImage, commit: u64) {
        for entry in image.entries.iter().filter(|entry| entry.index <= commit) {
            if self.terms.get(&entry.index).is_some_and(|term| *term != entry.term) {
                violation!(self.trace, "committed", "{place} committed {:?}", entry.log_id());
            }
        }
    }

    fn count(&self, platters: &[(Place, Option<LogImage>)], what: &str, is_there: impl Fn(&LogImage) -> bool) {
        let holders = platters.iter().filter(|(_, image)| image.as_ref().is_some_and(&is_there)).count();
        // Of an even number half is enough here: the last change of the voters may be known to some only.
        if holders * 2 < platters.len() {
            let (all, last) = (platters.len(), self.last());
            violation!(self.trace, "durable quorum", "what is {what} (of {last:?}) is on {holders} of {all} platters");
        }
    }
}
