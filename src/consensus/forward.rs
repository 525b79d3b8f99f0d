//! Proposals of a member that does not lead, on their way to the one that does. What queues while calls are under way travels
//! together, so that a busy follower costs the leader few calls.

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use model::MemberId;
use proto::quoratepb::propose_outcome::{Failure, Outcome};
use proto::quoratepb::{NotLeader, ProposeOutcome, ProposeRequest};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use transport::CallError;

use crate::admission::Admitted;
use crate::ask_leader::until;
use crate::handle::Handle;
use crate::peers::Peers;
use crate::{Committed, ProposeError};

/// Proposals that may wait to be sent. Admission keeps them below it.
pub(crate) const FORWARD_INBOX: usize = 8_192;

/// Proposals in one call.
const BATCH_MAX: usize = 512;

/// Bytes of proposals in one call; one alone may be larger.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Calls under way at once. Few, so that what comes meanwhile gathers; more than one, so that a slow commit does not stop the rest.
const CALLS_MAX: usize = 8;

/// A proposal to be sent.
pub(crate) struct Forward {
    leader: MemberId,
    payload: Bytes,
    deadline: Instant,
    answer: oneshot::Sender<Forwarded>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forwarded {
    /// The leader has applied it.
    Applied,
    /// It was not proposed; another leader may take it.
    Again,
    /// It was refused.
    TooManyRequests,
    /// Nobody can say.
    Unknown,
}

impl Handle {
    /// Has `leader` propose a command, and returns what this member's machine answers when it applies it.
    pub(crate) async fn propose_there(
        &self,
        leader: MemberId,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Committed, ProposeError> {
        let _place: Admitted = self.admission().admit(payload.len())?;
        let id = model::Proposal::id_of(&payload).ok_or(ProposeError::NotProposed)?;
        let term = self.term().get();
        let mut waiting = self.pending().register(id);
        let (answer, forwarded) = oneshot::channel();
        let forward = Forward { leader, payload, deadline, answer };
        self.forwards().try_send(forward).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ProposeError::TooManyRequests,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })?;
        let forwarded = tokio::select! {
            biased;
            Ok(committed) = &mut waiting.answer => return Ok(committed),
            forwarded = forwarded => forwarded.unwrap_or(Forwarded::Unknown),
        };
        match forwarded {
            Forwarded::Applied => match timeout_at(deadline, &mut waiting.answer).await {
                Ok(Ok(committed)) => Ok(committed),
                Ok(Err(_closed)) => Err(ProposeError::Interrupted),
                Err(_elapsed) => Err(ProposeError::Timeout),
            },
            Forwarded::Again => Err(ProposeError::NotLeader(leader)),
            Forwarded::TooManyRequests => Err(ProposeError::TooManyRequests),
            Forwarded::Unknown => self.wait_for_the_unknown(&mut waiting.answer, term, deadline).await,
        }
    }

    /// The entry may be in the log all the same. If it is, it comes before the first entry of the next leader; once that was applied
    /// here without it, waiting longer is in vain. It can still come later if the call itself was only delayed.
    async fn wait_for_the_unknown(
        &self,
        answer: &mut oneshot::Receiver<Committed>,
        term: u64,
        deadline: Instant,
    ) -> Result<Committed, ProposeError> {
        let mut blank_term = self.blank_term();
        tokio::select! {
            biased;
            answered = answer => answered.map_err(|_closed| ProposeError::Interrupted),
            Ok(_) = blank_term.wait_for(|applied| *applied > term) => Err(ProposeError::LeaderChanged),
            () = tokio::time::sleep_until(deadline) => Err(ProposeError::Timeout),
        }
    }
}

/// Sends what is to be forwarded.
pub(crate) struct ForwardTask {
    pub(crate) peers: Peers,
    pub(crate) inbox: mpsc::Receiver<Forward>,
}

impl ForwardTask {
    /// Runs until it is dropped; what is under way then is unknown to who waits.
    pub(crate) async fn run(mut self) {
        let mut calls: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        let mut queue = Vec::new();
        loop {
            while calls.len() < CALLS_MAX && !queue.is_empty() {
                calls.push(self.call(take_batch(&mut queue)));
            }
            tokio::select! {
                biased;
                Some(()) = calls.next() => {}
                count = self.inbox.recv_many(&mut queue, BATCH_MAX), if queue.is_empty() => if count == 0 { break },
            }
        }
        // Every handle is gone: nothing more to do, but no reason to end before the rest.
        std::future::pending().await
    }

    fn call(&self, batch: Vec<Forward>) -> BoxFuture<'static, ()> {
        let leader = batch.first().map_or(0, |forward| forward.leader.get());
        let deadline = batch.iter().map(|forward| forward.deadline).max();
        let Some((peer, deadline)) = self.peers.to(leader).zip(deadline) else {
            answer_all(batch, Forwarded::Again);
            return Box::pin(std::future::ready(()));
        };
        let header = Some(self.peers.header(leader));
        let commands = batch.iter().map(|forward| forward.payload.clone()).collect();
        let timeout = until(deadline);
        let answer = peer.propose(ProposeRequest { header, commands }, timeout);
        let peers = self.peers.clone();
        Box::pin(async move {
            match peers.heed(answer.await) {
                Ok(response) => answer_each(batch, response.outcomes),
                Err(error) => answer_all(batch, failed(&error)),
            }
        })
    }
}

/// Proposals for the leader of the first one, in their order, as many as go into one call.
fn take_batch(queue: &mut Vec<Forward>) -> Vec<Forward> {
    let leader = queue.first().map(|forward| forward.leader);
    let mut bytes = 0;
    let fits = |forward: &&Forward| {
        bytes += forward.payload.len();
        Some(forward.leader) == leader && (bytes <= BATCH_BYTES_MAX || bytes == forward.payload.len())
    };
    let count = queue.iter().take_while(fits).count();
    queue.drain(..count).collect()
}

fn answer_all(batch: Vec<Forward>, forwarded: Forwarded) {
    for forward in batch {
        // Who gave up is not missed.
        let _ = forward.answer.send(forwarded);
    }
}

fn answer_each(batch: Vec<Forward>, outcomes: Vec<ProposeOutcome>) {
    let outcomes = outcomes.into_iter().map(Some).chain(std::iter::repeat(None));
    for (forward, outcome) in batch.into_iter().zip(outcomes) {
        let _ = forward.answer.send(outcome.map_or(Forwarded::Unknown, read_outcome));
    }
}

fn read_outcome(outcome: ProposeOutcome) -> Forwarded {
    match outcome.outcome {
        Some(Outcome::Applied(_)) => Forwarded::Applied,
        Some(Outcome::NotLeader(_)) => Forwarded::Again,
        Some(Outcome::Failure(failure)) => match Failure::try_from(failure) {
            Ok(Failure::TooManyRequests) => Forwarded::TooManyRequests,
            Ok(Failure::NotProposed | Failure::Stopped) => Forwarded::Again,
            Ok(Failure::Unspecified | Failure::LeaderChanged | Failure::Timeout) | Err(_) => Forwarded::Unknown,
        },
        None => Forwarded::Unknown,
    }
}

fn failed(error: &CallError) -> Forwarded {
    #[cfg(seeded_bugs)]
    if model::seeded_bug("proposal that is forwarded twice") {
        return Forwarded::Again;
    }
    if error.may_have_happened() { Forwarded::Unknown } else { Forwarded::Again }
}

/// What the leader tells of a proposal that it took for another member.
pub(crate) fn outcome(
    result: Result<Committed, ProposeError>,
    not_leader: impl FnOnce() -> NotLeader,
) -> ProposeOutcome {
    let outcome = match result {
        Ok(committed) => {
            let model::LogId { term, index } = committed.log_id;
            Outcome::Applied(proto::quoratepb::LogId { term: term.get(), index: index.get() })
        }
        Err(ProposeError::NotLeader(_) | ProposeError::NoLeader) => Outcome::NotLeader(not_leader()),
        Err(ProposeError::TooManyRequests) => Outcome::Failure(Failure::TooManyRequests.into()),
        Err(ProposeError::NotProposed) => Outcome::Failure(Failure::NotProposed.into()),
        Err(ProposeError::Stopped) => Outcome::Failure(Failure::Stopped.into()),
        Err(ProposeError::LeaderChanged | ProposeError::Interrupted) => Outcome::Failure(Failure::LeaderChanged.into()),
        Err(ProposeError::Timeout) => Outcome::Failure(Failure::Timeout.into()),
    };
    ProposeOutcome { outcome: Some(outcome) }
}
