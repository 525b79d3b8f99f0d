//! A member that answers each call with something made of its request, or with one and the same error.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};
use parking_lot::Mutex;
use proto::quoratepb::{self, *};

use crate::{Answer, CallError, Header, PROTOCOL_VERSION, Peer, Requests, Responses};

type OnAppend = dyn Fn(Requests<AppendRequest>) -> Responses<AppendResponse> + Send + Sync;
type OnSnapshot =
    dyn Fn(Requests<SnapshotChunk>) -> BoxFuture<'static, Result<SnapshotResponse, CallError>> + Send + Sync;

/// The member.
pub(super) struct Fake {
    /// Answers every call, if any.
    pub(super) failure: Option<CallError>,
    /// Calls with one answer get none.
    pub(super) is_stuck: bool,
    pub(super) on_append: Box<OnAppend>,
    pub(super) on_snapshot: Box<OnSnapshot>,
    /// Calls that came, and how long they might take.
    pub(super) calls: Mutex<Vec<(&'static str, Duration)>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            failure: None,
            is_stuck: false,
            on_append: Box::new(|requests| requests.map(|request| Ok(appended(last_index(&request)))).boxed()),
            on_snapshot: Box::new(|chunks| chunks.count().map(|count| Ok(taken(count as u64))).boxed()),
            calls: Mutex::default(),
        }
    }
}

impl Fake {
    pub(super) fn failing(error: CallError) -> Arc<Self> {
        Arc::new(Self { failure: Some(error), ..Self::default() })
    }

    fn answer<T: Send + 'static>(&self, name: &'static str, timeout: Duration, response: T) -> Answer<T> {
        self.calls.lock().push((name, timeout));
        if self.is_stuck {
            return future::pending().boxed();
        }
        future::ready(self.failure.clone().map_or(Ok(response), Err)).boxed()
    }
}

pub(super) fn header() -> Header {
    let membership_log_id = Some(LogId { term: 1, index: 0 });
    Header { cluster_id: 7, from: 1, to: 2, version: PROTOCOL_VERSION, membership_log_id }
}

pub(super) fn vote(term: u64) -> Vote {
    Vote { term, node_id: 1, committed: true }
}

/// A request with one entry at `index`.
pub(super) fn entry(index: u64, payload: impl Into<bytes::Bytes>) -> AppendRequest {
    let entry =
        Entry { log_id: Some(LogId { term: 1, index }), kind: EntryKind::Command.into(), payload: payload.into() };
    AppendRequest { header: Some(header()), vote: Some(vote(1)), entries: vec![entry], ..AppendRequest::default() }
}

pub(super) fn appended(index: u64) -> AppendResponse {
    let last_log_id = Some(LogId { term: 1, index });
    AppendResponse { outcome: Some(append_response::Outcome::Appended(Appended { last_log_id })) }
}

pub(super) fn taken(count: u64) -> SnapshotResponse {
    SnapshotResponse { vote: Some(vote(count)) }
}

fn last_index(request: &AppendRequest) -> u64 {
    request.entries.last().and_then(|entry| entry.log_id).map_or(0, |log_id| log_id.index)
}

impl Peer for Fake {
    fn append(&self, requests: Requests<AppendRequest>, _: Duration) -> Answer<Responses<AppendResponse>> {
        future::ready(self.failure.clone().map_or_else(|| Ok((self.on_append)(requests)), Err)).boxed()
    }

    fn heartbeat(&self, request: AppendRequest, timeout: Duration) -> Answer<AppendResponse> {
        self.answer("heartbeat", timeout, appended(last_index(&request)))
    }

    fn vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse> {
        let response = VoteResponse { vote: request.vote, granted: true, last_log_id: request.last_log_id };
        self.answer("vote", timeout, response)
    }

    fn pre_vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse> {
        let response = VoteResponse { vote: request.vote, granted: false, last_log_id: request.last_log_id };
        self.answer("pre_vote", timeout, response)
    }

    fn transfer_leader(&self, request: TransferLeaderRequest, timeout: Duration) -> Answer<TransferLeaderResponse> {
        let outcome = transfer_leader_response::Outcome::LogBehind(LogBehind { flushed: request.last_log_id });
        self.answer("transfer_leader", timeout, TransferLeaderResponse { outcome: Some(outcome) })
    }

    fn read_index(&self, request: ReadIndexRequest, timeout: Duration) -> Answer<ReadIndexResponse> {
        let log_id = request.header.and_then(|header| header.membership_log_id);
        let outcome = log_id.map(read_index_response::Outcome::ReadLogId);
        self.answer("read_index", timeout, ReadIndexResponse { outcome })
    }

    fn propose(&self, request: ProposeRequest, timeout: Duration) -> Answer<ProposeResponse> {
        let applied = |command: &bytes::Bytes| ProposeOutcome {
            outcome: Some(propose_outcome::Outcome::Applied(LogId { term: 1, index: command.len() as u64 })),
        };
        let outcomes = request.commands.iter().map(applied).collect();
        self.answer("propose", timeout, ProposeResponse { outcomes })
    }

    fn renew_leases(&self, request: RenewLeasesRequest, timeout: Duration) -> Answer<RenewLeasesResponse> {
        let outcome = renew_leases_response::Outcome::Renewed(RenewedLeases { ttls: request.ids });
        self.answer("renew_leases", timeout, RenewLeasesResponse { outcome: Some(outcome) })
    }

    fn lease_life(&self, request: LeaseLifeRequest, timeout: Duration) -> Answer<LeaseLifeResponse> {
        let outcome = lease_life_response::Outcome::Life(LeaseLife { granted_ttl: request.id, remaining: 1 });
        self.answer("lease_life", timeout, LeaseLifeResponse { outcome: Some(outcome) })
    }

    fn change_members(&self, request: ChangeMembersRequest, timeout: Duration) -> Answer<ChangeMembersResponse> {
        let members = match request.change {
            Some(change_members_request::Change::Add(member)) => vec![member],
            _ => Vec::new(),
        };
        let outcome = change_members_response::Outcome::Members(quoratepb::Members { members });
        self.answer("change_members", timeout, ChangeMembersResponse { outcome: Some(outcome) })
    }

    fn probe(&self, timeout: Duration) -> Answer<ProbeResponse> {
        let response = ProbeResponse { cluster_id: 7, member_id: 2, version: PROTOCOL_VERSION, ..Default::default() };
        self.answer("probe", timeout, response)
    }

    fn fetch(&self, request: FetchRequest, _: Duration) -> Answer<Responses<SnapshotChunk>> {
        if let Some(error) = &self.failure {
            return future::ready(Err(error.clone())).boxed();
        }
        let head = SnapshotHead { header: request.header, ..SnapshotHead::default() };
        let pieces = stream::iter(["one", "two"].map(|piece| Ok(piece.into())));
        let frames = crate::snapshot_frames(head, pieces, None).map(Ok);
        let rest = if self.is_stuck { stream::pending().boxed() } else { stream::empty().boxed() };
        future::ready(Ok(frames.take(if self.is_stuck { 2 } else { usize::MAX }).chain(rest).boxed())).boxed()
    }

    fn snapshot(&self, chunks: Requests<SnapshotChunk>, _: Duration) -> Answer<SnapshotResponse> {
        match &self.failure {
            Some(error) => future::ready(Err(error.clone())).boxed(),
            None => (self.on_snapshot)(chunks),
        }
    }
}
