//! Leases: granting them, and keeping them alive.

use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::Plan;
use crate::connection::{Connection, Connections};
use crate::load::{Operation, drive};
use crate::sample::{Failure, Sample};
use crate::servers::Server;

/// Concurrent clients.
const CLIENTS: usize = 64;
/// Time to live of every lease, seconds: none expires while the load runs.
const TTL_S: i64 = 600;
/// Keep-alives that may be under way on one stream: each waits for its answer.
const KEEP_ALIVES_IN_FLIGHT: usize = 1;

/// Grants a lease on behalf of the client with this number.
pub(super) async fn grant_one(connections: &Connections, client: usize) -> Result<i64, Failure> {
    let request = LeaseGrantRequest { ttl: TTL_S, id: 0 };
    Ok(connections.lease(client).lease_grant(request).await?.into_inner().id)
}

/// Lease grants; nothing is revoked.
pub(super) async fn grant(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    let connections = plan.connect(server, CLIENTS).await?;
    let clients = (0..CLIENTS).map(|client| Granter { lease: connections.lease(client) }).collect();
    Ok(drive(clients, || server.usage(), plan.window).await?.plain_sample())
}

struct Granter {
    lease: LeaseClient<Connection>,
}

impl Operation for Granter {
    async fn call(&mut self) -> Result<(), Failure> {
        let answer = self.lease.lease_grant(LeaseGrantRequest { ttl: TTL_S, id: 0 }).await?.into_inner();
        if answer.id == 0 { Err(Failure::broken("a granted lease has no id")) } else { Ok(()) }
    }
}

/// Keep-alives, each client with a lease and a stream of its own.
pub(super) async fn keep_alive(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    let connections = plan.connect(server, CLIENTS).await?;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        clients.push(Keeper::open(&connections, client).await?);
    }
    Ok(drive(clients, || server.usage(), plan.window).await?.plain_sample())
}

struct Keeper {
    id: i64,
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    answers: Streaming<LeaseKeepAliveResponse>,
}

impl Keeper {
    async fn open(connections: &Connections, client: usize) -> Result<Self, Failure> {
        let id = grant_one(connections, client).await?;
        let (requests, outgoing) = mpsc::channel(KEEP_ALIVES_IN_FLIGHT);
        // A server may answer the call only after the first request.
        requests.try_send(LeaseKeepAliveRequest { id }).map_err(|error| Failure::broken(error.to_string()))?;
        let answers = connections.lease(client).lease_keep_alive(ReceiverStream::new(outgoing)).await?.into_inner();
        let mut keeper = Self { id, requests, answers };
        keeper.answer().await?;
        Ok(keeper)
    }

    async fn answer(&mut self) -> Result<(), Failure> {
        let answer = self.answers.message().await?;
        match answer {
            Some(answer) if answer.id == self.id && answer.ttl > 0 => Ok(()),
            Some(answer) => Err(Failure::broken(format!("the lease is not kept alive: {answer:?}"))),
            None => Err(Failure::broken("the keep-alive stream ended")),
        }
    }
}

impl Operation for Keeper {
    async fn call(&mut self) -> Result<(), Failure> {
        let request = LeaseKeepAliveRequest { id: self.id };
        self.requests.send(request).await.map_err(|_| Failure::broken("the keep-alive stream ended"))?;
        self.answer().await
    }
}
