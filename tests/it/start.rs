//! Starts that must be refused with one line, and stops that must be clean.

use std::time::Duration;

use proto::etcdserverpb::{PutRequest, RangeRequest};

use crate::server::{Server, fresh, refused};

fn assert_refused(data: &std::path::Path, flags: &[&str], reason: &str) {
    let (code, said) = refused(data, flags);
    assert_eq!(code, Some(1), "{flags:?}: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("quorate: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains(reason), "{flags:?} said {said:?}, not {reason:?}");
}

#[tokio::test]
async fn sigterm_ends_cleanly_and_keeps_everything() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    server.kv().await.put(put).await.expect("a write");
    let took = server.terminate().await;
    assert!(took < Duration::from_secs(5), "stopping took {took:?}");
    let server = Server::start(&data, &[]);
    let read = RangeRequest { key: "k".into(), ..RangeRequest::default() };
    let read = server.kv().await.range(read).await.expect("a read").into_inner();
    assert_eq!(read.kvs[0].value, "v");
    assert_eq!(read.header.expect("a header").revision, 2);
}

#[test]
fn a_port_in_use_is_said() {
    let (_folder, data) = fresh();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listening = format!("http://{}", taken.local_addr().expect("an address"));
    assert_refused(&data, &["--listen-client-urls", &listening], "cannot listen on 127.0.0.1:");
    assert!(!data.exists(), "nothing is touched before the port is known to be free");
}

#[test]
fn a_data_directory_is_used_by_one_member_at_a_time() {
    let (_folder, data) = fresh();
    let _server = Server::start(&data, &[]);
    assert_refused(&data, &[], "in use by another process");
}

#[tokio::test]
async fn a_member_stays_who_it_is_whatever_it_is_told_later() {
    async fn identity(server: &Server) -> (u64, u64) {
        let answer = server.kv().await.range(RangeRequest { key: "k".into(), ..RangeRequest::default() }).await;
        let header = answer.expect("an answer").into_inner().header.expect("a header");
        (header.cluster_id, header.member_id)
    }
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let first = identity(&server).await;
    drop(server);
    let later = ["--initial-cluster-token", "another", "--initial-cluster-state", "existing"];
    let server = Server::start(&data, &[&later[..], &["--listen-peer-urls", "http://127.0.0.1:0"]].concat());
    assert_eq!(identity(&server).await, first, "only a first start looks at --initial-*, as with etcd");
}

#[test]
fn etcds_data_is_not_touched() {
    let (_folder, data) = fresh();
    std::fs::create_dir_all(data.join("member/wal")).expect("a folder");
    assert_refused(&data, &[], "belongs to etcd");
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let (_folder, data) = fresh();
    std::fs::write(&data, "not a folder").expect("a file");
    assert_refused(&data, &[], "data directory");
}

#[test]
fn a_damaged_log_is_refused_with_file_and_offset() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    drop(server);
    let segment = std::fs::read_dir(data.join("wal"))
        .expect("a log")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("a readable segment");
    bytes[40] ^= 1;
    std::fs::write(&segment, bytes).expect("a writable segment");
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    assert_refused(&data, &[], &name);
    assert_refused(&data, &[], "offset");
    let (is_whole, _, error) = dump(&data);
    assert!(!is_whole && error.contains(&name) && error.contains("offset"), "{error}");
}

#[tokio::test]
async fn a_log_can_be_looked_into() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    server.kv().await.put(put).await.expect("a write");
    server.terminate().await;
    let (is_whole, records, error) = dump(&data);
    assert!(is_whole, "{error}");
    for record in ["metadata", "entry    index=0", "entry    index=2", "vote=committed", "crc=ok"] {
        assert!(records.contains(record), "no {record:?} in:\n{records}");
    }
}

/// `quorate wal dump`: whether it came to the end, what it printed, and what it complained of.
fn dump(data: &std::path::Path) -> (bool, String, String) {
    let binary = env!("CARGO_BIN_EXE_quorate");
    let ran = std::process::Command::new(binary).args(["wal", "dump"]).arg(data.join("wal")).output();
    let ran = ran.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (ran.status.success(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn flags_are_refused_with_their_name() {
    let (_folder, data) = fresh();
    assert_refused(&data, &["--cert-file", "c.pem"], "--cert-file and --key-file go together");
    assert_refused(&data, &["--election-timeout", "200"], "--election-timeout (200 ms)");
    let (code, said) = refused(&data, &["--no-such-flag"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--no-such-flag"), "{said}");
}
