//! What the lock and the election service share: names, leases, and errors as etcd's services pass them on.

use std::time::Duration;

use bytes::Bytes;
use model::{Identity, LeaseId, Rejection};
use node::Error;
use tonic::{Code, Status};

use crate::error;
use crate::grpc::edge::Edge;

/// A call without a deadline of its own waits as long as its client does; this is only a bound.
pub(crate) const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(365 * 24 * 3600);

/// Life in seconds of the lease that is granted to a caller that has none. Nobody keeps it alive.
const ORPHANED_LEASE_TTL: i64 = 60;

/// What the keys of a lock or an election begin with.
pub(crate) fn prefix_of(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

/// The lease that a claim is made for: the caller's, or one that is granted now.
///
/// # Errors
///
/// etcd's `requested lease not found` for a lease that no claim can be made for; why none could be granted.
pub(crate) async fn claimant(edge: &Edge, caller: Identity, lease: i64) -> Result<LeaseId, Status> {
    match lease {
        0 => {
            let granted = edge.handle().lease_grant(caller, LeaseId::NONE, ORPHANED_LEASE_TTL).await;
            granted.map(|(_, id, _)| id).map_err(status)
        }
        // A negative id has no name that clients agree on.
        ..0 => Err(status(Rejection::LeaseNotFound)),
        1.. => Ok(LeaseId::new(lease)),
    }
}

/// The status that says `error`: a refusal is Unknown, because etcd's services pass on what their own client was told; that the member
/// cannot answer now keeps its code, so that clients know to try another.
pub(crate) fn status(error: impl Into<Error>) -> Status {
    let status = error::status(error);
    match status.code() {
        Code::Unavailable | Code::PermissionDenied | Code::Unauthenticated => status,
        _ => Status::unknown(status.message()),
    }
}
