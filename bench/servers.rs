//! The servers that are compared: how each is started, asked whether it is up, stopped and measured.
//!
//! Owns the processes: each listens on loopback ports that were free, keeps its data in a directory of its own, is ended
//! by its process id, and leaves nothing behind, also when the run is given up halfway.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use proto::etcdserverpb::RangeRequest;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::connection::Connections;
use crate::floor;
use crate::process::Usage;
use crate::sample::Failure;

/// How long a server may take to answer its first read; restarting on a million keys is within it.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long one probe of a starting server may take before the next.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Pause between two probes: the resolution of the restart times.
const PROBE_PAUSE: Duration = Duration::from_millis(2);
/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Lines of a server's output that are shown when it fails.
const LOG_TAIL_LINES: usize = 5;

/// A server that can be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerKind {
    /// The reference.
    Etcd,
    /// The server of this project.
    Quorate,
    /// gRPC and, depending on the mode, a group fsync: what no server of this shape can beat.
    Floor(floor::Mode, floor::Workers),
}

impl ServerKind {
    /// The floor that Quorate is measured against: its puts are durable, and one worker is the best that was found.
    pub(crate) const FLOOR: Self = Self::Floor(floor::Mode::Fsync, floor::Workers::One);
    /// Every server, by the name that the command line takes.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("etcd", Self::Etcd),
        ("quorate", Self::Quorate),
        ("floor", Self::FLOOR),
        ("floor-2w", Self::Floor(floor::Mode::Fsync, floor::Workers::Two)),
        ("floor-null", Self::Floor(floor::Mode::Null, floor::Workers::One)),
        ("floor-null-2w", Self::Floor(floor::Mode::Null, floor::Workers::Two)),
    ];

    /// The server named `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Whether the server is only a floor: it answers puts and gets, and keeps nothing.
    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Self::Floor(..))
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("?", |(name, _)| name);
        formatter.write_str(name)
    }
}

/// Where the programs are, and where data may be written.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The etcd binary.
    pub(crate) etcd: PathBuf,
    /// The Quorate binary.
    pub(crate) quorate: PathBuf,
    /// Directory for the data directories; it must lie on a real disk.
    pub(crate) data_root: PathBuf,
}

impl Programs {
    /// What the program of `kind` says about its version: the first line, or why there is none.
    pub(crate) async fn version(&self, kind: ServerKind) -> String {
        let program = match kind {
            ServerKind::Etcd => &self.etcd,
            ServerKind::Quorate => &self.quorate,
            ServerKind::Floor(..) => return env!("CARGO_PKG_VERSION").to_owned(),
        };
        match Command::new(program).arg("--version").stdin(Stdio::null()).output().await {
            Ok(output) => String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("unknown").to_owned(),
            Err(error) => format!("cannot be run: {error}"),
        }
    }
}

/// A running server. Dropping it kills the process and removes its data.
pub(crate) struct Server {
    kind: ServerKind,
    client_address: SocketAddr,
    peer_address: SocketAddr,
    programs: Programs,
    // Above the directory: dropped first, so that the process is gone before its files are.
    child: Child,
    directory: TempDir,
}

impl Server {
    /// Starts a server on an empty data directory and waits until it answers a read.
    ///
    /// # Errors
    /// It cannot be run, ends at once, or does not answer in time; with the end of its output.
    pub(crate) async fn start(kind: ServerKind, programs: &Programs) -> Result<Self, Failure> {
        fs::create_dir_all(&programs.data_root)?;
        let directory = tempfile::Builder::new().prefix(&format!("{kind}-")).tempdir_in(&programs.data_root)?;
        let (client_address, peer_address) = free_addresses()?;
        let child = spawn(kind, programs, directory.path(), client_address, peer_address)?;
        let mut server = Self { kind, client_address, peer_address, programs: programs.clone(), child, directory };
        server.answers().await?;
        Ok(server)
    }

    /// Which server it is.
    pub(crate) fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.client_address
    }

    /// CPU time and memory of the process.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        match self.child.id() {
            Some(pid) => Usage::of(pid),
            None => Err(self.failed("has ended")),
        }
    }

    /// Kills the process, as a crash would.
    ///
    /// # Errors
    /// The process cannot be signalled.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    /// Asks the process to stop, kills it when it takes too long, and tells how long it took.
    ///
    /// # Errors
    /// The process cannot be signalled or awaited.
    pub(crate) async fn stop(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself in this moment; then waiting returns at once.
            rustix::process::kill_process(pid, Signal::TERM).or_else(|error| match error {
                rustix::io::Errno::SRCH => Ok(()),
                other => Err(std::io::Error::from(other)),
            })?;
            match tokio::time::timeout(STOP_LIMIT, self.child.wait()).await {
                Ok(status) => drop(status?),
                Err(_) => self.child.kill().await?,
            }
        }
        Ok(begun.elapsed())
    }

    /// Starts the ended process again on the same data and addresses, and tells how long it took until a linearizable
    /// read was answered.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) async fn restart(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let path = self.directory.path();
        self.child = spawn(self.kind, &self.programs, path, self.client_address, self.peer_address)?;
        self.answers().await?;
        Ok(begun.elapsed())
    }

    /// Waits until the server answers a linearizable read, be it that it does not offer reads.
    async fn answers(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            match tokio::time::timeout(PROBE_LIMIT, probe(self.client_address)).await {
                Ok(Ok(()) | Err(Failure::NotOffered(_))) => return Ok(()),
                Ok(Err(Failure::Broken(_))) | Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failed(&format!("ended with {status}")));
            }
            if begun.elapsed() > START_LIMIT {
                return Err(self.failed("does not answer"));
            }
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }

    fn failed(&self, what: &str) -> Failure {
        let log = fs::read_to_string(log_path(self.directory.path())).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join(" | ");
        Failure::broken(format!("{} {what}: {tail}", self.kind))
    }
}

async fn probe(address: SocketAddr) -> Result<(), Failure> {
    let request = RangeRequest { key: "bench/probe".into(), ..RangeRequest::default() };
    Connections::open(address, 1).await?.kv(0).range(request).await?;
    Ok(())
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn spawn(
    kind: ServerKind,
    programs: &Programs,
    directory: &Path,
    client: SocketAddr,
    peer: SocketAddr,
) -> Result<Child, Failure> {
    let (client_url, peer_url, data) = (format!("http://{client}"), format!("http://{peer}"), directory.join("data"));
    let mut command = match kind {
        ServerKind::Etcd => {
            let mut command = member(&programs.etcd, &data, &client_url, &peer_url);
            command.args(["--initial-advertise-peer-urls", &peer_url]);
            command.args(["--initial-cluster", &format!("bench={peer_url}"), "--log-level", "error"]);
            command
        }
        ServerKind::Quorate => member(&programs.quorate, &data, &client_url, &peer_url),
        ServerKind::Floor(mode, workers) => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("floor").args(["--listen", &client.to_string()]).arg("--file").arg(directory.join("floor.wal"));
            command.args(["--mode", mode.name(), "--workers", workers.name()]);
            command
        }
    };
    // Appended to: what a process said before a restart stays readable.
    let log = File::options().create(true).append(true).open(log_path(directory))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    command.spawn().map_err(|error| Failure::broken(format!("{kind} cannot be run: {error}")))
}

/// The flags that etcd and Quorate share.
fn member(program: &Path, data: &Path, client_url: &str, peer_url: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--name", "bench"]).arg("--data-dir").arg(data);
    command.args(["--listen-client-urls", client_url, "--advertise-client-urls", client_url]);
    command.args(["--listen-peer-urls", peer_url]);
    command
}

/// Two loopback addresses that nobody listens on. Another process could take one before the server does; the start then
/// fails and says so.
fn free_addresses() -> Result<(SocketAddr, SocketAddr), Failure> {
    let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((client.local_addr()?, peer.local_addr()?))
}
