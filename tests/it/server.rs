//! A member as a process of its own, and the ways to it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::watch_client::WatchClient;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// How long a member may take to serve, or to end, before a test fails: far more than it ever needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running member. Dropped, it is killed.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
    /// What the member said, for a test that fails.
    log: PathBuf,
}

impl Server {
    /// Starts a member on `data`, on a port of the kernel's choice, and waits until it says that it serves.
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Self {
        let log = data.with_extension("log");
        let said = File::create(&log).expect("a file for what the member says");
        let mut process = command(data, flags).stderr(said).spawn().expect("the binary starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_else(|| {
            panic!("the member did not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
        });
        let url = first.split(" serves ").nth(1).unwrap_or_else(|| panic!("unexpected first line: {first}")).to_owned();
        // The pipe is read on, so that the member never waits for this test.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url, log }
    }

    /// Ends the member at once, without a word to it.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a process of our own can be killed");
        self.process.wait().expect("a process of our own can be awaited");
    }

    /// Asks the member to end, and returns how long that took. Aside, so that clients can close their connections meanwhile.
    pub(crate) async fn terminate(self) -> Duration {
        tokio::task::spawn_blocking(|| self.end()).await.expect("the member ends")
    }

    /// Has the member read its settings again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
    }

    fn end(mut self) -> Duration {
        let asked = Instant::now();
        self.signal("-TERM");
        let status = wait(&mut self.process);
        assert!(status.success(), "the member ended with {status}");
        asked.elapsed()
    }

    /// Waits until the member has ended by itself; how it did.
    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        wait(&mut self.process)
    }

    /// What the member has logged.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A connection to the member.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("a valid address");
        endpoint.connect().await.unwrap_or_else(|error| {
            panic!("{error:?}; the member said: {}", self.said());
        })
    }

    pub(crate) async fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel().await).max_decoding_message_size(usize::MAX)
    }

    pub(crate) async fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel().await).max_decoding_message_size(usize::MAX)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary with a data directory and a port of the kernel's choice.
pub(crate) fn command(data: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command
        .arg("--data-dir")
        .arg(data)
        .args(["--listen-client-urls", "http://127.0.0.1:0"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a member that is expected not to start: its exit code and what it said.
pub(crate) fn refused(data: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut process = command(data, flags).spawn().expect("the binary starts");
    let status = wait(&mut process);
    let mut said = String::new();
    process.stderr.take().expect("stderr is piped").read_to_string(&mut said).expect("readable output");
    (status.code(), said)
}

fn wait(process: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().expect("a process of our own can be awaited") {
            return status;
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            panic!("the member did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder that is gone with the test, and a data directory in it that does not exist yet.
pub(crate) fn fresh() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    (folder, data)
}
