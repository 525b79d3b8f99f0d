//! A client that keeps a lease alive for a while, with a key on it, and then lets it go or forgets it.

use std::time::Duration;

use model::{Identity, LeaseId, Rejection};
use tokio::time::Instant;

use super::{Client, ask};
use crate::checker::history::{LeaseCall, LeaseOutcome, LeaseRecord, Op, Outcome, Request};
use crate::cluster::Unanswered;
use crate::trace::trace;

const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn run(mut client: Client) {
    let mut nth = 0;
    while !client.is_done() {
        nth += 1;
        let id = 0x1000 * i64::try_from(client.rng.between(1, 1 << 40)).expect("positive") + nth;
        live_and_let_go(&mut client, id).await;
        client.rest(50, 500).await;
    }
}

async fn live_and_let_go(client: &mut Client, id: i64) {
    let ttl = i64::try_from(client.rng.between(2, 4)).expect("small");
    let granted = call(client, id, LeaseCall::Grant, ttl).await;
    if !matches!(granted, LeaseOutcome::Alive(_)) {
        return client.move_on();
    }
    write(client, id).await;
    let until = Instant::now() + Duration::from_millis(client.rng.between(0, 8000));
    while Instant::now() < until.min(client.until) {
        client.rest(100, 900).await;
        match call(client, id, LeaseCall::KeepAlive, ttl).await {
            LeaseOutcome::Alive(_) => {}
            LeaseOutcome::Unknown => client.move_on(),
            // Nothing can be hung on it any more.
            LeaseOutcome::Gone => return write(client, id).await,
        }
    }
    if client.rng.once_in(2) {
        call(client, id, LeaseCall::Revoke, ttl).await;
        write(client, id).await;
    }
}

/// Writes the key of a lease.
async fn write(client: &mut Client, id: i64) {
    let key = format!("lease/{}-{id:x}", client.name);
    let request = Request::one(Op::Put { key, value: client.value(), lease: id });
    let put = ask(&client.cluster, &client.recording, &client.name, client.place, request, PATIENCE).await;
    if !matches!(put, Outcome::Answered(_)) {
        client.move_on();
    }
}

/// Asks for something about a lease, and records what came of it.
async fn call(client: &mut Client, id: i64, call: LeaseCall, ttl: i64) -> LeaseOutcome {
    let called = client.now();
    let (lease, place) = (LeaseId::new(id), client.place);
    trace!(client.cluster.trace, "{}>{place} {call:?} {id:x}", client.name);
    let answered = client.cluster.ask(place, PATIENCE, |handle| async move {
        match call {
            LeaseCall::Grant => handle.lease_grant(Identity::default(), lease, ttl).await.map(|(.., ttl)| Some(ttl)),
            LeaseCall::KeepAlive => Ok(handle.lease_keep_alive(lease).await?),
            LeaseCall::Revoke => match handle.lease_revoke(Identity::default(), lease).await {
                Ok(_) | Err(node::Error::Rejected(Rejection::LeaseNotFound)) => Ok(None),
                Err(error) => Err(error),
            },
        }
    });
    let outcome = match answered.await {
        Ok(Some(ttl)) => LeaseOutcome::Alive(u64::try_from(ttl).expect("a TTL") * 1_000_000),
        Ok(None) => LeaseOutcome::Gone,
        Err(Unanswered::Refused(_) | Unanswered::Unknown(_)) => LeaseOutcome::Unknown,
    };
    trace!(client.cluster.trace, "{place}>{} {outcome:?}", client.name);
    client.recording.lease(LeaseRecord { called, returned: client.now(), lease: id, call, outcome });
    outcome
}
