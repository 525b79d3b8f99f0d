//! Probes: a small write every few milliseconds to each member in turn, whether or not earlier ones are answered; they show for
//! how long nothing could be written.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::checker::history::{Outcome, Record, Request};

use super::super::client::{Client, Habit};
use super::writers::put;
use super::{Recorded, Shared};

/// Where probes write, each to a key of its own.
pub(crate) const PREFIX: &str = "probe/";

const EVERY: Duration = Duration::from_millis(10);

/// Writes of a flood that wait for an answer at a time.
const FLOOD_WIDTH: u64 = 64;

/// Keys that a flood writes, again and again.
const FLOOD_KEYS: u64 = 500;

/// Large values at a time, and their size.
const LARGE_VALUES: u64 = 16;
const LARGE_BYTES: usize = 512 * 1024;

/// Probes that wait for an answer at a time; when there are more, the next one waits for the oldest.
const IN_FLIGHT_MAX: usize = 400;

pub(super) async fn probe(shared: Arc<Shared>) -> Recorded {
    let mut recorded = Recorded::default();
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..shared.urls.len() {
        clients.push(Client::new(&shared.urls, number, Habit::Stays, shared.clock));
    }
    let mut probes = JoinSet::new();
    let mut ticks = tokio::time::interval(EVERY);
    for count in 0.. {
        ticks.tick().await;
        if shared.is_over() {
            break;
        }
        let mut client = clients[count % clients.len()].clone();
        let request = Request::one(put(&format!("{PREFIX}{count}"), shared.value()));
        let answered = shared.clone();
        probes.spawn(async move {
            let record = client.ask(request).await;
            if matches!(record.outcome, Outcome::Answered(_)) {
                answered.answered.send_modify(|count| *count += 1);
            }
            record
        });
        while let Some(done) =
            if probes.len() < IN_FLIGHT_MAX { probes.try_join_next() } else { probes.join_next().await }
        {
            recorded.records.push(done.expect("a probe does not panic"));
        }
    }
    while let Some(done) = probes.join_next().await {
        recorded.records.push(done.expect("a probe does not panic"));
    }
    recorded
}

/// So many writes, as fast as members answer.
pub(super) async fn flood(shared: &Arc<Shared>, writes: u64) -> Vec<Record> {
    let mut writers = JoinSet::new();
    for number in 0..FLOOD_WIDTH {
        let shared = shared.clone();
        let at = usize::try_from(number).expect("a small number");
        let mut client = Client::new(&shared.urls, at, Habit::Roams, shared.clock);
        writers.spawn(async move {
            let mut records = Vec::new();
            for count in (number..writes).step_by(usize::try_from(FLOOD_WIDTH).expect("a small number")) {
                let key = format!("flood/{}", count % FLOOD_KEYS);
                records.push(client.ask(Request::one(put(&key, shared.value()))).await);
            }
            records
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

/// Some large values, one after the other.
pub(super) async fn flood_large(shared: &Arc<Shared>) -> Vec<Record> {
    let mut client = Client::new(&shared.urls, 0, Habit::Roams, shared.clock);
    let mut records = Vec::new();
    for count in 0..LARGE_VALUES {
        let value = shared.value() + &"-".repeat(LARGE_BYTES);
        records.push(client.ask(Request::one(put(&format!("large/{count}"), value))).await);
    }
    records
}
