//! This member as the others see it: checks who calls, and hands Raft's calls to openraft and the rest to the handle.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future, stream};
use model::{LeaseId, Revision};
use openraft::raft::AppendEntriesResponse;
use parking_lot::Mutex;
use proto::quoratepb as pb;
use proto::quoratepb::refusal::Reason;
use tokio::time::Instant;
use transport::{Answer, CallError, Header, Local, PROTOCOL_VERSION, Peer, Requests, Responses};

use crate::contact::Contact;
use crate::frames::{self, Malformed};
use crate::handle::Handle;
use crate::intake::Intake;
use crate::key_hashes::KeysHash;
use crate::members::{self, MembersError};
use crate::owner::Owner;
use crate::snapshot;
use crate::{Leadership, forward};

/// The member, as it is served.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) identity: Owner,
    pub(crate) handle: Handle,
    pub(crate) contact: Contact,
    pub(crate) intake: Intake,
}

impl Service {
    /// Refuses who does not mean this member, or is none any more.
    pub(crate) fn check(&self, header: Option<Header>) -> Result<Header, CallError> {
        let local = Local { cluster_id: self.identity.cluster.get(), member_id: self.identity.member.get() };
        transport::check(header.as_ref(), local).map_err(CallError::Refused)?;
        let header = frames::due(header, "no header")?;
        let known = header.membership_log_id.map(frames::read_log_id);
        if self.handle.roster().has_removed(header.from, known) {
            return Err(CallError::Refused(pb::Refusal { reason: Reason::Removed.into(), receiver: None }));
        }
        Ok(header)
    }

    fn not_leader(&self) -> pb::NotLeader {
        let status = self.handle.status();
        pb::NotLeader { leader_id: status.leader.map_or(0, model::MemberId::get), term: status.term.get() }
    }

    fn follows(&self) -> bool {
        matches!(*self.handle.leadership().borrow(), Leadership::Follower { .. })
    }

    /// Answers with what `answer` makes of the request, once the header is checked.
    fn checked<T: Send + 'static, F>(&self, header: Option<Header>, answer: impl FnOnce(Self) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        match self.check(header) {
            Ok(_) => answer(self.clone()).boxed(),
            Err(refused) => future::ready(Err(refused)).boxed(),
        }
    }

    /// All that is applied here, for a member that has lost its own state.
    async fn give_state(self, request: pb::FetchRequest) -> Result<Responses<pb::SnapshotChunk>, CallError> {
        let from = self.check(request.header)?.from;
        tracing::info!(to = format_args!("{from:x}"), "a member fetches the state");
        snapshot::flush(self.handle.raft()).await.map_err(|_stopped| CallError::NotServing)?;
        let snapshot = self.handle.raft().get_snapshot().await.map_err(|_stopped| CallError::NotServing)?;
        let snapshot = snapshot.ok_or(CallError::NotServing)?;
        let header = self.handle.peers().header(from);
        Ok(snapshot::chunks(header, None, snapshot).map(Ok).boxed())
    }

    async fn open_append(
        self,
        mut requests: Requests<pb::AppendRequest>,
    ) -> Result<Responses<pb::AppendResponse>, CallError> {
        let first = requests.next().await.ok_or(Malformed("a stream without a request"))?;
        self.check(first.header)?;
        // What cannot be read ends the stream of requests, and then that of responses with the reason.
        let unreadable = Arc::new(Mutex::new(None));
        let noted = unreadable.clone();
        let requests = stream::iter([first])
            .chain(requests)
            .map(frames::read_append)
            .map(move |request| request.map_err(|malformed| *noted.lock() = Some(CallError::from(malformed))).ok());
        let requests = requests.take_while(|request| future::ready(request.is_some())).filter_map(future::ready);
        let results = self.handle.raft().stream_append(requests);
        let contact = self.contact;
        let responses = results.map(move |result| {
            let result = result.map_err(|_stopped| CallError::NotServing)?;
            if result.is_ok() {
                contact.heard();
            }
            Ok(frames::appended(result))
        });
        let end = stream::once(async move { unreadable.lock().take() }).filter_map(future::ready).map(Err);
        Ok(responses.chain(end).boxed())
    }

    async fn heartbeat_now(self, request: pb::AppendRequest) -> Result<pb::AppendResponse, CallError> {
        let request = frames::read_append(request)?;
        let previous = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(previous);
        let response = self.handle.raft().append_entries(request).await.map_err(|_stopped| CallError::NotServing)?;
        use openraft::raft::StreamAppendError;
        let result = match response {
            AppendEntriesResponse::Success => Ok(last),
            AppendEntriesResponse::PartialSuccess(matching) => Ok(matching),
            AppendEntriesResponse::Conflict => {
                Err(StreamAppendError::Conflict(frames::due(previous, "a conflict before the first entry")?))
            }
            AppendEntriesResponse::HigherVote(higher) => Err(StreamAppendError::HigherVote(higher)),
        };
        if result.is_ok() {
            self.contact.heard();
        }
        Ok(frames::appended(result))
    }

    /// Proposes in the order of the request; the outcomes come together.
    async fn propose_all(self, commands: Vec<Bytes>, timeout: Duration) -> pb::ProposeResponse {
        if self.follows() {
            let refused = |_| Err(crate::ProposeError::NoLeader);
            let outcomes =
                commands.into_iter().map(refused).map(|result| forward::outcome(result, || self.not_leader()));
            return pb::ProposeResponse { outcomes: outcomes.collect() };
        }
        let deadline = Instant::now() + timeout;
        let mut submitted = Vec::with_capacity(commands.len());
        for command in commands {
            // A copy: the frame holds many commands, and one that is kept must not keep them all.
            submitted.push(self.handle.submit(Bytes::copy_from_slice(&command), deadline).await);
        }
        let mut outcomes = Vec::with_capacity(submitted.len());
        for proposal in submitted {
            let result = match proposal {
                Ok(proposal) => proposal.committed(deadline).await,
                Err(error) => Err(error),
            };
            outcomes.push(forward::outcome(result, || self.not_leader()));
        }
        pb::ProposeResponse { outcomes }
    }

    async fn change_members_now(self, change: members::MemberChange, timeout: Duration) -> pb::ChangeMembersResponse {
        use pb::change_members_response::Outcome;
        let changed = if self.follows() {
            Err(MembersError::NoLeader)
        } else {
            self.handle.change_members_here(&change, Instant::now() + timeout).await
        };
        let outcome = match changed {
            Ok(members) => Outcome::Members(pb::Members { members: members.iter().map(frames::member).collect() }),
            Err(error) => match members::refusal(error) {
                Some(refusal) => Outcome::Refused(refusal),
                None => Outcome::NotLeader(self.not_leader()),
            },
        };
        pb::ChangeMembersResponse { outcome: Some(outcome) }
    }
}

impl Peer for Service {
    fn append(&self, requests: Requests<pb::AppendRequest>, _idle: Duration) -> Answer<Responses<pb::AppendResponse>> {
        self.clone().open_append(requests).boxed()
    }

    fn heartbeat(&self, request: pb::AppendRequest, _timeout: Duration) -> Answer<pb::AppendResponse> {
        self.checked(request.header, |service| service.heartbeat_now(request))
    }

    fn vote(&self, request: pb::VoteRequest, _timeout: Duration) -> Answer<pb::VoteResponse> {
        self.checked(request.header, |service| async move {
            let request = frames::read_vote_request(request)?;
            let response = service.handle.raft().vote(request).await.map_err(|_stopped| CallError::NotServing)?;
            Ok(frames::vote_response(&response))
        })
    }

    fn pre_vote(&self, request: pb::VoteRequest, _timeout: Duration) -> Answer<pb::VoteResponse> {
        self.checked(request.header, |service| async move {
            let request = frames::read_vote_request(request)?;
            let response = service.handle.raft().pre_vote(request).await.map_err(|_stopped| CallError::NotServing)?;
            #[cfg(seeded_bugs)]
            let response = openraft::raft::VoteResponse {
                vote_granted: response.vote_granted || model::seeded_bug("pre-vote that is always granted"),
                ..response
            };
            Ok(frames::vote_response(&response))
        })
    }

    fn transfer_leader(
        &self,
        request: pb::TransferLeaderRequest,
        _timeout: Duration,
    ) -> Answer<pb::TransferLeaderResponse> {
        self.checked(request.header, |service| async move {
            let request = frames::read_transfer(request)?;
            let response = service.handle.raft().handle_transfer_leader(request).await;
            Ok(frames::transferred(&response.map_err(|_stopped| CallError::NotServing)?))
        })
    }

    fn read_index(&self, request: pb::ReadIndexRequest, timeout: Duration) -> Answer<pb::ReadIndexResponse> {
        use pb::read_index_response::Outcome;
        self.checked(request.header, move |service| async move {
            let confirmed = if service.follows() {
                None
            } else {
                service.handle.confirmed_index(Instant::now() + timeout).await.ok()
            };
            let outcome = match confirmed {
                // Readers compare indexes alone: committed entries have no two terms.
                Some(index) => Outcome::ReadLogId(pb::LogId { term: service.handle.term().get(), index }),
                None => Outcome::NotLeader(service.not_leader()),
            };
            Ok(pb::ReadIndexResponse { outcome: Some(outcome) })
        })
    }

    fn propose(&self, request: pb::ProposeRequest, timeout: Duration) -> Answer<pb::ProposeResponse> {
        self.checked(request.header, move |service| service.propose_all(request.commands, timeout).map(Ok))
    }

    fn renew_leases(&self, request: pb::RenewLeasesRequest, _timeout: Duration) -> Answer<pb::RenewLeasesResponse> {
        use pb::renew_leases_response::Outcome;
        self.checked(request.header, |service| async move {
            let ids = request.ids.into_iter().map(LeaseId::new).collect();
            let renewed = match service.handle.lease_authority().get() {
                Some(authority) => authority.renew(ids).await.ok(),
                None => None,
            };
            let outcome = match renewed {
                Some(ttls) => Outcome::Renewed(pb::RenewedLeases {
                    ttls: ttls.into_iter().map(Option::unwrap_or_default).collect(),
                }),
                None => Outcome::NotLeader(service.not_leader()),
            };
            Ok(pb::RenewLeasesResponse { outcome: Some(outcome) })
        })
    }

    fn lease_life(&self, request: pb::LeaseLifeRequest, _timeout: Duration) -> Answer<pb::LeaseLifeResponse> {
        use pb::lease_life_response::Outcome;
        self.checked(request.header, move |service| async move {
            let life = match service.handle.lease_authority().get() {
                Some(authority) => authority.life(LeaseId::new(request.id)).await.ok(),
                None => None,
            };
            let outcome = match life {
                Some(Some(life)) => {
                    Outcome::Life(pb::LeaseLife { granted_ttl: life.granted_ttl, remaining: life.remaining })
                }
                Some(None) => Outcome::Unknown(pb::LeaseUnknown {}),
                None => Outcome::NotLeader(service.not_leader()),
            };
            Ok(pb::LeaseLifeResponse { outcome: Some(outcome) })
        })
    }

    fn change_members(
        &self,
        request: pb::ChangeMembersRequest,
        timeout: Duration,
    ) -> Answer<pb::ChangeMembersResponse> {
        self.checked(request.header, move |service| async move {
            let change = members::decode(frames::due(request.change, "no change")?);
            Ok(service.change_members_now(change, timeout).await)
        })
    }

    fn hash_keys(&self, request: pb::HashKeysRequest, timeout: Duration) -> Answer<pb::HashKeysResponse> {
        use pb::hash_keys_response::Outcome;
        self.checked(request.header, move |service| async move {
            let revision = Revision::new(request.revision);
            let hash = match service.handle.hash_source().get() {
                Some(source) => source.hash(revision, Instant::now() + timeout).await,
                None => None,
            };
            let outcome = match hash {
                Some(KeysHash { hash, compact_revision }) => {
                    Outcome::Hash(pb::KeysHash { crc32c: hash, compact_revision: compact_revision.get() })
                }
                None => Outcome::None(pb::NoKeysHash {}),
            };
            Ok(pb::HashKeysResponse { outcome: Some(outcome) })
        })
    }

    fn probe(&self, _timeout: Duration) -> Answer<pb::ProbeResponse> {
        let response = pb::ProbeResponse {
            cluster_id: self.identity.cluster.get(),
            member_id: self.identity.member.get(),
            version: PROTOCOL_VERSION,
            members: self.handle.members().iter().map(frames::member).collect(),
            leader_id: self.handle.status().leader.map_or(0, model::MemberId::get),
            membership_log_id: self.handle.roster().log_id().map(frames::log_id),
        };
        future::ready(Ok(response)).boxed()
    }

    fn snapshot(&self, chunks: Requests<pb::SnapshotChunk>, _idle: Duration) -> Answer<pb::SnapshotResponse> {
        self.clone().receive_snapshot(chunks).boxed()
    }

    fn fetch(&self, request: pb::FetchRequest, _idle: Duration) -> Answer<Responses<pb::SnapshotChunk>> {
        self.clone().give_state(request).boxed()
    }
}
