//! What an operator does with `etcdctl` on a cluster.

use std::process::Command;

use serde_json::Value;

use super::member::Member;
use super::members::Cluster;

/// Runs etcdctl; what it printed, which must be a success.
async fn etcdctl(endpoints: &[String], arguments: &[&str]) -> String {
    try_etcdctl(endpoints, arguments).await.unwrap_or_else(|said| panic!("etcdctl {} said {said}", arguments.join(" ")))
}

/// Runs etcdctl; what it printed, by whether it was a success.
async fn try_etcdctl(endpoints: &[String], arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("etcdctl");
    // What asks one endpoint at a time sends the endpoint as it is written (README, "Known differences").
    let endpoints: Vec<&str> = endpoints.iter().map(|url| url.trim_start_matches("http://")).collect();
    command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoints.join(",")]).args(arguments);
    let run = move || command.output().expect("etcdctl is installed by tests/clients/install.sh");
    let output = tokio::task::spawn_blocking(run).await.expect("etcdctl runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(stdout.into_owned()) } else { Err(format!("{stdout}{stderr}")) }
}

/// A member's id as etcdctl writes it, found in the list of the first three: a learner refuses to say.
async fn id_of(cluster: &Cluster, member: &Member) -> String {
    let list = etcdctl(&cluster.client_urls()[..3], &["member", "list"]).await;
    let line = list.lines().find(|line| line.contains(&member.peer_url)).unwrap_or_else(|| panic!("{list}"));
    line.split(',').next().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's etcd-client; `make test` runs it"]
async fn etcdctl_administers_a_cluster() {
    let mut cluster = Cluster::start(3, 1, &[]).await;
    let all = cluster.client_urls()[..3].to_vec();
    assert_eq!(etcdctl(&all, &["put", "k", "v"]).await, "OK\n");
    let list = etcdctl(&all, &["member", "list"]).await;
    assert_eq!(list.matches(", started, ").count(), 3, "{list}");

    // Not with --cluster: that asks the members by their addresses as listed, scheme included (README, "Known differences").
    let status = etcdctl(&all, &["endpoint", "status", "--write-out", "json"]).await;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let status = status.as_array().expect("a list of members");
    assert_eq!(status.len(), 3);
    assert!(status.iter().all(|one| one["Status"]["leader"] == status[0]["Status"]["leader"]), "{status:?}");
    let hashes = etcdctl(&all, &["endpoint", "hashkv", "--write-out", "json"]).await;
    let hashes: Value = serde_json::from_str(&hashes).expect("JSON");
    let hash = |one: &Value| one["HashKV"]["hash"].as_u64().expect("a hash");
    assert!(hashes.as_array().expect("a list").iter().all(|one| hash(one) == hash(&hashes[0])), "{hashes}");

    let leader = cluster.leader().await;
    let next = (leader + 1) % 3;
    let target = id_of(&cluster, &cluster.members[next]).await;
    // The move is asked of the leader; etcdctl finds it among the endpoints.
    let moved = etcdctl(&all, &["move-leader", &target]).await;
    assert!(moved.contains("Leadership transferred"), "{moved}");
    assert_eq!(cluster.leader().await, next);

    let peer_url = cluster.members[3].peer_url.clone();
    let add = ["member", "add", "m3", "--learner", "--peer-urls", &peer_url];
    // A member that has just started counts as unhealthy for some seconds, and then nothing may be added.
    let added = cluster.until("an addition", async || try_etcdctl(&all, &add).await.ok()).await;
    assert!(added.contains("added to cluster"), "{added}");
    let list = etcdctl(&all, &["member", "list"]).await;
    assert!(list.contains("unstarted") && list.contains("true"), "{list}");
    cluster.join_member(3, &[0, 1, 2]);
    let follows = async || cluster.status(3).await.filter(|status| status.leader != 0);
    cluster.until("a learner that follows", follows).await;
    let id = id_of(&cluster, &cluster.members[3]).await;
    let promote = ["member", "promote", &id];
    // As soon as it is in sync with the leader.
    cluster.until("a promotion", async || try_etcdctl(&all, &promote).await.ok()).await;
    let status = cluster.until("a voter", async || cluster.status(3).await.filter(|status| !status.is_learner)).await;
    assert!(status.leader != 0);
    cluster.agree().await;
    etcdctl(&all, &["member", "remove", &id]).await;
    cluster.members[3].ended().await;
    let list = etcdctl(&all, &["member", "list"]).await;
    assert_eq!(list.lines().count(), 3, "{list}");
    assert_eq!(etcdctl(&all, &["get", "k", "--print-value-only"]).await, "v\n");
}
