//! Whether all members hold the same data: checksums of all keys at one revision, compared from time to time by the leader, and by a
//! member before it begins to serve.
//!
//! What members apply is the same by construction; what a disk gives back need not be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consensus::{Execution, HashSource, KeysHash, Leadership};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use model::{Alarm, AlarmCause, AlarmChange, AlarmKind, Command, MemberId, Revision, Term};
use state::Reader;
use tokio::sync::watch as latest;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::handle::Handle;
use crate::proposer::Proposer;

/// How long the members may take for one comparison: a checksum takes about a second for a million versions.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long they may take for one before a member serves.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// How often a member that is behind looks whether it has come far enough.
const CATCH_UP_LOOK: Duration = Duration::from_millis(20);

/// This member's checksums, for itself and for others.
#[derive(Clone)]
pub(crate) struct KeyHashes {
    pub(crate) reader: Reader,
    pub(crate) execution: Execution,
}

impl KeyHashes {
    async fn at(&self, revision: Revision) -> Option<KeysHash> {
        let reader = self.reader.clone();
        let hashed = self.execution.blocking(move || reader.hash_kv(revision)).await.ok()?.ok()?;
        Some(KeysHash { hash: hashed.hash, compact_revision: hashed.compact_revision })
    }
}

impl HashSource for KeyHashes {
    fn hash(&self, revision: Revision, deadline: Instant) -> BoxFuture<'static, Option<KeysHash>> {
        let hashes = self.clone();
        async move {
            while hashes.reader.revision() < revision {
                if Instant::now() >= deadline {
                    return None;
                }
                tokio::time::sleep(CATCH_UP_LOOK).await;
            }
            hashes.at(revision).await
        }
        .boxed()
    }
}

/// Compares this member with the others.
#[derive(Clone)]
pub(crate) struct Comparison {
    pub(crate) member: MemberId,
    pub(crate) hashes: KeyHashes,
    pub(crate) consensus: consensus::Handle,
}

impl Comparison {
    /// The checksums of all members that answer, this one's among them, at this one's revision.
    pub(crate) async fn collect(&self, patience: Duration) -> BTreeMap<MemberId, KeysHash> {
        let revision = self.hashes.reader.revision();
        let Some(own) = self.hashes.at(revision).await else { return BTreeMap::new() };
        let others = self.consensus.members().into_iter().map(|member| member.id).filter(|id| *id != self.member);
        let deadline = Instant::now() + patience;
        let asked = others.map(|id| async move { (id, self.consensus.hash_of(id, revision, deadline).await) });
        let answers = join_all(asked).await.into_iter().filter_map(|(id, hash)| Some((id, hash?)));
        answers.chain([(self.member, own)]).collect()
    }
}

impl Handle {
    /// Whether a member that answers has other data at this one's revision. One that does not answer is taken for alike: members
    /// start one after the other.
    pub(crate) async fn differs_from_others(&self) -> bool {
        let hashes = self.inner().comparison.collect(START_PATIENCE).await;
        let wrong = differing(&hashes);
        if !wrong.is_empty() {
            tracing::error!(?hashes, "members have different data");
        }
        !wrong.is_empty()
    }
}

/// The leader's watch.
pub(crate) struct CorruptionWatch {
    pub(crate) every: Duration,
    pub(crate) comparison: Comparison,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) leadership: latest::Receiver<Leadership>,
}

impl CorruptionWatch {
    /// Runs until `stop` changes.
    pub(crate) async fn run(self, mut stop: latest::Receiver<bool>) {
        let mut ticks = interval_at(Instant::now() + self.every, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                _ = ticks.tick() => {}
            }
            let Leadership::Leader { term } = *self.leadership.borrow() else { continue };
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                () = self.look(term) => {}
            }
        }
    }

    async fn look(&self, term: Term) {
        let hashes = self.comparison.collect(PATIENCE).await;
        for member in differing(&hashes) {
            tracing::error!(member = format_args!("{:x}", member.get()), ?hashes, "a member has other data");
            let alarm = Alarm { kind: AlarmKind::Corrupt, member, cause: AlarmCause::Watch };
            if let Err(error) = self.proposer.propose_as_leader(term, Command::Alarm(AlarmChange::Raise(alarm))).await {
                tracing::warn!(%error, "could not raise the alarm, will try again");
            }
        }
    }
}

/// The members whose data differ from those of most; zero if it cannot be said who is right. Checksums that begin at different
/// revisions say nothing about each other.
fn differing(hashes: &BTreeMap<MemberId, KeysHash>) -> Vec<MemberId> {
    let mut by_compaction = BTreeMap::<Revision, Vec<(MemberId, u32)>>::new();
    for (member, KeysHash { hash, compact_revision }) in hashes {
        by_compaction.entry(*compact_revision).or_default().push((*member, *hash));
    }
    by_compaction.into_values().flat_map(|group| differing_in(&group)).collect()
}

fn differing_in(group: &[(MemberId, u32)]) -> Vec<MemberId> {
    let votes = |hash: u32| group.iter().filter(|(_, other)| *other == hash).count();
    let majority = group.iter().map(|(_, hash)| *hash).find(|hash| 2 * votes(*hash) > group.len());
    match majority {
        Some(hash) => group.iter().filter(|(_, other)| *other != hash).map(|(member, _)| *member).collect(),
        None => vec![MemberId::default()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(hashes: &[(u64, u32, i64)]) -> BTreeMap<MemberId, KeysHash> {
        let of = |(member, hash, compact): &(u64, u32, i64)| {
            (MemberId::new(*member), KeysHash { hash: *hash, compact_revision: Revision::new(*compact) })
        };
        hashes.iter().map(of).collect()
    }

    fn wrong(list: &[(u64, u32, i64)]) -> Vec<u64> {
        differing(&hashes(list)).into_iter().map(MemberId::get).collect()
    }

    #[test]
    fn who_differs_from_most_is_wrong() {
        assert!(wrong(&[]).is_empty());
        assert!(wrong(&[(1, 5, 0)]).is_empty());
        assert!(wrong(&[(1, 5, 0), (2, 5, 0), (3, 5, 0)]).is_empty());
        assert_eq!(wrong(&[(1, 5, 0), (2, 6, 0), (3, 5, 0)]), [2]);
        assert_eq!(wrong(&[(1, 5, 0), (2, 6, 0), (3, 5, 0), (4, 7, 0), (5, 5, 0)]), [2, 4]);
    }

    #[test]
    fn without_a_majority_nobody_can_tell() {
        assert_eq!(wrong(&[(1, 5, 0), (2, 6, 0)]), [0]);
        assert_eq!(wrong(&[(1, 5, 0), (2, 6, 0), (3, 7, 0)]), [0]);
    }

    #[test]
    fn histories_that_begin_elsewhere_are_not_compared() {
        assert!(wrong(&[(1, 5, 10), (2, 6, 9), (3, 5, 10)]).is_empty());
    }
}
