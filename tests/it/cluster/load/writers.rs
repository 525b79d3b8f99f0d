//! Writers: puts, reads of both kinds, compare-and-swap, deletions and transactions over a few keys at a time.

use std::sync::Arc;

use crate::checker::history::{Answer, Consistency, Done, KeyValue, Op, Outcome, Request, Test};
use crate::dice::Dice;

use super::super::client::{Client, Habit};
use super::{Recorded, Shared};

/// Keys that are written at a time.
const SLOTS: u64 = 6;

/// Values after which writers move to fresh keys: the search for an order of one key's operations needs short histories.
const VALUES_A_GENERATION: u64 = 400;

/// Milliseconds between two requests of a writer, at most; so that two cores are enough for members and clients.
const PAUSE_MS: u64 = 16;

pub(super) async fn write(shared: Arc<Shared>, number: usize, habit: Habit, seed: u64) -> Recorded {
    let mut dice = Dice(seed.wrapping_add(number as u64));
    let mut client = Client::new(&shared.urls, number, habit, shared.clock);
    let mut recorded = Recorded::default();
    // What this writer last saw of a key, to swap it.
    let mut seen: Option<KeyValue> = None;
    while !shared.is_over() {
        let request = choose(&shared, &mut dice, seen.as_ref());
        let record = client.ask(request).await;
        if let Outcome::Answered(answer) = &record.outcome {
            seen = found(answer).or(seen);
        }
        let failed = !matches!(record.outcome, Outcome::Answered(_));
        recorded.records.push(record);
        shared.pause(dice.roll(PAUSE_MS) + if failed { 50 } else { 0 }).await;
    }
    recorded
}

fn choose(shared: &Shared, dice: &mut Dice, seen: Option<&KeyValue>) -> Request {
    let value = shared.value();
    let generation = value[1..].parse::<u64>().expect("a number after the letter") / VALUES_A_GENERATION;
    let key = |slot: u64| format!("k{slot}-{generation}");
    let (slot, other) = (dice.roll(SLOTS), dice.roll(SLOTS - 1));
    let other = if other >= slot { other + 1 } else { other };
    match dice.roll(100) {
        0..35 => Request::one(put(&key(slot), value)),
        35..58 => Request::one(Op::Get(key(slot))),
        58..66 => Request { consistency: Consistency::Serializable, ..Request::one(Op::Get(key(slot))) },
        66..78 => {
            let Some(seen) = seen else { return Request::one(put(&key(slot), value)) };
            let then = vec![put(&seen.key, value)];
            let tests = vec![Test::Value(seen.key.clone(), seen.value.clone())];
            Request { tests, then, otherwise: vec![Op::Get(seen.key.clone())], consistency: Consistency::Linearizable }
        }
        78..86 => Request::one(Op::Delete(key(slot))),
        86..95 => {
            let then = vec![put(&key(slot), value), Op::Delete(key(other)), Op::List("leased/".into())];
            Request { then, ..Request::one(Op::Get(key(slot))) }
        }
        _ => Request::one(Op::List(format!("k{slot}-"))),
    }
}

/// A key without a lease.
pub(super) fn put(key: &str, value: String) -> Op {
    Op::Put { key: key.to_owned(), value, lease: 0 }
}

/// A key that an answer shows.
fn found(answer: &Answer) -> Option<KeyValue> {
    answer.results.iter().find_map(|done| match done {
        Done::Got(kv) => kv.clone(),
        Done::Put(_) | Done::Deleted(_) | Done::Listed(_) => None,
    })
}
