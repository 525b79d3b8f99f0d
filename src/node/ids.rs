//! Identities: of members and clusters, derived as etcd derives them, and of proposals and leases, unique by construction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use model::{ClusterId, LeaseId, MemberId};
use sha1::{Digest, Sha1};

/// Identity of a member of a new cluster: from its peer URLs and the cluster's token (etcd's rule).
#[must_use]
pub fn member_id(peer_urls: &[String], token: &str) -> MemberId {
    let mut urls = peer_urls.to_vec();
    urls.sort();
    let mut hash = Sha1::new();
    for url in &urls {
        hash.update(url);
    }
    hash.update(token);
    MemberId::new(first_eight(hash))
}

/// Identity of a new cluster: from its first members (etcd's rule).
#[must_use]
pub fn cluster_id(members: &[MemberId]) -> ClusterId {
    let mut members = members.to_vec();
    members.sort();
    let mut hash = Sha1::new();
    for member in members {
        hash.update(member.get().to_be_bytes());
    }
    ClusterId::new(first_eight(hash))
}

/// The first eight bytes as a number.
pub(crate) fn first_eight(hash: Sha1) -> u64 {
    hash.finalize().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// Tells milliseconds since 1970. A simulation has a clock of its own.
pub type WallClock = std::sync::Arc<dyn Fn() -> u64 + Send + Sync>;

/// Milliseconds since 1970 by the wall clock: for identities and records, never for a decision.
pub(crate) fn wall_clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Source of numbers that no other member and no later life of this one gives out: two bytes of the member's identity,
/// five of the start time in milliseconds, and a counter that carries into them (etcd's layout).
#[derive(Debug)]
pub(crate) struct IdSource {
    next: AtomicU64,
}

impl IdSource {
    /// A source for this life of `member`, which began at `started_ms`.
    pub(crate) fn new(member: MemberId, started_ms: u64) -> Self {
        let member = member.get() & 0xffff;
        let time = started_ms & 0xff_ffff_ffff;
        Self { next: AtomicU64::new(member << 48 | time << 8) }
    }

    /// The next proposal.
    pub(crate) fn proposal(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The next lease: positive, so that its hexadecimal form is what every client expects.
    pub(crate) fn lease(&self) -> LeaseId {
        let id = i64::try_from(self.proposal() & (u64::MAX >> 1)).expect("the sign bit is clear");
        LeaseId::new(id.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_default_member_are_etcds() {
        let member = member_id(&["http://localhost:2380".to_owned()], "etcd-cluster");
        assert_eq!(format!("{:x}", member.get()), "8e9e05c52164694d");
        assert_eq!(format!("{:x}", cluster_id(&[member]).get()), "cdf818194e3a8c32");
    }

    #[test]
    fn lives_and_members_do_not_share_ids() {
        let first = IdSource::new(MemberId::new(1), 1_000);
        let later = IdSource::new(MemberId::new(1), 1_001);
        let other = IdSource::new(MemberId::new(2), 1_000);
        let mut ids: Vec<u64> = [first, later, other].iter().flat_map(|s| (0..256).map(|_| s.proposal())).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3 * 256);
    }

    #[test]
    fn leases_are_positive() {
        let source = IdSource::new(MemberId::new(u64::MAX), u64::MAX);
        assert!((0..1000).all(|_| source.lease().get() > 0));
    }
}
