//! A key hangs on a lease only as long as there is that lease.

use std::collections::BTreeSet;

use model::{Identity, LeaseId, RangeRequest};

use crate::cluster::Process;
use crate::convert::prefixed;
use crate::network::Place;
use crate::trace::{Trace, violation};

/// Looks at what one member holds at this moment: between its two looks nothing is applied, since neither waits.
pub(crate) async fn look(trace: &Trace, place: Place, process: &Process) {
    let all = RangeRequest { serializable: true, ..RangeRequest::new(prefixed("lease/")) };
    let Ok(response) = process.handle.range(&Identity::default(), all).await else { return };
    let leases: BTreeSet<LeaseId> = process.handle.leases().into_iter().collect();
    for kv in response.kvs.iter().filter(|kv| kv.lease.is_some() && !leases.contains(&kv.lease)) {
        violation!(trace, "lease keys", "{place} has {:?} of lease {:x}, which is gone", kv.key, kv.lease.get());
    }
}
