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
    /// Members of etcd and of Quorate.
    pub(crate) members: usize,
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

/// A running server: one process, or the members of a cluster. Dropping it kills the processes and removes their data.
pub(crate) struct Server {
    kind: ServerKind,
    addresses: Vec<Addresses>,
    programs: Programs,
    // Above the directory: dropped first, so that the processes are gone before their files are.
    children: Vec<Child>,
    directory: TempDir,
}

/// Where a member listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    client: SocketAddr,
    peer: SocketAddr,
}

impl Server {
    /// Starts a server on an empty data directory and waits until each of its members answers a read.
    ///
    /// # Errors
    /// It cannot be run, ends at once, or does not answer in time; with the end of its output.
    pub(crate) async fn start(kind: ServerKind, programs: &Programs) -> Result<Self, Failure> {
        fs::create_dir_all(&programs.data_root)?;
        let directory = tempfile::Builder::new().prefix(&format!("{kind}-")).tempdir_in(&programs.data_root)?;
        let count = if kind.is_floor() { 1 } else { programs.members };
        let addresses = (0..count).map(|_| free_addresses()).collect::<Result<Vec<_>, _>>()?;
        let mut server = Self { kind, addresses, programs: programs.clone(), children: Vec::new(), directory };
        server.spawn_all()?;
        server.answers().await?;
        Ok(server)
    }

    /// Which server it is.
    pub(crate) fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Where clients connect: of a cluster, its first member.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0].client
    }

    /// Where clients connect, of each member.
    pub(crate) fn all_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|addresses| addresses.client).collect()
    }

    /// CPU time and memory of all processes together.
    ///
    /// # Errors
    /// A process has ended.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        let mut sum = Usage::default();
        for child in &self.children {
            sum += Usage::of(child.id().ok_or_else(|| self.failed("has ended"))?)?;
        }
        Ok(sum)
    }

    /// Kills the processes, as a crash would.
    ///
    /// # Errors
    /// A process cannot be signalled.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        for child in &mut self.children {
            child.kill().await?;
        }
        Ok(())
    }

    /// Asks the processes to stop, kills those that take too long, and tells how long it took.
    ///
    /// # Errors
    /// A process cannot be signalled or awaited.
    pub(crate) async fn stop(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        for child in &mut self.children {
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            let Some(pid) = pid else { continue };
            // It may have ended by itself in this moment; then waiting returns at once.
            rustix::process::kill_process(pid, Signal::TERM).or_else(|error| match error {
                rustix::io::Errno::SRCH => Ok(()),
                other => Err(std::io::Error::from(other)),
            })?;
            match tokio::time::timeout(STOP_LIMIT, child.wait()).await {
                Ok(status) => drop(status?),
                Err(_) => child.kill().await?,
            }
        }
        Ok(begun.elapsed())
    }

    /// Starts the ended processes again on the same data and addresses, and tells how long it took until linearizable
    /// reads were answered.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) async fn restart(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.spawn_all()?;
        self.answers().await?;
        Ok(begun.elapsed())
    }

    fn spawn_all(&mut self) -> Result<(), Failure> {
        self.children.clear();
        for member in 0..self.addresses.len() {
            let directory = self.directory.path().join(name(member));
            fs::create_dir_all(&directory)?;
            self.children.push(spawn(self.kind, &self.programs, &directory, &self.addresses, member)?);
        }
        Ok(())
    }

    /// Waits until each member answers a linearizable read, be it that the server does not offer reads.
    async fn answers(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        for member in 0..self.addresses.len() {
            loop {
                match tokio::time::timeout(PROBE_LIMIT, probe(self.addresses[member].client)).await {
                    Ok(Ok(()) | Err(Failure::NotOffered(_))) => break,
                    Ok(Err(Failure::Broken(_))) | Err(_) => {}
                }
                if let Some(status) = self.children[member].try_wait()? {
                    return Err(self.failed(&format!("ended with {status}")));
                }
                if begun.elapsed() > START_LIMIT {
                    return Err(self.failed("does not answer"));
                }
                tokio::time::sleep(PROBE_PAUSE).await;
            }
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> Failure {
        let mut tail = String::new();
        for member in 0..self.addresses.len() {
            let path = log_path(&self.directory.path().join(name(member)));
            let log = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            tail += &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join(" | ");
        }
        Failure::broken(format!("{} {what}: {tail}", self.kind))
    }
}

/// Name and directory of a member.
fn name(member: usize) -> String {
    format!("m{}", member + 1)
}

async fn probe(address: SocketAddr) -> Result<(), Failure> {
    let request = RangeRequest { key: "bench/probe".into(), ..RangeRequest::default() };
    Connections::open(&[address], 1).await?.kv(0).range(request).await?;
    Ok(())
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn spawn(
    kind: ServerKind,
    programs: &Programs,
    directory: &Path,
    addresses: &[Addresses],
    member: usize,
) -> Result<Child, Failure> {
    let own = addresses[member];
    let mut command = match kind {
        ServerKind::Etcd => {
            let mut command = member_command(&programs.etcd, directory, addresses, member);
            command.args(["--log-level", "error"]);
            command
        }
        ServerKind::Quorate => member_command(&programs.quorate, directory, addresses, member),
        ServerKind::Floor(mode, workers) => {
            let mut command = Command::new(std::env::current_exe()?);
            let file = directory.join("floor.wal");
            command.arg("floor").args(["--listen", &own.client.to_string()]).arg("--file").arg(file);
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
fn member_command(program: &Path, directory: &Path, addresses: &[Addresses], member: usize) -> Command {
    let own = addresses[member];
    let (client_url, peer_url) = (format!("http://{}", own.client), format!("http://{}", own.peer));
    let cluster: Vec<String> = addresses
        .iter()
        .enumerate()
        .map(|(member, addresses)| format!("{}=http://{}", name(member), addresses.peer))
        .collect();
    let mut command = Command::new(program);
    command.args(["--name", &name(member)]).arg("--data-dir").arg(directory.join("data"));
    command.args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url]);
    command.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
    command.args(["--initial-cluster", &cluster.join(",")]);
    command
}

/// Two loopback addresses that nobody listens on. Another process could take one before the server does; the start then
/// fails and says so.
fn free_addresses() -> Result<Addresses, Failure> {
    let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(Addresses { client: client.local_addr()?, peer: peer.local_addr()? })
}
