//! The members of one run: their disks, their lives, and what kills them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use consensus::SimLife;
use model::MemberId;
use node::{Handle, Node};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use wal::{Fault, Survival};

use crate::connection::place_of;
use crate::disk::{Disk, HEALTHY};
use crate::member::{self, Site};
use crate::network::{Network, Place, Server};
use crate::rng::Rng;
use crate::trace::{Trace, trace, violation};

/// How a member dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Its process is killed: what it wrote is in the system's cache.
    Killed,
    /// Its machine loses power: what was not synced survives by chance, or not at all.
    PowerCut(Survival),
}

/// A member that runs.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) handle: Handle,
    pub(crate) life: SimLife,
    /// Turns true with its death.
    is_dead: watch::Receiver<bool>,
}

impl Process {
    /// Returns when it is dead.
    pub(crate) async fn died(&self) {
        // An error means that its end was forgotten, together with the process.
        drop(self.is_dead.clone().wait_for(|dead| *dead).await);
    }
}

struct Slot {
    site: Site,
    /// How many times it was started.
    lives: u64,
    running: Option<Running>,
    /// How its machine loses power when the disk next reports a fault.
    planned_cut: Option<Survival>,
}

struct Running {
    life: SimLife,
    death: watch::Sender<bool>,
    /// Absent while it starts.
    process: Option<Process>,
    stop: Option<oneshot::Sender<()>>,
}

/// The cluster. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Cluster {
    slots: Arc<Mutex<BTreeMap<Place, Slot>>>,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    seed: u64,
}

/// What a request to a member came to, if it was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It was not done and never will be.
    Refused(String),
    /// It may have been done, or may be done later.
    Unknown(String),
}

impl Cluster {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let network = Network::new(Rng::for_part(seed, "network"), trace.clone());
        Self { slots: Arc::default(), network, trace, seed }
    }

    /// Gives the cluster a member that was never started.
    pub(crate) fn add(&self, site: Site) {
        let slot = Slot { lives: 0, running: None, planned_cut: None, site: site.clone() };
        self.slots.lock().insert(site.place, slot);
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        self.slots.lock().keys().copied().collect()
    }

    /// The members that run and can be asked.
    pub(crate) fn processes(&self) -> Vec<(Place, Process)> {
        let slots = self.slots.lock();
        let running = slots.iter().filter_map(|(place, slot)| Some((*place, slot.running.as_ref()?.process.clone()?)));
        running.collect()
    }

    pub(crate) fn process(&self, place: Place) -> Option<Process> {
        self.slots.lock().get(&place)?.running.as_ref()?.process.clone()
    }

    /// Who votes, as the member says that has applied most; none if none runs.
    pub(crate) fn voters(&self) -> Option<BTreeSet<Place>> {
        let processes = self.processes().into_iter();
        let (_, process) = processes.max_by_key(|(_, process)| process.handle.status().applied)?;
        let members = process.handle.members();
        let voters = members.iter().filter(|member| !member.is_learner);
        Some(voters.filter_map(|member| member.info.peer_urls.first()).map(|url| place_of(url)).collect())
    }

    /// Takes a member that left for good out of the plan.
    pub(crate) fn retire(&self, place: Place) {
        self.kill(place, Death::Killed);
        self.slots.lock().remove(&place);
        trace!(self.trace, "{place} is gone for good");
    }

    pub(crate) fn is_down(&self, place: Place) -> bool {
        self.slots.lock().get(&place).is_some_and(|slot| slot.running.is_none())
    }

    pub(crate) fn disk(&self, place: Place) -> Option<Disk> {
        self.slots.lock().get(&place).map(|slot| slot.site.disk.clone())
    }

    pub(crate) fn disks(&self) -> Vec<(Place, Disk)> {
        self.slots.lock().iter().map(|(place, slot)| (*place, slot.site.disk.clone())).collect()
    }

    /// Which running member has this id.
    pub(crate) fn place_of(&self, id: MemberId) -> Option<Place> {
        let processes = self.processes().into_iter();
        processes.filter(|(_, process)| process.handle.header().member_id == id).map(|(place, _)| place).next()
    }

    /// Begins a member's next life, unless it has one.
    pub(crate) fn start(&self, place: Place) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(&place).filter(|slot| slot.running.is_none()) else { return };
        slot.lives += 1;
        let number = slot.lives;
        let life = SimLife::new(Rng::for_part(self.seed, &format!("life {place}.{number}")).next());
        let (death, is_dead) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        slot.running = Some(Running { life: life.clone(), death, process: None, stop: Some(stop) });
        let site = slot.site.clone();
        drop(slots);
        trace!(self.trace, "{place} starts life {number}");
        let cluster = self.clone();
        let living = life.clone();
        let lived = life.spawn(async move { cluster.live(site, number, living, is_dead, stopped).await });
        let cluster = self.clone();
        tokio::spawn(async move {
            if let Ok(ended) = lived.await {
                cluster.ended(place, number, &ended);
            }
        });
    }

    /// One life, unless it is ended from outside. Returns why it ended.
    async fn live(
        &self,
        site: Site,
        number: u64,
        life: SimLife,
        is_dead: watch::Receiver<bool>,
        stopped: oneshot::Receiver<()>,
    ) -> String {
        let place = site.place;
        let mut node: Node = match member::start(&site, self.network.clone(), life.clone()).await {
            Ok(node) => node,
            Err(failure) => return format!("start failed: {failure}"),
        };
        let process = Process { handle: node.handle(), life: life.clone(), is_dead };
        {
            let mut slots = self.slots.lock();
            let slot = slots.get_mut(&place).filter(|slot| slot.lives == number);
            let Some(running) = slot.and_then(|slot| slot.running.as_mut()) else { return "outlived".to_owned() };
            running.process = Some(process);
        }
        trace!(self.trace, "{place} is up at revision {}", node.handle().revision());
        self.network.serve(place, Some(Server { peer: node.peer(), life }));
        tokio::select! {
            biased;
            failure = node.failed() => format!("failed: {failure}"),
            _ = stopped => match node.stop().await {
                Ok(()) => "stopped".to_owned(),
                Err(failure) => format!("stopped with {failure}"),
            },
        }
    }

    /// A life ended by itself.
    fn ended(&self, place: Place, number: u64, why: &str) {
        let planned = {
            let mut slots = self.slots.lock();
            let Some(slot) = slots.get_mut(&place).filter(|slot| slot.lives == number) else { return };
            slot.planned_cut.take()
        };
        trace!(self.trace, "{place} ended: {why}");
        self.kill(place, planned.map_or(Death::Killed, Death::PowerCut));
    }

    /// Kills a member at once.
    pub(crate) fn kill(&self, place: Place, death: Death) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(&place) else { return };
        let Some(running) = slot.running.take() else { return };
        slot.planned_cut = None;
        slot.site.disk.set_pace(HEALTHY);
        match death {
            Death::Killed => slot.site.disk.fs.restart(),
            Death::PowerCut(survival) => slot.site.disk.fs.power_cycle(survival),
        }
        drop(slots);
        trace!(self.trace, "{place} dies: {death:?}");
        self.network.serve(place, None);
        running.death.send_replace(true);
        running.life.end();
    }

    /// Lets a member's disk fail at a call soon; the process ends of it.
    pub(crate) fn fail_disk(&self, place: Place, after: u64, fault: Fault, survival: Survival) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(&place) else { return };
        if fault == Fault::PowerCut {
            slot.planned_cut = Some(survival);
        }
        slot.site.disk.fs.fail_after(after, fault);
    }

    /// Mends all disks.
    pub(crate) fn mend_disks(&self) {
        for slot in self.slots.lock().values_mut() {
            // A cut that is under way stays one: the power is off.
            slot.site.disk.fs.heal();
            slot.site.disk.set_pace(HEALTHY);
        }
    }

    /// Asks a member to stop in order.
    pub(crate) fn stop(&self, place: Place) {
        let mut slots = self.slots.lock();
        let stop = slots.get_mut(&place).and_then(|slot| slot.running.as_mut()).and_then(|running| running.stop.take());
        if let Some(stop) = stop {
            trace!(self.trace, "{place} is asked to stop");
            // It may be dying already.
            let _ = stop.send(());
        }
    }

    /// Asks a member for something, as a client does: until it answers, dies, or patience ends.
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub(crate) async fn ask<T, F>(
        &self,
        place: Place,
        patience: Duration,
        question: impl FnOnce(Handle) -> F,
    ) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, node::Error>>,
    {
        let Some(process) = self.process(place) else {
            return Err(Unanswered::Refused("not running".to_owned()));
        };
        let answer = process.life.run(question(process.handle.clone()));
        tokio::select! {
            biased;
            () = process.died() => Err(Unanswered::Unknown("died".to_owned())),
            answer = timeout(patience, answer) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(self.unanswered(&error)),
                Err(_elapsed) => Err(Unanswered::Unknown("impatience".to_owned())),
            },
        }
    }

    fn unanswered(&self, error: &node::Error) -> Unanswered {
        match error {
            node::Error::Rejected(_)
            | node::Error::Invalid(_)
            | node::Error::PasswordTooLong
            | node::Error::VerifyOnly => Unanswered::Refused(error.to_string()),
            node::Error::Unavailable(unavailable) if unavailable.outcome_unknown() => {
                Unanswered::Unknown(error.to_string())
            }
            node::Error::Unavailable(_) => Unanswered::Refused(error.to_string()),
            node::Error::Fault => {
                violation!(self.trace, "reads", "a member could not read its store");
                Unanswered::Unknown(error.to_string())
            }
        }
    }
}
