//! A snapshot saved from a running member, and a cluster of three made of it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::{PutRequest, RangeRequest, SnapshotRequest};

use crate::server::{Server, fresh};

async fn save(server: &Server, file: &Path) {
    let mut maintenance = MaintenanceClient::new(server.channel().await);
    let mut parts = maintenance.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
    let mut content = Vec::new();
    while let Some(part) = parts.message().await.expect("a part") {
        content.extend_from_slice(&part.blob);
    }
    std::fs::write(file, content).expect("a file");
}

fn snapshot(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate")).arg("snapshot").args(words).output().expect("the binary runs")
}

fn refusal(words: &[&str]) -> String {
    let output = snapshot(words);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Ports that are free, or were a moment ago.
fn ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

async fn read(server: &Server, key: &str) -> (i64, Vec<String>) {
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    let read = server.kv().await.range(request).await.expect("a read").into_inner();
    let values = read.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.value).into_owned()).collect();
    (read.header.expect("a header").revision, values)
}

#[tokio::test]
async fn three_members_are_restored_from_one_file() {
    let (folder, data) = fresh();
    let file = folder.path().join("saved");
    let name = file.to_str().expect("a path that is text");
    let server = Server::start(&data, &[]);
    for value in ["1", "2", "3"] {
        let put = PutRequest { key: "k".into(), value: value.into(), ..PutRequest::default() };
        server.kv().await.put(put).await.expect("a write");
    }
    save(&server, &file).await;
    drop(server);

    let status = snapshot(&["status", name]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && said.contains("revision  4\n") && said.contains("keys      1\n"), "{said}");

    let [a, b, c] = ports();
    let list = format!("a=http://127.0.0.1:{a},b=http://127.0.0.1:{b},c=http://127.0.0.1:{c}");
    let mut members = Vec::new();
    for (member, port) in [("a", a), ("b", b), ("c", c)] {
        let url = format!("http://127.0.0.1:{port}");
        let data = folder.path().join(member);
        let identity = ["--name", member, "--initial-cluster", &list, "--initial-advertise-peer-urls", &url];
        let identity = [&identity[..], &["--initial-cluster-token", "after"]].concat();
        let place = ["restore", name, "--data-dir", data.to_str().expect("text")];
        let restored = snapshot(&[&place[..], &identity].concat());
        assert!(restored.status.success(), "{restored:?}");
        let flags: Vec<String> = identity
            .iter()
            .map(|flag| (*flag).to_owned())
            .chain(["--listen-peer-urls".to_owned(), url.clone()])
            .collect();
        members.push(tokio::task::spawn_blocking(move || {
            Server::start(&data, &flags.iter().map(String::as_str).collect::<Vec<_>>())
        }));
    }
    let mut servers = Vec::new();
    for member in members {
        servers.push(member.await.expect("a member that starts"));
    }
    for server in &servers {
        assert_eq!(read(server, "k").await, (4, vec!["3".to_owned()]));
    }
    let put = PutRequest { key: "k".into(), value: "4".into(), ..PutRequest::default() };
    servers[0].kv().await.put(put).await.expect("a write that three members agree on");
    for server in &servers {
        assert_eq!(read(server, "k").await, (5, vec!["4".to_owned()]));
    }
    for server in servers {
        assert!(server.terminate().await < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn what_cannot_be_restored_is_said_in_one_line() {
    let (folder, data) = fresh();
    let file = folder.path().join("saved");
    let name = file.to_str().expect("a path that is text");
    let server = Server::start(&data, &[]);
    save(&server, &file).await;
    drop(server);
    let before = data.to_str().expect("text");
    assert!(refusal(&["restore", name, "--data-dir", before]).contains("exists: a restore makes a new one"));
    let after = folder.path().join("after");
    let place = ["restore", name, "--data-dir", after.to_str().expect("text")];
    let bump = [&place[..], &["--bump-revision", "1000000"]].concat();
    assert!(refusal(&bump).contains("--bump-revision, above 0, and --mark-compacted belong together"));
    assert!(refusal(&[&place[..], &["--mark-compacted"]].concat()).contains("belong together"));
    let content = std::fs::read(&file).expect("a file");
    std::fs::write(&file, &content[..content.len() / 2]).expect("a file");
    assert!(refusal(&place).contains("it is cut off"));
    assert!(refusal(&["status", name]).contains("it is cut off"));
    assert!(!after.exists());
}
