//! Locks: one per client, and one that all clients want.
//!
//! A lock is taken through the lock service of gRPC, or through the REST API that only Quorate has. The contended
//! scenario measures hand-offs: from the moment the holder starts to release until the next contender learns that it
//! holds. It also checks what a lock is for: two holders at once are an error.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use proto::v3lockpb::lock_client::LockClient;
use proto::v3lockpb::{LockRequest, UnlockRequest};
use serde::Deserialize;

use super::{LockFace, Plan, lease};
use crate::connection::{Connection, Connections, Rest};
use crate::load::{Latencies, Operation, drive};
use crate::sample::{Failure, Metric, Sample};
use crate::servers::{Server, ServerKind};

/// Clients that have a lock of their own.
const OWNERS: usize = 64;
/// Clients that want the one lock.
const CONTENDERS: usize = 16;
/// Where sessions are made.
const SESSIONS: &str = "/v1/sessions";
/// The body of a request for a session that outlives the run.
const SESSION: &str = r#"{"ttl":"300s"}"#;
/// The body of a claim: how long the server may keep the request open before the client asks again.
const CLAIM: &str = r#"{"wait":"30s"}"#;

/// Lock and unlock without contention.
pub(super) async fn own(server: &Server, plan: &Plan, face: LockFace) -> Result<Sample, Failure> {
    let connections = plan.connect(server, OWNERS).await?;
    let api = Api::of(face, server);
    let mut owners = Vec::new();
    for client in 0..OWNERS {
        owners.push(Owner(Door::open(api, server, &connections, client, &format!("own-{client}")).await?));
    }
    let mut sample = drive(owners, || server.usage(), plan.window).await?.plain_sample();
    sample.note = Some(api.note());
    Ok(sample)
}

struct Owner(Door);

impl Operation for Owner {
    async fn call(&mut self) -> Result<(), Failure> {
        let held = self.0.acquire().await?;
        self.0.release(held).await
    }
}

/// One lock that everyone wants, always.
pub(super) async fn hot(server: &Server, plan: &Plan, face: LockFace) -> Result<Sample, Failure> {
    let connections = plan.connect(server, CONTENDERS).await?;
    let api = Api::of(face, server);
    let hand_off = HandOff { state: Arc::new(Mutex::new(State::Free)), latencies: Latencies::new() };
    let mut contenders = Vec::new();
    for client in 0..CONTENDERS {
        let door = Door::open(api, server, &connections, client, "hot").await?;
        contenders.push(Contender { door, hand_off: hand_off.clone() });
    }
    let load = drive(contenders, || server.usage(), plan.window).await?;
    let mut sample = load.sample(1.0, &hand_off.latencies);
    sample.set(Metric::TurnP50, load.latencies().micros_at(0.5));
    sample.note = Some(api.note());
    Ok(sample)
}

/// What the contenders know of the lock, in the one process that all of them live in.
#[derive(Clone)]
struct HandOff {
    state: Arc<Mutex<State>>,
    latencies: Latencies,
}

enum State {
    Free,
    Held,
    Releasing(Instant),
}

impl HandOff {
    fn acquired(&self) -> Result<(), Failure> {
        match std::mem::replace(&mut *self.state.lock(), State::Held) {
            State::Free => Ok(()),
            State::Releasing(since) => {
                self.latencies.record(since.elapsed());
                Ok(())
            }
            State::Held => Err(Failure::broken("two contenders hold the lock at once")),
        }
    }

    fn releasing(&self) {
        *self.state.lock() = State::Releasing(Instant::now());
    }
}

struct Contender {
    door: Door,
    hand_off: HandOff,
}

impl Operation for Contender {
    async fn call(&mut self) -> Result<(), Failure> {
        let held = self.door.acquire().await?;
        let alone = self.hand_off.acquired();
        self.hand_off.releasing();
        self.door.release(held).await?;
        alone
    }
}

#[derive(Clone, Copy)]
enum Api {
    Grpc,
    Rest,
}

impl Api {
    fn of(face: LockFace, server: &Server) -> Self {
        match (face, server.kind()) {
            (LockFace::Native, ServerKind::Quorate) => Self::Rest,
            (LockFace::Native | LockFace::Grpc, _) => Self::Grpc,
        }
    }

    fn note(self) -> String {
        match self {
            Self::Grpc => "over the v3lock RPC".to_owned(),
            Self::Rest => "over REST, an HTTP/1.1 connection per client".to_owned(),
        }
    }
}

/// One client's way to one lock.
enum Door {
    Grpc { client: LockClient<Connection>, request: LockRequest },
    Rest { rest: Rest, claim: String },
}

/// What a holder must show to release.
enum Held {
    Key(Bytes),
    Token(u64),
}

/// The part of a session that is needed here.
#[derive(Deserialize)]
struct Session {
    id: String,
}

/// The part of a held claim that is needed here.
#[derive(Deserialize)]
struct Claim {
    token: u64,
}

impl Door {
    async fn open(
        api: Api,
        server: &Server,
        connections: &Connections,
        client: usize,
        name: &str,
    ) -> Result<Self, Failure> {
        match api {
            Api::Grpc => {
                let lease = lease::grant_one(connections, client).await?;
                let request = LockRequest { name: Bytes::from(name.to_owned()), lease };
                Ok(Self::Grpc { client: connections.lock(client), request })
            }
            Api::Rest => Self::open_rest(Rest::open(server.address()).await?, name).await,
        }
    }

    async fn open_rest(mut rest: Rest, name: &str) -> Result<Self, Failure> {
        let answer = rest.call(Method::POST, SESSIONS, None, Bytes::from_static(SESSION.as_bytes())).await?;
        match answer.0 {
            StatusCode::CREATED => {
                let session: Session = parse(&answer.1)?;
                Ok(Self::Rest { rest, claim: format!("/v1/locks/{name}/claims/{}", session.id) })
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(Failure::NotOffered(format!("POST {SESSIONS}: {}", answer.0)))
            }
            _ => Err(unexpected("POST of a session", &answer)),
        }
    }

    /// Returns when the lock is held.
    async fn acquire(&mut self) -> Result<Held, Failure> {
        match self {
            Self::Grpc { client, request } => Ok(Held::Key(client.lock(request.clone()).await?.into_inner().key)),
            Self::Rest { rest, claim } => loop {
                let answer = rest.call(Method::PUT, claim, None, Bytes::from_static(CLAIM.as_bytes())).await?;
                match answer.0 {
                    StatusCode::OK | StatusCode::CREATED => return Ok(Held::Token(parse::<Claim>(&answer.1)?.token)),
                    // Still queued when the wait ended: asking again keeps the place.
                    StatusCode::ACCEPTED => {}
                    _ => return Err(unexpected("PUT of a claim", &answer)),
                }
            },
        }
    }

    async fn release(&mut self, held: Held) -> Result<(), Failure> {
        match (self, held) {
            (Self::Grpc { client, .. }, Held::Key(key)) => {
                client.unlock(UnlockRequest { key }).await?;
                Ok(())
            }
            (Self::Rest { rest, claim }, Held::Token(token)) => {
                let answer = rest.call(Method::DELETE, claim, Some(&format!("\"{token}\"")), Bytes::new()).await?;
                if answer.0.is_success() { Ok(()) } else { Err(unexpected("DELETE of a claim", &answer)) }
            }
            (Self::Grpc { .. }, Held::Token(_)) | (Self::Rest { .. }, Held::Key(_)) => {
                Err(Failure::broken("a lock is released through the door that it was taken through"))
            }
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::broken(format!("unexpected answer ({error}): {}", String::from_utf8_lossy(body))))
}

fn unexpected(what: &str, (status, body): &(StatusCode, Bytes)) -> Failure {
    Failure::broken(format!("{what}: {status}: {}", String::from_utf8_lossy(body)))
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
