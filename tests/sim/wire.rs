//! What travels between members, as those see it who listen in: the invariants and the trace.

use std::fmt;

use proto::quoratepb::{
    AppendRequest, AppendResponse, LogId, Vote, VoteRequest, VoteResponse, append_response::Outcome,
};

use crate::network::Place;

/// One frame.
pub(crate) enum Wire<'a> {
    Append(&'a AppendRequest),
    Appended(&'a AppendResponse),
    Heartbeat(&'a AppendRequest),
    HeartbeatAnswer(&'a AppendResponse),
    Vote(&'a VoteRequest),
    /// With what it answers.
    VoteAnswer(&'a VoteRequest, &'a VoteResponse),
    PreVote(&'a VoteRequest),
    PreVoteAnswer(&'a VoteResponse),
    /// Any other call, by name.
    Other(&'static str),
    /// An answer to one.
    OtherAnswer(&'static str),
    /// A call that failed, as its caller sees it.
    Failed(&'static str),
}

/// Sees every frame in the order of sending.
pub(crate) trait WireObserver: Send {
    fn sent(&mut self, from: Place, to: Place, frame: &Wire<'_>);
}

struct Id<'a>(Option<&'a LogId>);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "{}.{}", id.term, id.index),
            None => write!(f, "-"),
        }
    }
}

struct Ballot<'a>(Option<&'a Vote>);

impl fmt::Display for Ballot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(vote) => write!(f, "t{} by {:x}{}", vote.term, vote.node_id, if vote.committed { "!" } else { "" }),
            None => write!(f, "no vote"),
        }
    }
}

impl fmt::Display for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let append = |f: &mut fmt::Formatter<'_>, name: &str, request: &AppendRequest| {
            let (vote, prev) = (Ballot(request.vote.as_ref()), Id(request.prev_log_id.as_ref()));
            let last = Id(request.entries.last().and_then(|entry| entry.log_id.as_ref()));
            let (count, commit) = (request.entries.len(), Id(request.leader_commit.as_ref()));
            write!(f, "{name} {vote} after {prev}: {count} to {last}, commit {commit}")
        };
        let appended = |f: &mut fmt::Formatter<'_>, name: &str, response: &AppendResponse| match &response.outcome {
            Some(Outcome::Appended(done)) => write!(f, "{name} {}", Id(done.last_log_id.as_ref())),
            Some(Outcome::Conflict(id)) => write!(f, "{name} conflict at {}", Id(Some(id))),
            Some(Outcome::HigherVote(vote)) => write!(f, "{name} higher vote {}", Ballot(Some(vote))),
            None => write!(f, "{name} nothing"),
        };
        let vote = |f: &mut fmt::Formatter<'_>, name: &str, request: &VoteRequest| {
            write!(f, "{name} {} with {}", Ballot(request.vote.as_ref()), Id(request.last_log_id.as_ref()))
        };
        let voted = |f: &mut fmt::Formatter<'_>, name: &str, response: &VoteResponse| {
            let (seen, granted) = (Ballot(response.vote.as_ref()), response.granted);
            write!(f, "{name} granted {granted}, has seen {seen}, has {}", Id(response.last_log_id.as_ref()))
        };
        match self {
            Self::Append(request) => append(f, "append", request),
            Self::Heartbeat(request) => append(f, "heartbeat", request),
            Self::Appended(response) => appended(f, "appended", response),
            Self::HeartbeatAnswer(response) => appended(f, "heartbeat answer", response),
            Self::Vote(request) => vote(f, "vote", request),
            Self::PreVote(request) => vote(f, "pre-vote", request),
            Self::VoteAnswer(_, response) => voted(f, "vote answer", response),
            Self::PreVoteAnswer(response) => voted(f, "pre-vote answer", response),
            Self::Other(name) => write!(f, "{name}"),
            Self::OtherAnswer(name) => write!(f, "{name} answer"),
            Self::Failed(name) => write!(f, "{name} failed"),
        }
    }
}
