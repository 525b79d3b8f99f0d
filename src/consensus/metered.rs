//! Calls between members, counted on their way: bytes, failures, how long heartbeats and snapshots take. The calls themselves pass
//! unchanged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use prost::Message;
use proto::quoratepb as pb;
use tokio::time::Instant;
use transport::{Answer, Header, Peer, Requests, Responses};

use crate::meters::{Meters, PeerMeters, Transfers, add};
use crate::roster::Roster;

/// A peer with counters around it.
pub(crate) struct Metered {
    inner: Arc<dyn Peer>,
    side: Side,
}

/// Which end of the calls this is.
enum Side {
    /// This member calls that one.
    Calling(Arc<PeerMeters>),
    /// The members of the cluster call this one.
    Serving { meters: Meters, roster: Roster },
}

/// Where the calls with one member are counted.
#[derive(Clone)]
struct Account {
    peer: Arc<PeerMeters>,
    is_caller: bool,
}

impl Account {
    fn asked(&self, message: &impl Message) {
        add(if self.is_caller { &self.peer.sent_bytes } else { &self.peer.received_bytes }, message.encoded_len());
    }

    fn answered(&self, message: &impl Message) {
        add(if self.is_caller { &self.peer.received_bytes } else { &self.peer.sent_bytes }, message.encoded_len());
    }

    fn failed(&self) {
        add(if self.is_caller { &self.peer.sent_failures } else { &self.peer.received_failures }, 1);
    }

    fn outcome<T: Message, E>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(answer) => self.answered(answer),
            Err(_) => self.failed(),
        }
    }

    fn snapshots(&self) -> &Transfers {
        if self.is_caller { &self.peer.snapshots_sent } else { &self.peer.snapshots_received }
    }
}

impl Metered {
    /// `inner` is a connection to `member`.
    pub(crate) fn calling(inner: Arc<dyn Peer>, member: Arc<PeerMeters>) -> Self {
        Self { inner, side: Side::Calling(member) }
    }

    /// `inner` is this member, as it is served.
    pub(crate) fn serving(inner: Arc<dyn Peer>, meters: Meters, roster: Roster) -> Self {
        Self { inner, side: Side::Serving { meters, roster } }
    }

    /// One request, one answer.
    fn call<Q: Message, A: Message + 'static>(
        &self,
        header: Option<&Header>,
        request: Q,
        send: impl FnOnce(&dyn Peer, Q) -> Answer<A>,
    ) -> Answer<A> {
        let Some(account) = self.side.account(header) else { return send(&*self.inner, request) };
        account.asked(&request);
        send(&*self.inner, request).inspect(move |outcome| account.outcome(outcome)).boxed()
    }
}

impl Side {
    /// The account of the member at the other end; none for a caller that does not belong to the cluster.
    fn account(&self, header: Option<&Header>) -> Option<Account> {
        match self {
            Self::Calling(peer) => Some(Account { peer: Arc::clone(peer), is_caller: true }),
            Self::Serving { meters, roster } => {
                let from = header?.from;
                roster.has(from).then(|| Account { peer: meters.peer(from), is_caller: false })
            }
        }
    }

    /// The same side, for a stream that outlives the borrow.
    fn of_stream(&self) -> Self {
        match self {
            Self::Calling(peer) => Self::Calling(Arc::clone(peer)),
            Self::Serving { meters, roster } => Self::Serving { meters: meters.clone(), roster: roster.clone() },
        }
    }
}

/// The account of a stream. Who calls stands in its first frame alone, and may be known as a member only later.
#[derive(Default)]
struct StreamAccount {
    header: OnceLock<Option<Header>>,
    account: OnceLock<Account>,
}

impl StreamAccount {
    /// With the next frame, whose header this is.
    fn with_frame(&self, side: &Side, header: Option<&Header>) -> Option<&Account> {
        if let Some(account) = self.account.get() {
            return Some(account);
        }
        let first = self.header.get_or_init(|| header.copied());
        let account = side.account(first.as_ref())?;
        Some(self.account.get_or_init(|| account))
    }

    fn known(&self) -> Option<&Account> {
        self.account.get()
    }
}

/// The same frames, counted.
fn counted<T: Message + 'static>(
    frames: Requests<T>,
    side: Side,
    header: impl Fn(&T) -> Option<&Header> + Send + 'static,
    account: Arc<StreamAccount>,
) -> Requests<T> {
    let count = move |frame: &T| {
        if let Some(account) = account.with_frame(&side, header(frame)) {
            account.asked(frame);
        }
    };
    frames.inspect(count).boxed()
}

fn header_of_chunk(chunk: &pb::SnapshotChunk) -> Option<&Header> {
    match &chunk.part {
        Some(pb::snapshot_chunk::Part::Head(head)) => head.header.as_ref(),
        Some(pb::snapshot_chunk::Part::Data(_) | pb::snapshot_chunk::Part::Tail(_)) | None => None,
    }
}

/// A snapshot under way; one that is dropped before its end was given up.
struct UnderWay {
    account: Account,
    begun: Instant,
    has_ended: AtomicBool,
}

impl UnderWay {
    fn new(account: Account) -> Self {
        account.snapshots().begun();
        Self { account, begun: Instant::now(), has_ended: AtomicBool::new(false) }
    }

    /// The first end counts.
    fn end(&self, arrived_after: Option<Duration>) {
        if !self.has_ended.swap(true, Ordering::Relaxed) {
            self.account.snapshots().ended(arrived_after);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl Peer for Metered {
    fn append(&self, requests: Requests<pb::AppendRequest>, idle: Duration) -> Answer<Responses<pb::AppendResponse>> {
        let account = Arc::new(StreamAccount::default());
        let requests =
            counted(requests, self.side.of_stream(), |request| request.header.as_ref(), Arc::clone(&account));
        let opening = self.inner.append(requests, idle);
        async move {
            let responses = opening.await?;
            let count = move |response: &Result<pb::AppendResponse, _>| {
                if let Some(account) = account.known() {
                    account.outcome(response);
                }
            };
            Ok(responses.inspect(count).boxed())
        }
        .boxed()
    }

    fn heartbeat(&self, request: pb::AppendRequest, timeout: Duration) -> Answer<pb::AppendResponse> {
        let begun = Instant::now();
        let peer = match &self.side {
            Side::Calling(peer) => Some(Arc::clone(peer)),
            Side::Serving { .. } => None,
        };
        let header = request.header;
        let answer = self.call(header.as_ref(), request, |inner, request| inner.heartbeat(request, timeout));
        let Some(peer) = peer else { return answer };
        answer
            .inspect(move |outcome| match outcome {
                Ok(_) => peer.round_trips.observe(begun.elapsed()),
                Err(_) => add(&peer.heartbeats_failed, 1),
            })
            .boxed()
    }

    fn vote(&self, request: pb::VoteRequest, timeout: Duration) -> Answer<pb::VoteResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.vote(request, timeout))
    }

    fn pre_vote(&self, request: pb::VoteRequest, timeout: Duration) -> Answer<pb::VoteResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.pre_vote(request, timeout))
    }

    fn transfer_leader(
        &self,
        request: pb::TransferLeaderRequest,
        timeout: Duration,
    ) -> Answer<pb::TransferLeaderResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.transfer_leader(request, timeout))
    }

    fn read_index(&self, request: pb::ReadIndexRequest, timeout: Duration) -> Answer<pb::ReadIndexResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.read_index(request, timeout))
    }

    fn propose(&self, request: pb::ProposeRequest, timeout: Duration) -> Answer<pb::ProposeResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.propose(request, timeout))
    }

    fn renew_leases(&self, request: pb::RenewLeasesRequest, timeout: Duration) -> Answer<pb::RenewLeasesResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.renew_leases(request, timeout))
    }

    fn lease_life(&self, request: pb::LeaseLifeRequest, timeout: Duration) -> Answer<pb::LeaseLifeResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.lease_life(request, timeout))
    }

    fn change_members(
        &self,
        request: pb::ChangeMembersRequest,
        timeout: Duration,
    ) -> Answer<pb::ChangeMembersResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.change_members(request, timeout))
    }

    fn hash_keys(&self, request: pb::HashKeysRequest, timeout: Duration) -> Answer<pb::HashKeysResponse> {
        let header = request.header;
        self.call(header.as_ref(), request, |inner, request| inner.hash_keys(request, timeout))
    }

    /// Not counted: who asks may be no member yet.
    fn probe(&self, timeout: Duration) -> Answer<pb::ProbeResponse> {
        self.inner.probe(timeout)
    }

    fn snapshot(&self, chunks: Requests<pb::SnapshotChunk>, idle: Duration) -> Answer<pb::SnapshotResponse> {
        let account = Arc::new(StreamAccount::default());
        let under_way = Arc::new(OnceLock::<UnderWay>::new());
        let chunks = counted(chunks, self.side.of_stream(), header_of_chunk, Arc::clone(&account));
        let (counting, begun) = (Arc::clone(&account), Arc::clone(&under_way));
        let chunks = chunks.inspect(move |_| {
            if let Some(account) = counting.known() {
                begun.get_or_init(|| UnderWay::new(account.clone()));
            }
        });
        let answer = self.inner.snapshot(chunks.boxed(), idle);
        async move {
            let outcome = answer.await;
            if let Some(account) = account.known() {
                account.outcome(&outcome);
            }
            if let Some(under_way) = under_way.get() {
                under_way.end(outcome.is_ok().then(|| under_way.begun.elapsed()));
            }
            outcome
        }
        .boxed()
    }

    /// Not counted: it happens before a member takes part.
    fn fetch(&self, request: pb::FetchRequest, idle: Duration) -> Answer<Responses<pb::SnapshotChunk>> {
        self.inner.fetch(request, idle)
    }
}
