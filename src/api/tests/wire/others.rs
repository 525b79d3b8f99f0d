//! Cluster, Maintenance, health, reflection, and what is not served.

use model::MemberId;
use proto::etcdserverpb::{HashKvRequest, MemberListRequest, PutRequest, SnapshotRequest, StatusRequest};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{CLUSTER_ID, MEMBER_ID, Member, assert_refused, put};

#[tokio::test]
async fn the_member_lists_itself() {
    let member = Member::start().await;
    let list = member.cluster().await.member_list(MemberListRequest { linearizable: true }).await;
    let list = list.expect("a list").into_inner();
    let header = list.header.expect("a header");
    assert_eq!((header.cluster_id, header.revision), (CLUSTER_ID, 0), "members are not about the store");
    let [listed] = &list.members[..] else { panic!("{list:?}") };
    assert_eq!((listed.id, listed.name.as_str(), listed.is_learner), (MEMBER_ID, "default", false));
    assert_eq!(
        (&listed.peer_ur_ls[..], &listed.client_ur_ls[..]),
        (&["http://localhost:2380".to_owned()][..], &["http://localhost:2379".to_owned()][..])
    );
    member.stop().await;
}

#[tokio::test]
async fn status_is_complete() {
    let member = Member::start().await;
    member.kv().await.put(put("k", "v")).await.expect("a put");
    let status = member.maintenance().await.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!((status.version.as_str(), status.storage_version.as_str()), ("3.6.14", "3.6.0"));
    assert_eq!((status.leader, status.is_learner, status.errors.len()), (MEMBER_ID, false, 0));
    assert_eq!(status.header.expect("a header").revision, 2);
    assert!(status.raft_term > 0 && status.raft_index >= status.raft_applied_index && status.raft_applied_index > 0);
    assert!(status.db_size > 0 && status.db_size >= status.db_size_in_use);
    assert!(status.downgrade_info.is_some());
    assert_eq!(status.db_size_quota, 2 << 30);
    member.stop().await;
}

#[tokio::test]
async fn checksums_are_of_a_revision() {
    let member = Member::start().await;
    let (mut kv, mut maintenance) = (member.kv().await, member.maintenance().await);
    kv.put(put("k", "1")).await.expect("a put");
    let now = maintenance.hash_kv(HashKvRequest { revision: 0 }).await.expect("a checksum").into_inner();
    assert_eq!((now.hash_revision, now.compact_revision), (2, -1));
    kv.put(put("k", "2")).await.expect("a put");
    let then = maintenance.hash_kv(HashKvRequest { revision: 2 }).await.expect("a checksum").into_inner();
    assert_eq!((then.hash, then.header.expect("a header").revision), (now.hash, 3));
    let later = maintenance.hash_kv(HashKvRequest { revision: 3 }).await.expect("a checksum").into_inner();
    assert_ne!(later.hash, now.hash);
    let future = maintenance.hash_kv(HashKvRequest { revision: 9 }).await;
    assert_refused(future, Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision");
    member.stop().await;
}

fn large(key: &'static str) -> PutRequest {
    PutRequest { value: "v".repeat(1 << 20).into(), ..put(key, "") }
}

#[tokio::test]
async fn a_backup_counts_down_and_ends_with_its_checksum() {
    let member = Member::start().await;
    member.kv().await.put(large("k")).await.expect("a put");
    let mut parts = member.maintenance().await.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
    let mut received = Vec::new();
    while let Some(part) = parts.message().await.expect("a part") {
        assert_eq!((&part.header, part.version.as_str()), (&None, "3.6.0"));
        received.push(part);
    }
    assert!(received.is_sorted_by(|a, b| a.remaining_bytes >= b.remaining_bytes));
    let (last, others) = received.split_last().expect("parts");
    assert_eq!((last.remaining_bytes, last.blob.len()), (0, 32));
    assert!(others.len() > 4 && others.iter().all(|part| part.remaining_bytes > 0 && part.blob.len() <= 300 * 1024));
    let content: usize = others.iter().map(|part| part.blob.len()).sum();
    assert_eq!(content % 512, 0, "clients take a file without a checksum for one that was cut off");
    assert!(content > 1 << 20);
    member.stop().await;
}

#[tokio::test]
async fn a_backup_that_nobody_takes_keeps_no_member_from_stopping() {
    let member = Member::start().await;
    for key in ["a", "b", "c"] {
        member.kv().await.put(large(key)).await.expect("a put");
    }
    let mut parts = member.maintenance().await.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
    parts.message().await.expect("a part").expect("not the end");
    member.stop().await;
}

#[tokio::test]
async fn health_is_of_the_whole_server() {
    let member = Member::start().await;
    let mut health = HealthClient::new(member.channel().await);
    let whole = health.check(HealthCheckRequest { service: String::new() }).await.expect("an answer").into_inner();
    assert_eq!(whole.status, i32::from(ServingStatus::Serving));
    let unknown = health.check(HealthCheckRequest { service: "no.such".to_owned() }).await;
    assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);
    member.stop().await;
}

#[tokio::test]
async fn reflection_lists_what_is_served() {
    let member = Member::start().await;
    let mut reflection = ServerReflectionClient::new(member.channel().await);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([list])).await.expect("a stream").into_inner();
    let answer = answers.message().await.expect("an answer").expect("not the end").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["etcdserverpb.KV", "etcdserverpb.Watch", "etcdserverpb.Auth", "v3lockpb.Lock", "v3electionpb.Election"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    member.stop().await;
}

#[tokio::test]
async fn metrics_show_the_member_and_its_calls() {
    let member = Member::start().await;
    member.kv().await.put(put("k", "v")).await.expect("a put");
    let page = member.http("GET /metrics HTTP/1.1").await;
    for line in [
        "etcd_server_has_leader 1".to_owned(),
        "etcd_server_is_leader 1".to_owned(),
        "etcd_debugging_mvcc_current_revision 2".to_owned(),
        format!("etcd_server_id{{server_id=\"{:x}\"}} 1", MemberId::new(MEMBER_ID).get()),
        "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"etcdserverpb.KV\",grpc_method=\"Put\",\
         grpc_code=\"OK\"} 1"
            .to_owned(),
    ] {
        assert!(page.contains(&line), "{line}\n{page}");
    }
    member.stop().await;
}
