//! A client that asks again, at the next member, until its write is answered: nothing may fail for it but by outages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::checker::history::{History, Instant, Op, Outcome, Request};

use super::super::client::{Client, Habit};
use super::writers::put;
use super::{Recorded, Shared};

/// Where it writes: each write has a number, and each attempt a key of its own below it.
const PREFIX: &str = "patient/";

/// Milliseconds between writes, and between attempts.
const PAUSE_MS: u64 = 20;

pub(super) async fn insist(shared: Arc<Shared>) -> Recorded {
    let mut client = Client::new(&shared.urls, 0, Habit::Roams, shared.clock);
    let mut recorded = Recorded::default();
    for write in 0.. {
        for attempt in 0.. {
            if shared.is_over() {
                return recorded;
            }
            let key = format!("{PREFIX}{write}/{attempt}");
            let record = client.ask(Request::one(put(&key, shared.value()))).await;
            let answered = matches!(record.outcome, Outcome::Answered(_));
            recorded.records.push(record);
            shared.pause(PAUSE_MS).await;
            if answered {
                break;
            }
        }
    }
    recorded
}

/// The longest time from the first attempt of a write to its answer.
pub(crate) fn longest(history: &History) -> Duration {
    let mut times: BTreeMap<&str, (Instant, Instant)> = BTreeMap::new();
    for record in &history.records {
        let Some(Op::Put { key, .. }) = record.request.then.first() else { continue };
        let Some((write, _)) = key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')) else { continue };
        let time = times.entry(write).or_insert((record.called, record.returned));
        *time = (time.0.min(record.called), time.1.max(record.returned));
    }
    Duration::from_micros(times.values().map(|(called, returned)| returned - called).max().unwrap_or(u64::MAX))
}
