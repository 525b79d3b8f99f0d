//! A client that reads, writes, compares and swaps a few keys that all share.

use std::time::Duration;

use model::{Identity, Revision};

use super::Client;
use crate::checker::history::{Answer, Consistency, Done, Op, Outcome, Record, Request, Test};
use crate::cluster::{Cluster, Unanswered};
use crate::convert;
use crate::network::Place;
use crate::recording::Recording;
use crate::trace::trace;

/// Keys that all requesters share.
const KEYS: u64 = 6;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it waits if it waits for the member's own word that it does not know.
const GREAT_PATIENCE: Duration = Duration::from_secs(9);

pub(super) async fn run(mut client: Client) {
    // What it last saw of a key, for comparisons that have a chance.
    let mut seen: Option<(String, String)> = None;
    while !client.is_done() {
        if client.rng.once_in(120) {
            compact(&mut client).await;
        }
        let request = draw(&mut client, seen.as_ref());
        let patience = if client.rng.once_in(4) { GREAT_PATIENCE } else { PATIENCE };
        let outcome = ask(&client.cluster, &client.recording, &client.name, client.place, request, patience).await;
        match outcome {
            Outcome::Answered(answer) => seen = found(&answer).or(seen),
            Outcome::Refused | Outcome::Unknown => {
                client.move_on();
                client.rest(5, 60).await;
            }
        }
        if client.rng.once_in(12) {
            client.move_on();
        }
        client.rest(2, 40).await;
    }
}

/// Asks `place`, and records what came of it.
pub(crate) async fn ask(
    cluster: &Cluster,
    recording: &Recording,
    name: &str,
    place: Place,
    request: Request,
    patience: Duration,
) -> Outcome {
    let called = cluster.trace.now();
    trace!(cluster.trace, "{name}>{place} {request:?}");
    let transaction = convert::transaction(&request);
    let answer =
        cluster.ask(place, patience, |handle| async move { handle.txn(Identity::default(), transaction).await });
    let outcome = match answer.await {
        Ok(response) => Outcome::Answered(convert::answer(&request, &response)),
        Err(Unanswered::Refused(_)) => Outcome::Refused,
        Err(Unanswered::Unknown(_)) => Outcome::Unknown,
    };
    trace!(cluster.trace, "{place}>{name} {outcome:?}");
    recording.request(Record { called, returned: cluster.trace.now(), request, outcome: outcome.clone() });
    outcome
}

async fn compact(client: &mut Client) {
    let Some(process) = client.cluster.process(client.place) else { return };
    let keep = i64::try_from(client.rng.between(5, 60)).expect("small");
    let revision = process.handle.revision().get() - keep;
    if revision > 1 {
        client.recording.compacted(revision);
        trace!(client.cluster.trace, "{}>{} compact {revision}", client.name, client.place);
        let compacted = client.cluster.ask(client.place, PATIENCE, |handle| async move {
            handle.compact(Identity::default(), Revision::new(revision), false).await
        });
        // Whether it was done makes no difference to what may be asked afterwards.
        drop(compacted.await);
    }
}

fn draw(client: &mut Client, seen: Option<&(String, String)>) -> Request {
    let key = format!("k{}", client.rng.between(0, KEYS - 1));
    match client.rng.between(0, 99) {
        0..30 => {
            let value = client.value();
            Request::one(Op::Put { key, value, lease: 0 })
        }
        30..50 => Request::one(Op::Get(key)),
        50..58 => Request { consistency: Consistency::Serializable, ..Request::one(Op::Get(key)) },
        58..66 => Request::one(Op::List("k".to_owned())),
        66..74 => Request::one(Op::Delete(key)),
        74..82 => {
            let other = format!("k{}", client.rng.between(0, KEYS - 1));
            let mut then = vec![Op::Put { key: key.clone(), value: client.value(), lease: 0 }];
            if other != key {
                then.push(Op::Put { key: other, value: client.value(), lease: 0 });
            }
            Request { then, ..Request::one(Op::Get(key)) }
        }
        82..88 => Request {
            tests: vec![Test::Created(key.clone(), 0)],
            then: vec![Op::Put { key: key.clone(), value: client.value(), lease: 0 }],
            otherwise: vec![Op::Get(key)],
            consistency: Consistency::Linearizable,
        },
        _ => {
            let (key, value) = seen.cloned().unwrap_or((key, "nothing".to_owned()));
            Request {
                tests: vec![Test::Value(key.clone(), value)],
                then: vec![Op::Put { key: key.clone(), value: client.value(), lease: 0 }],
                otherwise: vec![Op::Get(key)],
                consistency: Consistency::Linearizable,
            }
        }
    }
}

fn found(answer: &Answer) -> Option<(String, String)> {
    let kv = answer.results.iter().find_map(|done| match done {
        Done::Got(kv) => kv.as_ref(),
        Done::Listed(all) => all.last(),
        Done::Put(_) | Done::Deleted(_) => None,
    })?;
    kv.key.starts_with('k').then(|| (kv.key.clone(), kv.value.clone()))
}
