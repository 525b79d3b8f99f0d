//! A connection of one member to another: `transport::Peer` over the simulated network, onto the `Peer` that the other serves.
//!
//! A call is a frame there and a frame back, each with a fate of its own, so that calls overtake each other. A stream keeps its order and
//! breaks as a whole. What the called member does for a call runs in its own life and goes on when the caller has given up.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use consensus::SimLife;
use futures::{FutureExt, StreamExt, stream};
use proto::quoratepb::{
    AppendRequest, AppendResponse, ChangeMembersRequest, ChangeMembersResponse, LeaseLifeRequest, LeaseLifeResponse,
    ProbeResponse, ProposeRequest, ProposeResponse, ReadIndexRequest, ReadIndexResponse, RenewLeasesRequest,
    RenewLeasesResponse, SnapshotChunk, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest,
    VoteResponse,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use transport::{Answer, CallError, Dialer, Peer, Requests, Responses};

use crate::network::{Fate, Network, Place, Server};
use crate::wire::Wire;

/// Frames of a stream that are under way in one direction.
const WINDOW: usize = 64;

/// Where a member's peers find it.
pub(crate) fn url(place: Place) -> String {
    format!("http://m{place}:2380")
}

/// Whose address that is.
pub(crate) fn place_of(url: &str) -> Place {
    let host = url.trim_start_matches("http://m").trim_end_matches(":2380");
    host.parse().expect("an address that the simulation gave")
}

/// Opens the connections of one member, in one of its lives.
#[derive(Clone)]
pub(crate) struct SimDialer {
    pub(crate) network: Network,
    pub(crate) from: Place,
    pub(crate) life: SimLife,
}

impl Dialer for SimDialer {
    fn dial(&self, urls: &[String]) -> Arc<dyn Peer> {
        let to = place_of(urls.first().expect("a member has an address"));
        Arc::new(Connection { network: self.network.clone(), from: self.from, to, life: self.life.clone() })
    }
}

#[derive(Clone)]
struct Connection {
    network: Network,
    from: Place,
    to: Place,
    /// The caller's.
    life: SimLife,
}

/// A kind of call with one answer.
struct Call<Q, R> {
    name: &'static str,
    /// Whether a second delivery is something that the protocol must bear.
    may_double: bool,
    shown: Option<Shown<Q, R>>,
    serve: fn(&dyn Peer, Q, Duration) -> Answer<R>,
}

/// How observers see it: the request, and the answer with what it answers.
struct Shown<Q, R> {
    asked: for<'a> fn(&'a Q) -> Wire<'a>,
    answered: for<'a> fn(&'a Q, &'a R) -> Wire<'a>,
}

impl<Q, R> Call<Q, R> {
    fn asked<'a>(&self, request: &'a Q) -> Wire<'a> {
        self.shown.as_ref().map_or(Wire::Other(self.name), |shown| (shown.asked)(request))
    }

    fn answered<'a>(&self, request: &'a Q, answer: &'a R) -> Wire<'a> {
        self.shown.as_ref().map_or(Wire::OtherAnswer(self.name), |shown| (shown.answered)(request, answer))
    }
}

fn broken() -> CallError {
    CallError::Interrupted("the connection broke".to_owned())
}

fn refused() -> CallError {
    CallError::Unreachable("nobody listens".to_owned())
}

impl Connection {
    fn call<Q, R>(&self, request: Q, patience: Duration, call: Call<Q, R>) -> Answer<R>
    where
        Q: Clone + Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        let connection = self.clone();
        async move {
            let network = &connection.network;
            network.sent(connection.from, connection.to, &call.asked(&request));
            let name = call.name;
            let answer = timeout(patience, connection.exchange(request, patience, call)).await;
            let answer = answer.unwrap_or(Err(CallError::Timeout));
            if answer.is_err() {
                network.sent(connection.from, connection.to, &Wire::Failed(name));
            }
            answer
        }
        .boxed()
    }

    async fn exchange<Q, R>(&self, request: Q, patience: Duration, call: Call<Q, R>) -> Result<R, CallError>
    where
        Q: Clone + Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        let Fate::Arrives { after, again_after } = self.network.fate(self.from, self.to) else {
            return pending().await;
        };
        if let Some(after) = again_after.filter(|_| call.may_double) {
            let (connection, request) = (self.clone(), request.clone());
            self.life.spawn(async move {
                sleep(after).await;
                if let Some(server) = connection.network.server(connection.to) {
                    server.life.spawn(async move { (call.serve)(&*server.peer, request, patience).await.map(drop) });
                }
            });
        }
        sleep(after).await;
        let server = self.network.server(self.to).ok_or_else(refused)?;
        let (connection, peer) = (self.clone(), server.peer);
        let answer = server.life.spawn(async move {
            let answer = (call.serve)(&*peer, request.clone(), patience).await?;
            connection.network.sent(connection.to, connection.from, &call.answered(&request, &answer));
            Ok(answer)
        });
        let answer = answer.await.map_err(|_died| broken())?;
        match self.network.fate(self.to, self.from) {
            Fate::Arrives { after, .. } => sleep(after).await,
            Fate::Lost => pending().await,
        }
        answer
    }

    /// Carries a stream of requests to the member that is called; what it sends back says how far it came.
    fn carry<Q: Send + 'static>(
        &self,
        requests: Requests<Q>,
        patience: Duration,
        sent: impl Fn(&Network, &Q) + Send + 'static,
    ) -> Requests<Q> {
        let (sender, carried) = mpsc::channel::<(Instant, Q)>(WINDOW);
        let connection = self.clone();
        self.life.spawn(async move {
            let mut requests = requests;
            let mut last = Instant::now();
            while let Some(request) = requests.next().await {
                sent(&connection.network, &request);
                let arrival = connection.network.arrival(connection.from, connection.to, last, patience).await;
                let Ok(arrival) = arrival else { return };
                last = arrival;
                if sender.send((arrival, request)).await.is_err() {
                    return;
                }
            }
        });
        arriving(carried)
    }

    /// Carries a stream of responses back from the member that is called.
    async fn respond(
        self,
        mut responses: Responses<AppendResponse>,
        patience: Duration,
        back: mpsc::Sender<(Instant, Option<Result<AppendResponse, CallError>>)>,
    ) {
        let mut last = Instant::now();
        loop {
            let response = responses.next().await;
            if let Some(Ok(response)) = &response {
                self.network.sent(self.to, self.from, &Wire::Appended(response));
            }
            let is_end = !matches!(response, Some(Ok(_)));
            let Ok(arrival) = self.network.arrival(self.to, self.from, last, patience).await else { return };
            last = arrival;
            if back.send((arrival, response)).await.is_err() || is_end {
                return;
            }
        }
    }

    async fn open(&self, patience: Duration) -> Result<Server, CallError> {
        let there = self.network.arrival(self.from, self.to, Instant::now(), patience).await;
        sleep_until(there.map_err(|()| CallError::Timeout)?).await;
        self.network.server(self.to).ok_or_else(refused)
    }
}

/// Yields each frame when it arrives.
fn arriving<T: Send + 'static>(frames: mpsc::Receiver<(Instant, T)>) -> Requests<T> {
    stream::unfold(frames, |mut frames| async move {
        let (arrival, frame) = frames.recv().await?;
        sleep_until(arrival).await;
        Some((frame, frames))
    })
    .boxed()
}

/// The caller's side of a stream: ends as the other side ended it, or with an error if the connection was lost.
fn until_broken(
    frames: mpsc::Receiver<(Instant, Option<Result<AppendResponse, CallError>>)>,
) -> Responses<AppendResponse> {
    stream::unfold(Some(frames), |frames| async move {
        let mut frames = frames?;
        let Some((arrival, frame)) = frames.recv().await else { return Some((Err(broken()), None)) };
        sleep_until(arrival).await;
        let frame = frame?;
        let rest = frame.is_ok().then_some(frames);
        Some((frame, rest))
    })
    .boxed()
}

impl Peer for Connection {
    fn append(&self, requests: Requests<AppendRequest>, idle: Duration) -> Answer<Responses<AppendResponse>> {
        let connection = self.clone();
        async move {
            let server = connection.open(idle).await?;
            let (from, to) = (connection.from, connection.to);
            let sent = move |network: &Network, request: &AppendRequest| {
                network.sent(from, to, &Wire::Append(request));
            };
            let requests = connection.carry(requests, idle, sent);
            let (back, frames) = mpsc::channel(WINDOW);
            server.life.clone().spawn(async move {
                match server.peer.append(requests, idle).await {
                    Ok(responses) => connection.respond(responses, idle, back).await,
                    Err(error) => drop(back.send((Instant::now(), Some(Err(error)))).await),
                }
            });
            Ok(until_broken(frames))
        }
        .boxed()
    }

    fn heartbeat(&self, request: AppendRequest, timeout: Duration) -> Answer<AppendResponse> {
        self.call(
            request,
            timeout,
            Call {
                name: "heartbeat",
                may_double: true,
                shown: Some(Shown {
                    asked: |request| Wire::Heartbeat(request),
                    answered: |_, response| Wire::HeartbeatAnswer(response),
                }),
                serve: |peer, request, timeout| peer.heartbeat(request, timeout),
            },
        )
    }

    fn vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse> {
        self.call(
            request,
            timeout,
            Call {
                name: "vote",
                may_double: true,
                shown: Some(Shown {
                    asked: |request| Wire::Vote(request),
                    answered: |request, response| Wire::VoteAnswer(request, response),
                }),
                serve: |peer, request, timeout| peer.vote(request, timeout),
            },
        )
    }

    fn pre_vote(&self, request: VoteRequest, timeout: Duration) -> Answer<VoteResponse> {
        self.call(
            request,
            timeout,
            Call {
                name: "pre-vote",
                may_double: true,
                shown: Some(Shown {
                    asked: |request| Wire::PreVote(request),
                    answered: |_, response| Wire::PreVoteAnswer(response),
                }),
                serve: |peer, request, timeout| peer.pre_vote(request, timeout),
            },
        )
    }

    fn transfer_leader(&self, request: TransferLeaderRequest, timeout: Duration) -> Answer<TransferLeaderResponse> {
        self.call(
            request,
            timeout,
            other("transfer leader", false, |peer, request, timeout| peer.transfer_leader(request, timeout)),
        )
    }

    fn read_index(&self, request: ReadIndexRequest, timeout: Duration) -> Answer<ReadIndexResponse> {
        let serve = |peer: &dyn Peer, request, timeout| peer.read_index(request, timeout);
        self.call(request, timeout, other("read index", true, serve))
    }

    fn propose(&self, request: ProposeRequest, timeout: Duration) -> Answer<ProposeResponse> {
        let serve = |peer: &dyn Peer, request, timeout| peer.propose(request, timeout);
        self.call(request, timeout, other("propose", false, serve))
    }

    fn renew_leases(&self, request: RenewLeasesRequest, timeout: Duration) -> Answer<RenewLeasesResponse> {
        let serve = |peer: &dyn Peer, request, timeout| peer.renew_leases(request, timeout);
        self.call(request, timeout, other("renew leases", true, serve))
    }

    fn lease_life(&self, request: LeaseLifeRequest, timeout: Duration) -> Answer<LeaseLifeResponse> {
        let serve = |peer: &dyn Peer, request, timeout| peer.lease_life(request, timeout);
        self.call(request, timeout, other("lease life", true, serve))
    }

    fn change_members(&self, request: ChangeMembersRequest, timeout: Duration) -> Answer<ChangeMembersResponse> {
        let serve = |peer: &dyn Peer, request, timeout| peer.change_members(request, timeout);
        self.call(request, timeout, other("change members", false, serve))
    }

    fn probe(&self, timeout: Duration) -> Answer<ProbeResponse> {
        self.call((), timeout, other("probe", true, |peer, (), timeout| peer.probe(timeout)))
    }

    fn snapshot(&self, chunks: Requests<SnapshotChunk>, idle: Duration) -> Answer<SnapshotResponse> {
        let connection = self.clone();
        async move {
            let server = connection.open(idle).await?;
            let (from, to) = (connection.from, connection.to);
            let chunks =
                connection.carry(chunks, idle, move |network, _| network.sent(from, to, &Wire::Other("chunk")));
            let (peer, network) = (server.peer, connection.network.clone());
            let answer = server.life.spawn(async move {
                let answer = peer.snapshot(chunks, idle).await?;
                network.sent(to, from, &Wire::OtherAnswer("snapshot"));
                Ok(answer)
            });
            let answer = answer.await.map_err(|_died| broken())?;
            let back = connection.network.arrival(to, from, Instant::now(), idle).await;
            sleep_until(back.map_err(|()| broken())?).await;
            answer
        }
        .boxed()
    }
}

/// A kind of call that only the trace shows, by its name.
fn other<Q, R>(name: &'static str, may_double: bool, serve: fn(&dyn Peer, Q, Duration) -> Answer<R>) -> Call<Q, R> {
    Call { name, may_double, shown: None, serve }
}
