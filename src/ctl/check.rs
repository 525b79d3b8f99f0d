//! `check perf`: a minute of writes at a steady rate, and whether the cluster bore it.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use client::pb::CompactionRequest;
use client::request::{delete_prefix, get_prefix, put};
use client::{Client, Error};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

use crate::exit::Exit;
use crate::flags::Perf;
use crate::run::{Context, write};

/// How long the load lasts.
const LASTS: Duration = Duration::from_secs(60);

/// Results that wait to be counted.
const RESULTS_MAX: usize = 4096;

/// The share of the rate that has to be reached.
const SHARE: f64 = 0.9;

/// The slowest a request may be, in seconds.
const SLOWEST_SECS: f64 = 0.5;

/// The most that durations may be scattered, in seconds.
const STDDEV_SECS: f64 = 0.1;

const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 1024;

/// A workload: writes a second, and clients that share them.
struct Load {
    rate: u32,
    clients: u32,
}

fn load(name: &str) -> Result<Load, Exit> {
    let (rate, clients) = match name {
        "s" | "small" => (150, 50),
        "m" | "medium" => (1000, 200),
        "l" | "large" => (8000, 500),
        "xl" | "xLarge" => (15_000, 1000),
        _ => return Err(Exit::bad_feature(format!("unknown load option {name}"))),
    };
    Ok(Load { rate, clients })
}

pub(crate) async fn perf(context: &Context, flags: &Perf) -> Result<(), Exit> {
    let load = load(&flags.load)?;
    let client = &context.client;
    let before = client.range(get_prefix(flags.prefix.clone())).await?;
    if !before.kvs.is_empty() {
        return Err(Exit::interrupted(format!(
            "prefix {:?} has keys. Delete with `etcdctl del --prefix {}` first",
            flags.prefix, flags.prefix
        )));
    }
    let mut results = start(client, &load, &flags.prefix);
    let mut durations = Vec::new();
    let mut errors = Vec::new();
    while let Some(result) = results.recv().await {
        match result {
            Ok(took) => durations.push(took.as_secs_f64()),
            Err(error) => errors.push(error),
        }
    }
    let deleted = client.delete(delete_prefix(flags.prefix.clone())).await?;
    if flags.auto_compact {
        let revision = deleted.header.map_or(0, |header| header.revision);
        client.compact(CompactionRequest { revision, physical: true }).await?;
        write(format!("Compacted with revision {revision}\n").as_bytes())?;
    }
    if flags.auto_defrag {
        for endpoint in client.endpoints() {
            client.only(endpoint)?.defragment().await?;
            write(format!("Defragmented {endpoint:?}\n").as_bytes())?;
        }
    }
    verdict(&load, &durations, &errors)
}

/// Begins to write. The results end with the load.
fn start(client: &Client, load: &Load, prefix: &str) -> mpsc::Receiver<Result<Duration, Error>> {
    let (results, collected) = mpsc::channel(RESULTS_MAX);
    let period = Duration::from_secs(1) * load.clients / load.rate;
    let ends = Instant::now() + LASTS;
    for number in 0..load.clients {
        let (client, results, prefix) = (client.clone(), results.clone(), prefix.to_owned());
        tokio::spawn(async move {
            let mut ticks = interval(period);
            let mut round = 0_u64;
            while Instant::now() < ends {
                ticks.tick().await;
                round += 1;
                let key = key(&prefix, number, round);
                let began = Instant::now();
                let result = client.put(put(key, vec![b'v'; VALUE_BYTES])).await;
                if results.send(result.map(|_| began.elapsed())).await.is_err() {
                    return;
                }
            }
        });
    }
    collected
}

fn key(prefix: &str, number: u32, round: u64) -> Bytes {
    let mut key = BytesMut::from(format!("{prefix}{number}/{round}/").as_bytes());
    key.put_bytes(b'k', KEY_BYTES.saturating_sub(key.len()));
    key.freeze()
}

fn verdict(load: &Load, durations: &[f64], errors: &[Error]) -> Result<(), Exit> {
    let mut lines = Vec::new();
    let mut is_good = errors.is_empty();
    let mut judge = |passes: bool, good: String, bad: String| {
        is_good &= passes;
        lines.push(if passes { format!("PASS: {good}") } else { format!("FAIL: {bad}") });
    };
    let count = f64::from(u32::try_from(durations.len()).unwrap_or(u32::MAX));
    let rate = count / LASTS.as_secs_f64();
    let wanted = f64::from(load.rate);
    let throughput = format!("{rate:.0} writes/s");
    judge(rate >= wanted * SHARE, format!("Throughput is {throughput}"), format!("Throughput too low: {throughput}"));
    let slowest = durations.iter().copied().fold(0.0, f64::max);
    judge(
        slowest <= SLOWEST_SECS,
        format!("Slowest request took {slowest:.6}s"),
        format!("Slowest request took too long: {slowest:.6}s"),
    );
    let mean = durations.iter().sum::<f64>() / count.max(1.0);
    let stddev = (durations.iter().map(|took| (took - mean).powi(2)).sum::<f64>() / count.max(1.0)).sqrt();
    judge(stddev <= STDDEV_SECS, format!("Stddev is {stddev:.6}s"), format!("Stddev too high: {stddev:.6}s"));
    lines.extend(errors.first().map(|error| format!("FAIL: {} errors, the first: {error}", errors.len())));
    lines.push(if is_good { "PASS".to_owned() } else { "FAIL".to_owned() });
    write(format!("{}\n", lines.join("\n")).as_bytes())?;
    if is_good { Ok(()) } else { Err(Exit::said()) }
}
