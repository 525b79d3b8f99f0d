//! A member as the others see it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use futures::stream::BoxStream;
use proto::quoratepb::{
    AppendRequest, AppendResponse, ChangeMembersRequest, ChangeMembersResponse, FetchRequest, HashKeysRequest,
    HashKeysResponse, LeaseLifeRequest, LeaseLifeResponse, ProbeResponse, ProposeRequest, ProposeResponse,
    ReadIndexRequest, ReadIndexResponse, RenewLeasesRequest, RenewLeasesResponse, SnapshotChunk, SnapshotResponse,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::CallError;

/// The answer to one call. Independent of the borrow of the peer, so that it can be awaited anywhere.
pub type Answer<T> = BoxFuture<'static, Result<T, CallError>>;

/// Frames towards the member that is called.
pub type Requests<T> = BoxStream<'static, T>;

/// Frames that come back; after an error there are no more.
pub type Responses<T> = BoxStream<'static, Result<T, CallError>>;

/// A member: a connection to one implements this, and so does the member that is served. See `peer.proto` for what each call means.
///
/// `timeout` bounds the whole call where there is one answer. What a served member does with it is its own affair: who calls stops
/// waiting by itself.
pub trait Peer: Send + Sync + 'static {
    /// Replicates. Responses come in the order of the requests. A connection gives up when nothing at all came back for `idle` while
    /// requests were unanswered.
    fn append(&self, requests: Requests<AppendRequest>, idle: Duration) -> Answer<Responses<AppendResponse>>;

    /// Confirms the leader.
    fn heartbeat(&self, request: AppendRequest, timeout: Duration) -> Answer<AppendResponse>;

    /// Asks for a vote.
    fn vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse>;

    /// Asks whether a vote would be granted.
    fn pre_vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse>;

    /// Announces that the leader yields.
    fn transfer_leader(&self, request: TransferLeaderRequest, timeout: Duration) -> Answer<TransferLeaderResponse>;

    /// Asks the leader for an index to read at.
    fn read_index(&self, request: ReadIndexRequest, timeout: Duration) -> Answer<ReadIndexResponse>;

    /// Forwards proposals.
    fn propose(&self, request: ProposeRequest, timeout: Duration) -> Answer<ProposeResponse>;

    /// Forwards keepalives.
    fn renew_leases(&self, request: RenewLeasesRequest, timeout: Duration) -> Answer<RenewLeasesResponse>;

    /// Asks what a lease has left.
    fn lease_life(&self, request: LeaseLifeRequest, timeout: Duration) -> Answer<LeaseLifeResponse>;

    /// Forwards a change of the membership.
    fn change_members(&self, request: ChangeMembersRequest, timeout: Duration) -> Answer<ChangeMembersResponse>;

    /// Asks for a checksum of its keys. One that computes none says that it does not serve.
    fn hash_keys(&self, _request: HashKeysRequest, _timeout: Duration) -> Answer<HashKeysResponse> {
        future::ready(Err(CallError::NotServing)).boxed()
    }

    /// Asks who it is.
    fn probe(&self, timeout: Duration) -> Answer<ProbeResponse>;

    /// Sends a snapshot. A connection gives up when the other side took nothing for `idle`.
    fn snapshot(&self, chunks: Requests<SnapshotChunk>, idle: Duration) -> Answer<SnapshotResponse>;

    /// Asks for its state. A connection gives up when nothing came for `idle`. One that has none to give away says that it does not
    /// serve.
    fn fetch(&self, _request: FetchRequest, _idle: Duration) -> Answer<Responses<SnapshotChunk>> {
        future::ready(Err(CallError::NotServing)).boxed()
    }
}

/// Opens connections to members.
pub trait Dialer: Send + Sync + 'static {
    /// A connection to the member that listens on one of `urls`, opened when first used and again whenever it is lost. Never waits.
    fn dial(&self, urls: &[String]) -> Arc<dyn Peer>;
}
