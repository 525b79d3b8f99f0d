//! A member votes for one candidate in a term, also if it forgets everything that was not on its disk.

use std::collections::BTreeMap;

use crate::network::Place;
use crate::trace::{Trace, violation};
use crate::wire::{Wire, WireObserver};

/// Whom each member has granted its vote of each term.
pub(crate) struct Votes {
    trace: Trace,
    granted: BTreeMap<(Place, u64), u64>,
}

impl Votes {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, granted: BTreeMap::new() }
    }
}

impl WireObserver for Votes {
    fn sent(&mut self, from: Place, _to: Place, frame: &Wire<'_>) {
        let Wire::VoteAnswer(request, response) = frame else { return };
        let Some(vote) = request.vote.as_ref().filter(|_| response.granted) else { return };
        let first = *self.granted.entry((from, vote.term)).or_insert(vote.node_id);
        if first != vote.node_id {
            let (term, second) = (vote.term, vote.node_id);
            violation!(self.trace, "one vote", "{from} grants its vote of {term} to {second:x}, after {first:x}");
        }
    }
}
