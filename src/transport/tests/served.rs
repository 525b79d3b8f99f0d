//! A fake member that is served on the loopback.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::fake::Fake;
use crate::{Dialer, Listener, Network, Peer};

/// A served member. Dropped, it is cut off.
pub(super) struct Served {
    pub(super) url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Served {
    pub(super) async fn start(peer: Arc<Fake>) -> Self {
        Self::start_at("http://127.0.0.1:0", peer).await
    }

    pub(super) async fn start_at(url: &str, peer: Arc<Fake>) -> Self {
        let listener = Listener::bind(&[url.to_owned()]).await.expect("a free port");
        let url = format!("http://{}", listener.addresses()[0]);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(listener.serve(peer, async { stopped.await.unwrap_or(()) }));
        Self { url, stop, serving }
    }

    /// A connection to it.
    pub(super) fn dial(&self) -> Arc<dyn Peer> {
        Network::new().dial(std::slice::from_ref(&self.url))
    }

    /// Says that it shall stop.
    pub(super) fn tell(self) -> JoinHandle<()> {
        self.stop.send(()).expect("it is serving");
        self.serving
    }

    /// Stops it, and waits until it has.
    pub(super) async fn stop(self) {
        self.tell().await.expect("no panic");
    }
}
