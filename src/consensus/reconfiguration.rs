//! From a change that is asked for to the membership after it, or to the reason why not. Pure: what the rules look at is given.
//!
//! The rules are etcd's (`server/etcdserver/api/membership/cluster.go`, `server.go`): a change must leave a quorum of voters that
//! have started and are in touch, so that the next change remains possible.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::MemberId;
use openraft::Instant;
use openraft::metrics::RaftDataMetrics;

use crate::members::{MemberChange, MembersError};
use crate::roster::Member;
use crate::types::{MemberInfo, Membership, StoredMembership, TypeConfig};

/// Heartbeats without an answer after which a member counts as down, for as long as a change of the membership lasts: a voter that is
/// added while another is down, and never comes, would cost the quorum.
const DOWN_AFTER_HEARTBEATS: u32 = 5;

/// How far a learner must be, in per cent of the leader's log, before it may vote (etcd's figure).
const READY_PERCENT: u64 = 90;

/// Settings of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconfiguration {
    /// Refuses changes that could cost the quorum (`--strict-reconfig-check`).
    pub strict: bool,
    /// Learners that there may be at a time (`--max-learners`).
    pub learners_max: usize,
}

/// How the other members are doing, as the leader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// Who is to make the change.
    leader: u64,
    active: BTreeSet<u64>,
    /// Members far enough to vote.
    ready: BTreeSet<u64>,
    rules: Reconfiguration,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is so already.
    Nothing,
    /// Other members.
    Members(Membership),
    /// The same members with other names or addresses.
    Infos(BTreeMap<u64, MemberInfo>),
}

impl Health {
    pub(crate) fn now(
        member: u64,
        metrics: &RaftDataMetrics<TypeConfig>,
        heartbeat: Duration,
        rules: Reconfiguration,
    ) -> Self {
        let down_after = heartbeat * DOWN_AFTER_HEARTBEATS;
        let last = metrics.last_log.map_or(0, |id| id.index);
        let heartbeats = metrics.heartbeat.iter().flatten();
        let active = heartbeats.filter(|(_, at)| at.is_some_and(|at| at.elapsed() < down_after)).map(|(id, _)| *id);
        let matched = metrics.replication.iter().flatten();
        let is_ready = |index: u64| index.saturating_mul(100) >= last.saturating_mul(READY_PERCENT);
        let ready = matched.filter(|(_, at)| at.is_some_and(|at| is_ready(at.index))).map(|(id, _)| *id);
        Self { leader: member, active: active.chain([member]).collect(), ready: ready.collect(), rules }
    }
}

/// The step that makes `change` of `observed`.
///
/// # Errors
///
/// [`MembersError`]: why the change is refused.
pub(crate) fn plan(observed: &StoredMembership, change: &MemberChange, health: &Health) -> Result<Step, MembersError> {
    let members = Draft::of(observed);
    // A leader that removed itself goes on until it learns that the others have it too. The next change is its successor's.
    if !members.infos.contains_key(&health.leader) {
        return Err(MembersError::NoLeader);
    }
    match change {
        MemberChange::Add(member) => members.add(member, health),
        MemberChange::Remove(id) => members.remove(id.get(), health),
        MemberChange::Promote(id) => members.promote(id.get(), health),
        MemberChange::Update { id, peer_urls } => {
            members.is_free(peer_urls, Some(*id))?;
            members.describe(*id, |info| info.peer_urls.clone_from(peer_urls))
        }
        MemberChange::Describe { id, name, client_urls } => members.describe(*id, |info| {
            info.name.clone_from(name);
            info.client_urls.clone_from(client_urls);
        }),
    }
}

/// A membership that is being changed.
struct Draft {
    voters: BTreeSet<u64>,
    infos: BTreeMap<u64, MemberInfo>,
}

impl Draft {
    fn of(observed: &StoredMembership) -> Self {
        let infos = observed.nodes().map(|(id, info)| (*id, info.clone())).collect();
        Self { voters: observed.voter_ids().collect(), infos }
    }

    fn add(mut self, member: &Member, health: &Health) -> Result<Step, MembersError> {
        let id = member.id.get();
        if self.infos.contains_key(&id) {
            return Err(MembersError::IdExists);
        }
        self.is_free(&member.info.peer_urls, None)?;
        if member.is_learner {
            if self.infos.len() - self.voters.len() >= health.rules.learners_max {
                return Err(MembersError::TooManyLearners);
            }
        } else {
            if health.rules.strict {
                self.may_grow(health)?;
            }
            self.voters.insert(id);
        }
        self.infos.insert(id, member.info.clone());
        Ok(self.members())
    }

    /// The member to come counts as down. A single member may always be joined, or no cluster could ever grow.
    fn may_grow(&self, health: &Health) -> Result<(), MembersError> {
        let needed = quorum(self.voters.len() + 1);
        let started = self.started();
        if self.voters.len() == 1 && started == 1 {
            return Ok(());
        }
        if started < needed {
            return Err(MembersError::NotEnoughStarted);
        }
        if self.active(health) < needed { Err(MembersError::Unhealthy) } else { Ok(()) }
    }

    fn remove(mut self, id: u64, health: &Health) -> Result<Step, MembersError> {
        if self.infos.remove(&id).is_none() {
            return Err(MembersError::NotFound);
        }
        if self.voters.remove(&id) {
            let needed = quorum(self.voters.len());
            if self.voters.is_empty() || health.rules.strict && self.started() < needed {
                return Err(MembersError::NotEnoughStarted);
            }
            // Who is down may always go: that is what removing is for.
            if health.rules.strict && health.active.contains(&id) && self.active(health) < needed {
                return Err(MembersError::Unhealthy);
            }
        }
        Ok(self.members())
    }

    fn promote(mut self, id: u64, health: &Health) -> Result<Step, MembersError> {
        if !self.infos.contains_key(&id) {
            return Err(MembersError::NotFound);
        }
        if !self.voters.insert(id) {
            return Err(MembersError::NotLearner);
        }
        if !health.ready.contains(&id) {
            return Err(MembersError::LearnerNotReady);
        }
        if health.rules.strict && self.started() < quorum(self.voters.len()) {
            return Err(MembersError::NotEnoughStarted);
        }
        Ok(self.members())
    }

    fn describe(mut self, id: MemberId, change: impl FnOnce(&mut MemberInfo)) -> Result<Step, MembersError> {
        let info = self.infos.get_mut(&id.get()).ok_or(MembersError::NotFound)?;
        let before = info.clone();
        change(info);
        if *info == before {
            return Ok(Step::Nothing);
        }
        Ok(Step::Infos(BTreeMap::from([(id.get(), info.clone())])))
    }

    fn is_free(&self, urls: &[String], of: Option<MemberId>) -> Result<(), MembersError> {
        let others = self.infos.iter().filter(|(id, _)| Some(**id) != of.map(MemberId::get));
        let is_taken = others.flat_map(|(_, info)| &info.peer_urls).any(|url| urls.contains(url));
        if is_taken { Err(MembersError::PeerUrlExists) } else { Ok(()) }
    }

    fn started(&self) -> usize {
        self.voters.iter().filter(|id| self.infos.get(id).is_some_and(|info| !info.name.is_empty())).count()
    }

    fn active(&self, health: &Health) -> usize {
        self.voters.iter().filter(|id| health.active.contains(id)).count()
    }

    fn members(self) -> Step {
        let membership = Membership::new(vec![self.voters], self.infos);
        Step::Members(membership.expect("every voter has an entry of its own"))
    }
}

fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::log_id;

    fn info(id: u64) -> MemberInfo {
        MemberInfo { name: format!("n{id}"), peer_urls: vec![format!("http://{id}")], client_urls: Vec::new() }
    }

    fn observed(voters: &[u64], learners: &[u64], unstarted: &[u64]) -> StoredMembership {
        let ids = voters.iter().chain(learners);
        let infos = ids.map(|id| {
            (*id, MemberInfo { name: if unstarted.contains(id) { String::new() } else { info(*id).name }, ..info(*id) })
        });
        let membership = Membership::new(vec![voters.iter().copied().collect()], infos.collect::<BTreeMap<_, _>>());
        StoredMembership::new(Some(log_id(1, 1)), membership.unwrap())
    }

    fn health(active: &[u64], ready: &[u64]) -> Health {
        let rules = Reconfiguration { strict: true, learners_max: 1 };
        Health { leader: 1, active: active.iter().copied().collect(), ready: ready.iter().copied().collect(), rules }
    }

    fn add(id: u64, is_learner: bool) -> MemberChange {
        MemberChange::Add(Member { id: MemberId::new(id), info: info(id), is_learner })
    }

    fn remove(id: u64) -> MemberChange {
        MemberChange::Remove(MemberId::new(id))
    }

    fn voters(step: Result<Step, MembersError>) -> Vec<u64> {
        match step.unwrap() {
            Step::Members(membership) => membership.voter_ids().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_voter_is_added_only_while_a_quorum_of_the_larger_cluster_is_there() {
        assert_eq!(voters(plan(&observed(&[1], &[], &[]), &add(2, false), &health(&[1], &[]))), [1, 2]);
        let two = observed(&[1, 2], &[], &[2]);
        assert_eq!(plan(&two, &add(3, false), &health(&[1, 2], &[])), Err(MembersError::NotEnoughStarted));
        let three = observed(&[1, 2, 3], &[], &[]);
        assert_eq!(voters(plan(&three, &add(4, false), &health(&[1, 2, 3], &[]))), [1, 2, 3, 4]);
        assert_eq!(plan(&three, &add(4, false), &health(&[1, 2], &[])), Err(MembersError::Unhealthy));
        let mut lax = health(&[1], &[]);
        lax.rules.strict = false;
        assert_eq!(voters(plan(&three, &add(4, false), &lax)), [1, 2, 3, 4]);
    }

    #[test]
    fn ids_and_peer_urls_are_taken_once() {
        let three = observed(&[1, 2], &[3], &[]);
        let all = health(&[1, 2, 3], &[]);
        assert_eq!(plan(&three, &add(3, false), &all), Err(MembersError::IdExists));
        let same_url = MemberChange::Add(Member { id: MemberId::new(9), info: info(3), is_learner: false });
        assert_eq!(plan(&three, &same_url, &all), Err(MembersError::PeerUrlExists));
        let update = |id, url| MemberChange::Update { id: MemberId::new(id), peer_urls: info(url).peer_urls };
        assert_eq!(plan(&three, &update(1, 3), &all), Err(MembersError::PeerUrlExists));
        assert_eq!(plan(&three, &update(1, 1), &all), Ok(Step::Nothing));
        assert_eq!(plan(&three, &update(9, 9), &all), Err(MembersError::NotFound));
        let Ok(Step::Infos(infos)) = plan(&three, &update(1, 7), &all) else { panic!("no step") };
        assert_eq!(infos[&1].peer_urls, info(7).peer_urls);
        assert_eq!(infos[&1].name, "n1");
    }

    #[test]
    fn who_is_down_may_go_and_who_is_needed_may_not() {
        let three = observed(&[1, 2, 3], &[], &[]);
        assert_eq!(voters(plan(&three, &remove(3), &health(&[1, 2], &[]))), [1, 2]);
        assert_eq!(plan(&three, &remove(2), &health(&[1, 2], &[])), Err(MembersError::Unhealthy));
        assert_eq!(plan(&three, &remove(4), &health(&[1, 2, 3], &[])), Err(MembersError::NotFound));
        let unstarted = observed(&[1, 2, 3], &[], &[2, 3]);
        assert_eq!(plan(&unstarted, &remove(1), &health(&[1, 2, 3], &[])), Err(MembersError::NotEnoughStarted));
        assert_eq!(
            plan(&observed(&[1], &[], &[]), &remove(1), &health(&[1], &[])),
            Err(MembersError::NotEnoughStarted)
        );
    }

    #[test]
    fn a_leader_that_is_removed_changes_nothing_more() {
        let all = health(&[1, 2, 3], &[]);
        assert_eq!(plan(&observed(&[2, 3], &[], &[]), &remove(3), &all), Err(MembersError::NoLeader));
        assert_eq!(plan(&observed(&[2, 3], &[], &[]), &remove(1), &all), Err(MembersError::NoLeader));
    }

    #[test]
    fn learners_are_few_and_must_catch_up() {
        let with_learner = observed(&[1, 2], &[3], &[]);
        let all = health(&[1, 2, 3], &[]);
        assert_eq!(plan(&with_learner, &add(4, true), &all), Err(MembersError::TooManyLearners));
        let promote = |id| MemberChange::Promote(MemberId::new(id));
        assert_eq!(plan(&with_learner, &promote(3), &all), Err(MembersError::LearnerNotReady));
        assert_eq!(plan(&with_learner, &promote(1), &all), Err(MembersError::NotLearner));
        assert_eq!(plan(&with_learner, &promote(9), &all), Err(MembersError::NotFound));
        assert_eq!(voters(plan(&with_learner, &promote(3), &health(&[1, 2, 3], &[3]))), [1, 2, 3]);
        assert_eq!(voters(plan(&with_learner, &remove(3), &health(&[1, 2], &[]))), [1, 2]);
    }
}
