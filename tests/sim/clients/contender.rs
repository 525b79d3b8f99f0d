//! A client that contends for the one lock, writes what it guards while it holds, and gives it up.

use std::time::Duration;

use bytes::Bytes;
use model::{Identity, LeaseId};
use node::{Claim, ClaimOutcome, ClaimRequest, OnTimeout, SessionRequest};

use super::{Client, ask};
use crate::checker::history::{Consistency, Hold, Op, Outcome, Request, Test};
use crate::convert::bytes;

/// What the keys of all contenders begin with.
const LOCK: &str = "lock/";

/// What the lock guards.
const GUARDED: &str = "guarded";

/// Seconds that a session lives without a sign of life.
const TTL: i64 = 2;

const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn run(mut client: Client) {
    client.recording.guarded(GUARDED);
    client.recording.unrecorded(LOCK);
    client.recording.unrecorded("session/");
    while !client.is_done() {
        match claim(&mut client).await {
            Some(claim) => hold(&mut client, claim).await,
            None => client.move_on(),
        }
        client.rest(20, 300).await;
    }
}

/// Waits in line for the lock; none if it was not to be had.
async fn claim(client: &mut Client) -> Option<(Claim, u64)> {
    let session = SessionRequest::New { ttl: TTL, record_prefix: bytes("session/"), record: Bytes::new() };
    let request = ClaimRequest {
        wait: Duration::from_secs(3),
        on_timeout: OnTimeout::Leave,
        ..ClaimRequest::mutex(bytes(LOCK), session)
    };
    let called = client.now();
    let answer = client
        .cluster
        .ask(client.place, PATIENCE, |handle| async move { handle.claim(Identity::default(), request).await });
    match answer.await.ok()? {
        ClaimOutcome::Held { claim, .. } => Some((claim, called)),
        ClaimOutcome::Queued { .. }
        | ClaimOutcome::Busy { .. }
        | ClaimOutcome::WaitTimeout { .. }
        | ClaimOutcome::QueueFull { .. }
        | ClaimOutcome::SessionNotFound
        | ClaimOutcome::Lost
        | ClaimOutcome::OtherClaim
        | ClaimOutcome::Broken
        | ClaimOutcome::LimitExceeded { .. }
        | ClaimOutcome::NoSemaphore
        | ClaimOutcome::TooManyHolds => None,
    }
}

/// Believes that it holds the lock until its session may have ended, or it gave the lock up.
async fn hold(client: &mut Client, (claim, called): (Claim, u64)) {
    let from = client.now();
    // The session was opened after the call was made, and lives for its time from then on.
    let believed = called + u64::try_from(TTL).expect("positive") * 1_000_000;
    let key = String::from_utf8_lossy(&claim.key).into_owned();
    client.rest(0, 300).await;
    let token = claim.token.get();
    let request = Request {
        tests: vec![Test::Created(key.clone(), token)],
        then: vec![Op::Put { key: GUARDED.to_owned(), value: format!("{token}:{}", client.value()), lease: 0 }],
        otherwise: Vec::new(),
        consistency: Consistency::Linearizable,
    };
    let written = ask(&client.cluster, &client.recording, &client.name, client.place, request, PATIENCE).await;
    if !matches!(written, Outcome::Answered(_)) {
        client.move_on();
    }
    let until = client.now().min(believed);
    if until > from {
        let (prefix, revision) = (LOCK.to_owned(), claim.revision.get());
        client.recording.hold(Hold { prefix, key, token, from, revision, until });
    }
    end(client, claim.lease).await;
}

/// Ends the session, and the claim with it.
async fn end(client: &mut Client, lease: LeaseId) {
    let revoked = client
        .cluster
        .ask(client.place, PATIENCE, |handle| async move { handle.lease_revoke(Identity::default(), lease).await });
    if revoked.await.is_err() {
        client.move_on();
    }
}
