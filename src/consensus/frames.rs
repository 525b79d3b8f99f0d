//! Between openraft's messages and the frames of `peer.proto`. What a frame of another member lacks or has too much is
//! [`Malformed`]: nothing of such a frame is used.

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use proto::quoratepb as pb;
use transport::{CallError, Header};

use crate::format::{decode_membership, encode_membership};
use crate::roster::Member;
use crate::types::{Command, Entry, MemberInfo, Payload, RaftLogId, TypeConfig, Vote};

/// A frame that this version cannot read.
#[derive(Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl From<Malformed> for CallError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0.to_owned())
    }
}

/// A field that every version writes.
pub(crate) fn due<T>(field: Option<T>, name: &'static str) -> Result<T, Malformed> {
    field.ok_or(Malformed(name))
}

pub(crate) fn log_id(id: RaftLogId) -> pb::LogId {
    pb::LogId { term: id.leader_id.term, index: id.index }
}

pub(crate) fn read_log_id(id: pb::LogId) -> RaftLogId {
    crate::types::log_id(id.term, id.index)
}

pub(crate) fn vote(vote: &Vote) -> pb::Vote {
    pb::Vote { term: vote.leader_id().term, node_id: vote.leader_id().voted_for, committed: vote.is_committed() }
}

pub(crate) fn read_vote(vote: Option<pb::Vote>) -> Result<Vote, Malformed> {
    let pb::Vote { term, node_id, committed } = due(vote, "no vote")?;
    Ok(if committed { Vote::new_committed(term, node_id) } else { Vote::new(term, node_id) })
}

fn entry(entry: Entry) -> pb::Entry {
    let (kind, payload) = match entry.payload {
        Payload::Blank => (pb::EntryKind::Blank, bytes::Bytes::new()),
        Payload::Normal(command) => (pb::EntryKind::Command, command.0),
        Payload::Membership(membership) => (pb::EntryKind::Membership, encode_membership(&membership)),
    };
    pb::Entry { log_id: Some(log_id(entry.log_id)), kind: kind.into(), payload }
}

fn read_entry(entry: pb::Entry) -> Result<Entry, Malformed> {
    let kind = entry.kind();
    let payload = match kind {
        pb::EntryKind::Unspecified => return Err(Malformed("an entry of an unknown kind")),
        pb::EntryKind::Blank if entry.payload.is_empty() => Payload::Blank,
        pb::EntryKind::Blank => return Err(Malformed("a blank entry with a payload")),
        // A copy: the frame holds many entries, and one that is kept must not keep them all.
        pb::EntryKind::Command => Payload::Normal(Command(bytes::Bytes::copy_from_slice(&entry.payload))),
        pb::EntryKind::Membership => {
            Payload::Membership(decode_membership(entry.payload).map_err(|_| Malformed("a membership"))?)
        }
    };
    Ok(Entry { log_id: read_log_id(due(entry.log_id, "an entry without log id")?), payload })
}

pub(crate) fn append(header: Option<Header>, request: AppendEntriesRequest<TypeConfig>) -> pb::AppendRequest {
    pb::AppendRequest {
        header,
        vote: Some(vote(&request.vote)),
        prev_log_id: request.prev_log_id.map(log_id),
        entries: request.entries.into_iter().map(entry).collect(),
        leader_commit: request.leader_commit.map(log_id),
    }
}

/// The entries must follow each other: openraft takes that for granted.
pub(crate) fn read_append(request: pb::AppendRequest) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
    let prev_log_id = request.prev_log_id.map(read_log_id);
    let entries = request.entries.into_iter().map(read_entry).collect::<Result<Vec<_>, _>>()?;
    let mut previous = prev_log_id;
    for entry in &entries {
        if entry.log_id.index != crate::tail::next(previous) || Some(entry.log_id) < previous {
            return Err(Malformed("entries that do not follow each other"));
        }
        previous = Some(entry.log_id);
    }
    let leader_commit = request.leader_commit.map(read_log_id);
    Ok(AppendEntriesRequest { vote: read_vote(request.vote)?, prev_log_id, entries, leader_commit })
}

pub(crate) fn appended(result: StreamAppendResult<TypeConfig>) -> pb::AppendResponse {
    use pb::append_response::Outcome;
    let outcome = match result {
        Ok(last) => Outcome::Appended(pb::Appended { last_log_id: last.map(log_id) }),
        Err(StreamAppendError::Conflict(at)) => Outcome::Conflict(log_id(at)),
        Err(StreamAppendError::HigherVote(higher)) => Outcome::HigherVote(vote(&higher)),
    };
    pb::AppendResponse { outcome: Some(outcome) }
}

pub(crate) fn read_appended(response: pb::AppendResponse) -> Result<StreamAppendResult<TypeConfig>, Malformed> {
    use pb::append_response::Outcome;
    Ok(match due(response.outcome, "an append without outcome")? {
        Outcome::Appended(appended) => Ok(appended.last_log_id.map(read_log_id)),
        Outcome::Conflict(at) => Err(StreamAppendError::Conflict(read_log_id(at))),
        Outcome::HigherVote(higher) => Err(StreamAppendError::HigherVote(read_vote(Some(higher))?)),
    })
}

pub(crate) fn vote_request(header: Header, request: &VoteRequest<TypeConfig>) -> pb::VoteRequest {
    pb::VoteRequest {
        header: Some(header),
        vote: Some(vote(&request.vote)),
        last_log_id: request.last_log_id.map(log_id),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn read_vote_request(request: pb::VoteRequest) -> Result<VoteRequest<TypeConfig>, Malformed> {
    let mut read = VoteRequest::new(read_vote(request.vote)?, request.last_log_id.map(read_log_id));
    read.leadership_transfer = request.leadership_transfer;
    Ok(read)
}

pub(crate) fn vote_response(response: &VoteResponse<TypeConfig>) -> pb::VoteResponse {
    pb::VoteResponse {
        vote: Some(vote(&response.vote)),
        granted: response.vote_granted,
        last_log_id: response.last_log_id.map(log_id),
    }
}

pub(crate) fn read_vote_response(response: pb::VoteResponse) -> Result<VoteResponse<TypeConfig>, Malformed> {
    let last = response.last_log_id.map(read_log_id);
    Ok(VoteResponse::new(read_vote(response.vote)?, last, response.granted))
}

pub(crate) fn transfer(header: Header, request: &TransferLeaderRequest<TypeConfig>) -> pb::TransferLeaderRequest {
    pb::TransferLeaderRequest {
        header: Some(header),
        from_leader: Some(vote(request.from_leader())),
        target_id: *request.to_node_id(),
        last_log_id: request.last_log_id().copied().map(log_id),
    }
}

pub(crate) fn read_transfer(
    request: pb::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, Malformed> {
    let last = request.last_log_id.map(read_log_id);
    Ok(TransferLeaderRequest::new(read_vote(request.from_leader)?, request.target_id, last))
}

pub(crate) fn transferred(response: &TransferLeaderResponse<TypeConfig>) -> pb::TransferLeaderResponse {
    use pb::transfer_leader_response::Outcome;
    let outcome = match response {
        Ok(()) => Outcome::Accepted(pb::Accepted {}),
        Err(TransferLeaderError::VoteChanged { actual, .. }) => Outcome::VoteChanged(vote(actual)),
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            Outcome::LogBehind(pb::LogBehind { flushed: actual.map(log_id) })
        }
    };
    pb::TransferLeaderResponse { outcome: Some(outcome) }
}

pub(crate) fn read_transferred(
    request: &TransferLeaderRequest<TypeConfig>,
    response: pb::TransferLeaderResponse,
) -> Result<TransferLeaderResponse<TypeConfig>, Malformed> {
    use pb::transfer_leader_response::Outcome;
    Ok(match due(response.outcome, "a transfer without outcome")? {
        Outcome::Accepted(pb::Accepted {}) => Ok(()),
        Outcome::VoteChanged(actual) => {
            Err(TransferLeaderError::VoteChanged { expected: *request.from_leader(), actual: read_vote(Some(actual))? })
        }
        Outcome::LogBehind(behind) => Err(TransferLeaderError::LogNotFlushed {
            expected: request.last_log_id().copied(),
            actual: behind.flushed.map(read_log_id),
        }),
    })
}

pub(crate) fn member(member: &Member) -> pb::Member {
    pb::Member {
        id: member.id.get(),
        name: member.info.name.clone(),
        peer_urls: member.info.peer_urls.clone(),
        client_urls: member.info.client_urls.clone(),
        is_learner: member.is_learner,
    }
}

pub(crate) fn read_member(member: pb::Member) -> Member {
    Member {
        id: model::MemberId::new(member.id),
        info: MemberInfo { name: member.name, peer_urls: member.peer_urls, client_urls: member.client_urls },
        is_learner: member.is_learner,
    }
}
