//! The network between members: one proxy in front of each, whose every direction can be cut, delayed or slowed by itself.
//!
//! All peers dial the one address that a member advertises, so the proxy has to find out who dials: the dialing socket's inode is
//! in `/proc/net/tcp`, and the process that has it open is one of the members. Bytes between two members then obey the condition
//! of their direction, whoever of the two dialed. A cut keeps bytes back and lets connections live, as a lossy wire does.
//!
//! Runs on a thread of its own, so that what the tests do does not delay heartbeats.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// Members that a network has room for, those that join later included.
pub(crate) const MEMBERS_MAX: usize = 6;

/// Most bytes that are in a proxy's hands, one direction of one connection.
const CHUNK_BYTES: usize = 32 * 1024;

/// How long a connection to a member that does not run is left open.
const REDIAL: Duration = Duration::from_millis(50);

/// What happens to bytes from one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Open,
    /// They wait until the cut heals.
    Cut,
    /// They arrive later by this.
    Late(Duration),
    /// They arrive a few at a time, about so many a second.
    Thin(u32),
}

/// All directions between all members.
#[derive(Clone)]
pub(crate) struct Network {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    /// The thread ends when the last of these is dropped.
    _alive: Arc<oneshot::Sender<()>>,
}

struct Shared {
    /// By sender and receiver.
    conditions: [[watch::Sender<Condition>; MEMBERS_MAX]; MEMBERS_MAX],
    /// Process ids of the members; 0 for one that does not run.
    pids: [AtomicU32; MEMBERS_MAX],
}

impl Network {
    /// A network where everything is open, and its thread.
    pub(crate) fn new() -> Self {
        let open = |_| std::array::from_fn(|_| watch::Sender::new(Condition::Open));
        let shared = Shared { conditions: std::array::from_fn(open), pids: std::array::from_fn(|_| AtomicU32::new(0)) };
        let (give, take) = std::sync::mpsc::sync_channel(1);
        let (alive, over) = oneshot::channel();
        std::thread::Builder::new()
            .name("network".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                give.send(runtime.handle().clone()).expect("somebody waits for it");
                let _ = runtime.block_on(over);
            })
            .expect("a thread");
        Self { shared: Arc::new(shared), runtime: take.recv().expect("the thread sends it"), _alive: Arc::new(alive) }
    }

    /// Opens the proxy in front of a member that listens on `port`; returns the proxy's own port.
    pub(crate) fn open(&self, member: usize, port: u16) -> u16 {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let proxy_port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a socket of our own");
        let shared = self.shared.clone();
        self.runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a socket of our own");
            while let Ok((inbound, from)) = listener.accept().await {
                tokio::spawn(carry(shared.clone(), inbound, (from.port(), proxy_port), member, port));
            }
        });
        proxy_port
    }

    /// Tells which process a member is now.
    pub(crate) fn is(&self, member: usize, pid: u32) {
        self.shared.pids[member].store(pid, Ordering::Relaxed);
    }

    /// Sets the condition of one direction.
    pub(crate) fn set(&self, from: usize, to: usize, condition: Condition) {
        self.shared.conditions[from][to].send_replace(condition);
    }

    /// Sets the condition of all directions to and from a member.
    pub(crate) fn around(&self, member: usize, condition: Condition) {
        for other in 0..MEMBERS_MAX {
            self.set(member, other, condition);
            self.set(other, member, condition);
        }
    }

    /// Opens everything.
    pub(crate) fn heal(&self) {
        for member in 0..MEMBERS_MAX {
            self.around(member, Condition::Open);
        }
    }
}

impl Shared {
    /// The member whose socket is bound to `port` and connected to `proxy_port`.
    fn dialer(&self, port: u16, proxy_port: u16) -> Option<usize> {
        let inode = inode(port, proxy_port)?;
        let link = format!("socket:[{inode}]");
        self.pids.iter().position(|pid| {
            let pid = pid.load(Ordering::Relaxed);
            let files = (pid != 0).then(|| fs::read_dir(format!("/proc/{pid}/fd")).ok()).flatten();
            let mut links = files.into_iter().flatten().flatten().filter_map(|file| fs::read_link(file.path()).ok());
            links.any(|target| target.as_os_str() == link.as_str())
        })
    }
}

/// The inode of the socket between two ports of this machine, seen from the first.
fn inode(port: u16, peer: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let (local, remote) = (format!(":{port:04X}"), format!(":{peer:04X}"));
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (here, there) = (fields.nth(1)?, fields.next()?);
        (here.ends_with(&local) && there.ends_with(&remote)).then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}

/// Carries one connection until one side ends it.
async fn carry(shared: Arc<Shared>, inbound: TcpStream, ports: (u16, u16), member: usize, port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(outbound) = TcpStream::connect(address).await else {
        // The dialer got a connection, and may dial again at once when it ends.
        return tokio::time::sleep(REDIAL).await;
    };
    let Some(dialer) = shared.dialer(ports.0, ports.1) else { return };
    let _ = (inbound.set_nodelay(true), outbound.set_nodelay(true));
    let (from_dialer, to_dialer) = inbound.into_split();
    let (from_member, to_member) = outbound.into_split();
    let there = shared.conditions[dialer][member].subscribe();
    let back = shared.conditions[member][dialer].subscribe();
    tokio::join!(pump(from_dialer, to_member, there), pump(from_member, to_dialer, back));
}

/// Carries bytes in one direction. While it is cut nothing is read, so that the end of a connection stays unknown as well.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut condition: watch::Receiver<Condition>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if condition.wait_for(|condition| *condition != Condition::Cut).await.is_err() {
            return;
        }
        let Ok(length) = from.read(&mut chunk).await else { return };
        let now = condition.wait_for(|condition| *condition != Condition::Cut).await.map(|condition| *condition);
        let sent = match now {
            Err(_) => return,
            Ok(Condition::Open | Condition::Cut) => to.write_all(&chunk[..length]).await,
            Ok(Condition::Late(delay)) => {
                tokio::time::sleep(delay).await;
                to.write_all(&chunk[..length]).await
            }
            Ok(Condition::Thin(bytes_per_second)) => thinly(&mut to, &chunk[..length], bytes_per_second).await,
        };
        if sent.is_err() || length == 0 {
            let _ = to.shutdown().await;
            return;
        }
    }
}

/// Writes a hundredth of a second's bytes at a time.
async fn thinly(to: &mut OwnedWriteHalf, bytes: &[u8], bytes_per_second: u32) -> std::io::Result<()> {
    let portion = usize::try_from(bytes_per_second / 100).unwrap_or(1).max(1);
    for bytes in bytes.chunks(portion) {
        to.write_all(bytes).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
