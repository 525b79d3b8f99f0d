//! Who belongs to the cluster, as far as this member has applied the log: every membership in it is committed.

use model::MemberId;
use tokio::sync::watch;

use crate::types::{MemberInfo, RaftLogId, StoredMembership};

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id, which is never given out again.
    pub id: MemberId,
    /// Names and addresses.
    pub info: MemberInfo,
    /// It receives the log and does not vote.
    pub is_learner: bool,
}

/// The newest committed membership that this member knows. Cheap to clone; written by the apply worker alone.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    newest: watch::Sender<StoredMembership>,
}

impl Roster {
    pub(crate) fn new(membership: StoredMembership) -> Self {
        Self { newest: watch::Sender::new(membership) }
    }

    pub(crate) fn set(&self, membership: StoredMembership) {
        self.newest.send_replace(membership);
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<StoredMembership> {
        self.newest.subscribe()
    }

    /// The entry that brought it; none before the first.
    pub(crate) fn log_id(&self) -> Option<RaftLogId> {
        *self.newest.borrow().log_id()
    }

    /// All members, by ascending id.
    pub(crate) fn members(&self) -> Vec<Member> {
        members_of(&self.newest.borrow())
    }

    /// Where a member is reached, if it is one.
    pub(crate) fn peer_urls(&self, member: u64) -> Option<Vec<String>> {
        self.newest.borrow().get_node(&member).map(|info| info.peer_urls.clone())
    }

    /// Whether `member` is one, with or without a vote.
    pub(crate) fn has(&self, member: u64) -> bool {
        self.newest.borrow().get_node(&member).is_some()
    }

    /// Whether `member` follows without a vote. Asked for every call of a client.
    pub(crate) fn is_learner(&self, member: u64) -> bool {
        let newest = self.newest.borrow();
        let has_vote = newest.get_joint_config().iter().any(|config| config.contains(&member));
        !has_vote && newest.get_node(&member).is_some()
    }

    /// Whether `member` is the only one that votes.
    pub(crate) fn is_sole_voter(&self, member: u64) -> bool {
        self.newest.borrow().voter_ids().eq([member])
    }

    /// Whether a member that knew the membership brought by `known` has been removed since. Ids are never given out again: a later
    /// membership without it can only mean that. An earlier one means nothing, since it may have been added after.
    pub(crate) fn has_removed(&self, member: u64, known: Option<RaftLogId>) -> bool {
        let newest = self.newest.borrow();
        known.is_some() && known < *newest.log_id() && newest.get_node(&member).is_none()
    }
}

/// The members of a membership, by ascending id.
pub(crate) fn members_of(membership: &StoredMembership) -> Vec<Member> {
    let voters: std::collections::BTreeSet<u64> = membership.voter_ids().collect();
    let member = |(id, info): (&u64, &MemberInfo)| Member {
        id: MemberId::new(*id),
        info: info.clone(),
        is_learner: !voters.contains(id),
    };
    membership.nodes().map(member).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::types::{Membership, log_id};

    fn membership(index: u64, voters: &[u64], learners: &[u64]) -> StoredMembership {
        let nodes: BTreeMap<_, _> = voters.iter().chain(learners).map(|id| (*id, MemberInfo::default())).collect();
        let voters = BTreeSet::from_iter(voters.iter().copied());
        StoredMembership::new(Some(log_id(1, index)), Membership::new(vec![voters], nodes).unwrap())
    }

    #[test]
    fn only_a_later_membership_tells_that_a_member_was_removed() {
        let roster = Roster::new(membership(7, &[1, 2], &[3]));
        assert!(roster.has_removed(4, Some(log_id(1, 5))));
        assert!(!roster.has_removed(4, Some(log_id(1, 7))), "nobody is in the same membership and not in it");
        assert!(!roster.has_removed(4, Some(log_id(2, 9))), "it may have been added by an entry that is not here yet");
        assert!(!roster.has_removed(4, None));
        assert!(!roster.has_removed(3, Some(log_id(1, 5))), "a learner is a member");
    }

    #[test]
    fn members_are_sorted_and_learners_marked() {
        let roster = Roster::new(membership(7, &[9, 2], &[5]));
        let found: Vec<_> = roster.members().into_iter().map(|member| (member.id.get(), member.is_learner)).collect();
        assert_eq!(found, [(2, false), (5, true), (9, false)]);
        assert!(!roster.is_sole_voter(2));
        assert!(roster.is_learner(5) && !roster.is_learner(2) && !roster.is_learner(7));
        roster.set(membership(8, &[2], &[5]));
        assert!(roster.is_sole_voter(2) && roster.peer_urls(9).is_none());
    }
}
