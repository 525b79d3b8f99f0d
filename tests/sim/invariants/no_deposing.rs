//! A member that was cut off deposes nobody when it comes back, and nobody by what still gets through while it is cut off: term and leader
//! stay, and the others serve throughout.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::checker::history::{Op, Outcome, Request};
use crate::clients::ask;
use crate::cluster::Cluster;
use crate::network::Place;
use crate::recording::Recording;
use crate::rng::Rng;
use crate::trace::{trace, violation};

/// More than twenty elections.
const APART: Duration = Duration::from_secs(12);

/// Time for the return to do its harm.
const TOGETHER: Duration = Duration::from_secs(3);

/// Cuts a follower off, in whatever directions the seed says, and looks.
pub(crate) async fn look(seed: u64, cluster: &Cluster, recording: &Recording) {
    let mut rng = Rng::for_part(seed, "apart");
    let Some((leader, term)) = leader(cluster) else { return };
    let followers: Vec<Place> = cluster.places().into_iter().filter(|place| *place != leader).collect();
    if followers.len() < 2 {
        return;
    }
    let apart = rng.pick(&followers);
    let (inward, outward) = rng.pick(&[(true, true), (true, false), (false, true)]);
    // From the leader alone, the others could be talked into an election; from all, it has nobody to ask before it is back.
    let others = if rng.once_in(2) { vec![leader] } else { cluster.places() };
    trace!(cluster.trace, "{apart} is cut off from {others:?}, inward {inward}, outward {outward}");
    for other in others.into_iter().filter(|other| *other != apart) {
        cluster.network.set(other, apart, |link| link.is_cut = inward);
        cluster.network.set(apart, other, |link| link.is_cut = outward);
    }
    let end = Instant::now() + APART;
    let mut nth = 0;
    while Instant::now() < end {
        nth += 1;
        let op = Op::Put { key: "apart".to_owned(), value: format!("apart-{nth}"), lease: 0 };
        let outcome = ask(cluster, recording, "apart", leader, Request::one(op), Duration::from_secs(1)).await;
        if !matches!(outcome, Outcome::Answered(_)) {
            violation!(cluster.trace, "no deposing", "a write fails while {apart} is cut off");
        }
        sleep(Duration::from_millis(400)).await;
    }
    cluster.network.heal();
    sleep(TOGETHER).await;
    for (place, process) in cluster.processes() {
        let status = process.handle.status();
        let now = status.leader.and_then(|id| cluster.place_of(id));
        if status.term.get() != term || now != Some(leader) {
            let (now_term, back) = (status.term.get(), apart);
            violation!(
                cluster.trace,
                "no deposing",
                "{leader} led term {term} before {back} came back; {place} says {now:?} in {now_term}"
            );
        }
    }
}

/// Who leads, if all agree, and the term.
fn leader(cluster: &Cluster) -> Option<(Place, u64)> {
    let statuses: Vec<_> = cluster.processes().iter().map(|(_, process)| process.handle.status()).collect();
    let first = statuses.first()?;
    let is_same = statuses.iter().all(|status| (status.leader, status.term) == (first.leader, first.term));
    let place = cluster.place_of(first.leader?)?;
    is_same.then_some((place, first.term.get()))
}
