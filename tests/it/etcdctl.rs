//! The client's command line beside the real etcdctl: the same commands, each on an etcd of its own, and the same to the byte on stdout,
//! the same exit code, the same last word on stderr.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::differential::target::{Etcd, Target};
use crate::server::{Server, fresh};

/// A command: its arguments, and what it reads.
struct Step {
    arguments: Vec<String>,
    input: String,
}

/// Commands, one a line: arguments by blanks, `''` for an empty one, `<<<` before what is read, in which `\n` ends a line.
/// `$LEASE` is the lease that was granted last.
const SCRIPT: &str = include_str!("etcdctl.txt");

fn steps() -> Vec<Step> {
    let lines = SCRIPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let step = |line: &str| {
        let (arguments, input) = line.split_once(" <<< ").unwrap_or((line, ""));
        let arguments = arguments.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect();
        Step { arguments, input: input.replace("\\n", "\n") }
    };
    lines.map(step).collect()
}

/// What a command said and did, without what differs between any two runs.
fn run(program: &Path, url: &str, step: &Step, lease: &mut String) -> String {
    // A command that does not end is a difference too.
    let mut command = Command::new("timeout");
    command.arg("20").arg(program);
    let arguments = step.arguments.iter().map(|argument| argument.replace("$LEASE", lease));
    command.args(arguments).env("ETCDCTL_API", "3").env("ETCDCTL_ENDPOINTS", url.trim_start_matches("http://"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the program runs; etcdctl is installed by tests/clients/install.sh");
    // A command that does not read ends before all is written.
    let _ = process.stdin.take().expect("stdin is piped").write_all(step.input.as_bytes());
    let output = process.wait_with_output().expect("the program ends");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(granted) = stdout.strip_prefix("lease ").and_then(|rest| rest.split_once(" granted with TTL(")) {
        granted.0.clone_into(lease);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let error = stderr.lines().rfind(|line| line.starts_with("Error: ")).unwrap_or_default();
    // Ids of leases differ, addresses do, and so do times and what a store takes on the disk.
    let said = format!("{stdout}{error}\n")
        .replace(lease.as_str(), "LEASE")
        .replace(url.trim_start_matches("http://"), "ADDRESS");
    format!("{said}exit code {:?}", output.status.code())
}

/// A link to the binary under the name of the tool that it stands for.
fn ours(folder: &Path) -> PathBuf {
    let link = folder.join("etcdctl");
    symlink(env!("CARGO_BIN_EXE_quorate"), &link).expect("a link");
    link
}

#[tokio::test]
#[ignore = "needs Debian's etcd-server and etcd-client; `make test` runs it"]
async fn the_same_commands_say_the_same() {
    let (folder, data) = fresh();
    let own = ours(folder.path());
    let servers = [Etcd::start(&data.with_extension("real")), Etcd::start(&data.with_extension("ours"))];
    for server in &servers {
        Target::connect(&server.url).await;
    }
    let (mut real_lease, mut own_lease) = ("no lease".to_owned(), "no lease".to_owned());
    let mut differences = Vec::new();
    let steps = steps();
    for step in &steps {
        let expected = without_ids(&run(Path::new("etcdctl"), &servers[0].url, step, &mut real_lease));
        let found = without_ids(&run(&own, &servers[1].url, step, &mut own_lease));
        if expected != found {
            differences.push(format!("{}\n--- etcdctl\n{expected}\n--- ours\n{found}", step.arguments.join(" ")));
        }
    }
    assert!(steps.len() > 100, "the script is there");
    let count = differences.len();
    assert!(differences.is_empty(), "{count} of {} differ:\n\n{}", steps.len(), differences.join("\n\n"));
}

/// Without numbers of ten digits and more, in either base: ids of clusters, members and leases. Without ports too.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |text, part| text + "HOST:" + part.trim_start_matches(|c: char| c.is_ascii_digit()));
    let is_part = |c: char| c.is_ascii_hexdigit();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_part) {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        let end = tail.find(|c| !is_part(c)).unwrap_or(tail.len());
        out.push_str(if end >= 10 { "ID" } else { &tail[..end] });
        rest = &tail[end..];
    }
    out + rest
}

#[test]
fn a_member_is_reached_under_both_names() {
    let (folder, data) = fresh();
    let server = Server::start(&data, &[]);
    let quorate = PathBuf::from(env!("CARGO_BIN_EXE_quorate"));
    let etcdctl = ours(folder.path());
    let mut lease = "no lease".to_owned();
    let mut say = |program: &Path, words: &[&str], input: &str| {
        let arguments = words.iter().map(|word| (*word).to_owned()).collect();
        run(program, &server.url, &Step { arguments, input: input.to_owned() }, &mut lease)
    };
    assert_eq!(say(&quorate, &["put", "k", "v"], ""), "OK\n\nexit code Some(0)");
    assert_eq!(say(&etcdctl, &["--hex=false", "get", "k"], ""), "k\nv\n\nexit code Some(0)");
    assert_eq!(say(&quorate, &["put", "from-stdin"], "a\nb"), "OK\n\nexit code Some(0)");
    assert_eq!(say(&quorate, &["get", "--prefix", "", "--keys-only"], ""), "from-stdin\n\nk\n\n\nexit code Some(0)");
    assert_eq!(say(&quorate, &["lock", "l", "sh", "-c", "exit 7"], ""), "Error: exit status 7\nexit code Some(7)");
    let held = say(&quorate, &["lock", "l", "sh", "-c", "echo $ETCD_LOCK_KEY"], "");
    assert!(held.starts_with("l/"), "{held}");
    let file = folder.path().join("saved");
    let saved = say(&quorate, &["snapshot", "save", file.to_str().expect("text")], "");
    assert!(saved.starts_with("Snapshot saved at "), "{saved}");
    assert!(node_reads(&quorate, &file), "what was saved is whole");
    let watched = say(&quorate, &["watch", "k", "--rev", "1", "--", "sh", "-c", "echo $ETCD_WATCH_VALUE; exit 1"], "");
    assert_eq!(watched, "PUT\nk\nv\n\"v\"\n\nexit code Some(1)");
    let unknown = say(&quorate, &["get", "--no-such"], "");
    assert_eq!(unknown, "Error: unknown flag: --no-such\nexit code Some(1)");
}

fn node_reads(quorate: &Path, file: &Path) -> bool {
    Command::new(quorate).args(["snapshot", "status"]).arg(file).output().expect("the binary runs").status.success()
}

#[test]
fn completion_and_manual_pages_have_all_commands() {
    let (folder, _) = fresh();
    let quorate = |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_quorate")).args(words).output().expect("it runs");
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8_lossy(&quorate(&["completion", shell]).stdout).into_owned();
        assert!(
            ["move-leader", "data-dir", "--prev-kv"].iter().all(|word| script.contains(word.trim_start_matches('-'))),
            "{shell}"
        );
    }
    let pages = folder.path().join("man");
    assert!(quorate(&["man", pages.to_str().expect("text")]).status.success());
    for page in ["quorate.1", "quorate-get.1", "quorate-snapshot-save.1"] {
        assert!(pages.join(page).is_file(), "{page}");
    }
}
