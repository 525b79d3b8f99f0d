//! Cluster: the refusals of changes of the membership, and what is answered without a leader.

use proto::etcdserverpb::{
    MemberAddRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest, MoveLeaderRequest, RangeRequest,
    StatusRequest,
};
use tonic::{Code, Request};

use crate::support::{MEMBER_ID, Member, assert_refused, put};

fn add(url: &str, is_learner: bool) -> MemberAddRequest {
    MemberAddRequest { peer_ur_ls: vec![url.to_owned()], is_learner }
}

#[tokio::test]
async fn changes_of_members_are_refused_as_etcd_does() {
    let member = Member::start().await;
    let mut cluster = member.cluster().await;
    let invalid = "etcdserver: given member URLs are invalid";
    assert_refused(cluster.member_add(add("nowhere", false)).await, Code::InvalidArgument, invalid);
    assert_refused(cluster.member_add(MemberAddRequest::default()).await, Code::InvalidArgument, invalid);
    let update = |id, url: &str| MemberUpdateRequest { id, peer_ur_ls: vec![url.to_owned()] };
    assert_refused(cluster.member_update(update(MEMBER_ID, "")).await, Code::InvalidArgument, invalid);

    let unknown = "etcdserver: member not found";
    assert_refused(cluster.member_remove(MemberRemoveRequest { id: 7 }).await, Code::NotFound, unknown);
    assert_refused(cluster.member_update(update(7, "http://127.0.0.1:9")).await, Code::NotFound, unknown);
    assert_refused(cluster.member_promote(MemberPromoteRequest { id: 7 }).await, Code::NotFound, unknown);

    let learner = cluster.member_add(add("http://127.0.0.1:1", true)).await.expect("a learner").into_inner();
    let learner = learner.member.expect("the learner").id;
    let taken = "etcdserver: Peer URLs already exists";
    assert_refused(cluster.member_add(add("http://127.0.0.1:1", true)).await, Code::FailedPrecondition, taken);
    let many = "etcdserver: too many learner members in cluster";
    assert_refused(cluster.member_add(add("http://127.0.0.1:2", true)).await, Code::FailedPrecondition, many);
    let voter = "etcdserver: can only promote a learner member";
    let promote = |id| MemberPromoteRequest { id };
    assert_refused(cluster.member_promote(promote(MEMBER_ID)).await, Code::FailedPrecondition, voter);
    let behind = "etcdserver: can only promote a learner member which is in sync with leader";
    assert_refused(cluster.member_promote(promote(learner)).await, Code::FailedPrecondition, behind);
    let mut maintenance = member.maintenance().await;
    for target_id in [learner, 7] {
        let moved = maintenance.move_leader(MoveLeaderRequest { target_id }).await;
        assert_refused(moved, Code::FailedPrecondition, "etcdserver: bad leader transferee");
    }
    cluster.member_remove(MemberRemoveRequest { id: learner }).await.expect("it may always go");
    member.stop().await;
}

#[tokio::test]
async fn without_a_leader_who_wants_one_hears_so_at_once() {
    let member = Member::start_without_quorum().await;
    let mut kv = member.kv().await;
    let mut request = Request::new(put("k", "v"));
    request.metadata_mut().insert("hasleader", "true".parse().expect("a value"));
    assert_refused(kv.put(request).await, Code::Unavailable, "etcdserver: no leader");
    let serializable = RangeRequest { key: "k".into(), serializable: true, ..Default::default() };
    kv.range(serializable).await.expect("its own state can be read");
    let status = member.maintenance().await.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!((status.leader, status.errors), (0, vec!["etcdserver: no leader".to_owned()]));
    let refused = kv.put(put("k", "v")).await.expect_err("nobody can agree");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(["etcdserver: request timed out", "etcdserver: no leader"].contains(&refused.message()), "{refused}");
    member.stop().await;
}

#[tokio::test]
async fn a_client_version_has_to_be_text() {
    let member = Member::start().await;
    let mut request = Request::new(put("k", "v"));
    let mut headers = http::HeaderMap::new();
    headers.insert("client-api-version", http::HeaderValue::from_bytes(b"3.6\xff").expect("a value of a header"));
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
    let text = "etcdserver: invalid client api version";
    assert_refused(member.kv().await.put(request).await, Code::InvalidArgument, text);
    member.stop().await;
}
