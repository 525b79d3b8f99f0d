//! Many keys: how long they take to load, what they weigh, and how long a restart takes with them.
//!
//! A restart is timed from the start of the process until a linearizable get is answered, once after kill -9 right
//! behind the load, and once after a graceful stop. After each, a few keys are compared with what was written.

use std::time::{Duration, Instant};

use proto::etcdserverpb::RangeRequest;

use super::{Plan, preload};
use crate::connection::Connections;
use crate::keys::KeySpace;
use crate::sample::{Failure, Metric, Sample};
use crate::servers::Server;

/// Time for a server to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_secs(3);

/// Loads, weighs, kills, restarts, stops, restarts.
pub(super) async fn run(server: &mut Server, plan: &Plan) -> Result<Sample, Failure> {
    let keys = KeySpace::new(plan.bulk_keys, plan.seed);
    let mut sample = Sample::default();

    let (begun, before) = (Instant::now(), server.usage()?);
    preload::load(server, plan, &keys).await?;
    let (elapsed, loaded) = (begun.elapsed().as_secs_f64(), server.usage()?);
    sample.set(Metric::LoadTime, elapsed);
    sample.set(Metric::Throughput, keys.count() as f64 / elapsed);
    let cpu = loaded.cpu.saturating_sub(before.cpu);
    sample.set(Metric::ServerCpu, cpu.as_secs_f64() * 1e6 / keys.count() as f64);

    tokio::time::sleep(SETTLE).await;
    let settled = server.usage()?;
    sample.set(Metric::Rss, settled.rss_kib as f64);
    sample.set(Metric::PeakRss, settled.peak_rss_kib as f64);

    server.kill().await?;
    sample.set(Metric::RestartAfterKill, server.restart().await?.as_secs_f64());
    sample.set(Metric::RestartedRss, server.usage()?.rss_kib as f64);
    check(server, &keys).await?;

    sample.set(Metric::StopTime, server.stop().await?.as_secs_f64());
    sample.set(Metric::RestartAfterStop, server.restart().await?.as_secs_f64());
    check(server, &keys).await?;
    sample.note = Some(format!("{} keys", keys.count()));
    Ok(sample)
}

/// Compares the first, a middle and the last key with what was written.
async fn check(server: &Server, keys: &KeySpace) -> Result<(), Failure> {
    let mut kv = Connections::open(&[server.address()], 1).await?.kv(0);
    for number in [0, keys.count() / 2, keys.count() - 1] {
        let request = RangeRequest { key: keys.key(number), ..RangeRequest::default() };
        let found = kv.range(request).await?.into_inner().kvs;
        if found.first().is_none_or(|pair| pair.value != keys.value(number)) {
            return Err(Failure::broken(format!("key {number} was acknowledged and is lost after the restart")));
        }
    }
    Ok(())
}
