//! What the leader's lease keeper answers for other members: declared here, where it is asked for, and given by the floor above.

use futures::future::BoxFuture;
use model::LeaseId;

/// Seconds that a lease was granted and has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLife {
    /// Granted.
    pub granted_ttl: i64,
    /// Left, rounded down.
    pub remaining: i64,
}

/// The member does not lead, or cannot say that it still does: ask again, perhaps another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLeading;

/// Knows how long leases live, if this member leads.
pub trait LeaseAuthority: Send + Sync {
    /// Gives leases their full life back: the TTL of each in seconds, or none where there is no such lease.
    fn renew(&self, ids: Vec<LeaseId>) -> BoxFuture<'static, Result<Vec<Option<i64>>, NotLeading>>;

    /// What a lease has left; none when there is no such lease.
    fn life(&self, id: LeaseId) -> BoxFuture<'static, Result<Option<LeaseLife>, NotLeading>>;
}
