//! Wires between members in one process: a connection calls the member that is plugged in at the URL, unless the wire is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, future, stream};
use parking_lot::Mutex;
use proto::quoratepb as pb;
use transport::{Answer, CallError, Dialer, Peer, Requests, Responses};

/// All wires. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Wires {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    plugged: BTreeMap<String, Arc<dyn Peer>>,
    cut: BTreeSet<String>,
    pre_votes: usize,
}

impl Wires {
    pub(crate) fn plug(&self, url: &str, peer: Arc<dyn Peer>) {
        self.shared.lock().plugged.insert(url.to_owned(), peer);
    }

    pub(crate) fn unplug(&self, url: &str) {
        self.shared.lock().plugged.remove(url);
    }

    /// Nothing reaches the member at `url` any more, nor what it is answered.
    pub(crate) fn cut(&self, url: &str) {
        self.shared.lock().cut.insert(url.to_owned());
    }

    pub(crate) fn mend(&self, url: &str) {
        self.shared.lock().cut.remove(url);
    }

    /// How many pre-votes were asked for.
    pub(crate) fn pre_votes(&self) -> usize {
        self.shared.lock().pre_votes
    }

    fn is_cut(&self, url: &str) -> bool {
        self.shared.lock().cut.contains(url)
    }
}

/// The wires that end at one member: cutting it off cuts what it sends as well.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) wires: Wires,
    pub(crate) own_url: String,
}

impl Dialer for Outlet {
    fn dial(&self, urls: &[String]) -> Arc<dyn Peer> {
        Arc::new(Wire { outlet: self.clone(), url: urls.first().cloned().unwrap_or_default() })
    }
}

impl Dialer for Wires {
    fn dial(&self, urls: &[String]) -> Arc<dyn Peer> {
        Outlet { wires: self.clone(), own_url: String::new() }.dial(urls)
    }
}

#[derive(Clone)]
struct Wire {
    outlet: Outlet,
    url: String,
}

impl Wire {
    fn is_cut(&self) -> bool {
        self.outlet.wires.is_cut(&self.url) || self.outlet.wires.is_cut(&self.outlet.own_url)
    }

    fn peer(&self) -> Result<Arc<dyn Peer>, CallError> {
        let plugged = self.outlet.wires.shared.lock().plugged.get(&self.url).cloned();
        plugged.filter(|_| !self.is_cut()).ok_or_else(|| CallError::Unreachable("cut".to_owned()))
    }

    fn call<T: Send + 'static>(&self, call: impl FnOnce(&dyn Peer) -> Answer<T>) -> Answer<T> {
        let (wire, answer) = match self.peer() {
            Ok(peer) => (self.clone(), call(&*peer)),
            Err(error) => return future::ready(Err(error)).boxed(),
        };
        async move {
            let answer = answer.await;
            if wire.is_cut() { Err(CallError::Interrupted("cut".to_owned())) } else { answer }
        }
        .boxed()
    }
}

/// Ends when the wire is cut.
fn while_whole<T: Send + 'static>(wire: Wire, frames: stream::BoxStream<'static, T>) -> stream::BoxStream<'static, T> {
    frames.take_while(move |_| future::ready(!wire.is_cut())).boxed()
}

impl Peer for Wire {
    fn append(&self, requests: Requests<pb::AppendRequest>, idle: Duration) -> Answer<Responses<pb::AppendResponse>> {
        let wire = self.clone();
        let requests = while_whole(self.clone(), requests);
        self.call(|peer| peer.append(requests, idle)).map(|opened| opened.map(|all| while_whole(wire, all))).boxed()
    }

    fn heartbeat(&self, request: pb::AppendRequest, timeout: Duration) -> Answer<pb::AppendResponse> {
        self.call(|peer| peer.heartbeat(request, timeout))
    }

    fn vote(&self, request: pb::VoteRequest, timeout: Duration) -> Answer<pb::VoteResponse> {
        self.call(|peer| peer.vote(request, timeout))
    }

    fn pre_vote(&self, request: pb::VoteRequest, timeout: Duration) -> Answer<pb::VoteResponse> {
        self.outlet.wires.shared.lock().pre_votes += 1;
        self.call(|peer| peer.pre_vote(request, timeout))
    }

    fn transfer_leader(
        &self,
        request: pb::TransferLeaderRequest,
        timeout: Duration,
    ) -> Answer<pb::TransferLeaderResponse> {
        self.call(|peer| peer.transfer_leader(request, timeout))
    }

    fn read_index(&self, request: pb::ReadIndexRequest, timeout: Duration) -> Answer<pb::ReadIndexResponse> {
        self.call(|peer| peer.read_index(request, timeout))
    }

    fn propose(&self, request: pb::ProposeRequest, timeout: Duration) -> Answer<pb::ProposeResponse> {
        self.call(|peer| peer.propose(request, timeout))
    }

    fn renew_leases(&self, request: pb::RenewLeasesRequest, timeout: Duration) -> Answer<pb::RenewLeasesResponse> {
        self.call(|peer| peer.renew_leases(request, timeout))
    }

    fn lease_life(&self, request: pb::LeaseLifeRequest, timeout: Duration) -> Answer<pb::LeaseLifeResponse> {
        self.call(|peer| peer.lease_life(request, timeout))
    }

    fn change_members(
        &self,
        request: pb::ChangeMembersRequest,
        timeout: Duration,
    ) -> Answer<pb::ChangeMembersResponse> {
        self.call(|peer| peer.change_members(request, timeout))
    }

    fn hash_keys(&self, request: pb::HashKeysRequest, timeout: Duration) -> Answer<pb::HashKeysResponse> {
        self.call(|peer| peer.hash_keys(request, timeout))
    }

    fn probe(&self, timeout: Duration) -> Answer<pb::ProbeResponse> {
        self.call(|peer| peer.probe(timeout))
    }

    fn snapshot(&self, chunks: Requests<pb::SnapshotChunk>, idle: Duration) -> Answer<pb::SnapshotResponse> {
        let chunks = while_whole(self.clone(), chunks);
        self.call(|peer| peer.snapshot(chunks, idle))
    }

    fn fetch(&self, request: pb::FetchRequest, idle: Duration) -> Answer<Responses<pb::SnapshotChunk>> {
        let wire = self.clone();
        self.call(|peer| peer.fetch(request, idle)).map(|opened| opened.map(|all| while_whole(wire, all))).boxed()
    }
}
