//! What members look after by themselves: that all hold the same data, and that there is space.

use std::time::Duration;

use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::{AlarmMember, AlarmRequest, DeleteRangeRequest, PutRequest};
use tonic::Code;

use super::members::Cluster;
use super::program::Program;
use super::run::Run;

/// All alarms, as a member lists them.
async fn alarms(cluster: &Cluster, member: usize) -> Vec<AlarmMember> {
    let listed = async || {
        let list = cluster.maintenance(member).alarm(AlarmRequest::default()).await.ok()?;
        Some(list.into_inner().alarms)
    };
    cluster.until("a list of alarms", listed).await
}

/// Members compare their data every second under load, and one does before it serves; none is found to differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_hold_the_same_raise_no_alarm() {
    let flags = ["--experimental-corrupt-check-time=1s", "--experimental-initial-corrupt-check"];
    let mut run = Run::start("members compared", 3, 0, &flags).await;
    run.last(Duration::from_secs(3)).await;
    let leader = run.cluster.leader().await;
    run.cluster.members[leader].kill();
    run.progress(50).await;
    run.cluster.start_member(leader);
    run.last(Duration::from_secs(3)).await;
    run.progress(50).await;
    for member in 0..3 {
        assert_eq!(alarms(&run.cluster, member).await, [], "member {member}");
    }
    run.finish().await;
}

/// A quota that is used up ends writing through every member; deleting through another one brings it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_holds_for_all_members_until_there_is_space() {
    if matches!(Program::chosen(), Program::Etcd) {
        return; // Its quota counts the file, and its alarm stays.
    }
    let cluster = Cluster::start(3, 0, &["--quota-backend-bytes=200000"]).await;
    let put = |number: usize| PutRequest {
        key: format!("k{number}").into(),
        value: vec![b'v'; 10_000].into(),
        ..PutRequest::default()
    };
    let mut kv = KvClient::new(cluster.channel(0));
    let mut number = 0;
    let refused = loop {
        match kv.put(put(number)).await {
            Ok(_) => number += 1,
            Err(status) if status.code() == Code::ResourceExhausted => break status,
            Err(status) => panic!("put {number}: {status}"),
        }
    };
    assert_eq!((refused.message(), number), ("etcdserver: mvcc: database space exceeded", 19));
    for member in 0..3 {
        assert_eq!(alarms(&cluster, member).await.len(), 1);
        let small = PutRequest { key: "small".into(), ..PutRequest::default() };
        let answer = KvClient::new(cluster.channel(member)).put(small).await;
        assert_eq!(answer.expect_err("no space").code(), Code::ResourceExhausted, "member {member}");
    }
    let all = DeleteRangeRequest { key: "k".into(), range_end: "l".into(), ..DeleteRangeRequest::default() };
    KvClient::new(cluster.channel(1)).delete_range(all).await.expect("a delete makes space");
    cluster.until("the end of the alarm", async || alarms(&cluster, 2).await.is_empty().then_some(())).await;
    kv.put(put(0)).await.expect("a put");
    cluster.agree().await;
}
