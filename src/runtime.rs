//! One member's life: bind, start, serve, and stop in the reverse order.

use std::time::Duration;

use anyhow::{Context, Result};
use api::Port;
use node::Node;
use tls::Acceptor;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch as latest;

use crate::banner::banner;
use crate::config::Settings;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;

/// Threads for long reads, flushes and the like: enough to keep a disk busy, few enough that each one's share of the allocator's
/// memory does not count.
const BLOCKING_THREADS_MAX: usize = 16;

/// How long clients wait for the member to be known to its cluster.
const ANNOUNCED_MAX: Duration = Duration::from_secs(2);

/// What stopping may take in all, so that who sends SIGTERM need not send SIGKILL after five seconds.
const STOP_MAX: Duration = Duration::from_millis(4500);

/// Runs a member until it is told to stop, or cannot go on.
///
/// # Errors
///
/// What keeps it from starting, or made it stop.
pub(crate) fn serve(settings: &Settings, reload: impl Fn()) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("quorate")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(run(settings, reload));
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Half the cores: the rest is for the log's thread, flushes, and the kernel's share of the network. Measured in
/// `bench/README.md`: fewer, fuller workers win.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

async fn run(settings: &Settings, reload: impl Fn()) -> Result<()> {
    let mut signals = Signals::catch()?;
    let listeners = bind(settings)?;
    let tls = settings.client_tls.clone().map(Acceptor::new).transpose()?;
    let urls = settings.listen.iter().zip(&listeners).map(|(listen, socket)| Ok(listen.url(socket.local_addr()?)));
    let urls = urls.collect::<std::io::Result<Vec<_>>>()?;
    let (stop, stopping) = latest::channel(false);
    let mut node = Node::start(settings.node.clone()).await?;
    tokio::select! {
        // Clients that connect meanwhile wait. Without a quorum they are served what can be.
        _ = tokio::time::timeout(ANNOUNCED_MAX, node.announced()) => {}
        name = signals.stop(&reload) => {
            tracing::info!(signal = name, "stopping");
            return Ok(node.stop().await?);
        }
    }
    let server = api::Server::new(node.handle(), settings.api.clone());
    let mut serving = tokio::task::JoinSet::new();
    for (listen, listener) in settings.listen.iter().zip(listeners) {
        let port = Port { listener, tls: tls.clone().filter(|_| listen.is_tls), offer: listen.offer };
        serving.spawn(server.clone().run_at(port, stopping.clone()));
    }
    print!("{}", banner(&urls, settings));
    tracing::info!("ready to serve client requests");
    let ended = tokio::select! {
        name = signals.stop(&reload) => {
            tracing::info!(signal = name, "stopping");
            Ok(())
        }
        fault = node.failed() => Err(fault),
    };
    let _ = stop.send(true);
    let drained = tokio::time::timeout(STOP_MAX, async {
        while serving.join_next().await.is_some() {}
        node.stop().await
    });
    match drained.await {
        Ok(stopped) => ended.map_err(anyhow::Error::from).and(stopped.map_err(anyhow::Error::from)),
        Err(_) => ended.map_err(anyhow::Error::from).context("could not stop cleanly in time"),
    }
}

/// The listeners are up before the store: a port in use is said before anything is touched.
fn bind(settings: &Settings) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in settings.listen.iter().map(|listen| listen.address) {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listeners.push(socket.listen(BACKLOG).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}

/// The ways in which a member is told to stop. Caught from the start: a signal that comes while it starts is not lost, and does not
/// end the process in the middle of it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
            hang_up: signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?,
        })
    }

    /// The name of the next word to stop. Words to read the settings again are followed meanwhile.
    async fn stop(&mut self, reload: impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => reload(),
            }
        }
    }
}
