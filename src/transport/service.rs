//! The served side of the peer protocol: every call is passed to the [`Peer`], errors become statuses.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, future};
use proto::quoratepb::peer_server::{self, PeerServer};
use proto::quoratepb::{
    AppendRequest, AppendResponse, ChangeMembersRequest, ChangeMembersResponse, FetchRequest, HashKeysRequest,
    HashKeysResponse, LeaseLifeRequest, LeaseLifeResponse, ProbeRequest, ProbeResponse, ProposeRequest,
    ProposeResponse, ReadIndexRequest, ReadIndexResponse, RenewLeasesRequest, RenewLeasesResponse, SnapshotChunk,
    SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::until::until;
use crate::{Answer, CallError, MESSAGE_BYTES_MAX, Peer, Requests, Responses, deadline, status};

/// Told to a served member, which need not heed it: who calls has its own figure and does not send it.
const IDLE: Duration = Duration::from_secs(10);

/// Passes calls on. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    peer: Arc<dyn Peer>,
    stopping: CancellationToken,
}

impl Service {
    pub(crate) fn new(peer: Arc<dyn Peer>, stopping: CancellationToken) -> Self {
        Self { peer, stopping }
    }

    /// As tonic serves it.
    pub(crate) fn server(&self) -> PeerServer<Self> {
        PeerServer::new(self.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Frames that go back, until the member stops.
    fn stream<T: Send + 'static>(&self, frames: Responses<T>) -> Response<BoxStream<'static, Result<T, Status>>> {
        let stopped = self.stopping.clone().cancelled_owned().map(|()| CallError::NotServing);
        Response::new(until(frames, stopped.boxed()).map_err(status::write).boxed())
    }
}

async fn answer<Q, A>(request: Request<Q>, call: impl FnOnce(Q, Duration) -> Answer<A>) -> Result<Response<A>, Status> {
    let timeout = deadline::read(request.metadata());
    call(request.into_inner(), timeout).await.map(Response::new).map_err(status::write)
}

/// The frames that arrive. A broken connection and a frame that cannot be read end them: whoever reads must not take an end for
/// success.
fn frames<T: Send + 'static>(request: Request<Streaming<T>>) -> Requests<T> {
    let frames = request.into_inner().inspect_err(|error| tracing::debug!(%error, "a stream of a peer ended early"));
    frames.scan((), |(), frame| future::ready(frame.ok())).boxed()
}

#[tonic::async_trait]
impl peer_server::Peer for Service {
    type AppendStream = BoxStream<'static, Result<AppendResponse, Status>>;

    async fn append(&self, request: Request<Streaming<AppendRequest>>) -> Result<Response<Self::AppendStream>, Status> {
        let responses = self.peer.append(frames(request), IDLE).await.map_err(status::write)?;
        Ok(self.stream(responses))
    }

    async fn heartbeat(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        answer(request, |request, timeout| self.peer.heartbeat(request, timeout)).await
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        answer(request, |request, timeout| self.peer.vote(request, timeout)).await
    }

    async fn pre_vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        answer(request, |request, timeout| self.peer.pre_vote(request, timeout)).await
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        answer(request, |request, timeout| self.peer.transfer_leader(request, timeout)).await
    }

    async fn read_index(&self, request: Request<ReadIndexRequest>) -> Result<Response<ReadIndexResponse>, Status> {
        answer(request, |request, timeout| self.peer.read_index(request, timeout)).await
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<ProposeResponse>, Status> {
        answer(request, |request, timeout| self.peer.propose(request, timeout)).await
    }

    async fn renew_leases(
        &self,
        request: Request<RenewLeasesRequest>,
    ) -> Result<Response<RenewLeasesResponse>, Status> {
        answer(request, |request, timeout| self.peer.renew_leases(request, timeout)).await
    }

    async fn lease_life(&self, request: Request<LeaseLifeRequest>) -> Result<Response<LeaseLifeResponse>, Status> {
        answer(request, |request, timeout| self.peer.lease_life(request, timeout)).await
    }

    async fn change_members(
        &self,
        request: Request<ChangeMembersRequest>,
    ) -> Result<Response<ChangeMembersResponse>, Status> {
        answer(request, |request, timeout| self.peer.change_members(request, timeout)).await
    }

    async fn hash_keys(&self, request: Request<HashKeysRequest>) -> Result<Response<HashKeysResponse>, Status> {
        answer(request, |request, timeout| self.peer.hash_keys(request, timeout)).await
    }

    async fn probe(&self, request: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        answer(request, |ProbeRequest {}, timeout| self.peer.probe(timeout)).await
    }

    async fn snapshot(&self, request: Request<Streaming<SnapshotChunk>>) -> Result<Response<SnapshotResponse>, Status> {
        self.peer.snapshot(frames(request), IDLE).await.map(Response::new).map_err(status::write)
    }

    type FetchStream = BoxStream<'static, Result<SnapshotChunk, Status>>;

    async fn fetch(&self, request: Request<FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let chunks = self.peer.fetch(request.into_inner(), IDLE).await.map_err(status::write)?;
        Ok(self.stream(chunks))
    }
}
