//! A file of settings: what it says holds, what is wrong with it is said, and its log level follows SIGHUP.

use std::time::{Duration, Instant};

use crate::server::{Server, fresh, refused};

/// How long a member may take to hear a signal.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_log_level_follows_the_file_at_a_hang_up() {
    let (folder, data) = fresh();
    let file = folder.path().join("quorate.yaml");
    std::fs::write(&file, "name: from-file\nlog-level: error\nlog-format: json\n").expect("written");
    let server = Server::start(&data, &["--config-file", file.to_str().expect("text")]);
    assert!(!server.said().contains("ready to serve"), "only errors are to be said: {}", server.said());
    std::fs::write(&file, "name: from-file\nlog-level: info\n").expect("written");
    server.hang_up();
    let begun = Instant::now();
    while !server.said().contains("the settings were read again") {
        assert!(begun.elapsed() < PATIENCE, "nothing was read again: {}", server.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_no_setting_is_refused_and_what_has_no_effect_is_said() {
    let (folder, data) = fresh();
    let file = folder.path().join("quorate.yaml");
    for (text, reason) in [
        ("no-such-setting: 1", "--no-such-setting"),
        ("max-txn-ops: many", "max-txn-ops"),
        ("wal-dir: elsewhere", "--wal-dir: the log is kept below --data-dir"),
        ("client-transport-security: {cert-file: a}", "--cert-file and --key-file go together"),
        ("[]", "not a mapping"),
    ] {
        std::fs::write(&file, text).expect("written");
        let (code, said) = refused(&data, &["--config-file", file.to_str().expect("text")]);
        assert!(code != Some(0) && said.contains(reason), "{text}: {said}");
    }
    std::fs::write(&file, "name: a\nmax-wals: 5\n").expect("written");
    let server = Server::start(&data, &["--config-file", file.to_str().expect("text"), "--name", "b"]);
    for warning in ["name has no effect", "--max-wals has no effect"] {
        assert!(server.said().contains(warning), "{warning}: {}", server.said());
    }
}
