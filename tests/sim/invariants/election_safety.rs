//! Election safety: a term has one leader at most.

use std::collections::BTreeMap;

use proto::quoratepb::AppendRequest;

use crate::network::Place;
use crate::trace::{Trace, violation};
use crate::wire::{Wire, WireObserver};

/// Who has acted as the leader of each term.
pub(crate) struct Leaders {
    trace: Trace,
    of_term: BTreeMap<u64, (u64, Place)>,
}

impl Leaders {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, of_term: BTreeMap::new() }
    }

    fn acted(&mut self, from: Place, request: &AppendRequest) {
        let Some(vote) = &request.vote else { return };
        let known = *self.of_term.entry(vote.term).or_insert((vote.node_id, from));
        if known != (vote.node_id, from) {
            let term = vote.term;
            violation!(
                self.trace,
                "election safety",
                "{from} acts as leader {:x} of {term}, as did {known:?}",
                vote.node_id
            );
        }
    }
}

impl WireObserver for Leaders {
    fn sent(&mut self, from: Place, _to: Place, frame: &Wire<'_>) {
        if let Wire::Append(request) | Wire::Heartbeat(request) = frame {
            self.acted(from, request);
        }
    }
}
