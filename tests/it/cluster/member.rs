//! One member of a cluster: a process with its addresses and its data, and what can be done to it.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::network::Network;
use super::program::Program;

/// How long a member may take to end after it was asked: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ports are taken below the range from which the kernel gives outgoing connections theirs: a port must stay free while its
/// member is down.
const PORTS: std::ops::Range<u16> = 16_000..32_000;

/// A member. Dropped, its process is killed.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) client_url: String,
    /// Where peers are told to find it: a proxy of the network.
    pub(crate) peer_url: String,
    /// Where it listens for peers.
    peer_port: u16,
    pub(crate) data: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Member {
    /// A member that does not run yet, number `number` of the network.
    pub(crate) fn new(number: usize, folder: &Path, network: &Network) -> Self {
        let peer_port = free_port();
        let peer_url = format!("http://127.0.0.1:{}", network.open(number, peer_port));
        Self {
            name: format!("m{number}"),
            client_url: format!("http://127.0.0.1:{}", free_port()),
            peer_url,
            peer_port,
            data: folder.join(format!("m{number}")),
            log: folder.join(format!("m{number}.log")),
            process: None,
        }
    }

    /// Starts the process; says nothing about when it serves.
    pub(crate) fn start(&mut self, cluster: &str, state: &str, flags: &[String]) -> u32 {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let said =
            OpenOptions::new().create(true).append(true).open(&self.log).expect("a file for what the member says");
        let process = Program::chosen()
            .command()
            .args(["--name", &self.name, "--data-dir"])
            .arg(&self.data)
            .args(["--listen-client-urls", &self.client_url, "--advertise-client-urls", &self.client_url])
            .args(["--listen-peer-urls", &format!("http://127.0.0.1:{}", self.peer_port)])
            .args(["--initial-advertise-peer-urls", &self.peer_url])
            .args(["--initial-cluster", cluster, "--initial-cluster-state", state])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("one file can be written by two"))
            .stderr(said)
            .spawn()
            .expect("the program starts; etcd is installed by tests/clients/install.sh");
        let pid = process.id();
        self.process = Some(process);
        pid
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Ends the process at once, without a word to it.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("a running member");
        process.kill().expect("a process of our own can be killed");
        process.wait().expect("a process of our own can be awaited");
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().expect("a running member").id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill runs").success());
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let process = self.process.as_mut().expect("a running member");
        process.try_wait().expect("a process of our own can be awaited").is_some()
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("a running member");
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..PATIENCE.as_millis() / 5 {
            ticks.tick().await;
            if let Some(status) = process.try_wait().expect("a process of our own can be awaited") {
                return status;
            }
        }
        let _ = process.kill();
        panic!("{} did not end within {PATIENCE:?}:\n{}", self.name, self.said());
    }

    /// How often the member has logged something, in all its lives.
    pub(crate) fn has_said(&self, what: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap_or_default().matches(what).count()
    }

    /// The end of what the member has logged.
    pub(crate) fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that nobody listens on now, and that nobody is given by chance later.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % 199).expect("a small number") * 80;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(spread) % (PORTS.end - PORTS.start);
        let port = PORTS.start + number;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
