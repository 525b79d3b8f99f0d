//! The Rust client against real members: what it reads and writes, and what it does when a member is killed under it.

use std::time::Duration;

use client::pb::{CompactionRequest, LeaseTimeToLiveRequest, MemberListRequest};
use client::request::{create_revision_is, delete, get, get_prefix, put, then_put, then_range, txn, watch_prefix};
use client::{Client, Config, Error, Session};
use tokio::time::timeout;

use crate::cluster::members::Cluster;
use crate::server::{Server, fresh};

/// How long anything may take: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(30);

fn client_of(server: &Server) -> Client {
    Client::new(Config::at([server.url.clone()])).expect("a client")
}

#[tokio::test]
async fn keys_transactions_leases_and_snapshots() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let client = client_of(&server);
    let written = client.put(put("a/1", "x")).await.expect("a write").header.expect("a header");
    let found = client.range(get_prefix("a/")).await.expect("a read");
    assert_eq!((found.count, found.kvs[0].mod_revision), (1, written.revision));
    let once = txn([create_revision_is("a/2", 0)], [then_put(put("a/2", "y"))], [then_range(get("a/2"))]);
    assert!(client.txn(once.clone()).await.expect("a transaction").succeeded);
    assert!(!client.txn(once).await.expect("a transaction").succeeded);
    assert_eq!(client.delete(delete("a/1")).await.expect("a deletion").deleted, 1);

    let lease = client.lease_grant(2, 0).await.expect("a lease").id;
    let mut alive = client.keep_alive(lease).await.expect("a lease that is kept alive");
    for _ in 0..3 {
        assert_eq!(timeout(PATIENCE, alive.next()).await.expect("in time").expect("a renewal").ttl, 2);
    }
    assert_eq!(client.leases().await.expect("a list").leases.len(), 1);
    client.lease_revoke(lease).await.expect("an end");
    assert_eq!(timeout(PATIENCE, alive.lost()).await.expect("in time"), Error::LeaseExpired);
    let gone = LeaseTimeToLiveRequest { id: lease, keys: true };
    assert_eq!(client.lease_time_to_live(gone).await.expect("an answer").ttl, -1);
    assert_eq!(client.keep_alive_once(lease).await, Err(Error::LeaseExpired));

    assert_eq!(client.member_list(MemberListRequest { linearizable: true }).await.expect("a list").members.len(), 1);
    let endpoint = client.endpoints()[0].clone();
    let status = client.only(&endpoint).expect("a client").status().await.expect("a status");
    assert!(status.leader != 0 && status.version.starts_with("3."));
    let mut snapshot = client.snapshot().await.expect("a snapshot");
    let mut bytes = 0;
    while let Some(part) = snapshot.next().await.expect("a part") {
        bytes += part.blob.len();
    }
    assert_eq!(bytes % 512, 32, "blocks, and a checksum after them");
}

#[tokio::test]
async fn a_namespace_hides_all_other_keys() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let all = client_of(&server);
    let mine = Client::new(Config { namespace: "mine/".into(), ..Config::at([server.url.clone()]) }).expect("a client");
    let mut changes = mine.watch(watch_prefix("")).await.expect("a watch");
    all.put(put("other", "0")).await.expect("a write");
    all.put(put("mine0", "0")).await.expect("a write");
    mine.put(put("k", "1")).await.expect("a write");
    assert_eq!(all.range(get("mine/k")).await.expect("a read").count, 1);
    let found = mine.range(get_prefix("")).await.expect("a read");
    assert_eq!(found.kvs.iter().map(|kv| kv.key.clone()).collect::<Vec<_>>(), ["k"]);
    let seen = timeout(PATIENCE, changes.next()).await.expect("in time").expect("a change");
    let keys = seen.events.iter().map(|event| event.kv.as_ref().expect("a key").key.clone()).collect::<Vec<_>>();
    assert_eq!(keys, ["k"]);
    assert_eq!(mine.delete(client::request::delete_prefix("")).await.expect("a deletion").deleted, 1);
    assert_eq!(all.range(get_prefix("")).await.expect("a read").count, 2, "the others are as they were");
}

#[tokio::test]
async fn a_watch_of_what_was_compacted_says_so() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let client = client_of(&server);
    for value in ["1", "2", "3"] {
        client.put(put("k", value)).await.expect("a write");
    }
    client.compact(CompactionRequest { revision: 4, physical: true }).await.expect("a compaction");
    let mut request = watch_prefix("k");
    request.start_revision = 2;
    let mut watcher = client.watch(request).await.expect("a watch");
    let compacted = Error::Compacted { compact_revision: 4 };
    assert_eq!(timeout(PATIENCE, watcher.next()).await.expect("in time"), Err(compacted.clone()));
    assert_eq!(watcher.next().await, Err(compacted), "the same from then on");
}

#[tokio::test]
async fn claims_are_held_one_after_the_other() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let client = client_of(&server);
    let first = Session::new(&client, 10).await.expect("a session");
    let second = Session::new(&client, 10).await.expect("a session");
    let held = first.claim(b"lock", "").await.expect("a claim");
    held.wait().await.expect("nobody is before");
    let queued = second.claim(b"lock", "").await.expect("a claim");
    assert!(queued.revision() > held.revision());
    assert!(timeout(Duration::from_millis(200), queued.wait()).await.is_err(), "one holds");
    let waiting = tokio::spawn({
        let queued = queued.clone();
        async move { queued.wait().await }
    });
    held.leave().await.expect("an end");
    timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("the next one holds");
    client.delete(delete(queued.key().clone())).await.expect("a deletion");
    assert_eq!(queued.wait().await, Err(Error::ClaimLost));
    second.end().await.expect("an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_killed_is_not_missed() {
    let mut cluster = Cluster::start(3, 0, &[]).await;
    let endpoints = cluster.client_urls();
    let client = Client::new(Config { request_timeout: PATIENCE, ..Config::at(endpoints) }).expect("a client");
    let mut changes = client.watch(watch_prefix("k")).await.expect("a watch");
    let mut session = Session::new(&client, 30).await.expect("a session");
    let mut written = Vec::new();
    for round in 0..3 {
        let leader = cluster.leader().await;
        cluster.members[leader].kill();
        for number in 0..10 {
            let value = format!("{round}/{number}");
            // An outcome that is unknown is looked up: the value is not written twice.
            loop {
                match client.put(put("k", value.clone())).await {
                    Ok(_) => break,
                    Err(error) => assert!(error.may_have_happened(), "{error:?}"),
                }
                let found = client.range(get("k")).await.expect("a read goes to another member");
                if found.kvs.first().is_some_and(|kv| kv.value == value.as_bytes()) {
                    break;
                }
            }
            written.push(value);
        }
        cluster.start_member(leader);
        cluster.leader().await;
    }
    let mut seen = Vec::new();
    while seen.len() < written.len() {
        let response = timeout(PATIENCE, changes.next()).await.expect("in time").expect("the watch goes on");
        let events = response.events.into_iter().filter_map(|event| event.kv);
        seen.extend(events.map(|kv| String::from_utf8_lossy(&kv.value).into_owned()));
    }
    assert_eq!(seen, written, "each once, in order, with nothing missing");
    assert!(timeout(Duration::from_millis(100), session.lost()).await.is_err(), "the session lives on");
    session.end().await.expect("an end");
}
