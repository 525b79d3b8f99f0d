//! A member on the other side of the network: each call of [`Peer`] over the lane that fits it.
//!
//! Three lanes, three connections, because within one connection bulk delays what is sent after it.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use prost::Message;
use proto::quoratepb::peer_client::PeerClient;
use proto::quoratepb::{
    AppendRequest, AppendResponse, ChangeMembersRequest, ChangeMembersResponse, FetchRequest, HashKeysRequest,
    HashKeysResponse, LeaseLifeRequest, LeaseLifeResponse, ProbeRequest, ProbeResponse, ProposeRequest,
    ProposeResponse, ReadIndexRequest, ReadIndexResponse, RenewLeasesRequest, RenewLeasesResponse, SnapshotChunk,
    SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tls::Connector;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Request, Response, Status};

use crate::connection::Connection;
use crate::idle::Debt;
use crate::lane::Lane;
use crate::open::{Load, Way};
use crate::until::until;
use crate::{Answer, CallError, MESSAGE_BYTES_MAX, Peer, Requests, Responses, status};

/// A member at some URLs.
pub(crate) struct Remote {
    append: Arc<Lane>,
    calls: Arc<Lane>,
    snapshots: Arc<Lane>,
}

type Client = PeerClient<Connection>;

impl Remote {
    pub(crate) fn new(urls: &[String], tls: Option<&Connector>) -> Self {
        let lane = |load| Arc::new(Lane::new(Way { urls: urls.to_vec(), tls: tls.cloned(), load }));
        Self { append: lane(Load::Bulk), calls: lane(Load::Calls), snapshots: lane(Load::Bulk) }
    }

    /// One request, one answer.
    fn call<Q, A, F>(
        &self,
        request: Q,
        timeout: Duration,
        send: impl FnOnce(Client, Request<Q>) -> F + Send + 'static,
    ) -> Answer<A>
    where
        Q: Message + 'static,
        F: Future<Output = Result<Response<A>, Status>> + Send,
    {
        let lane = self.calls.clone();
        async move {
            // The encoder would reset the call, which says nothing about why.
            if request.encoded_len() > MESSAGE_BYTES_MAX {
                return Err(CallError::Malformed("larger than a message may be".to_owned()));
            }
            let deadline = Instant::now() + timeout;
            let connection = lane.connection(timeout).await?;
            let mut request = Request::new(request);
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            match timeout_at(deadline, send(connection.client(), request)).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(status::read(&status)),
                Err(_) => Err(CallError::Timeout),
            }
        }
        .boxed()
    }
}

/// The responses to `requests`. The stream is opened with the first poll: the other side may want to see a request before it
/// answers at all.
fn replicate(connection: Connection, requests: Requests<AppendRequest>, idle: Duration) -> Responses<AppendResponse> {
    let debt = Debt::default();
    let requests = debt.of_answers(requests);
    let mut client = connection.client();
    let opening = async move { client.append(requests).await.map(Response::into_inner) };
    let answered = debt.clone();
    let responses = opening
        .try_flatten_stream()
        .inspect_ok(move |_| answered.settle())
        .map_err(|status| status::read(&status))
        .boxed();
    let overdue = debt.overdue(idle).map(move |()| {
        connection.give_up();
        CallError::Timeout
    });
    until(responses, overdue.boxed())
}

/// The same frames, until one of them takes longer than `idle`.
fn each_within<T: Send + 'static>(idle: Duration, frames: Responses<T>) -> Responses<T> {
    let next = move |frames: Option<Responses<T>>| async move {
        let mut frames = frames?;
        match timeout(idle, frames.next()).await {
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(frames))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_) => Some((Err(CallError::Timeout), None)),
        }
    };
    stream::unfold(Some(frames), next).boxed()
}

impl Peer for Remote {
    fn append(&self, requests: Requests<AppendRequest>, idle: Duration) -> Answer<Responses<AppendResponse>> {
        let lane = self.append.clone();
        async move { Ok(replicate(lane.connection(idle).await?, requests, idle)) }.boxed()
    }

    fn heartbeat(&self, request: AppendRequest, timeout: Duration) -> Answer<AppendResponse> {
        self.call(request, timeout, |mut client, request| async move { client.heartbeat(request).await })
    }

    fn vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse> {
        self.call(request, timeout, |mut client, request| async move { client.vote(request).await })
    }

    fn pre_vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse> {
        self.call(request, timeout, |mut client, request| async move { client.pre_vote(request).await })
    }

    fn transfer_leader(&self, request: TransferLeaderRequest, timeout: Duration) -> Answer<TransferLeaderResponse> {
        self.call(request, timeout, |mut client, request| async move { client.transfer_leader(request).await })
    }

    fn read_index(&self, request: ReadIndexRequest, timeout: Duration) -> Answer<ReadIndexResponse> {
        self.call(request, timeout, |mut client, request| async move { client.read_index(request).await })
    }

    fn propose(&self, request: ProposeRequest, timeout: Duration) -> Answer<ProposeResponse> {
        self.call(request, timeout, |mut client, request| async move { client.propose(request).await })
    }

    fn renew_leases(&self, request: RenewLeasesRequest, timeout: Duration) -> Answer<RenewLeasesResponse> {
        self.call(request, timeout, |mut client, request| async move { client.renew_leases(request).await })
    }

    fn lease_life(&self, request: LeaseLifeRequest, timeout: Duration) -> Answer<LeaseLifeResponse> {
        self.call(request, timeout, |mut client, request| async move { client.lease_life(request).await })
    }

    fn change_members(&self, request: ChangeMembersRequest, timeout: Duration) -> Answer<ChangeMembersResponse> {
        self.call(request, timeout, |mut client, request| async move { client.change_members(request).await })
    }

    fn hash_keys(&self, request: HashKeysRequest, timeout: Duration) -> Answer<HashKeysResponse> {
        self.call(request, timeout, |mut client, request| async move { client.hash_keys(request).await })
    }

    fn probe(&self, timeout: Duration) -> Answer<ProbeResponse> {
        self.call(ProbeRequest {}, timeout, |mut client, request| async move { client.probe(request).await })
    }

    fn snapshot(&self, chunks: Requests<SnapshotChunk>, idle: Duration) -> Answer<SnapshotResponse> {
        let lane = self.snapshots.clone();
        async move {
            let connection = lane.connection(idle).await?;
            let debt = Debt::default();
            let chunks = debt.of_taking(chunks);
            let mut client = connection.client();
            tokio::select! {
                biased;
                answer = client.snapshot(chunks) => {
                    answer.map(Response::into_inner).map_err(|status| status::read(&status))
                }
                () = debt.overdue(idle) => {
                    connection.give_up();
                    Err(CallError::Timeout)
                }
            }
        }
        .boxed()
    }

    fn fetch(&self, request: FetchRequest, idle: Duration) -> Answer<Responses<SnapshotChunk>> {
        let lane = self.snapshots.clone();
        async move {
            let connection = lane.connection(idle).await?;
            let opened = timeout(idle, connection.client().fetch(request)).await.map_err(|_| CallError::Timeout)?;
            let chunks = opened.map_err(|status| status::read(&status))?.into_inner();
            Ok(each_within(idle, chunks.map_err(|status| status::read(&status)).boxed()))
        }
        .boxed()
    }
}
