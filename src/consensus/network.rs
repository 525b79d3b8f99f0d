//! Raft's calls to other members, as openraft makes them: each becomes a frame with a header, sent over the member's connection.
//!
//! Three lanes to each member, because the three kinds of traffic must not delay each other: the stream that replicates, heartbeats,
//! and snapshots. Which connection a lane uses is the transport's affair.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, future};
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use transport::{CallError, Peer};

use crate::frames::{self, Malformed};
use crate::peers::Peers;
use crate::snapshot::{self, SnapshotData};
use crate::types::{MemberInfo, TypeConfig};

/// Pause after a member could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Opens ways to members.
pub(crate) struct Network {
    pub(crate) peers: Peers,
    /// How long replication may stand still before its stream is opened anew.
    pub(crate) idle: Duration,
}

/// What a way is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Many requests under way.
    Replication,
    /// One after the other, each with an answer of its own.
    Heartbeats,
}

/// A way to one member.
pub(crate) struct Link {
    peers: Peers,
    peer: Arc<dyn Peer>,
    target: u64,
    lane: Lane,
    idle: Duration,
    /// Of the heartbeats, whether the last one was lost: said once, not ten times a second.
    is_silent: bool,
}

type AppendResults<'s> = BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>;

impl Network {
    fn link(&self, target: u64, info: &MemberInfo, lane: Lane) -> Link {
        let peer = self.peers.at(target, &info.peer_urls);
        Link { peers: self.peers.clone(), peer, target, lane, idle: self.idle, is_silent: false }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, info: &MemberInfo) -> Link {
        self.link(target, info, Lane::Replication)
    }

    async fn new_heartbeat_client(&mut self, target: u64, info: &MemberInfo) -> Link {
        self.link(target, info, Lane::Heartbeats)
    }
}

impl Link {
    /// Opens the stream that replicates. openraft makes its pauses after a failure by giving requests late, so that a stream that
    /// cannot even be opened would be tried again at once, without end: the pause is made here.
    async fn replicate<S>(self, input: S) -> Result<AppendResults<'static>, RPCError<TypeConfig>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        let mut header = Some(self.peers.header(self.target));
        let requests = input.map(move |request| frames::append(header.take(), request)).boxed();
        let opened = self.peer.append(requests, self.idle).await;
        let responses = match self.peers.heed(opened) {
            Ok(responses) => responses,
            Err(error) => {
                tokio::time::sleep(RETRY_PAUSE).await;
                return Err(rpc_error(error));
            }
        };
        let results = responses.map(move |response| {
            let response = self.peers.heed(response).map_err(rpc_error)?;
            frames::read_appended(response).map_err(unreadable)
        });
        Ok(end_after_refusal(results).boxed())
    }

    /// Logs that a member fell silent, and that it is back.
    fn note(&mut self, error: Option<&CallError>) {
        let was_silent = std::mem::replace(&mut self.is_silent, error.is_some());
        let member = format_args!("{:x}", self.target).to_string();
        match error {
            Some(error) if !was_silent => tracing::warn!(member, %error, "a member does not answer heartbeats"),
            None if was_silent => tracing::info!(member, "a member answers heartbeats again"),
            Some(_) | None => {}
        }
    }

    fn clone_for_stream(&self) -> Self {
        Self { peers: self.peers.clone(), peer: self.peer.clone(), ..*self }
    }
}

/// Ends the stream with its first result that is not an acknowledgement, as openraft expects.
fn end_after_refusal(
    results: impl Stream<Item = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>> + Send,
) -> impl Stream<Item = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>> + Send {
    results.scan(false, |is_over, result| {
        let item = (!*is_over).then_some(result);
        *is_over = !matches!(item, Some(Ok(Ok(_))));
        future::ready(item)
    })
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = frames::append(Some(self.peers.header(self.target)), rpc);
        let answer = self.peer.heartbeat(request, option.soft_ttl()).await;
        self.note(answer.as_ref().err());
        let result = frames::read_appended(self.peers.heed(answer).map_err(rpc_error)?).map_err(unreadable)?;
        Ok(match result {
            Ok(last) => AppendEntriesResponse::PartialSuccess(last),
            Err(openraft::raft::StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
            Err(openraft::raft::StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<AppendResults<'s>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        match self.lane {
            Lane::Replication => {
                let link = self.clone_for_stream();
                async move { link.replicate(input).await.map(|results| -> AppendResults<'s> { results }) }.boxed()
            }
            Lane::Heartbeats => stream_append_sequential(self, input, option),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = frames::vote_request(self.peers.header(self.target), &rpc);
        let answer = self.peer.vote(request, option.soft_ttl()).await;
        frames::read_vote_response(self.peers.heed(answer).map_err(rpc_error)?).map_err(unreadable)
    }

    /// Written out because openraft's own *grants*: a member that reaches nobody would elect itself.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = frames::vote_request(self.peers.header(self.target), &rpc);
        let answer = self.peer.pre_vote(request, option.soft_ttl()).await;
        frames::read_vote_response(self.peers.heed(answer).map_err(rpc_error)?).map_err(unreadable)
    }

    /// As often as a connection is tried.
    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(RETRY_PAUSE)))
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let chunks = snapshot::chunks(self.peers.header(self.target), Some(&vote), snapshot);
        let answer = self.peer.snapshot(chunks, snapshot::IDLE);
        let answer = tokio::select! {
            biased;
            closed = cancel => return Err(closed.into()),
            answer = answer => self.peers.heed(answer),
        };
        let response = answer.map_err(rpc_error)?;
        let vote = frames::read_vote(response.vote).map_err(unreadable)?;
        Ok(SnapshotResponse::new(vote))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let frame = frames::transfer(self.peers.header(self.target), &request);
        let answer = self.peer.transfer_leader(frame, option.soft_ttl()).await;
        let response = self.peers.heed(answer).map_err(rpc_error)?;
        frames::read_transferred(&request, response).map_err(unreadable)
    }
}

/// openraft tries again at once after a network error, and after a pause when a member is unreachable.
fn rpc_error(error: CallError) -> RPCError<TypeConfig> {
    match error {
        CallError::Interrupted(_) | CallError::Timeout => RPCError::Network(NetworkError::new(&error)),
        CallError::Unreachable(_) | CallError::Refused(_) | CallError::NotServing | CallError::Malformed(_) => {
            RPCError::Unreachable(Unreachable::new(&error))
        }
    }
}

fn unreadable(malformed: Malformed) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(&io::Error::new(io::ErrorKind::InvalidData, malformed.0)))
}
