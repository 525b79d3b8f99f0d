//! Moving in from a real etcd: what was in it is here, with the same revisions, versions and leases.

use std::path::Path;
use std::process::{Command, Output};

use client::pb::{CompactionRequest, KeyValue, LeaseTimeToLiveRequest, RangeRequest, WatchCreateRequest};
use client::request::{delete, get_prefix, put, then_delete, then_put, txn};
use client::{Client, Config};

use crate::differential::target::{Etcd, Target};
use crate::server::{Server, fresh};

fn import(file: &Path, data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(["import", "etcd-snapshot"]).arg(file).arg("--data-dir").arg(data);
    command.output().expect("the binary runs")
}

fn etcdctl(url: &str, words: &[&str]) {
    let mut command = Command::new("etcdctl");
    let output = command.env("ETCDCTL_API", "3").args(["--endpoints", url]).args(words).output();
    let output = output.expect("etcdctl is installed by tests/clients/install.sh");
    assert!(output.status.success(), "{output:?}");
}

/// Writes, overwrites, deletes, transactions, leases, binary keys and a compaction.
async fn fill(client: &Client) -> i64 {
    let lease = client.lease_grant(3600, 0).await.expect("a lease").id;
    for round in 0..5 {
        for number in 0..200 {
            let mut request = put(format!("keys/{number:03}"), format!("{round}/{}", "v".repeat(number)));
            request.lease = if number % 10 == 0 { lease } else { 0 };
            client.put(request).await.expect("a write");
        }
    }
    client.put(put(&b"zero\0\0\xff"[..], "binary")).await.expect("a write");
    client.put(put("large", vec![b'x'; 700_000])).await.expect("a write");
    client.delete(delete("keys/007")).await.expect("a deletion");
    let revision = client.put(put("keys/007", "again")).await.expect("a write").header.expect("a header").revision;
    client.compact(CompactionRequest { revision: revision - 2, physical: true }).await.expect("a compaction");
    let ops = [then_put(put("a", "1")), then_delete(delete("keys/008")), then_put(put("b", "2"))];
    client.txn(txn([], ops, [])).await.expect("a transaction");
    lease
}

async fn keys_at(client: &Client, revision: i64) -> Vec<KeyValue> {
    client.range(RangeRequest { revision, ..get_prefix("") }).await.expect("a read").kvs
}

#[tokio::test]
#[ignore = "needs Debian's etcd-server and etcd-client; `make test` runs it"]
async fn all_of_an_etcd_is_here_after_an_import() {
    let (folder, data) = fresh();
    let etcd = Etcd::start(&data.with_extension("etcd"));
    Target::connect(&etcd.url).await;
    let there = Client::new(Config::at([etcd.url.clone()])).expect("a client");
    let lease = fill(&there).await;
    let file = folder.path().join("snapshot.db");
    etcdctl(&etcd.url, &["snapshot", "save", file.to_str().expect("text")]);

    let imported = import(&file, &data);
    let said = String::from_utf8_lossy(&imported.stdout).into_owned();
    assert!(
        imported.status.success() && said.starts_with("imported 203 keys and 1 leases at revision"),
        "{imported:?}"
    );
    let server = Server::start(&data, &[]);
    let here = Client::new(Config::at([server.url.clone()])).expect("a client");
    let newest = there.range(get_prefix("")).await.expect("a read").header.expect("a header").revision;
    for revision in [newest, newest - 1, newest - 2] {
        assert_eq!(keys_at(&here, revision).await, keys_at(&there, revision).await, "at revision {revision}");
    }
    let gone = here.range(RangeRequest { revision: newest - 4, ..get_prefix("") }).await.expect_err("it was compacted");
    assert_eq!(gone.to_string(), "etcdserver: mvcc: required revision has been compacted");

    let ask = LeaseTimeToLiveRequest { id: lease, keys: true };
    let (mut ours, theirs) =
        (here.lease_time_to_live(ask).await.expect("a lease"), there.lease_time_to_live(ask).await);
    let mut theirs = theirs.expect("a lease");
    ours.keys.sort();
    theirs.keys.sort();
    assert_eq!((ours.granted_ttl, ours.keys), (theirs.granted_ttl, theirs.keys));

    // Events that compaction has left are watched as there; and it goes on, with the next revision.
    let all = WatchCreateRequest {
        key: "a".into(),
        range_end: "\0".into(),
        start_revision: newest - 2,
        ..Default::default()
    };
    let mut seen = Vec::new();
    for client in [&here, &there] {
        let mut watcher = client.watch(all.clone()).await.expect("a watch");
        let mut events = Vec::new();
        while events.len() < 5 {
            events.extend(watcher.next().await.expect("events").events);
        }
        seen.push(events);
    }
    assert_eq!(seen[0], seen[1]);
    let written = here.put(put("new", "1")).await.expect("a write").header.expect("a header").revision;
    assert_eq!(written, newest + 1);
    let revoked = here.lease_revoke(lease).await.expect("an end").header.expect("a header").revision;
    assert_eq!(revoked, newest + 2);
    assert_eq!(keys_at(&here, 0).await.len(), 203 + 1 - 20);
}

#[tokio::test]
#[ignore = "needs Debian's etcd-server and etcd-client; `make test` runs it"]
async fn a_snapshot_with_auth_or_without_its_end_is_refused() {
    let (folder, data) = fresh();
    let etcd = Etcd::start(&data.with_extension("etcd"));
    Target::connect(&etcd.url).await;
    let there = Client::new(Config::at([etcd.url.clone()])).expect("a client");
    there.put(put("k", "v")).await.expect("a write");
    let file = folder.path().join("snapshot.db");
    let name = file.to_str().expect("text");
    etcdctl(&etcd.url, &["user", "add", "root:secret"]);
    etcdctl(&etcd.url, &["snapshot", "save", name]);
    let refusal = |file: &Path| {
        let output = import(file, &data);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!data.exists());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let whole = std::fs::read(&file).expect("a file");
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, &whole[..whole.len() - 4096]).expect("a file");
    assert!(refusal(&damaged).contains("its checksum is another"));
    std::fs::write(&damaged, b"something else").expect("a file");
    assert!(refusal(&damaged).contains("it is not a bbolt file"));
    assert!(refusal(&folder.path().join("none.db")).contains("it cannot be read"));

    etcdctl(&etcd.url, &["auth", "enable"]);
    etcdctl(&etcd.url, &["--user", "root:secret", "snapshot", "save", name]);
    assert!(refusal(&file).contains("auth is switched on in it"));
    etcdctl(&etcd.url, &["--user", "root:secret", "auth", "disable"]);
    etcdctl(&etcd.url, &["snapshot", "save", name]);
    let output = import(&file, &data);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("left out 1 users and"), "{output:?}");
}
