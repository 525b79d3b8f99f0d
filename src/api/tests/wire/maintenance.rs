//! Alarms, the quota, defragmentation and checksums.

use std::time::Duration;

use node::Upkeep;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DeleteRangeRequest, DowngradeInfo,
    DowngradeRequest, HashRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest,
    RangeRequest, RequestOp, StatusRequest, TxnRequest,
};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::support::{MEMBER_ID, Member, PATIENCE, assert_refused, put};

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";

/// Room for some values of [`VALUE_BYTES`].
fn small() -> Upkeep {
    Upkeep { quota_bytes: Some(64 * 1024), ..Upkeep::default() }
}

const VALUE_BYTES: usize = 8 * 1024;

fn alarm(action: AlarmAction, member_id: u64, kind: AlarmType) -> AlarmRequest {
    AlarmRequest { action: action.into(), member_id, alarm: kind.into() }
}

async fn change(member: &Member, request: AlarmRequest) -> Vec<AlarmMember> {
    let answer = member.maintenance().await.alarm(request).await.expect("an answer").into_inner();
    assert!(answer.header.is_some_and(|header| header.member_id == MEMBER_ID && header.revision > 0));
    answer.alarms
}

async fn alarms(member: &Member) -> Vec<AlarmMember> {
    change(member, alarm(AlarmAction::Get, 0, AlarmType::None)).await
}

fn raised(member_id: u64, kind: AlarmType) -> AlarmMember {
    AlarmMember { member_id, alarm: kind.into() }
}

fn large(key: String) -> PutRequest {
    PutRequest { key: key.into(), value: vec![b'v'; VALUE_BYTES].into(), ..Default::default() }
}

fn delete(key: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), range_end: "\0".into(), ..Default::default() }
}

fn writing(key: &'static str) -> TxnRequest {
    let put = RequestOp { request: Some(Op::RequestPut(put(key, ""))) };
    TxnRequest { failure: vec![put], ..Default::default() }
}

#[tokio::test]
async fn alarms_are_raised_listed_and_ended() {
    let member = Member::start().await;
    assert_eq!(alarms(&member).await, []);
    let full = raised(7, AlarmType::Nospace);
    for _ in 0..2 {
        assert_eq!(change(&member, alarm(AlarmAction::Activate, 7, AlarmType::Nospace)).await, [full]);
    }
    assert_eq!(change(&member, alarm(AlarmAction::Activate, 7, AlarmType::None)).await, []);
    assert_eq!(alarms(&member).await, [full]);
    assert_eq!(change(&member, alarm(AlarmAction::Get, 0, AlarmType::Corrupt)).await, []);
    assert_eq!(change(&member, alarm(AlarmAction::Get, 0, AlarmType::Nospace)).await, [full]);
    assert_eq!(change(&member, alarm(AlarmAction::Deactivate, 8, AlarmType::Nospace)).await, []);
    assert_eq!(change(&member, alarm(AlarmAction::Deactivate, 7, AlarmType::Nospace)).await, [full]);
    assert_eq!(change(&member, alarm(AlarmAction::Deactivate, 7, AlarmType::Nospace)).await, []);
    assert_eq!(alarms(&member).await, []);
    let unknown = AlarmRequest { action: 1, member_id: 7, alarm: 9 };
    assert_eq!(member.maintenance().await.alarm(unknown).await.expect_err("unknown").code(), Code::InvalidArgument);
    member.stop().await;
}

#[tokio::test]
async fn without_space_nothing_that_takes_some_is_admitted() {
    let member = Member::start().await;
    let (mut kv, mut lease) = (member.kv().await, member.lease().await);
    let granted = LeaseGrantRequest { ttl: 60, id: 5 };
    lease.lease_grant(granted).await.expect("a lease");
    kv.put(PutRequest { lease: 5, ..put("k", "v") }).await.expect("a put");
    change(&member, alarm(AlarmAction::Activate, MEMBER_ID, AlarmType::Nospace)).await;

    assert_refused(kv.put(put("k", "w")).await, Code::ResourceExhausted, NO_SPACE);
    assert_refused(kv.txn(writing("k")).await, Code::ResourceExhausted, NO_SPACE);
    let another = LeaseGrantRequest { ttl: 60, id: 6 };
    assert_refused(lease.lease_grant(another).await, Code::ResourceExhausted, NO_SPACE);

    kv.range(RangeRequest { key: "k".into(), ..Default::default() }).await.expect("a range");
    let kept = lease.lease_keep_alive(tokio_stream::iter([LeaseKeepAliveRequest { id: 5 }])).await.expect("a stream");
    assert_eq!(kept.into_inner().message().await.expect("an answer").expect("one").ttl, 60);
    lease.lease_revoke(LeaseRevokeRequest { id: 5 }).await.expect("a revocation");
    kv.delete_range(delete("k")).await.expect("a delete");
    kv.txn(TxnRequest::default()).await.expect("a transaction that writes nothing");
    kv.compact(CompactionRequest { revision: 2, physical: false }).await.expect("a compaction");

    let status = member.maintenance().await.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.errors, [format!("memberID:{MEMBER_ID} alarm:NOSPACE")]);
    let health = member.http("GET /health HTTP/1.1").await;
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("ALARM NOSPACE"), "{health}");
    let health = member.http("GET /health?exclude=NOSPACE HTTP/1.1").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");

    change(&member, alarm(AlarmAction::Deactivate, MEMBER_ID, AlarmType::Nospace)).await;
    kv.put(put("k", "w")).await.expect("a put");
    member.stop().await;
}

#[tokio::test]
async fn while_data_differ_nothing_is_written() {
    let member = Member::start().await;
    let (mut kv, mut lease) = (member.kv().await, member.lease().await);
    lease.lease_grant(LeaseGrantRequest { ttl: 60, id: 5 }).await.expect("a lease");
    change(&member, alarm(AlarmAction::Activate, MEMBER_ID, AlarmType::Corrupt)).await;
    assert_refused(kv.put(put("k", "v")).await, Code::DataLoss, CORRUPT);
    assert_refused(kv.delete_range(delete("k")).await, Code::DataLoss, CORRUPT);
    assert_refused(kv.txn(writing("k")).await, Code::DataLoss, CORRUPT);
    assert_refused(kv.compact(CompactionRequest { revision: 1, physical: false }).await, Code::DataLoss, CORRUPT);
    assert_refused(lease.lease_grant(LeaseGrantRequest { ttl: 60, id: 6 }).await, Code::DataLoss, CORRUPT);
    assert_refused(lease.lease_revoke(LeaseRevokeRequest { id: 5 }).await, Code::DataLoss, CORRUPT);
    let ready = member.http("GET /readyz HTTP/1.1").await;
    assert!(ready.contains("[-]data_corruption failed: alarm activated: CORRUPT"), "{ready}");
    change(&member, alarm(AlarmAction::Deactivate, MEMBER_ID, AlarmType::Corrupt)).await;
    kv.put(put("k", "v")).await.expect("a put");
    member.stop().await;
}

#[tokio::test]
async fn a_quota_ends_writing_and_space_brings_it_back() {
    let member = Member::start_looking_after(small()).await;
    let mut kv = member.kv().await;
    // What is superseded does not count.
    for _ in 0..20 {
        kv.put(large("k".to_owned())).await.expect("a put");
    }
    let mut written = 0;
    let refusal = loop {
        match kv.put(large(format!("k{written}"))).await {
            Ok(_) => written += 1,
            Err(status) => break status,
        }
    };
    assert_eq!((refusal.code(), refusal.message()), (Code::ResourceExhausted, NO_SPACE));
    assert_eq!(written, 6, "with the one that was there and the one that was refused it is eight");
    assert_eq!(alarms(&member).await, [raised(MEMBER_ID, AlarmType::Nospace)]);
    assert_refused(kv.put(put("small", "")).await, Code::ResourceExhausted, NO_SPACE);

    kv.delete_range(delete("k")).await.expect("a delete");
    let deadline = Instant::now() + PATIENCE;
    while !alarms(&member).await.is_empty() {
        assert!(Instant::now() < deadline, "the alarm has not ended");
        sleep(Duration::from_millis(50)).await;
    }
    kv.put(large("k".to_owned())).await.expect("a put");
    member.stop().await;
}

#[tokio::test]
async fn a_quota_counts_the_dearer_branch_and_leases() {
    let tiny = Upkeep { quota_bytes: Some(300), frees_quota_alarm: false, ..Upkeep::default() };
    let member = Member::start_looking_after(tiny).await;
    let mut kv = member.kv().await;
    kv.put(put("k", "v")).await.expect("a put");
    let value: &'static str = "v23456789012345678901234567890123456789012345";
    let put = RequestOp { request: Some(Op::RequestPut(put("l", value))) };
    let txn = TxnRequest { success: Vec::new(), failure: vec![put], compare: Vec::new() };
    assert_refused(kv.txn(txn).await, Code::ResourceExhausted, NO_SPACE);
    kv.delete_range(delete("k")).await.expect("a delete");
    assert_eq!(alarms(&member).await, [raised(MEMBER_ID, AlarmType::Nospace)], "nobody ends it by itself here");
    let lease = member.lease().await.lease_grant(LeaseGrantRequest { ttl: 60, id: 0 }).await;
    assert_refused(lease, Code::ResourceExhausted, NO_SPACE);
    member.stop().await;
}

#[tokio::test]
async fn the_store_is_defragmented_while_it_is_used() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    for number in 0..20 {
        kv.put(large(format!("k{number}"))).await.expect("a put");
    }
    let answer = member.maintenance().await.defragment(DefragmentRequest {}).await.expect("an answer").into_inner();
    assert_eq!(answer.header, None);
    kv.put(put("k", "meanwhile")).await.expect("a put");
    let deadline = Instant::now() + PATIENCE;
    while !member.http("GET /metrics HTTP/1.1").await.contains("etcd_disk_backend_defrag_duration_seconds_count 1") {
        assert!(Instant::now() < deadline, "it has not ended");
        sleep(Duration::from_millis(50)).await;
    }
    let range = RangeRequest { key: "k".into(), range_end: "l".into(), count_only: true, ..Default::default() };
    assert_eq!(kv.range(range).await.expect("a range").into_inner().count, 21);
    member.stop().await;
}

#[tokio::test]
async fn a_checksum_of_everything_changes_with_anything() {
    let member = Member::start().await;
    let hash = || async {
        let answer = member.maintenance().await.hash(HashRequest {}).await.expect("a checksum").into_inner();
        (answer.hash, answer.header.expect("a header").revision)
    };
    let empty = hash().await;
    assert_eq!(empty, hash().await);
    member.lease().await.lease_grant(LeaseGrantRequest { ttl: 60, id: 5 }).await.expect("a lease");
    let with_lease = hash().await;
    assert_ne!(with_lease.0, empty.0);
    assert_eq!(with_lease.1, 1);
    member.stop().await;
}

#[tokio::test]
async fn a_downgrade_is_checked_noted_and_cancelled() {
    let member = Member::start().await;
    let mut maintenance = member.maintenance().await;
    let ask = |action, version: &str| DowngradeRequest { action, version: version.to_owned() };
    let (validate, enable, cancel) = (0, 1, 2);
    let format = "etcdserver: wrong downgrade target version format";
    let target = "etcdserver: invalid downgrade target version";
    for action in [validate, enable] {
        assert_refused(maintenance.downgrade(ask(action, "soon")).await, Code::InvalidArgument, format);
        assert_refused(maintenance.downgrade(ask(action, "3.4")).await, Code::InvalidArgument, target);
    }
    let answer = maintenance.downgrade(ask(validate, "3.5")).await.expect("an answer").into_inner();
    assert_eq!((answer.version.as_str(), answer.header.is_some()), ("3.6", true));
    maintenance.downgrade(ask(enable, "3.5")).await.expect("an answer");
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.downgrade_info, Some(DowngradeInfo { enabled: true, target_version: "3.5.0".to_owned() }));
    let under_way = "etcdserver: cluster has a downgrade job in progress";
    for action in [validate, enable] {
        assert_refused(maintenance.downgrade(ask(action, "3.5")).await, Code::FailedPrecondition, under_way);
    }
    for _ in 0..2 {
        maintenance.downgrade(ask(cancel, "")).await.expect("an answer, whether there was one or not");
    }
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.downgrade_info, Some(DowngradeInfo::default()));
    member.stop().await;
}
