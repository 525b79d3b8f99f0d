//! What goes wrong, when: drawn from the seed, one act after the other, and everything mended at the end.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wal::{Fault, Survival};

use crate::cluster::{Cluster, Death};
use crate::disk::Pace;
use crate::network::{Link, Place};
use crate::rng::Rng;
use crate::trace::trace;

/// The mischief of one run.
pub(crate) struct Nemesis {
    cluster: Cluster,
    rng: Rng,
}

impl Nemesis {
    pub(crate) fn new(seed: u64, cluster: Cluster) -> Self {
        Self { cluster, rng: Rng::for_part(seed, "nemesis") }
    }

    /// Acts until `until`, then mends everything and brings everyone back.
    pub(crate) async fn run(mut self, until: Instant) {
        while Instant::now() < until {
            self.act();
            self.restart_some();
            // Now and then for longer than a lease lives.
            let most = if self.rng.once_in(6) { 7000 } else { 1500 };
            sleep(Duration::from_millis(self.rng.between(20, most))).await;
            if self.rng.once_in(3) {
                self.mend();
                sleep(Duration::from_millis(self.rng.between(100, 2000))).await;
            }
        }
        self.mend();
    }

    fn act(&mut self) {
        // A member alone has no network to be cut from.
        let first = if self.cluster.places().len() > 1 { 0 } else { 6 };
        match self.rng.between(first, 12) {
            0 => self.isolate(),
            1 => self.cut_one_way(),
            2 => self.split(),
            3 => self.bridge(),
            4 | 5 => self.worsen_links(),
            6 => self.kill_one(),
            7 => self.kill_many(),
            8 => self.cut_power_within_a_write(),
            9 => self.slow_a_disk(),
            10 => self.fail_a_disk(),
            11 => self.stop_one(),
            _ => self.move_leader(),
        }
    }

    fn mend(&self) {
        trace!(self.cluster.trace, "nemesis mends");
        self.cluster.network.heal();
        self.cluster.mend_disks();
    }

    fn restart_some(&mut self) {
        for place in self.cluster.places() {
            if self.cluster.is_down(place) && self.rng.once_in(2) {
                self.cluster.start(place);
            }
        }
    }

    fn one(&mut self) -> Place {
        let places = self.cluster.places();
        self.rng.pick(&places)
    }

    /// The leader as far as anyone knows, or anyone.
    fn leader(&mut self) -> Place {
        let known = self.cluster.processes().into_iter().find_map(|(_, process)| process.handle.status().leader);
        known.and_then(|id| self.cluster.place_of(id)).unwrap_or_else(|| self.one())
    }

    /// The leader half of the time, or anyone.
    fn victim(&mut self) -> Place {
        if self.rng.once_in(2) { self.leader() } else { self.one() }
    }

    fn cut(&self, from: Place, to: Place) {
        self.cluster.network.set(from, to, |link| link.is_cut = true);
    }

    fn others(&self, place: Place) -> Vec<Place> {
        self.cluster.places().into_iter().filter(|other| *other != place).collect()
    }

    fn isolate(&mut self) {
        let victim = self.victim();
        trace!(self.cluster.trace, "nemesis isolates {victim}");
        for other in self.others(victim) {
            self.cut(victim, other);
            self.cut(other, victim);
        }
    }

    fn cut_one_way(&mut self) {
        let victim = self.victim();
        let is_outward = self.rng.once_in(2);
        let all = self.others(victim);
        let some = if self.rng.once_in(2) { all.clone() } else { vec![self.rng.pick(&all)] };
        trace!(self.cluster.trace, "nemesis cuts {victim} and {some:?} one way, outward {is_outward}");
        for other in some {
            let (from, to) = if is_outward { (victim, other) } else { (other, victim) };
            self.cut(from, to);
        }
    }

    fn split(&mut self) {
        let mut places = self.cluster.places();
        self.rng.shuffle(&mut places);
        let at = self.rng.index(places.len());
        let (one, other) = places.split_at(at);
        trace!(self.cluster.trace, "nemesis splits {one:?} from {other:?}");
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
            self.cut(a, b);
            self.cut(b, a);
        }
    }

    /// Two sides that both see one member, and not each other.
    fn bridge(&mut self) {
        let bridge = self.one();
        let mut others = self.others(bridge);
        self.rng.shuffle(&mut others);
        let (one, other) = others.split_at(others.len() / 2);
        trace!(self.cluster.trace, "nemesis leaves {bridge} between {one:?} and {other:?}");
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
            self.cut(a, b);
            self.cut(b, a);
        }
    }

    fn worsen_links(&mut self) {
        let most = self.rng.pick(&[5, 20, 80, 400]);
        let link = Link {
            is_cut: false,
            lost: self.rng.pick(&[0, 2, 10, 30]),
            doubled: self.rng.pick(&[0, 5, 30]),
            delay: (1, most),
        };
        trace!(self.cluster.trace, "nemesis worsens links to {link:?}");
        let places = self.cluster.places();
        for from in &places {
            for to in places.iter().filter(|to| *to != from) {
                if self.rng.once_in(2) {
                    self.cluster.network.set(*from, *to, |old| *old = link);
                }
            }
        }
    }

    fn survival(&mut self) -> Survival {
        match self.rng.between(0, 2) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Random(self.rng.next()),
        }
    }

    fn death(&mut self) -> Death {
        if self.rng.once_in(3) { Death::Killed } else { Death::PowerCut(self.survival()) }
    }

    fn kill_one(&mut self) {
        let victim = self.victim();
        let death = self.death();
        self.cluster.kill(victim, death);
    }

    fn kill_many(&mut self) {
        let spared = self.rng.once_in(2);
        for place in self.cluster.places() {
            if !spared || self.rng.once_in(2) {
                let death = self.death();
                self.cluster.kill(place, death);
            }
        }
    }

    fn cut_power_within_a_write(&mut self) {
        let victim = self.victim();
        let after = self.rng.between(0, 12);
        let survival = Survival::Random(self.rng.next());
        trace!(self.cluster.trace, "nemesis cuts the power of {victim} after {after} calls");
        self.cluster.fail_disk(victim, after, Fault::PowerCut, survival);
    }

    fn slow_a_disk(&mut self) {
        let victim = self.victim();
        let pace = self.rng.pick(&[Pace::Steady(5, 40), Pace::Steady(100, 400), Pace::Frozen]);
        trace!(self.cluster.trace, "nemesis slows the disk of {victim}: {pace:?}");
        if let Some(disk) = self.cluster.disk(victim) {
            disk.set_pace(pace);
        }
    }

    fn fail_a_disk(&mut self) {
        let victim = self.victim();
        let fault = self.rng.pick(&[Fault::Eio, Fault::Enospc, Fault::ShortWrite]);
        let after = self.rng.between(0, 12);
        trace!(self.cluster.trace, "nemesis fails the disk of {victim} with {fault:?} after {after} calls");
        self.cluster.fail_disk(victim, after, fault, Survival::Everything);
    }

    fn move_leader(&mut self) {
        let (leader, target) = (self.leader(), self.one());
        let Some(process) = self.cluster.process(leader) else { return };
        let target = self.cluster.process(target).map(|process| process.handle.header().member_id);
        let Some(target) = target else { return };
        trace!(self.cluster.trace, "nemesis asks {leader} to yield to {target}");
        let life = process.life.clone();
        // Whether it does is its own affair.
        life.spawn(async move { process.handle.move_leader(target).await.map_err(drop) });
    }

    fn stop_one(&mut self) {
        let victim = self.victim();
        self.cluster.stop(victim);
    }
}
