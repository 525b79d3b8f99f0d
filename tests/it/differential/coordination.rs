//! v3lock and v3election, call by call: what is granted, what is refused and how, and what it leaves among the keys.

use bytes::Bytes;
use proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, RangeRequest};
use proto::v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest};
use proto::v3lockpb::{LockRequest, UnlockRequest};

use super::cases::Case;
use super::target::Step;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn grant(id: i64) -> Step {
    Step::Grant(LeaseGrantRequest { id, ttl: 600 })
}

fn lock(name: &'static str, lease: i64) -> Step {
    Step::Lock(LockRequest { name: bytes(name), lease })
}

fn unlock(key: &'static str) -> Step {
    Step::Unlock(UnlockRequest { key: bytes(key) })
}

fn campaign(lease: i64, value: &'static str) -> Step {
    Step::Campaign(CampaignRequest { name: bytes("el"), lease, value: bytes(value) })
}

fn leader_of(name: &'static str) -> Step {
    Step::Leader(LeaderRequest { name: bytes(name) })
}

/// All keys of both: their revisions, values and leases.
fn look(key: &'static str, end: &'static str) -> Step {
    Step::Range(RangeRequest { key: bytes(key), range_end: bytes(end), ..RangeRequest::default() })
}

/// All of them, on servers that are at revision `head`.
pub(crate) fn cases(head: i64) -> Vec<Case> {
    [locks(), elections(head + LOCKS_WRITE)].concat()
}

/// Revisions that the cases of locks use up.
const LOCKS_WRITE: i64 = 7;

/// Not among them: a lock that is asked for again by who has it, of which the claim's key takes note here, at a revision of its own
/// (`recipes/claim.rs`), and etcd does not.
fn locks() -> Vec<Case> {
    vec![
        ("lock: leases", grant(0x51)),
        ("lock: another lease", grant(0x52)),
        ("lock: unknown lease", lock("lk", 999)),
        ("lock: nothing was written", look("lk", "lk0")),
        ("lock: first", lock("lk", 0x51)),
        ("lock: its key", look("lk/", "lk0")),
        ("lock: another name", lock("lk/nested", 0x52)),
        ("lock: unlock", unlock("lk/51")),
        ("lock: unlock again", unlock("lk/51")),
        ("lock: unlock nothing", unlock("lk/none")),
        ("lock: unlock the other", unlock("lk/nested/52")),
        ("lock: empty name", lock("", 0x51)),
        ("lock: of an empty name", look("/", "0")),
        ("lock: end of the session", Step::Revoke(LeaseRevokeRequest { id: 0x51 })),
        ("lock: after the end", lock("lk", 0x51)),
        ("lock: with the other", lock("lk", 0x52)),
        ("lock: what is left", look("lk/", "lk0")),
    ]
}

fn elections(head: i64) -> Vec<Case> {
    let key = |key, rev| LeaderKey { name: bytes("el"), key: bytes(key), rev, lease: 0x52 };
    let leader = move |rev| Some(key("el/52", rev));
    let proclaim = |leader, value| Step::Proclaim(ProclaimRequest { leader, value: bytes(value) });
    let resign = |leader| Step::Resign(ResignRequest { leader });
    vec![
        ("election: nobody leads", leader_of("el")),
        ("election: unknown lease", campaign(998, "v")),
        ("election: campaign", campaign(0x52, "one")),
        ("election: campaign again", campaign(0x52, "one")),
        ("election: campaign with another value", campaign(0x52, "two")),
        ("election: leader", leader_of("el")),
        ("election: leader of another", leader_of("other")),
        ("election: proclaim", proclaim(leader(head + 1), "three")),
        ("election: proclaim of another term", proclaim(leader(head), "late")),
        ("election: proclaim of another key", proclaim(Some(key("el/53", head + 1)), "late")),
        ("election: proclaim without a leader", proclaim(None, "late")),
        ("election: leader after that", leader_of("el")),
        ("election: resign of another term", resign(leader(head))),
        ("election: resign without a leader", resign(None)),
        ("election: still there", look("el/", "el0")),
        ("election: resign", resign(leader(head + 1))),
        ("election: resign again", resign(leader(head + 1))),
        ("election: proclaim afterwards", proclaim(leader(head + 1), "late")),
        ("election: nobody leads now", leader_of("el")),
    ]
}
