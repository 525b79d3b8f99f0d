//! Leases: granted, given keys, renewed a few times, then revoked or left to die.

use std::sync::Arc;

use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};
use tonic::{Code, Status};

use crate::checker::history::{Instant, LeaseCall, LeaseOutcome, LeaseRecord, Op, Request};
use crate::dice::Dice;

use super::super::client::{Client, Habit, TIMEOUT};
use super::{Recorded, Shared};

/// What is asked for; a member may raise it.
const TTL_SECONDS: i64 = 2;

const SECOND_MICROS: u64 = 1_000_000;

/// Who holds one lease after the other.
struct Holder {
    shared: Arc<Shared>,
    client: Client,
    recorded: Recorded,
}

pub(super) async fn hold(shared: Arc<Shared>, number: usize, seed: u64) -> Recorded {
    let mut dice = Dice(seed.wrapping_add(100 + number as u64));
    let client = Client::new(&shared.urls, number, Habit::Roams, shared.clock);
    let mut holder = Holder { shared: shared.clone(), client, recorded: Recorded::default() };
    let stride = 1_000_000;
    for count in 1.. {
        if shared.is_over() {
            break;
        }
        let lease = i64::try_from(number + 1).expect("a small number") * stride + count;
        holder.live(lease, &mut dice).await;
    }
    holder.recorded
}

impl Holder {
    /// The life of one lease.
    async fn live(&mut self, lease: i64, dice: &mut Dice) {
        if !matches!(self.ask(lease, LeaseCall::Grant).await, LeaseOutcome::Alive(_)) {
            return self.shared.pause(50).await;
        }
        for key in 0..2 {
            let (key, value) = (format!("leased/{lease}/{key}"), self.shared.value());
            let record = self.client.ask(Request::one(Op::Put { key, value, lease })).await;
            self.recorded.records.push(record);
        }
        for _ in 0..dice.roll(6) {
            self.shared.pause(300 + dice.roll(400)).await;
            if self.ask(lease, LeaseCall::KeepAlive).await == LeaseOutcome::Gone || self.shared.is_over() {
                return;
            }
        }
        if dice.roll(2) == 0 {
            self.ask(lease, LeaseCall::Revoke).await;
        }
    }

    /// Asks something about a lease, and records it.
    async fn ask(&mut self, lease: i64, call: LeaseCall) -> LeaseOutcome {
        let called = self.shared.clock.now();
        let answered = tokio::time::timeout(TIMEOUT, self.send(lease, call)).await;
        let outcome = match answered {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(status)) if status.code() == Code::NotFound => LeaseOutcome::Gone,
            Ok(Err(_)) | Err(_) => {
                self.client.turn_away();
                LeaseOutcome::Unknown
            }
        };
        let returned = self.shared.clock.now();
        self.recorded.leases.push(LeaseRecord { called, returned, lease, call, outcome });
        outcome
    }

    async fn send(&self, lease: i64, call: LeaseCall) -> Result<LeaseOutcome, Status> {
        let mut leases = LeaseClient::new(self.client.channel());
        let ttl = match call {
            LeaseCall::Grant => {
                leases.lease_grant(LeaseGrantRequest { ttl: TTL_SECONDS, id: lease }).await?.into_inner().ttl
            }
            LeaseCall::KeepAlive => {
                let once = tokio_stream::once(LeaseKeepAliveRequest { id: lease });
                let mut answers = leases.lease_keep_alive(once).await?.into_inner();
                answers.message().await?.ok_or_else(|| Status::unavailable("the stream has ended"))?.ttl
            }
            LeaseCall::Revoke => {
                leases.lease_revoke(LeaseRevokeRequest { id: lease }).await?;
                0
            }
        };
        Ok(if ttl > 0 { LeaseOutcome::Alive(micros(ttl)) } else { LeaseOutcome::Gone })
    }
}

fn micros(seconds: i64) -> Instant {
    u64::try_from(seconds).expect("a positive time") * SECOND_MICROS
}
