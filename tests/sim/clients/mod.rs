//! Clients of the cluster: they do what the checks understand, record what they see, and change members when one does not answer.

mod contender;
mod leaseholder;
mod operator;
mod requester;
mod watcher;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::member::Site;
use crate::network::Place;
use crate::recording::Recording;
use crate::rng::Rng;

pub(crate) use requester::ask;
pub(crate) use watcher::Watchers;

/// How many clients of each kind there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) requesters: u64,
    pub(crate) leaseholders: u64,
    pub(crate) contenders: u64,
}

/// What every client has.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) cluster: Cluster,
    pub(crate) recording: Recording,
    pub(crate) rng: Rng,
    /// The member that it speaks to.
    pub(crate) place: Place,
    /// When it is done.
    pub(crate) until: Instant,
    /// Numbers what it writes.
    pub(crate) count: u64,
}

impl Client {
    fn new(name: String, seed: u64, cluster: &Cluster, recording: &Recording, until: Instant) -> Self {
        let mut rng = Rng::for_part(seed, &name);
        let place = rng.pick(&cluster.places());
        Self { name, cluster: cluster.clone(), recording: recording.clone(), rng, place, until, count: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        Instant::now() >= self.until
    }

    pub(crate) fn now(&self) -> u64 {
        self.cluster.trace.now()
    }

    /// Goes to another member.
    pub(crate) fn move_on(&mut self) {
        self.place = self.rng.pick(&self.cluster.places());
    }

    pub(crate) async fn rest(&mut self, least: u64, most: u64) {
        let millis = self.rng.between(least, most);
        sleep(Duration::from_millis(millis)).await;
    }

    /// A value that nobody else writes.
    pub(crate) fn value(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }
}

/// Lets an operator replace a member by `newcomer`; ends when that is done.
pub(crate) async fn replace(
    seed: u64,
    newcomer: Option<Site>,
    cluster: &Cluster,
    recording: &Recording,
    until: Instant,
) {
    if let Some(newcomer) = newcomer {
        let client = Client::new("operator".to_owned(), seed, cluster, recording, until);
        operator::run(client, newcomer).await;
    }
}

/// Runs a crowd until `until`; the set is empty when all of them are done.
pub(crate) fn spawn(seed: u64, crowd: Crowd, cluster: &Cluster, recording: &Recording, until: Instant) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let client = |kind: &str, nth: u64| Client::new(format!("{kind}{nth}"), seed, cluster, recording, until);
    for nth in 0..crowd.requesters {
        tasks.spawn(requester::run(client("r", nth)));
    }
    for nth in 0..crowd.leaseholders {
        tasks.spawn(leaseholder::run(client("h", nth)));
    }
    for nth in 0..crowd.contenders {
        tasks.spawn(contender::run(client("c", nth)));
    }
    tasks
}
