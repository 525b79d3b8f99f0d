//! The network between members: which frames arrive, when, and who hears of them on the way.
//!
//! Each direction of each pair is a link of its own, so that partitions can be one-way or partial. What a link does to a frame is drawn
//! from the network's own generator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consensus::SimLife;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use transport::Peer;

use crate::rng::Rng;
use crate::trace::{Trace, trace};
use crate::wire::{Wire, WireObserver};

/// A member by its place in the cluster's plan, from 1.
pub(crate) type Place = u64;

/// What one direction does to frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Nothing gets through.
    pub(crate) is_cut: bool,
    /// Of a hundred calls, how many are lost; of a hundred frames of a stream, how many break it.
    pub(crate) lost: u64,
    /// Of a hundred calls that may be, how many arrive twice.
    pub(crate) doubled: u64,
    /// Least and most that a frame takes, in milliseconds.
    pub(crate) delay: (u64, u64),
}

impl Default for Link {
    fn default() -> Self {
        Self { is_cut: false, lost: 0, doubled: 0, delay: (1, 2) }
    }
}

/// What becomes of a call's frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Arrives { after: Duration, again_after: Option<Duration> },
    Lost,
}

/// A member that can be called.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) peer: Arc<dyn Peer>,
    pub(crate) life: SimLife,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Network {
    shared: Arc<Mutex<Shared>>,
    /// Changes with every link.
    changed: watch::Sender<u64>,
    observers: Arc<Mutex<Vec<Box<dyn WireObserver>>>>,
    pub(crate) trace: Trace,
}

struct Shared {
    rng: Rng,
    links: BTreeMap<(Place, Place), Link>,
    servers: BTreeMap<Place, Server>,
}

impl Network {
    pub(crate) fn new(rng: Rng, trace: Trace) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared { rng, links: BTreeMap::new(), servers: BTreeMap::new() })),
            changed: watch::Sender::new(0),
            observers: Arc::default(),
            trace,
        }
    }

    /// Lets `observer` see every frame that is sent.
    pub(crate) fn observe(&self, observer: Box<dyn WireObserver>) {
        self.observers.lock().push(observer);
    }

    /// A frame was sent.
    pub(crate) fn sent(&self, from: Place, to: Place, frame: &Wire<'_>) {
        trace!(self.trace, "{from}>{to} {frame}");
        for observer in self.observers.lock().iter_mut() {
            observer.sent(from, to, frame);
        }
    }

    /// Makes a member reachable, or unreachable.
    pub(crate) fn serve(&self, place: Place, server: Option<Server>) {
        let mut shared = self.shared.lock();
        match server {
            Some(server) => drop(shared.servers.insert(place, server)),
            None => drop(shared.servers.remove(&place)),
        }
    }

    pub(crate) fn server(&self, place: Place) -> Option<Server> {
        self.shared.lock().servers.get(&place).cloned()
    }

    /// Changes one direction between two members.
    pub(crate) fn set(&self, from: Place, to: Place, change: impl FnOnce(&mut Link)) {
        let mut shared = self.shared.lock();
        change(shared.links.entry((from, to)).or_default());
        drop(shared);
        self.changed.send_modify(|count| *count += 1);
    }

    /// All links are as new.
    pub(crate) fn heal(&self) {
        self.shared.lock().links.clear();
        self.changed.send_modify(|count| *count += 1);
    }

    fn link(&self, from: Place, to: Place) -> Link {
        self.shared.lock().links.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Draws what becomes of a call's frame.
    pub(crate) fn fate(&self, from: Place, to: Place) -> Fate {
        let link = self.link(from, to);
        let mut shared = self.shared.lock();
        let rng = &mut shared.rng;
        if link.is_cut || rng.percent(link.lost) {
            return Fate::Lost;
        }
        let mut after = || Duration::from_millis(rng.between(link.delay.0, link.delay.1));
        let (first, second) = (after(), after());
        Fate::Arrives { after: first, again_after: rng.percent(link.doubled).then_some(second) }
    }

    /// When the next frame of a stream arrives, whose last one arrives at `last`. Waits while the link is cut, as a connection does that
    /// sends anew what was lost.
    ///
    /// # Errors
    ///
    /// The stream broke: by chance, or because the link was cut for `patience`.
    pub(crate) async fn arrival(
        &self,
        from: Place,
        to: Place,
        last: Instant,
        patience: Duration,
    ) -> Result<Instant, ()> {
        let mut changed = self.changed.subscribe();
        let deadline = Instant::now() + patience;
        while self.link(from, to).is_cut {
            tokio::time::timeout_at(deadline, changed.changed()).await.map_err(drop)?.map_err(drop)?;
        }
        let link = self.link(from, to);
        let mut shared = self.shared.lock();
        if shared.rng.percent(link.lost) {
            return Err(());
        }
        let delay = Duration::from_millis(shared.rng.between(link.delay.0, link.delay.1));
        Ok((Instant::now() + delay).max(last))
    }
}
