//! Changes of who is a member, while clients go on: replacing a dead one, learners, leaving.

use std::time::Duration;

use proto::etcdserverpb::{MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest};

use super::run::Run;

/// The id of a member, by its name.
async fn id_of(run: &Run, at: usize, number: usize) -> u64 {
    let name = &run.cluster.members[number].name;
    let listed = async || {
        let list = run.cluster.membership(at).member_list(MemberListRequest::default()).await.ok()?.into_inner();
        list.members.into_iter().find(|member| member.name == *name).map(|member| member.id)
    };
    run.cluster.until("a member's id", listed).await
}

/// Removes a member, whether it runs or not.
async fn remove(run: &Run, at: usize, id: u64) {
    let removed = async || {
        // Asking again after a lost answer finds that the member is gone.
        match run.cluster.membership(at).member_remove(MemberRemoveRequest { id }).await {
            Ok(_) => Some(()),
            Err(status) => (status.code() == tonic::Code::NotFound).then_some(()),
        }
    };
    run.cluster.until("a removal", removed).await;
}

/// Adds a member by its peer address; returns its id.
async fn add(run: &Run, at: usize, number: usize, is_learner: bool) -> u64 {
    let peer_url = run.cluster.members[number].peer_url.clone();
    let added = async || {
        let request = MemberAddRequest { peer_ur_ls: vec![peer_url.clone()], is_learner };
        if let Ok(added) = run.cluster.membership(at).member_add(request).await {
            return added.into_inner().member.map(|member| member.id);
        }
        // The answer to an earlier attempt may have been lost.
        let list = run.cluster.membership(at).member_list(MemberListRequest::default()).await.ok()?.into_inner();
        list.members.into_iter().find(|member| member.peer_ur_ls.contains(&peer_url)).map(|member| member.id)
    };
    run.cluster.until("an addition", added).await
}

/// K29, K30: dead members are replaced by new ones with new ids and empty disks, the leader among them, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k29_dead_members_are_replaced_under_load() {
    let mut run = Run::start("members replaced", 3, 3, &[]).await;
    let mut current = vec![0, 1, 2];
    for (round, new) in [3, 4, 5].into_iter().enumerate() {
        let leader = run.cluster.leader_among(&current).await;
        // A follower first, then a leader.
        let dead = if round % 2 == 0 { current[(position(&current, leader) + 1) % 3] } else { leader };
        let id = id_of(&run, leader, dead).await;
        run.cluster.members[dead].kill();
        current.retain(|number| *number != dead);
        let at = run.cluster.leader_among(&current).await;
        remove(&run, at, id).await;
        let added = add(&run, at, new, false).await;
        assert_ne!(added, id, "an id is never used again");
        run.cluster.join_member(new, &current);
        current.push(new);
        let serves = async || run.cluster.status(new).await.filter(|status| status.leader != 0);
        run.cluster.until("a new member that serves", serves).await;
        run.progress(50).await;
    }
    run.finish().await;
}

fn position(numbers: &[usize], number: usize) -> usize {
    numbers.iter().position(|other| *other == number).expect("one of them")
}

/// K30: a learner catches up without a vote, is promoted, and the cluster then needs one more for its majority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k30_a_learner_is_added_and_promoted_under_load() {
    let mut run = Run::start("learner", 3, 1, &[]).await;
    let leader = run.cluster.leader().await;
    let id = add(&run, leader, 3, true).await;
    run.progress(20).await;
    run.cluster.join_member(3, &[0, 1, 2]);
    let learns = async || run.cluster.status(3).await.filter(|status| status.leader != 0 && status.is_learner);
    run.cluster.until("a learner that follows", learns).await;
    let promoted = async || run.cluster.membership(leader).member_promote(MemberPromoteRequest { id }).await.ok();
    run.cluster.until("a promotion", promoted).await;
    let votes = async || run.cluster.status(3).await.filter(|status| !status.is_learner);
    run.cluster.until("a learner that has become a voter", votes).await;
    run.progress(30).await;
    // Four voters: three are a majority, two are not.
    let killed: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
    run.cluster.members[killed[0]].kill();
    run.progress(50).await;
    run.cluster.members[killed[1]].kill();
    run.last(Duration::from_secs(2)).await;
    for number in killed {
        run.cluster.start_member(number);
    }
    run.progress(30).await;
    run.finish().await;
}

/// K29: a member that is removed ends by itself, the leader too, and the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k29_a_removed_member_ends_by_itself() {
    let mut run = Run::start("member removed", 3, 0, &[]).await;
    let leader = run.cluster.leader().await;
    let follower = (leader + 1) % 3;
    let id = id_of(&run, leader, leader).await;
    remove(&run, follower, id).await;
    run.cluster.members[leader].ended().await;
    run.progress(50).await;
    run.finish().await;
}
